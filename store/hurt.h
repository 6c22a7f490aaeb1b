/* SPDX-License-Identifier: Apache-2.0 */
/* Which ranges of a disk are hurt: a bounded list. */
#ifndef HOLDSTILL_STORE_HURT_H
#define HOLDSTILL_STORE_HURT_H

#include "store/manifest.h"
#include "store/store.h"

struct hurt_disk { /* Zeroed is empty; owns what it points to. */
	char *target;
	uint64_t size_bytes, bytes;
	struct store_range *ranges;
	size_t count, capacity;
	bool more;
};

int hurt_init(
    struct hurt_disk *h, const struct manifest_disk *disk, struct err *err);
void hurt_fini(struct hurt_disk *h);
void hurt_free_all(struct hurt_disk *disks, size_t count);

/* Adds blocks, in rising order; what was added before may be added again. */
int hurt_add(
    struct hurt_disk *h, uint64_t first_block, uint64_t count, struct err *err);

bool hurt_same(const struct hurt_disk *a, const struct hurt_disk *b);

/* As callers of the store see it; borrows all of h. */
void hurt_view(
    struct store_hurt *out, const char *point, const struct hurt_disk *h);

#endif
