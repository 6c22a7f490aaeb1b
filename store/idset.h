/* SPDX-License-Identifier: Apache-2.0 */
/* A sorted set of object ids, filled first and asked afterwards. */
#ifndef HOLDSTILL_STORE_IDSET_H
#define HOLDSTILL_STORE_IDSET_H

#include "store/envelope.h"

struct idset { /* Zeroed is empty. */
	uint8_t (*ids)[OBJECT_ID_BYTES];
	size_t count, capacity;
};

void idset_fini(struct idset *set);
int idset_add(
    struct idset *set, const uint8_t id[OBJECT_ID_BYTES], struct err *err);
/* Before the first question. */
void idset_sort(struct idset *set);
bool idset_has(const struct idset *set, const uint8_t id[OBJECT_ID_BYTES]);
/* Index of id in the sorted set, or -1. */
int64_t idset_find(const struct idset *set, const uint8_t id[OBJECT_ID_BYTES]);
/* Are all of a in b? */
bool idset_within(const struct idset *a, const struct idset *b);
/* Takes out of the sorted set what is in other. */
void idset_subtract(struct idset *set, const struct idset *other);

/* The sorted ids of all objects of a type in the repository. */
int idset_list(struct idset *out, struct backend *b, enum object_type type,
    struct err *err);

#endif
