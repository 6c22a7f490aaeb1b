/* SPDX-License-Identifier: Apache-2.0 */
/* From a block device down to the disks it lies on. */
#include "guest-helper/blockdev.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A stack of dm on md on loop ... deeper than this is a cycle. */
#define DEPTH_MAX 8

static void walk_dir(
    struct blockdev *out, const char *sysfs, const char *dir, int depth);

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* Reads a small attribute; returns its size or -1. */
static ssize_t
read_attribute(const char *dir, const char *name, char *out, size_t size)
{
	char path[PATH_MAX];
	ssize_t n = -1;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >=
	    (int)sizeof(path))
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	n = read(fd, out, size - 1);
	close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n;
}

static bool
has(const char *dir, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", dir, name) <
		   (int)sizeof(path) &&
	       access(path, F_OK) == 0;
}

static void
add_leaf(struct blockdev *out, const char *dir)
{
	const char *name = base_name(dir);
	struct blockdev_leaf *leaf;
	size_t i;
	ssize_t n;

	for (i = 0; i < out->count; i++)
		if (strcmp(out->leaves[i].name, name) == 0)
			return;
	if (out->count == BLOCKDEV_LEAVES_MAX ||
	    strlen(name) >= BLOCKDEV_NAME_SIZE) {
		out->incomplete = true;
		return;
	}
	leaf = &out->leaves[out->count++];
	strcpy(leaf->name, name);
	/* Network and memory block devices; md and dm without members. */
	leaf->is_virtual = strstr(dir, "/devices/virtual/block/") != NULL;
	n = read_attribute(
	    dir, "loop/backing_file", leaf->backing, sizeof(leaf->backing));
	if (n <= 0)
		leaf->backing[0] = '\0';
	else if (leaf->backing[n - 1] == '\n')
		leaf->backing[n - 1] = '\0';
}

/* Visits the devices named by the links in a folder; false: none. */
static bool
walk_links(struct blockdev *out, const char *sysfs, const char *dir,
    const char *sub, int depth)
{
	char path[PATH_MAX], target[PATH_MAX];
	struct dirent *entry;
	bool any = false;
	DIR *d;

	if (snprintf(path, sizeof(path), "%s/%s", dir, sub) >=
	    (int)sizeof(path))
		return false;
	if ((d = opendir(path)) == NULL) {
		out->incomplete |= errno != ENOENT;
		return false;
	}
	while (errno = 0, (entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		any = true;
		if (snprintf(target, sizeof(target), "%s/class/block/%s", sysfs,
			entry->d_name) < (int)sizeof(target))
			walk_dir(out, sysfs, target, depth + 1);
		else
			out->incomplete = true;
	}
	out->incomplete |= errno != 0;
	closedir(d);
	return any;
}

/* dir: a device's folder, or a link to it. */
static void
walk_dir(struct blockdev *out, const char *sysfs, const char *dir, int depth)
{
	char real[PATH_MAX];

	if (depth > DEPTH_MAX || realpath(dir, real) == NULL) {
		out->incomplete = true;
		return;
	}
	if (has(real, "partition"))
		*strrchr(real, '/') = '\0';
	if (!walk_links(out, sysfs, real, "slaves", depth))
		add_leaf(out, real);
}

static bool
walk_path(struct blockdev *out, const char *sysfs, const char *path)
{
	if (access(path, F_OK) == -1)
		return false;
	walk_dir(out, sysfs, path, 0);
	return true;
}

bool
blockdev_walk_number(struct blockdev *out, const char *sysfs,
    unsigned int major, unsigned int minor)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/dev/block/%u:%u", sysfs, major,
		   minor) < (int)sizeof(path) &&
	       walk_path(out, sysfs, path);
}

bool
blockdev_walk_name(struct blockdev *out, const char *sysfs, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/class/block/%s", sysfs, name) <
		   (int)sizeof(path) &&
	       walk_path(out, sysfs, path);
}

bool
blockdev_name(char out[BLOCKDEV_NAME_SIZE], const char *sysfs,
    unsigned int major, unsigned int minor)
{
	char path[PATH_MAX], real[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/dev/block/%u:%u", sysfs, major,
		minor) >= (int)sizeof(path) ||
	    realpath(path, real) == NULL ||
	    strlen(base_name(real)) >= BLOCKDEV_NAME_SIZE)
		return false;
	strcpy(out, base_name(real));
	return true;
}

void
blockdev_walk_btrfs(struct blockdev *out, const char *sysfs, const char *name)
{
	char top[PATH_MAX], dir[PATH_MAX], member[PATH_MAX];
	struct dirent *entry;
	DIR *d;

	if (snprintf(top, sizeof(top), "%s/fs/btrfs", sysfs) >=
	    (int)sizeof(top))
		return;
	if ((d = opendir(top)) == NULL) {
		out->incomplete |= errno != ENOENT;
		return;
	}
	while (errno = 0, (entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.' ||
		    snprintf(dir, sizeof(dir), "%s/%s", top, entry->d_name) >=
			(int)sizeof(dir) ||
		    snprintf(member, sizeof(member), "devices/%s", name) >=
			(int)sizeof(member) ||
		    !has(dir, member))
			continue;
		walk_links(out, sysfs, dir, "devices", 0);
	}
	out->incomplete |= errno != 0;
	closedir(d);
}

ssize_t
blockdev_attribute(char *out, size_t size, const char *sysfs, const char *name,
    const char *attribute)
{
	char dir[PATH_MAX];

	*out = '\0';
	if (snprintf(dir, sizeof(dir), "%s/class/block/%s", sysfs, name) >=
	    (int)sizeof(dir))
		return -1;
	return read_attribute(dir, attribute, out, size);
}

bool
blockdev_named(
    char out[BLOCKDEV_NAME_SIZE], const char *sysfs, const char *name)
{
	char path[PATH_MAX], mapped[256];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	if (*name == '\0' || strchr(name, '/') != NULL ||
	    snprintf(path, sizeof(path), "%s/class/block", sysfs) >=
		(int)sizeof(path) ||
	    (dir = opendir(path)) == NULL)
		return false;
	while (!found && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.' ||
		    strlen(entry->d_name) >= BLOCKDEV_NAME_SIZE)
			continue;
		if (blockdev_attribute(mapped, sizeof(mapped), sysfs,
			entry->d_name, "dm/name") > 0)
			mapped[strcspn(mapped, "\n")] = '\0';
		found = strcmp(entry->d_name, name) == 0 ||
			strcmp(mapped, name) == 0;
		if (found)
			strcpy(out, entry->d_name);
	}
	closedir(dir);
	return found;
}

bool
blockdev_number(unsigned int *out_major, unsigned int *out_minor,
    const char *sysfs, const char *name)
{
	char text[32];

	return strchr(name, '/') == NULL &&
	       blockdev_attribute(text, sizeof(text), sysfs, name, "dev") > 0 &&
	       sscanf(text, "%u:%u", out_major, out_minor) == 2;
}

bool
blockdev_is_disk(const char *sysfs, const char *name)
{
	char dir[PATH_MAX];

	return *name != '\0' && strchr(name, '/') == NULL &&
	       snprintf(dir, sizeof(dir), "%s/class/block/%s", sysfs, name) <
		   (int)sizeof(dir) &&
	       access(dir, F_OK) == 0 && !has(dir, "partition");
}

/* A drive whose medium is no disk, or a device of the kernel's own. */
static bool
is_other(const char *dir, const char *name)
{
	char path[PATH_MAX], real[PATH_MAX];

	if ((strncmp(name, "sr", 2) == 0 || strncmp(name, "fd", 2) == 0) &&
	    isdigit((unsigned char)name[2]))
		return true;
	return snprintf(path, sizeof(path), "%s/%s", dir, name) <
		   (int)sizeof(path) &&
	       realpath(path, real) != NULL &&
	       strstr(real, "/devices/virtual/") != NULL;
}

size_t
blockdev_count(const char *sysfs)
{
	char path[PATH_MAX];
	struct dirent *entry;
	size_t count = 0;
	DIR *dir;

	if (snprintf(path, sizeof(path), "%s/block", sysfs) >=
		(int)sizeof(path) ||
	    (dir = opendir(path)) == NULL)
		return SIZE_MAX;
	while (errno = 0, (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' && !is_other(path, entry->d_name))
			count++;
	if (errno != 0)
		count = SIZE_MAX;
	closedir(dir);
	return count;
}
