/* SPDX-License-Identifier: Apache-2.0 */
/* A run's scratch folder and the watch over its space. */
#include "agent/job/scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/un.h>

#include "agent/domain/domain.h"
#include "catalog/journal.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/io.h"
#include "common/log.h"

/* Below this the guest could fill the rest between two looks. */
#define FREE_BYTES_MIN (32u << 20)
/* Room is wanted for this long at the rate seen since the last look. */
#define FORECAST_LOOKS 4
#define LOOK_INTERVAL_MS 200
#define SOCKET_NAME "nbd.sock"

struct scratch {
	struct domain *domain;
	struct journal *journal;
	int64_t effect;
	char *dir;
	char *socket;
	int64_t looked_ms;
	uint64_t free_bytes; /* At the last look. */
};

static int
free_bytes(uint64_t *out, const char *dir, struct err *err)
{
	struct statvfs fs;

	if (statvfs(dir, &fs) == -1)
		return err_errno(err, errno, "cannot look at '%s'", dir);
	*out = (uint64_t)fs.f_bavail * fs.f_frsize;
	return 0;
}

static int
no_space(const struct scratch *s, uint64_t left, struct err *err)
{
	err_set(err, ERR_NO_SPACE,
	    "scratch space is running out: %llu MiB left in '%s', where QEMU "
	    "keeps what the guest overwrites during the backup",
	    (unsigned long long)(left >> 20), s->dir);
	return err_hint(err, "free space there, or give another folder with "
			     "--scratch-dir");
}

static int
make_paths(
    struct scratch *s, const char *base_dir, const char *run, struct err *err)
{
	if (asprintf(&s->dir, "%s/" SCRATCH_DIR_PREFIX "%.8s", base_dir, run) ==
	    -1) {
		s->dir = NULL;
		return err_no_memory(err);
	}
	if ((s->socket = io_path(s->dir, SOCKET_NAME)) == NULL)
		return err_no_memory(err);
	if (strlen(s->socket) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		err_set(err, ERR_ARG,
		    "'%s' is too long for the path of a socket", s->socket);
		return err_hint(err, "give a shorter folder with "
				     "--scratch-dir");
	}
	return 0;
}

int
scratch_new(struct scratch **out, struct domain *domain,
    struct journal *journal, const struct journal_effect *effect,
    const char *base_dir, struct err *err)
{
	struct journal_effect dir_effect = *effect;
	struct scratch *s = calloc(1, sizeof(*s));
	int rc = -1;

	if (s == NULL)
		return err_no_memory(err);
	s->domain = domain;
	s->journal = journal;
	if (make_paths(s, base_dir, effect->run, err) == -1 ||
	    io_make_dirs(base_dir, 0711, err) == -1)
		goto out;
	dir_effect.kind = JOURNAL_DIR;
	dir_effect.subject = s->dir;
	if (journal_add(journal, &dir_effect, err) == -1)
		goto out;
	s->effect = dir_effect.id;
	if (domain_make_shared_dir(domain, s->dir, err) == -1 ||
	    free_bytes(&s->free_bytes, s->dir, err) == -1)
		goto out;
	if (s->free_bytes < FREE_BYTES_MIN) {
		no_space(s, s->free_bytes, err);
		goto out;
	}
	*out = s;
	s = NULL;
	rc = 0;
out:
	scratch_free(s);
	return rc;
}

void
scratch_free(struct scratch *s)
{
	struct err err = ERR_INIT;

	if (s == NULL)
		return;
	if (s->effect != 0 &&
	    (io_remove_tree(s->dir, &err) == -1 ||
		journal_strike(s->journal, s->effect, &err) == -1))
		log_line(LOG_WARNING, "%s", err.text);
	free(s->socket);
	free(s->dir);
	free(s);
}

const char *
scratch_socket(const struct scratch *s)
{
	return s->socket;
}

int
scratch_add_disk(char **out, struct scratch *s, const char *target,
    uint64_t size_bytes, struct err *err)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s.scratch", s->dir, target) == -1)
		return err_no_memory(err);
	if (domain_scratch_create(s->domain, path, size_bytes, err) == -1) {
		free(path);
		return -1;
	}
	*out = path;
	return 0;
}

/* Has QEMU stopped the guest already? */
static int
check_guest(struct scratch *s, uint64_t left, struct err *err)
{
	enum domain_state state;

	if (domain_state(s->domain, &state, err) == -1)
		return -1;
	if (state == DOMAIN_OFF)
		return err_set(err, ERR_IO,
		    "the guest was shut down during "
		    "the backup");
	if (state == DOMAIN_PAUSED_IO)
		return no_space(s, left, err);
	return 0;
}

int
scratch_check(struct scratch *s, struct err *err)
{
	int64_t now_ms = clock_monotonic_ms();
	uint64_t left = 0, used = 0;

	if (now_ms - s->looked_ms < LOOK_INTERVAL_MS)
		return 0;
	s->looked_ms = now_ms;
	if (free_bytes(&left, s->dir, err) == -1)
		return -1;
	if (left < s->free_bytes)
		used = s->free_bytes - left;
	s->free_bytes = left;
	if (left < FREE_BYTES_MIN || left / FORECAST_LOOKS < used)
		return no_space(s, left, err);
	return check_guest(s, left, err);
}

int
scratch_remove_leftover(const char *path, struct err *err)
{
	const char *name = strrchr(path, '/');

	/* The journal is ours, but a tree is removed on its word alone. */
	if (name == NULL || path[0] != '/' ||
	    strncmp(name + 1, SCRATCH_DIR_PREFIX, strlen(SCRATCH_DIR_PREFIX)) !=
		0)
		return err_set(
		    err, ERR_BUG, "'%s' is no scratch folder of a run", path);
	return io_remove_tree(path, err);
}

int
scratch_end_job(struct domain *domain, const char *socket_path, struct err *err)
{
	enum domain_state state;
	bool ours = false;

	if (domain_backup_serves(domain, socket_path, &ours, err) == -1 ||
	    (ours && domain_backup_end(domain, err) == -1) ||
	    domain_state(domain, &state, err) == -1)
		return -1;
	/* Also when the job is gone: whoever ended it may have died then. */
	return state == DOMAIN_PAUSED_IO ? domain_resume(domain, err) : 0;
}
