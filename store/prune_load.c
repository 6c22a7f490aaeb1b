/* SPDX-License-Identifier: Apache-2.0 */
/* The packs and indexes of one round, in a local index of the prune's own. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/err.h"
#include "common/io.h"
#include "common/log.h"
#include "store/prune.h"

/* Of one cache folder at once. */
#define PRUNES_MAX 64

/* ---- the view ---- */

static int
take_dir(struct prune *p, const char *dir, struct err *err)
{
	char *guard = NULL;
	int rc = -1;

	if (io_make_dirs(dir, 0700, err) == -1)
		return -1;
	if ((guard = io_path(dir, "prune.guard")) == NULL)
		return err_no_memory(err);
	p->guard_fd = open(guard, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (p->guard_fd == -1)
		err_errno(err, errno, "cannot open '%s'", guard);
	else if (flock(p->guard_fd, LOCK_EX | LOCK_NB) == 0)
		rc = 0;
	else
		err_errno(err, errno, "cannot lock '%s'", guard);
	if (rc == -1 && p->guard_fd != -1) {
		close(p->guard_fd);
		p->guard_fd = -1;
	}
	free(guard);
	return rc;
}

/* The first folder that no prune of this host uses; what a dead one left in
 * it is thrown away when the round loads. */
int
prune_view_open(struct prune *p, struct err *err)
{
	char name[32], marker[LOCALINDEX_MARKER_SIZE], *dir;
	int i, rc = -1;

	pthread_mutex_init(&p->view.sync_lock, NULL);
	p->view.backend = p->store->backend;
	p->view.seal = p->store->seal;
	p->view.salts = p->store->salts;
	if (store_index_marker(marker, p->store, err) == -1)
		return -1;
	for (i = 0; rc == -1 && i < PRUNES_MAX; i++) {
		snprintf(name, sizeof(name), "prune-%d", i);
		if ((dir = io_path(p->store->cache_dir, name)) == NULL)
			return err_no_memory(err);
		err_clear(err);
		rc = take_dir(p, dir, err);
		if (rc == 0)
			rc = localindex_open(&p->view.index, dir, marker, err);
		else if (err->sys_errno != EWOULDBLOCK)
			i = PRUNES_MAX;
		free(dir);
	}
	return rc;
}

void
prune_view_close(struct prune *p)
{
	struct err ignored = ERR_INIT;

	/* Its space can be used again, its file need not be large. */
	if (p->view.index != NULL)
		localindex_clear(p->view.index, &ignored);
	localindex_close(p->view.index);
	if (p->guard_fd != -1)
		close(p->guard_fd);
	pthread_mutex_destroy(&p->view.sync_lock);
}

/* ---- what is doomed ---- */

/* 1: it is there, of that size; 0: it is not. */
static int
look_for_pack(
    struct prune *p, const uint8_t *id, uint64_t *size, struct err *err)
{
	char key[OBJECT_KEY_SIZE];

	if (backend_stat(p->store->backend, object_key(key, OBJECT_PACK, id),
		size, err) == 0)
		return 1;
	if (err->class != ERR_NOT_FOUND)
		return -1;
	err_clear(err);
	return 0;
}

int
prune_remove_doomed(struct prune *p, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	uint64_t size;
	size_t i;
	int rc;

	for (i = 0; i < p->epoch.list_count; i++) {
		if (!p->epoch.list[i].doomed)
			continue;
		if (cancel_check(err) == -1)
			return -1;
		prune_tell(p, "removing packs", i, p->epoch.list_count);
		rc = look_for_pack(p, p->epoch.list[i].pack, &size, err);
		if (rc == -1)
			return -1;
		if (rc == 0)
			continue;
		object_key(key, OBJECT_PACK, p->epoch.list[i].pack);
		if (backend_remove(p->store->backend, key, err) == -1)
			return -1;
		if (!p->counted) { /* An earlier prune's decision. */
			p->result->packs_before++;
			p->result->bytes_before += size;
		}
		p->result->packs_removed++;
		p->result->bytes_freed += size;
	}
	return 0;
}

/* ---- which packs there are ---- */

static bool
is_doomed(const struct prune *p, const uint8_t *id)
{
	const struct epoch_entry *e = epoch_find(&p->epoch, id);

	return e != NULL && e->doomed;
}

/* Adds what a look finds of the packs that indexes name or a listing shows. */
static int
find_packs(struct prune *p, const struct idset *wanted, struct err *err)
{
	struct prune_pack *k;
	size_t i, capacity = 0;
	uint64_t size;
	int rc;

	for (i = 0; i < wanted->count; i++) {
		if (i > 0 && memcmp(wanted->ids[i], wanted->ids[i - 1],
				 OBJECT_ID_BYTES) == 0)
			continue;
		if (is_doomed(p, wanted->ids[i]) && !p->options->dry_run)
			continue;
		if (cancel_check(err) == -1)
			return -1;
		prune_tell(p, "packs", i, wanted->count);
		rc = look_for_pack(p, wanted->ids[i], &size, err);
		if (rc == -1)
			return -1;
		if (rc == 0)
			continue;
		k = prune_grow(p->pack, p->packs.count, &capacity, sizeof(*k));
		if (k == NULL)
			return err_no_memory(err);
		p->pack = k;
		k[p->packs.count] = (struct prune_pack){ .size = size,
			.listed = epoch_find(&p->epoch, wanted->ids[i]) != NULL,
			.marked = idset_has(&p->damage.packs, wanted->ids[i]) };
		if (idset_add(&p->packs, wanted->ids[i], err) == -1)
			return -1;
	}
	return 0;
}

/* ---- indexes ---- */

typedef int index_fn(struct prune *p, size_t number, struct index_set *set,
    void *arg, struct err *err);

/* Of one that is damaged the packs tell of themselves. */
static int
each_index(struct prune *p, index_fn *fn, void *arg, struct err *err)
{
	struct index_set *set;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < p->indexes.count; i++) {
		prune_tell(p, "indexes", i, p->indexes.count);
		if (cancel_check(err) == -1)
			return -1;
		if (index_get(&set, p->store->backend, p->store->seal,
			p->indexes.ids[i], err) == -1) {
			if (!store_worth_resync(err))
				return -1;
			if (err->class == ERR_CORRUPT)
				log_line(
				    LOG_WARNING, "left out: %s", err->text);
			err_clear(err);
			continue;
		}
		rc = fn(p, i, set, arg, err);
		index_set_free(set);
	}
	return rc;
}

static int
note_names(struct prune *p, size_t number, struct index_set *set, void *arg,
    struct err *err)
{
	unsigned int i;

	(void)p;
	(void)number;
	for (i = 0; i < set->count; i++) {
		if (idset_add(arg, set->packs[i].id, err) == -1)
			return -1;
	}
	return 0;
}

/* A pack is put before any index of it and never again: if all are gone now,
 * they are gone for ever. */
static int
load_or_remove(struct prune *p, size_t number, struct index_set *set, void *arg,
    struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	unsigned int i, kept = 0, marked = 0;
	int64_t pack;
	int rc = 0;

	for (i = 0; i < set->count; i++) {
		pack = idset_find(&p->packs, set->packs[i].id);
		if (pack < 0) {
			pack_table_fini(&set->packs[i].table);
			continue;
		}
		p->pack[pack].indexed = true;
		if (!p->pack[pack].marked) {
			set->packs[kept++] = set->packs[i];
			continue;
		}
		marked++;
		if (rc == 0)
			rc = prune_marked_add(
			    p, (size_t)pack, &set->packs[i], err);
		else
			pack_table_fini(&set->packs[i].table);
	}
	set->count = kept;
	if (rc == -1)
		return -1;
	if (kept > 0)
		return localindex_load_add(
		    arg, p->indexes.ids[number], set->packs, kept, err);
	if (marked > 0)
		return 0;
	object_key(key, OBJECT_INDEX, p->indexes.ids[number]);
	if (!p->options->dry_run)
		rc = backend_remove(p->store->backend, key, err);
	return rc;
}

static int
load_indexes(struct prune *p, struct err *err)
{
	struct localindex_load *load;
	int rc;

	if (localindex_load_new(&load, p->view.index, err) == -1)
		return -1;
	rc = each_index(p, load_or_remove, load, err);
	if (rc == 0)
		rc = localindex_load_end(load, err);
	localindex_load_free(load);
	return rc;
}

/* ---- packs that no index names ---- */

static int
load_orphan(struct prune *p, size_t i, struct err *err)
{
	struct index_pack pack = { .size = 0 };
	int rc;

	if (pack_read_table(&pack.table, &pack.size, p->store->backend,
		p->store->seal, p->packs.ids[i], err) == -1) {
		if (!store_worth_resync(err))
			return -1;
		log_line(LOG_WARNING, "left out: %s", err->text);
		err_clear(err);
		return 0;
	}
	memcpy(pack.id, p->packs.ids[i], OBJECT_ID_BYTES);
	if (p->pack[i].marked)
		return prune_marked_add(p, i, &pack, err);
	rc = localindex_add(p->view.index, NULL, &pack, 1, err);
	pack_table_fini(&pack.table);
	return rc;
}

static int
load_orphans(struct prune *p, struct err *err)
{
	size_t i;

	for (i = 0; i < p->packs.count; i++) {
		if (!p->pack[i].indexed && load_orphan(p, i, err) == -1)
			return -1;
	}
	return 0;
}

/* ---- all of it ---- */

static void
note_spared(struct prune *p)
{
	const uint8_t *tag;
	size_t i, k;

	for (i = 0; i < p->packs.count; i++) {
		tag = p->packs.ids[i] + OBJECT_ID_BYTES - SESSION_TAG_BYTES;
		for (k = 0; k < p->session_count; k++) {
			if (p->sessions[k].open.count > 0 &&
			    memcmp(p->sessions[k].tag, tag,
				SESSION_TAG_BYTES) == 0)
				p->pack[i].spared = true;
		}
	}
}

/* Packs that are condemned or marked rank below the others with the same
 * blobs. */
static int
begin_view(struct prune *p, struct err *err)
{
	struct idset listed = { .ids = NULL };
	int rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < p->epoch.list_count; i++)
		rc = idset_add(&listed, p->epoch.list[i].pack, err);
	for (i = 0; rc == 0 && i < p->damage.packs.count; i++)
		rc = idset_add(&listed, p->damage.packs.ids[i], err);
	idset_sort(&listed);
	if (rc == 0)
		rc = localindex_clear(p->view.index, err);
	if (rc == 0)
		rc = localindex_relist(
		    p->view.index, p->epoch.number, &listed, err);
	idset_fini(&listed);
	return rc;
}

static void
count_before(struct prune *p)
{
	size_t i;

	if (p->counted)
		return;
	p->counted = true;
	for (i = 0; i < p->packs.count; i++) {
		p->result->packs_before++;
		p->result->bytes_before += p->pack[i].size;
	}
}

int
prune_load(struct prune *p, struct err *err)
{
	struct idset wanted = { .ids = NULL };
	int rc = -1;

	if (begin_view(p, err) == -1 ||
	    idset_list(&p->indexes, p->store->backend, OBJECT_INDEX, err) ==
		-1 ||
	    idset_list(&wanted, p->store->backend, OBJECT_PACK, err) == -1 ||
	    each_index(p, note_names, &wanted, err) == -1)
		goto out;
	idset_sort(&wanted);
	if (find_packs(p, &wanted, err) == -1 || load_indexes(p, err) == -1 ||
	    load_orphans(p, err) == -1 || prune_marked_load(p, err) == -1)
		goto out;
	note_spared(p);
	count_before(p);
	rc = marks_init(&p->marks, &p->packs, err);
out:
	idset_fini(&wanted);
	return rc;
}

void
prune_load_fini(struct prune *p)
{
	prune_marked_fini(p);
	if (p->marks.packs != NULL)
		marks_fini(&p->marks);
	p->marks.packs = NULL;
	idset_fini(&p->packs);
	idset_fini(&p->indexes);
	free(p->pack);
	p->pack = NULL;
}
