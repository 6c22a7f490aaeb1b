/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of prune share; nobody else includes this. */
#ifndef HOLDSTILL_STORE_PRUNE_H
#define HOLDSTILL_STORE_PRUNE_H

#include "store/walk.h"

enum prune_action { PRUNE_KEEP, PRUNE_REMOVE, PRUNE_REWRITE };

struct prune_pack {
	uint64_t size;
	uint64_t used_bytes; /* Of size: what used blobs come to. */
	uint32_t blobs, used_blobs;
	enum prune_action action;
	bool seen;    /* Some good index, or its own table, told its blobs. */
	bool indexed; /* Some good index names it. */
	bool written; /* A new index names it. */
};

struct prune {
	struct store *store;
	struct idset packs, indexes;
	struct prune_pack *pack; /* One for each of packs. */
	bool *replace;           /* For each of indexes. */
	struct marks marks;
	struct index_set *set; /* The new index being gathered. */
	struct store_prune_result *result;
};

/* ---- prune_rewrite.c ---- */
/* Copies the used blobs of all PRUNE_REWRITE packs into new ones, and puts
 * them; their tables go into p->set. */
int prune_rewrite(struct prune *p, struct err *err);
/* Puts the gathered index, if any. */
int prune_flush_index(struct prune *p, struct err *err);
/* Adds a pack to the gathered index, which takes the table over. */
int prune_gather(struct prune *p, const uint8_t id[OBJECT_ID_BYTES],
    uint64_t size, struct pack_table *table, struct err *err);

#endif
