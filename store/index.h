/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Index objects: copies of the tables of a number of packs, so that one read
 * serves many.  A pack counts for "known?" only once an index names it.
 */
#ifndef HOLDSTILL_STORE_INDEX_H
#define HOLDSTILL_STORE_INDEX_H

#include "store/pack.h"

/* An index is written when the packs waiting for one reach either. */
#define INDEX_PACKS_MAX 64u
#define INDEX_BLOBS_TARGET (16u * PACK_BLOBS_MAX)

struct index_pack {
	uint8_t id[OBJECT_ID_BYTES];
	uint64_t size; /* Of the pack object. */
	struct pack_table table;
};

struct index_set { /* Zeroed is empty. */
	struct index_pack packs[INDEX_PACKS_MAX];
	unsigned int count;
	uint32_t blobs;
};

void index_set_fini(struct index_set *set);
bool index_set_full(const struct index_set *set);
/* Takes the table over and leaves *table empty; the set must not be full. */
void index_set_add(struct index_set *set, const uint8_t id[OBJECT_ID_BYTES],
    uint64_t size, struct pack_table *table);

/* Puts the set under a new id, written to id. */
int index_put(struct backend *b, const struct seal *seal,
    const struct index_set *set, uint8_t id[OBJECT_ID_BYTES], struct err *err);
/* The caller finis and frees *out. */
int index_get(struct index_set **out, struct backend *b,
    const struct seal *seal, const uint8_t id[OBJECT_ID_BYTES],
    struct err *err);
void index_set_free(struct index_set *set); /* NULL is allowed. */

/*
 * In mode public anybody with a host's key can put an index that lies of
 * others' packs: takes the tables of the packs themselves instead, and leaves
 * out packs whose table cannot be read.  In other modes it does nothing.
 */
int index_check_tables(struct index_set *set, struct backend *b,
    const struct seal *seal, struct err *err);
/* The same for whoever takes away what nobody needs: a table that a disk
 * cannot read is an error. */
int index_check_tables_sure(struct index_set *set, struct backend *b,
    const struct seal *seal, struct err *err);

#endif
