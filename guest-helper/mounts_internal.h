/* SPDX-License-Identifier: Apache-2.0 */
/* Between mounts.c (what is frozen) and mounts_disks.c (what it lies on). */
#ifndef HOLDSTILL_GUEST_MOUNTS_INTERNAL_H
#define HOLDSTILL_GUEST_MOUNTS_INTERNAL_H

#include <stdbool.h>

#include "guest-helper/blockdev.h"
#include "guest-helper/mounts.h"
#include "guest-helper/namespaces.h"

/* A mount, in the table it is from. */
struct mounts_place {
	const struct namespaces_item *space;
	const struct mountinfo_entry *entry;
};

/* What a file system lies on in the end. */
struct mounts_disks {
	/* Real ones, and loop devices whose file nobody can find. */
	struct blockdev_leaf leaves[BLOCKDEV_LEAVES_MAX];
	size_t count;
	/* Not everything that it lies on could be found: then it has to be
	 * taken for a part of what is backed up. */
	bool unknown;
	unsigned int rank; /* How many loop files are below it. */
};

void mounts_disks_of(struct mounts_disks *out, const struct mounts_paths *paths,
    const struct namespaces *spaces, const struct mounts_place *place);

/* Does it lie on a block device? */
bool mounts_on_device(const struct mounts_paths *paths,
    const struct namespaces *spaces, const struct mounts_place *place);

/* Is that device, by its kernel name, one that the table names for it? */
bool mounts_names_device(const struct mounts_paths *paths,
    const struct namespaces *spaces, const struct mounts_place *place,
    const char *name);

/* The mount that an open descriptor is on; -1 if the kernel does not tell. */
int mounts_id_of(int fd);

#endif
