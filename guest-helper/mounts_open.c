/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors on file systems, through whichever mount can be reached. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "guest-helper/mounts_internal.h"

int
mounts_id_of(int fd)
{
	char path[64], line[128];
	int id = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if ((file = fopen(path, "re")) == NULL)
		return -1;
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "mnt_id: %d", &id) == 1)
			break;
	fclose(file);
	return id;
}

/*
 * Opens one mount of it, unless another mount covers that place.  Whoever
 * rules another namespace may have put anything there, a link to a place of
 * ours or a device: what is opened must be on the very mount, and what it is
 * is looked at before.  What may hang is left alone: we are the only thread.
 */
static int
open_mount(const struct namespaces *spaces, const struct mounts_place *place,
    int *out_errno)
{
	char path[64];
	struct stat st;
	int seen, id, fd = -1;

	if (namespaces_may_hang(place->space, place->entry->mount_point)) {
		*out_errno = EREMOTE;
		return -1;
	}
	seen = namespaces_open(spaces, place->space, place->entry->mount_point);
	if (seen == -1) {
		*out_errno = errno;
		return -1;
	}
	*out_errno = 0;
	id = mounts_id_of(seen);
	if ((id == place->entry->id || (id == -1 && place->space->pid == 0)) &&
	    fstat(seen, &st) == 0 &&
	    (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", seen);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd == -1)
			*out_errno = errno;
	}
	close(seen);
	return fd;
}

/* Tries the mounts of one namespace; *why is 0 if others cover them. */
static void
open_in(struct mounts_filesystem *fs, const struct namespaces *spaces,
    const struct namespaces_item *space, int *why)
{
	struct mounts_place place = { .space = space };
	const struct mountinfo_entry *entry;
	size_t i;

	for (i = 0; i < space->table.count && fs->fd == -1; i++) {
		entry = place.entry = &space->table.entries[i];
		if (entry->major == fs->major && entry->minor == fs->minor)
			fs->fd = open_mount(spaces, &place, why);
	}
}

static const char *
why_text(int why)
{
	if (why == EREMOTE)
		return "it lies below a network or FUSE file system, which "
		       "might hang";
	return why == 0 ? "another mount covers it" : strerror(why);
}

static void
explain(struct mounts_filesystem *fs, int why)
{
	if (fs->state != MESSAGE_FS_PLANNED)
		return;
	fs->state = MESSAGE_FS_FAILED;
	snprintf(fs->reason, sizeof(fs->reason), "cannot be reached: %s",
	    why_text(why));
}

/* Opens those that are not; last: says why of those that cannot be.  False:
 * some are left. */
static bool
open_all(struct mounts *m, const struct namespaces *spaces, bool last)
{
	struct mounts_filesystem *fs;
	bool all = true;
	size_t i, k;
	int why;

	for (i = 0; i < m->count; i++) {
		fs = &m->items[i];
		if (fs->state != MESSAGE_FS_PLANNED && !fs->sync_only)
			continue;
		why = ENOENT;
		for (k = 0; k < spaces->count && fs->fd == -1; k++)
			open_in(fs, spaces, &spaces->items[k], &why);
		if (fs->fd == -1 && last)
			explain(fs, why);
		all &= fs->fd != -1;
	}
	return all;
}

/* Through our own mounts if that can be: the others cost a look at every
 * process. */
void
mounts_open(struct mounts *m, const struct mounts_paths *paths)
{
	struct namespaces spaces;
	struct err err = ERR_INIT;
	bool all;

	if (namespaces_read(&spaces, paths->mountinfo, NULL, &err) == -1)
		memset(&spaces, 0, sizeof(spaces));
	all = open_all(m, &spaces, paths->proc == NULL);
	namespaces_fini(&spaces);
	if (all || paths->proc == NULL)
		return;
	if (namespaces_read(&spaces, paths->mountinfo, paths->proc, &err) == -1)
		memset(&spaces, 0, sizeof(spaces));
	open_all(m, &spaces, true);
	namespaces_fini(&spaces);
}

void
mounts_close(struct mounts *m)
{
	size_t i;

	for (i = 0; i < m->count; i++) {
		if (m->items[i].fd != -1)
			close(m->items[i].fd);
		m->items[i].fd = -1;
	}
}
