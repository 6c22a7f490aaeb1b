/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Temporary files carry their owner in the name, so that the next process can
 * tell an upload under way from a dead one's leftover.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backends/dir/dir_internal.h"
#include "common/io.h"

/* Of hosts that cannot be asked: no single upload takes as long. */
#define FOREIGN_AGE_SECONDS (7 * 24 * 3600)

char *
dir_tmp_name(struct dir_backend *d)
{
	char *path;
	uint64_t serial = atomic_fetch_add(&d->serial, 1);

	if (asprintf(&path,
		"%s/%s.%" PRIu64 ".%" PRId64 ".%" PRIu64 ".%" PRIxPTR
		".%" PRIu64,
		d->tmp, d->self.boot_id, d->self.pid_namespace, d->self.pid,
		d->self.start_ticks, (uintptr_t)d, serial) == -1)
		return NULL;
	return path;
}

static bool
left_behind(const char *path, const char *name)
{
	struct procid owner = { .pid = 0 };
	struct stat st;

	if (sscanf(name, "%32[0-9a-f].%" SCNu64 ".%" SCNd64 ".%" SCNu64 ".",
		owner.boot_id, &owner.pid_namespace, &owner.pid,
		&owner.start_ticks) != 4)
		return false;
	switch (procid_probe(&owner)) {
	case PROCID_DEAD:
		return true;
	case PROCID_ALIVE:
		return false;
	case PROCID_UNKNOWN:
		break;
	}
	return stat(path, &st) == 0 &&
	       st.st_mtime + FOREIGN_AGE_SECONDS < time(NULL);
}

void
dir_tmp_sweep(const struct dir_backend *d)
{
	DIR *dir = opendir(d->tmp);
	struct dirent *e;
	char *path;

	if (dir == NULL)
		return;
	while ((e = readdir(dir)) != NULL) {
		if ((path = io_path(d->tmp, e->d_name)) == NULL)
			break;
		if (left_behind(path, e->d_name))
			unlink(path);
		free(path);
	}
	closedir(dir);
}
