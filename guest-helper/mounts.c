/* SPDX-License-Identifier: Apache-2.0 */
/* From the mount table to what is to be frozen, in order. */
#include "guest-helper/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/err.h"
#include "guest-helper/blockdev.h"
#include "guest-helper/mountinfo.h"

/* A loop file on a file system on a loop file ... deeper is a cycle. */
#define RANK_MAX 8

/* The planned disks by their kernel names. */
struct plan {
	char names[MESSAGE_DISKS_MAX][BLOCKDEV_NAME_SIZE];
	const struct message_disk *disks;
	size_t count;
	bool all; /* Freeze whatever is real. */
};

struct scan {
	const struct mounts_paths *paths;
	const struct conf *conf; /* NULL: the defaults. */
	struct mountinfo table;
	struct plan plan;
};

static void explain(struct mounts_filesystem *fs, enum message_fs_state state,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void
explain(struct mounts_filesystem *fs, enum message_fs_state state,
    const char *fmt, ...)
{
	va_list ap;

	fs->state = state;
	va_start(ap, fmt);
	vsnprintf(fs->reason, sizeof(fs->reason), fmt, ap);
	va_end(ap);
}

/* ---- planned disks ---- */

/* The disks under one mount; false: it lies on no block device. */
static bool
walk_entry(struct blockdev *out, const struct scan *scan,
    const struct mountinfo_entry *entry)
{
	const char *sysfs = scan->paths->sysfs;
	char name[BLOCKDEV_NAME_SIZE];
	struct stat st;

	/* btrfs has an anonymous number: ask for the device it names. */
	if (entry->major != 0)
		return blockdev_walk_number(
		    out, sysfs, entry->major, entry->minor);
	if (strcmp(entry->type, "btrfs") != 0)
		return false;
	if (stat(entry->source, &st) == -1 || !S_ISBLK(st.st_mode) ||
	    !blockdev_name(name, sysfs, major(st.st_rdev), minor(st.st_rdev))) {
		const char *slash = strrchr(entry->source, '/');

		snprintf(name, sizeof(name), "%s",
		    slash == NULL ? entry->source : slash + 1);
	}
	if (!blockdev_walk_name(out, sysfs, name))
		return false;
	blockdev_walk_btrfs(out, sysfs, name);
	return true;
}

static bool
name_taken(const struct plan *plan, const char *name)
{
	size_t i;

	for (i = 0; i < plan->count; i++)
		if (strcmp(plan->names[i], name) == 0)
			return true;
	return false;
}

/*
 * By serial, else by the target as the kernel's name.  One disk that cannot
 * be found makes the mapping a guess: then everything real is frozen, which
 * is more than needed but never less.
 */
static void
make_plan(struct scan *scan, struct mounts *out,
    const struct message_disk *disks, size_t count)
{
	const char *sysfs = scan->paths->sysfs;
	struct plan *plan = &scan->plan;
	size_t i;

	plan->disks = disks;
	plan->count = count;
	plan->all = count == 0;
	for (i = 0; i < count; i++)
		blockdev_find_serial(plan->names[i], sysfs, disks[i].serial);
	for (i = 0; i < count; i++) {
		if (plan->names[i][0] != '\0')
			continue;
		if (blockdev_is_disk(sysfs, disks[i].target) &&
		    !name_taken(plan, disks[i].target)) {
			/* The kernel need not count disks as the host does:
			 * the name tells what it is called, not what to
			 * leave out. */
			snprintf(plan->names[i], sizeof(plan->names[i]), "%s",
			    disks[i].target);
			plan->all = true;
			continue;
		}
		plan->all = true;
		snprintf(out->note, sizeof(out->note),
		    "disk '%.32s' was not recognised in the guest: all file "
		    "systems on real disks are frozen",
		    disks[i].target);
	}
}

static const char *
planned_target(const struct plan *plan, const char *name)
{
	size_t i;

	for (i = 0; i < plan->count; i++)
		if (strcmp(plan->names[i], name) == 0)
			return plan->disks[i].target;
	return NULL;
}

/* ---- one file system ---- */

/*
 * Adds the disks under an entry to out, through loop files to the disks of
 * the file systems that hold them.  Returns how many loops were passed.
 */
static unsigned int
resolve(struct blockdev *out, const struct scan *scan,
    const struct mountinfo_entry *entry, unsigned int depth)
{
	struct blockdev here = { .count = 0 };
	const struct mountinfo_entry *holder;
	unsigned int rank = 0, below;
	size_t i;

	if (!walk_entry(&here, scan, entry))
		return 0;
	for (i = 0; i < here.count; i++) {
		size_t before = out->count;

		holder = here.leaves[i].backing[0] == '\0' || depth > RANK_MAX
			     ? NULL
			     : mountinfo_of_path(
				   &scan->table, here.leaves[i].backing);
		if (holder != NULL && holder != entry) {
			below = 1 + resolve(out, scan, holder, depth + 1);
			rank = below > rank ? below : rank;
		}
		/* A loop on nothing that is a disk is a disk itself. */
		if (out->count == before && out->count < BLOCKDEV_LEAVES_MAX)
			out->leaves[out->count++] = here.leaves[i];
	}
	return rank;
}

static void
judge(struct mounts_filesystem *fs, const struct scan *scan,
    const struct mountinfo_entry *entry)
{
	struct blockdev disks = { .count = 0 };
	const char *target = NULL;
	size_t i;

	fs->rank = resolve(&disks, scan, entry, 0);
	for (i = 0; i < disks.count && target == NULL; i++)
		target = planned_target(&scan->plan, disks.leaves[i].name);
	snprintf(fs->disk, sizeof(fs->disk), "%s",
	    target != NULL    ? target
	    : disks.count > 0 ? disks.leaves[0].name
			      : "");
	if (entry->read_only)
		explain(fs, MESSAGE_FS_SKIPPED, "mounted read-only");
	else if (target == NULL && !scan->plan.all)
		explain(
		    fs, MESSAGE_FS_SKIPPED, "its disk is not in this backup");
}

/* File systems that nobody can write to, and of which there may be dozens. */
static bool
is_image(const char *type)
{
	static const char *const types[] = { "squashfs", "iso9660", "erofs",
		"cramfs", "udf", "romfs" };
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

static struct mounts_filesystem *
find_same(struct mounts *m, const struct mountinfo_entry *entry)
{
	size_t i;

	for (i = 0; i < m->count; i++)
		if (m->items[i].major == entry->major &&
		    m->items[i].minor == entry->minor)
			return &m->items[i];
	return NULL;
}

static int
add_filesystem(
    struct mounts *m, const struct scan *scan, size_t index, struct err *err)
{
	const struct mountinfo_entry *entry = &scan->table.entries[index];
	struct mounts_filesystem *fs;
	char *point;

	if (m->count == MESSAGE_FILESYSTEMS_MAX)
		return err_set(err, ERR_UNSUPPORTED,
		    "more than %d file systems", MESSAGE_FILESYSTEMS_MAX);
	if ((point = strdup(entry->mount_point)) == NULL)
		return err_no_memory(err);
	fs = &m->items[m->count++];
	memset(fs, 0, sizeof(*fs));
	fs->mount_point = point;
	fs->fd = -1;
	fs->index = index;
	fs->major = entry->major;
	fs->minor = entry->minor;
	snprintf(fs->type, sizeof(fs->type), "%s", entry->type);
	judge(fs, scan, entry);
	return 0;
}

/* Loop files on top first; then the later mounted, which is the inner one. */
static int
compare_order(const void *a, const void *b)
{
	const struct mounts_filesystem *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1;
	return x->index > y->index ? -1 : 1;
}

static int
collect(struct mounts *out, const struct scan *scan, struct err *err)
{
	struct blockdev ignored;
	size_t i;

	for (i = 0; i < scan->table.count; i++) {
		const struct mountinfo_entry *entry = &scan->table.entries[i];

		ignored.count = 0;
		if (is_image(entry->type) || find_same(out, entry) != NULL ||
		    !walk_entry(&ignored, scan, entry))
			continue;
		if (add_filesystem(out, scan, i, err) == -1)
			return -1;
	}
	qsort(out->items, out->count, sizeof(*out->items), compare_order);
	return 0;
}

int
mounts_scan(struct mounts *out, const struct mounts_paths *paths,
    const struct conf *conf, const struct message_disk *disks,
    size_t disk_count, struct err *err)
{
	struct scan scan = { .paths = paths, .conf = conf };
	int rc;

	memset(out, 0, sizeof(*out));
	if (mountinfo_read(&scan.table, paths->mountinfo, err) == -1)
		return -1;
	out->items = calloc(MESSAGE_FILESYSTEMS_MAX, sizeof(*out->items));
	if (out->items == NULL) {
		mountinfo_fini(&scan.table);
		return err_no_memory(err);
	}
	make_plan(&scan, out, disks, disk_count);
	rc = collect(out, &scan, err);
	mountinfo_fini(&scan.table);
	if (rc == -1)
		mounts_fini(out);
	return rc;
}

/* ---- descriptors ---- */

/* The mount an open descriptor is on; -1 if the kernel does not tell. */
static int
mount_id_of(int fd)
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

/* Opens one mount of it, unless another mount covers that place. */
static int
open_mount(const struct mountinfo_entry *entry, int *out_errno)
{
	struct stat st;
	int fd, id;

	fd = open(entry->mount_point, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1) {
		*out_errno = errno;
		return -1;
	}
	id = mount_id_of(fd);
	if ((id == -1 || id == entry->id) && fstat(fd, &st) == 0 &&
	    (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)))
		return fd;
	*out_errno = 0;
	close(fd);
	return -1;
}

static void
open_one(struct mounts_filesystem *fs, const struct mountinfo *table)
{
	const struct mountinfo_entry *entry;
	int why = ENOENT;
	size_t i;

	for (i = 0; i < table->count && fs->fd == -1; i++) {
		entry = &table->entries[i];
		if (entry->major == fs->major && entry->minor == fs->minor)
			fs->fd = open_mount(entry, &why);
	}
	if (fs->fd == -1)
		explain(fs, MESSAGE_FS_FAILED, "cannot be reached: %s",
		    why == 0 ? "another mount covers it" : strerror(why));
}

void
mounts_open(struct mounts *m, const struct mounts_paths *paths)
{
	struct mountinfo table;
	struct err err = ERR_INIT;
	size_t i;

	if (mountinfo_read(&table, paths->mountinfo, &err) == -1)
		memset(&table, 0, sizeof(table));
	for (i = 0; i < m->count; i++)
		if (m->items[i].state == MESSAGE_FS_PLANNED)
			open_one(&m->items[i], &table);
	mountinfo_fini(&table);
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

void
mounts_fini(struct mounts *m)
{
	size_t i;

	mounts_close(m);
	for (i = 0; i < m->count; i++)
		free(m->items[i].mount_point);
	free(m->items);
	memset(m, 0, sizeof(*m));
}
