/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a block device down to the disks it lies on, by /sys: partitions to
 * their disk, device mapper and md to their members, loop to its file.
 */
#ifndef HOLDSTILL_GUEST_BLOCKDEV_H
#define HOLDSTILL_GUEST_BLOCKDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define BLOCKDEV_LEAVES_MAX 32
#define BLOCKDEV_NAME_SIZE 64
#define BLOCKDEV_BACKING_SIZE 512

struct blockdev_leaf {
	char name[BLOCKDEV_NAME_SIZE];       /* The kernel's: "vda", "loop0". */
	char backing[BLOCKDEV_BACKING_SIZE]; /* A loop's file, else "". */
	bool is_virtual; /* No disk of the host: nbd, zram, a loop. */
};

struct blockdev {
	struct blockdev_leaf leaves[BLOCKDEV_LEAVES_MAX];
	size_t count;
	bool incomplete; /* More leaves than fit, or a part of /sys unread. */
};

/* Adds the leaves under MAJOR:MINOR; false: no block device of that number.
 * sysfs is "/sys" (a test's tree otherwise). */
bool blockdev_walk_number(struct blockdev *out, const char *sysfs,
    unsigned int major, unsigned int minor);

/* The same for a device by its kernel name ("dm-0", "vda1"). */
bool blockdev_walk_name(
    struct blockdev *out, const char *sysfs, const char *name);

/* Adds the other members of the btrfs that has the device as a member. */
void blockdev_walk_btrfs(
    struct blockdev *out, const char *sysfs, const char *name);

/* The kernel name of MAJOR:MINOR; false if there is no such device. */
bool blockdev_name(char out[BLOCKDEV_NAME_SIZE], const char *sysfs,
    unsigned int major, unsigned int minor);

/* The kernel name of a device by that name or by the name that device mapper
 * has for it; false if there is none. */
bool blockdev_named(
    char out[BLOCKDEV_NAME_SIZE], const char *sysfs, const char *name);

/* MAJOR:MINOR of a device; false if there is none of that name. */
bool blockdev_number(unsigned int *out_major, unsigned int *out_minor,
    const char *sysfs, const char *name);

/* A file of a device in /sys, with a NUL behind it; its size or -1. */
ssize_t blockdev_attribute(char *out, size_t size, const char *sysfs,
    const char *name, const char *attribute);

/* How many disks there are that may be the host's; SIZE_MAX: they cannot all
 * be read. */
size_t blockdev_count(const char *sysfs);

/* Is there a disk of this name? */
bool blockdev_is_disk(const char *sysfs, const char *name);

#endif
