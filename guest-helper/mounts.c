/* SPDX-License-Identifier: Apache-2.0 */
/* From the mount tables to what is to be frozen, in order. */
#include "guest-helper/mounts.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "guest-helper/conf.h"
#include "guest-helper/diskid.h"
#include "guest-helper/mounts_internal.h"

/* The planned disks by their kernel names. */
struct plan {
	char names[MESSAGE_DISKS_MAX][BLOCKDEV_NAME_SIZE];
	const struct message_disk *disks;
	bool sure[MESSAGE_DISKS_MAX]; /* Known by more than the target. */
	size_t count;
	bool all; /* Freeze whatever is real. */
	/* Every disk of the guest is in the backup, whichever is which. */
	bool whole;
};

struct scan {
	const struct mounts_paths *paths;
	const struct conf *conf; /* NULL: the defaults. */
	struct namespaces spaces;
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
 * By what identifies it, else by the target as the kernel's name.  One disk
 * that cannot be found makes the mapping a guess: then everything real is
 * frozen, which is more than needed but never less.
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
	plan->whole = count == 0 || blockdev_count(sysfs) <= count;
	for (i = 0; i < count; i++)
		plan->sure[i] = diskid_find(plan->names[i], sysfs, &disks[i]);
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

/* Beyond doubt: of a guess too much may be frozen, but not claimed. */
static bool
is_in_backup(const struct plan *plan, const char *name)
{
	size_t i;

	for (i = 0; i < plan->count; i++)
		if (plan->sure[i] && strcmp(plan->names[i], name) == 0)
			return true;
	return false;
}

/* One that spans disks is in the backup if all of them are. */
static void
note_backup(struct mounts_filesystem *fs, const struct plan *plan,
    const struct mounts_disks *disks)
{
	bool all = plan->whole || !disks->unknown;
	size_t i;

	for (i = 0; i < disks->count; i++)
		all &= plan->whole || is_in_backup(plan, disks->leaves[i].name);
	fs->in_backup = all && (disks->count > 0 || disks->unknown);
	fs->left_out = !all;
}

/* ---- one file system ---- */

/* "vda", or "vda,vdb" for one that spans both; false: none is planned. */
static bool
name_targets(char *out, size_t size, const struct plan *plan,
    const struct mounts_disks *disks)
{
	const char *target;
	size_t used = 0, i;

	*out = '\0';
	for (i = 0; i < disks->count; i++) {
		target = planned_target(plan, disks->leaves[i].name);
		if (target == NULL || used + strlen(target) + 2 > size)
			continue;
		used += (size_t)snprintf(out + used, size - used, "%s%s",
		    used == 0 ? "" : ",", target);
	}
	return used > 0;
}

static bool
is_listed(const struct conf_list *list, const char *word)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (strcmp(list->items[i], word) == 0)
			return true;
	return false;
}

/* The owner names what he sees: mounts of our own namespace. */
static bool
is_disabled(const struct scan *scan, const struct mounts_place *place)
{
	const struct conf *conf = scan->conf;

	return conf != NULL &&
	       (is_listed(&conf->skip_types, place->entry->type) ||
		   (place->space->pid == 0 && is_listed(&conf->skip_mounts,
						  place->entry->mount_point)));
}

/* Linux has no freeze for these: they are synced, and named. */
static bool
is_unfreezable(const char *type)
{
	static const char *const types[] = { "vfat", "msdos", "exfat", "ntfs",
		"ntfs3", "fuseblk", "hfs", "hfsplus", "minix", "zfs" };
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

static void
judge(struct mounts_filesystem *fs, const struct scan *scan,
    const struct mounts_place *place)
{
	struct mounts_disks disks;
	bool planned;

	mounts_disks_of(&disks, scan->paths, &scan->spaces, place);
	fs->rank = disks.rank;
	note_backup(fs, &scan->plan, &disks);
	fs->left_out &= !place->entry->read_only;
	planned = name_targets(fs->disk, sizeof(fs->disk), &scan->plan, &disks);
	if (!planned && disks.count > 0)
		snprintf(
		    fs->disk, sizeof(fs->disk), "%s", disks.leaves[0].name);
	if (place->entry->read_only)
		explain(fs, MESSAGE_FS_SKIPPED, "mounted read-only");
	else if (is_disabled(scan, place))
		explain(fs, MESSAGE_FS_SKIPPED, "disabled in guest.conf");
	else if (disks.unknown)
		;
	else if (disks.count == 0 && strcmp(fs->type, "zfs") != 0)
		explain(fs, MESSAGE_FS_SKIPPED, "on no disk of the host");
	else if (!planned && !scan->plan.all && disks.count > 0)
		explain(
		    fs, MESSAGE_FS_SKIPPED, "its disk is not in this backup");
	if (fs->state == MESSAGE_FS_PLANNED && is_unfreezable(fs->type)) {
		fs->sync_only = !mountinfo_is_served(fs->type);
		explain(fs, MESSAGE_FS_SKIPPED,
		    fs->sync_only ? "this file system knows no freeze"
				  : "this file system knows no freeze, and is "
				    "not synced: its program might hang");
	}
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
find_number(struct mounts *m, unsigned int major, unsigned int minor)
{
	size_t i;

	for (i = 0; i < m->count; i++)
		if (m->items[i].major == major && m->items[i].minor == minor)
			return &m->items[i];
	return NULL;
}

/* The caller names it. */
static struct mounts_filesystem *
add_filesystem(struct mounts *m, struct err *err)
{
	struct mounts_filesystem *fs;

	if (m->count == MESSAGE_FILESYSTEMS_MAX) {
		err_set(err, ERR_UNSUPPORTED, "more than %d file systems",
		    MESSAGE_FILESYSTEMS_MAX);
		return NULL;
	}
	fs = &m->items[m->count++];
	memset(fs, 0, sizeof(*fs));
	fs->fd = -1;
	return fs;
}

static int
add_place(struct mounts *m, const struct scan *scan,
    const struct mounts_place *place, struct err *err)
{
	const struct mountinfo_entry *entry = place->entry;
	struct mounts_filesystem *fs = add_filesystem(m, err);

	if (fs == NULL)
		return -1;
	fs->mount_point = namespaces_describe(place->space, entry->mount_point);
	fs->path =
	    namespaces_path(&scan->spaces, place->space, entry->mount_point);
	if (fs->mount_point == NULL || fs->path == NULL)
		return err_no_memory(err);
	fs->index = m->count;
	fs->depth = mountinfo_depth(&place->space->table, entry);
	fs->major = entry->major;
	fs->minor = entry->minor;
	snprintf(fs->type, sizeof(fs->type), "%s", entry->type);
	judge(fs, scan, place);
	return 0;
}

/* ---- all of them ---- */

/* A pool shows its data sets as file systems of their own, by the hundred:
 * the pool's speaks for all. */
static bool
is_pool(const struct mountinfo_entry *entry)
{
	return strcmp(entry->type, "zfs") == 0 &&
	       strchr(entry->source, '/') == NULL;
}

static int
take_place(struct mounts *out, const struct scan *scan,
    const struct mounts_place *place, struct err *err)
{
	const struct mountinfo_entry *entry = place->entry;
	struct mounts_filesystem *had =
	    find_number(out, entry->major, entry->minor);

	if (had != NULL) {
		/* Any of its mount points will do to name it. */
		if (had->state == MESSAGE_FS_PLANNED &&
		    is_disabled(scan, place))
			explain(
			    had, MESSAGE_FS_SKIPPED, "disabled in guest.conf");
		return 0;
	}
	if (is_image(entry->type) ||
	    (!is_pool(entry) &&
		!mounts_on_device(scan->paths, &scan->spaces, place)))
		return 0;
	return add_place(out, scan, place, err);
}

/* ext4 and others show each file system in use, whoever sees it mounted; of a
 * btrfs name is one of its disks. */
static int
take_unseen(struct mounts *out, const struct scan *scan, const char *type,
    const char *name, struct err *err)
{
	char none[] = "";
	struct mountinfo_entry entry = { .type = (char *)(uintptr_t)type,
		.mount_point = none,
		.source = (char *)(uintptr_t)name };
	struct mounts_place place = { scan->spaces.items, &entry };
	struct mounts_filesystem *fs;

	if (!blockdev_number(
		&entry.major, &entry.minor, scan->paths->sysfs, name) ||
	    find_number(out, entry.major, entry.minor) != NULL)
		return 0;
	if ((fs = add_filesystem(out, err)) == NULL)
		return -1;
	if (asprintf(&fs->mount_point, "/dev/%s", name) == -1)
		fs->mount_point = NULL;
	if (fs->mount_point == NULL ||
	    (fs->path = strdup(fs->mount_point)) == NULL)
		return err_no_memory(err);
	fs->major = entry.major;
	fs->minor = entry.minor;
	snprintf(fs->type, sizeof(fs->type), "%s", type);
	/* As tables have it: then all its disks are looked for. */
	if (strcmp(type, "btrfs") == 0)
		entry.major = 0;
	judge(fs, scan, &place);
	if (fs->state == MESSAGE_FS_PLANNED)
		explain(fs, MESSAGE_FS_FAILED,
		    "in use, but mounted nowhere that can be seen");
	return 0;
}

/* Others may be there alone: what was not looked at is not held. */
static int
add_unread(
    struct mounts *out, const char *what, const char *why, struct err *err)
{
	struct mounts_filesystem *fs = add_filesystem(out, err);

	if (fs == NULL)
		return -1;
	fs->mount_point = strdup(what);
	fs->path = strdup("");
	if (fs->mount_point == NULL || fs->path == NULL)
		return err_no_memory(err);
	strcpy(fs->type, "none");
	explain(fs, MESSAGE_FS_FAILED, "%s", why);
	return 0;
}

static bool
is_in_a_table(const struct scan *scan, const char *type, const char *name)
{
	struct mounts_place place;
	size_t i, k;

	for (i = 0; i < scan->spaces.count; i++) {
		place.space = &scan->spaces.items[i];
		for (k = 0; k < place.space->table.count; k++) {
			place.entry = &place.space->table.entries[k];
			if (strcmp(place.entry->type, type) == 0 &&
			    mounts_names_device(
				scan->paths, &scan->spaces, &place, name))
				return true;
		}
	}
	return false;
}

/* Listed with all its disks, of which tables name any. */
static int
take_btrfs(struct mounts *out, const struct scan *scan, const char *id,
    struct err *err)
{
	char path[PATH_MAX], name[BLOCKDEV_NAME_SIZE] = "";
	struct dirent *entry;
	bool seen = false;
	int error;
	DIR *dir;

	if (snprintf(path, sizeof(path), "%s/fs/btrfs/%s/devices",
		scan->paths->sysfs, id) >= (int)sizeof(path))
		return 0;
	/* It may be gone, or be the folder of what btrfs can do. */
	if ((dir = opendir(path)) == NULL)
		return errno == ENOENT ? 0
				       : add_unread(out, "(another btrfs)",
					     strerror(errno), err);
	while (errno = 0, !seen && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)sizeof(name) - 1,
		    entry->d_name);
		seen = is_in_a_table(scan, "btrfs", name);
	}
	error = errno;
	closedir(dir);
	if (!seen && error != 0)
		return add_unread(out, "(another btrfs)", strerror(error), err);
	return seen || name[0] == '\0'
		   ? 0
		   : take_unseen(out, scan, "btrfs", name, err);
}

static int
take(struct mounts *out, const struct scan *scan, const char *type,
    const char *name, struct err *err)
{
	return strcmp(type, "btrfs") == 0
		   ? take_btrfs(out, scan, name, err)
		   : take_unseen(out, scan, type, name, err);
}

/* Of one type, for which the kernel lists what it has in use. */
static int
find_unseen_of(struct mounts *out, const struct scan *scan, const char *type,
    struct err *err)
{
	char path[PATH_MAX], what[64];
	struct dirent *entry;
	int rc = 0, error;
	DIR *dir;

	if (snprintf(path, sizeof(path), "%s/fs/%s", scan->paths->sysfs,
		type) >= (int)sizeof(path))
		return 0;
	dir = opendir(path);
	error = errno;
	if (dir != NULL) {
		while (errno = 0, rc == 0 && (entry = readdir(dir)) != NULL)
			if (entry->d_name[0] != '.')
				rc = take(out, scan, type, entry->d_name, err);
		error = errno;
		closedir(dir);
	}
	if (rc == -1 || error == 0 || error == ENOENT)
		return rc;
	snprintf(what, sizeof(what), "(other file systems of type %s)", type);
	return add_unread(out, what, strerror(error), err);
}

static int
find_unseen(struct mounts *out, const struct scan *scan, struct err *err)
{
	/* The kernel lists no others. */
	static const char *const types[] = { "ext4", "xfs", "f2fs", "btrfs" };
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (find_unseen_of(out, scan, types[i], err) == -1)
			return -1;
	return 0;
}

/* Loop files on top first; then the inner before the outer. */
static int
compare_order(const void *a, const void *b)
{
	const struct mounts_filesystem *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1;
	if (x->depth != y->depth)
		return x->depth > y->depth ? -1 : 1;
	return x->index > y->index ? -1 : 1;
}

static int
collect(struct mounts *out, const struct scan *scan, struct err *err)
{
	struct mounts_place place;
	size_t i, k;

	for (i = 0; i < scan->spaces.count; i++) {
		place.space = &scan->spaces.items[i];
		for (k = 0; k < place.space->table.count; k++) {
			place.entry = &place.space->table.entries[k];
			if (take_place(out, scan, &place, err) == -1)
				return -1;
		}
	}
	if (scan->spaces.proc != NULL && find_unseen(out, scan, err) == -1)
		return -1;
	if (scan->spaces.incomplete &&
	    add_unread(out, "(other mount namespaces)",
		"not all mount namespaces could be looked at", err) == -1)
		return -1;
	qsort(out->items, out->count, sizeof(*out->items), compare_order);
	return 0;
}

int
mounts_scan(struct mounts *out, const struct mounts_paths *paths,
    const struct conf *conf, const struct message_disk *disks,
    size_t disk_count, struct err *err)
{
	struct scan scan = { .paths = paths, .conf = conf };
	bool own_only = conf != NULL && conf->ignore_containers;
	int rc;

	memset(out, 0, sizeof(*out));
	if (namespaces_read(&scan.spaces, paths->mountinfo,
		own_only ? NULL : paths->proc, err) == -1)
		return -1;
	out->items = calloc(MESSAGE_FILESYSTEMS_MAX, sizeof(*out->items));
	if (out->items == NULL) {
		namespaces_fini(&scan.spaces);
		return err_no_memory(err);
	}
	make_plan(&scan, out, disks, disk_count);
	rc = collect(out, &scan, err);
	namespaces_fini(&scan.spaces);
	if (rc == -1)
		mounts_fini(out);
	return rc;
}

void
mounts_fini(struct mounts *m)
{
	size_t i;

	mounts_close(m);
	for (i = 0; i < m->count; i++) {
		free(m->items[i].mount_point);
		free(m->items[i].path);
	}
	free(m->items);
	memset(m, 0, sizeof(*m));
}
