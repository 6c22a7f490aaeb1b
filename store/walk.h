/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All blobs that a disk of a point needs, for verify and prune.  Subtrees
 * that an earlier walk has marked are passed over, so that points which share
 * most of their maps cost little.
 */
#ifndef HOLDSTILL_STORE_WALK_H
#define HOLDSTILL_STORE_WALK_H

#include "store/map.h"
#include "store/marks.h"

/*
 * Called for each blob.  place NULL: in no pack; why not NULL: a piece of the
 * map that cannot be read.  -1 ends the walk.  It may look into the local
 * index.
 */
typedef int walk_blob_fn(void *arg, enum blob_type type,
    const uint8_t hash[DIGEST_BYTES], const struct blob_place *place,
    const struct err *why, struct err *err);

struct walk {
	struct store *store; /* Just synced. */
	struct marks *marks; /* NULL: pass over nothing. */
	walk_blob_fn *fn;
	void *arg;
	/* Of the disk, what the blob at hand stands for. */
	uint64_t first_block, block_count;
	/* Inside only: the piece entered last. */
	uint8_t piece[DIGEST_BYTES];
	struct blob_place piece_place;
	bool piece_lost;
	uint64_t piece_first_block, piece_block_count;
};

int walk_disk(
    struct walk *w, const struct manifest_disk *disk, struct err *err);

#endif
