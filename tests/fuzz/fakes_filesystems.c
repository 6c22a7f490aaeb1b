/* SPDX-License-Identifier: Apache-2.0 */
/* File systems in memory, and what is kept of their freeze. */
#include <string.h>

#include "common/err.h"
#include "guest-helper/coverage.h"
#include "guest-helper/expedite.h"
#include "guest-helper/marks.h"
#include "guest-helper/mounts.h"
#include "guest-helper/record.h"
#include "guest-helper/rescue.h"
#include "tests/fuzz/fakes_internal.h"

static struct mounts_filesystem filesystems[2][FILESYSTEMS + 1];

void
fakes_fail_scan(bool fail)
{
	fakes.fail_scan = fail;
}

void
fakes_mount_late(bool late)
{
	fakes.late = late;
}

int
mounts_scan(struct mounts *out, const struct mounts_paths *paths,
    const struct conf *conf, const struct message_disk *disks,
    size_t disk_count, struct err *err)
{
	/* Not const, as none is in the struct. */
	static char names[FILESYSTEMS + 1][3] = { "/a", "/b", "/c", "/d" };
	static unsigned int turn;
	struct mounts_filesystem *items = filesystems[turn++ % 2];
	size_t i;

	(void)paths;
	(void)conf;
	(void)disks;
	(void)disk_count;
	memset(out, 0, sizeof(*out));
	if (fakes.fail_scan)
		return err_set(err, ERR_IO, "no table");
	/* The session holds at most one beside the one that it looks at. */
	memset(items, 0, sizeof(filesystems[0]));
	for (i = 0; i < (size_t)FILESYSTEMS + fakes.late; i++) {
		items[i].mount_point = names[i];
		items[i].minor = (unsigned int)i;
		items[i].state = MESSAGE_FS_PLANNED;
		items[i].fd = -1;
	}
	out->items = items;
	out->count = i;
	return 0;
}

void
mounts_open(struct mounts *m, const struct mounts_paths *paths)
{
	size_t i;

	(void)paths;
	for (i = 0; i < m->count && i < FILESYSTEMS; i++)
		m->items[i].fd = FIRST_FD + (int)i;
}

void
mounts_close(struct mounts *m)
{
	size_t i;

	for (i = 0; i < m->count; i++)
		m->items[i].fd = -1;
}

void
mounts_fini(struct mounts *m)
{
	memset(m, 0, sizeof(*m));
}

int
marks_open(struct marks *m, struct err *err)
{
	static _Atomic unsigned char places[MARKS_MAX];

	(void)err;
	m->places = places;
	m->fd = -1;
	return 0;
}

void
marks_close(struct marks *m)
{
	m->places = NULL;
}

enum marks_value
marks_get(const struct marks *m, size_t place)
{
	must(m->places != NULL && place < MARKS_MAX);
	return MARKS_NONE;
}

size_t
marks_left(const struct marks *m, size_t count)
{
	size_t left = 0, i;

	must(m->places != NULL && count <= FILESYSTEMS);
	for (i = 0; i < count; i++)
		left += fakes.frozen[i];
	return left;
}

bool
marks_is_ours(int value)
{
	return value == MARKS_FROZEN;
}

static void
thaw_fds(const int *fds, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		must(fds[i] >= FIRST_FD && fds[i] < FIRST_FD + FILESYSTEMS);
		fakes.frozen[fds[i] - FIRST_FD] = false;
	}
}

/* Only where the dead-man is gone, for it waits. */
size_t
rescue_thaw(struct marks *marks, const int *fds, size_t count)
{
	must(marks->places != NULL && fakes.killed);
	thaw_fds(fds, count);
	return count;
}

int
rescue_thaw_beside(struct marks *marks, const int *fds, size_t count)
{
	must(marks->places != NULL);
	thaw_fds(fds, count);
	return 0;
}

int
record_open_dir(const char *dir)
{
	(void)dir;
	return -1;
}

int
record_prepare(char out_id[HEXID_SIZE], struct marks *marks, const char *dir,
    const char *boot_id, const struct mounts *m, bool expedited,
    struct err *err)
{
	out_id[0] = '\0';
	must(marks->places != NULL);
	(void)dir;
	(void)boot_id;
	(void)m;
	(void)expedited;
	(void)err;
	return 0;
}

int
record_arm(int dir_fd, const char *id, struct err *err)
{
	(void)dir_fd;
	(void)id;
	(void)err;
	return 0;
}

void
record_remove(int dir_fd, const char *id)
{
	(void)dir_fd;
	(void)id;
}

void
record_boot_id(char *out, size_t size)
{
	if (size > 0)
		*out = '\0';
}

void
expedite_open(struct expedite *e, const char *path)
{
	(void)path;
	e->fd = -1;
	e->begun = false;
}

void
expedite_end(struct expedite *e)
{
	e->begun = false;
}

void
expedite_close(struct expedite *e)
{
	e->fd = -1;
}

void
coverage_init(struct coverage *c, const struct mounts *mounts,
    const struct mounts_paths *paths)
{
	(void)paths;
	memset(c, 0, sizeof(*c));
	c->mounts = mounts;
}

void
coverage_fini(struct coverage *c)
{
	(void)c;
}

bool
coverage_holds(void *arg, const char *path, char reason[MESSAGE_REASON_SIZE])
{
	const struct coverage *c = arg;

	(void)path;
	reason[0] = '\0';
	return c->mounts->count < FILESYSTEMS;
}
