/* SPDX-License-Identifier: Apache-2.0 */
/* Handles with a local index of their own. */
#include "store/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"
#include "store/host.h"

/* Of one cache folder at once. */
#define VIEWS_MAX 64

static int
take_dir(struct view *v, const char *dir, struct err *err)
{
	char *guard = NULL;
	int rc = -1;

	if (io_make_dirs(dir, 0700, err) == -1)
		return -1;
	if ((guard = io_path(dir, "prune.guard")) == NULL)
		return err_no_memory(err);
	v->guard_fd = open(guard, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (v->guard_fd == -1)
		err_errno(err, errno, "cannot open '%s'", guard);
	else if (flock(v->guard_fd, LOCK_EX | LOCK_NB) == 0)
		rc = 0;
	else
		err_errno(err, errno, "cannot lock '%s'", guard);
	if (rc == -1 && v->guard_fd != -1) {
		close(v->guard_fd);
		v->guard_fd = -1;
	}
	free(guard);
	return rc;
}

/* The first folder that no other of this host uses; prunes were the first to
 * have them. */
static int
find_dir(struct view *v, const char *marker, struct err *err)
{
	char name[32], *dir;
	int i, rc = -1;

	for (i = 0; rc == -1 && i < VIEWS_MAX; i++) {
		snprintf(name, sizeof(name), "prune-%d", i);
		if ((dir = io_path(v->store.cache_dir, name)) == NULL)
			return err_no_memory(err);
		err_clear(err);
		rc = take_dir(v, dir, err);
		if (rc == 0)
			rc = localindex_open(&v->store.index, dir, marker, err);
		else if (err->sys_errno != EWOULDBLOCK)
			i = VIEWS_MAX;
		free(dir);
		if (rc == -1 && v->guard_fd != -1)
			break;
	}
	return rc;
}

/* Of a dead one that had the folder nothing is taken over, notes neither. */
static int
empty(struct view *v, struct err *err)
{
	const struct idset none = { .ids = NULL };

	if (localindex_clear(v->store.index, err) == -1)
		return -1;
	return localindex_relist(v->store.index, 0, &none, err);
}

int
view_open(struct view *out, struct store *s, struct err *err)
{
	char marker[LOCALINDEX_MARKER_SIZE];

	*out = (struct view){ .guard_fd = -1 };
	out->store.backend = s->backend;
	memcpy(out->store.id, s->id, sizeof(s->id));
	out->store.seal = s->seal;
	out->store.salts = s->salts;
	memcpy(out->store.slot, s->slot, sizeof(s->slot));
	out->store.compression = s->compression;
	out->store.undelete_days = s->undelete_days;
	out->store.cache_dir = s->cache_dir;
	out->store.epoch_seen = s->epoch_seen;
	pthread_mutex_init(&out->store.sync_lock, NULL);
	pthread_mutex_init(&out->store.mark_lock, NULL);
	if (host_open_owner(&out->store, err) == 0 &&
	    store_index_marker(marker, s, err) == 0 &&
	    find_dir(out, marker, err) == 0 && empty(out, err) == 0)
		return 0;
	view_close(out);
	return -1;
}

void
view_close(struct view *view)
{
	struct err ignored = ERR_INIT;

	/* Its space can be used again, its file need not be large. */
	if (view->store.index != NULL)
		localindex_clear(view->store.index, &ignored);
	localindex_close(view->store.index);
	view->store.index = NULL;
	if (view->guard_fd != -1)
		close(view->guard_fd);
	view->guard_fd = -1;
	host_close(&view->store);
	pthread_mutex_destroy(&view->store.mark_lock);
	pthread_mutex_destroy(&view->store.sync_lock);
}
