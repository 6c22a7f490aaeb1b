/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a mount down to the disks: through partitions, dm, md, and through
 * the files of loop devices to the file systems that hold them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "guest-helper/loopfile.h"
#include "guest-helper/mounts_internal.h"

/* A loop file on a file system on a loop file ... deeper is a cycle. */
#define RANK_MAX 8

/* Places that a file may be at, as far as can be told. */
#define HOLDERS_MAX 16

struct walk {
	const struct mounts_paths *paths;
	const struct namespaces *spaces;
	struct mounts_disks *out;
};

struct holders {
	struct mounts_place places[HOLDERS_MAX];
	size_t count;
};

static unsigned int rank_of(
    struct walk *w, const struct mounts_place *place, unsigned int depth);

/* ---- the devices under one mount ---- */

/* Their number is of no device; the table names one, or all. */
static bool
is_multi_device(const char *type)
{
	return strcmp(type, "btrfs") == 0 || strcmp(type, "bcachefs") == 0;
}

static bool
is_overlay(const char *type)
{
	return strcmp(type, "overlay") == 0;
}

/* The kernel name of a device that a table calls so. */
static bool
device_name(char out[BLOCKDEV_NAME_SIZE], const struct namespaces *spaces,
    const struct mounts_place *place, const char *sysfs, const char *source)
{
	const char *slash = strrchr(source, '/');
	bool known = false, own = place->space->pid == 0;
	struct stat st;
	char *path;

	if (!namespaces_may_hang(place->space, source)) {
		path = namespaces_path(spaces, place->space, source);
		/* A link of another namespace may lead anywhere. */
		known = path != NULL &&
			fstatat(AT_FDCWD, path, &st,
			    own ? 0 : AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISBLK(st.st_mode) &&
			blockdev_name(
			    out, sysfs, major(st.st_rdev), minor(st.st_rdev));
		free(path);
	}
	return known ||
	       blockdev_named(out, sysfs, slash == NULL ? source : slash + 1);
}

/* A device that the table names and nobody knows is a part unread. */
static void
walk_sources(struct blockdev *out, const struct namespaces *spaces,
    const struct mounts_place *place, const char *sysfs)
{
	char *sources = strdup(place->entry->source), *rest = sources, *source;
	char name[BLOCKDEV_NAME_SIZE];

	if (sources == NULL)
		out->incomplete = true;
	while (rest != NULL && (source = strsep(&rest, ":")) != NULL) {
		if (!device_name(name, spaces, place, sysfs, source) ||
		    !blockdev_walk_name(out, sysfs, name)) {
			out->incomplete = true;
			continue;
		}
		blockdev_walk_btrfs(out, sysfs, name);
	}
	free(sources);
}

bool
mounts_names_device(const struct mounts_paths *paths,
    const struct namespaces *spaces, const struct mounts_place *place,
    const char *name)
{
	char *sources = strdup(place->entry->source), *rest = sources, *source;
	char found[BLOCKDEV_NAME_SIZE];
	bool is_named = false;

	while (
	    rest != NULL && !is_named && (source = strsep(&rest, ":")) != NULL)
		is_named =
		    device_name(found, spaces, place, paths->sysfs, source) &&
		    strcmp(found, name) == 0;
	free(sources);
	return is_named;
}

static bool
walk_place(struct blockdev *out, const struct mounts_paths *paths,
    const struct namespaces *spaces, const struct mounts_place *place)
{
	const struct mountinfo_entry *entry = place->entry;

	if (entry->major != 0)
		return blockdev_walk_number(
		    out, paths->sysfs, entry->major, entry->minor);
	if (!is_multi_device(entry->type))
		return false;
	walk_sources(out, spaces, place, paths->sysfs);
	return true;
}

bool
mounts_on_device(const struct mounts_paths *paths,
    const struct namespaces *spaces, const struct mounts_place *place)
{
	struct blockdev ignored = { .count = 0 };

	return walk_place(&ignored, paths, spaces, place);
}

/* ---- who holds a file ---- */

static bool
same_filesystem(const struct mounts_place *a, const struct mounts_place *b)
{
	return a->entry->major == b->entry->major &&
	       a->entry->minor == b->entry->minor;
}

static void
add_holder(struct holders *h, const struct namespaces_item *space,
    const struct mountinfo_entry *entry)
{
	struct mounts_place place = { space, entry };
	size_t i;

	for (i = 0; i < h->count; i++)
		if (same_filesystem(&h->places[i], &place))
			return;
	if (h->count < HOLDERS_MAX)
		h->places[h->count++] = place;
}

/* The file's device number is that of its file system, but for btrfs and
 * overlays. */
static void
find_by_number(struct holders *h, const struct namespaces *spaces,
    const struct loopfile *file)
{
	const struct mountinfo *table;
	size_t i, k;

	for (i = 0; i < spaces->count; i++) {
		table = &spaces->items[i].table;
		for (k = 0; k < table->count; k++) {
			if (table->entries[k].major != file->major ||
			    table->entries[k].minor != file->minor)
				continue;
			add_holder(h, &spaces->items[i], &table->entries[k]);
			return;
		}
	}
}

/* Where a path leads to that file: the kernel tells the path, but not in
 * which namespace. */
static void
find_by_file(struct holders *h, const struct namespaces *spaces,
    const char *path, const struct loopfile *file)
{
	const struct mountinfo_entry *entry;
	size_t i;
	int fd;

	for (i = 0; i < spaces->count && h->count == 0; i++) {
		entry = mountinfo_of_path(&spaces->items[i].table, path);
		if (entry == NULL ||
		    namespaces_may_hang(&spaces->items[i], path))
			continue;
		fd = namespaces_open(spaces, &spaces->items[i], path);
		if (fd == -1)
			continue;
		if (loopfile_is(file, fd))
			add_holder(h, &spaces->items[i], entry);
		close(fd);
	}
}

/* Wherever there is something of that path: one of these it is.  Ours is
 * believed; a file may be deleted.  So is one that may hang. */
static void
find_by_path(struct holders *h, const struct namespaces *spaces,
    const char *path, bool anonymous_only)
{
	const struct mountinfo_entry *entry;
	size_t i;
	int fd;

	for (i = 0; i < spaces->count; i++) {
		entry = mountinfo_of_path(&spaces->items[i].table, path);
		if (entry == NULL ||
		    (anonymous_only && !is_multi_device(entry->type) &&
			!is_overlay(entry->type)))
			continue;
		if (i > 0 && !namespaces_may_hang(&spaces->items[i], path)) {
			fd = namespaces_open(spaces, &spaces->items[i], path);
			if (fd == -1)
				continue;
			close(fd);
		}
		add_holder(h, &spaces->items[i], entry);
	}
}

/* A loop device asks the file system of its file, which may hang. */
static bool
may_hang_anywhere(const struct namespaces *spaces, const char *path)
{
	size_t i;

	for (i = 0; i < spaces->count; i++)
		if (namespaces_may_hang(&spaces->items[i], path))
			return true;
	return false;
}

static void
find_holders(
    struct holders *h, const struct walk *w, const struct blockdev_leaf *loop)
{
	struct loopfile file;
	bool known = w->paths->dev != NULL &&
		     !may_hang_anywhere(w->spaces, loop->backing) &&
		     loopfile_read(&file, w->paths->dev, loop->name);

	h->count = 0;
	if (known)
		find_by_number(h, w->spaces, &file);
	if (known && h->count == 0)
		find_by_file(h, w->spaces, loop->backing, &file);
	if (h->count == 0)
		find_by_path(h, w->spaces, loop->backing, known);
}

/* ---- down to the disks ---- */

static void
add_leaf(struct mounts_disks *out, const struct blockdev_leaf *leaf)
{
	size_t i;

	for (i = 0; i < out->count; i++)
		if (strcmp(out->leaves[i].name, leaf->name) == 0)
			return;
	if (out->count == BLOCKDEV_LEAVES_MAX)
		out->unknown = true;
	else
		out->leaves[out->count++] = *leaf;
}

/* Before everything else, then: whatever holds it comes after. */
static unsigned int
give_up(struct walk *w)
{
	w->out->unknown = true;
	return RANK_MAX;
}

/* The highest of the ranks of those that may hold it. */
static unsigned int
rank_of_holders(struct walk *w, const struct mounts_place *place,
    const struct holders *h, unsigned int depth)
{
	unsigned int rank = 0, below;
	size_t i;

	if (h->count == 0 || depth >= RANK_MAX)
		return give_up(w);
	for (i = 0; i < h->count; i++) {
		below = same_filesystem(&h->places[i], place)
			    ? give_up(w)
			    : rank_of(w, &h->places[i], depth + 1);
		rank = below > rank ? below : rank;
	}
	return rank;
}

/* What is written to an overlay goes to its upper folder, whose path is that
 * of whoever mounted it. */
static unsigned int
rank_of_overlay(
    struct walk *w, const struct mounts_place *place, unsigned int depth)
{
	char *upper = mountinfo_option(place->entry, "upperdir");
	struct holders h = { .count = 0 };

	if (upper == NULL)
		return 0;
	find_by_path(&h, w->spaces, upper, false);
	free(upper);
	return rank_of_holders(w, place, &h, depth);
}

static unsigned int
rank_of_loop(struct walk *w, const struct mounts_place *place,
    const struct blockdev_leaf *loop, unsigned int depth)
{
	struct holders h;

	find_holders(&h, w, loop);
	if (h.count == 0)
		add_leaf(w->out, loop);
	return 1 + rank_of_holders(w, place, &h, depth);
}

static unsigned int
rank_of(struct walk *w, const struct mounts_place *place, unsigned int depth)
{
	struct blockdev here = { .count = 0 };
	unsigned int rank = 0, below;
	size_t i;

	if (is_overlay(place->entry->type))
		return rank_of_overlay(w, place, depth);
	if (!walk_place(&here, w->paths, w->spaces, place))
		return 0;
	w->out->unknown |= here.incomplete;
	for (i = 0; i < here.count; i++) {
		if (here.leaves[i].backing[0] != '\0') {
			below = rank_of_loop(w, place, &here.leaves[i], depth);
			rank = below > rank ? below : rank;
		} else if (!here.leaves[i].is_virtual) {
			add_leaf(w->out, &here.leaves[i]);
		}
	}
	return rank;
}

void
mounts_disks_of(struct mounts_disks *out, const struct mounts_paths *paths,
    const struct namespaces *spaces, const struct mounts_place *place)
{
	struct walk w = { paths, spaces, out };

	out->count = 0;
	out->unknown = false;
	out->rank = rank_of(&w, place, 0);
}
