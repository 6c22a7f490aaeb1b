/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host that may only add remembers, for it can read nothing back
 * (docs/seal.md): its newest points with the pieces of their maps.  It lies in
 * the host's local index, and may be lost with it: then the next backups are
 * full.  Thread-safe.
 */
#ifndef HOLDSTILL_STORE_HOSTMEMORY_H
#define HOLDSTILL_STORE_HOSTMEMORY_H

#include "store/localindex.h"
#include "store/map.h"

/* Of each machine, so many of its points are remembered. */
#define HOSTMEMORY_POINTS 2u

/* 1: out, of MAP_PIECE_BYTES, is the piece as it was kept; 0: unknown. */
int hostmemory_piece(struct localindex *li, uint8_t *out,
    const uint8_t hash[DIGEST_BYTES], struct err *err);
/* raw: count pieces, one after the other. */
int hostmemory_keep_pieces(struct localindex *li,
    const uint8_t (*hash)[DIGEST_BYTES], const uint8_t *raw, unsigned int count,
    struct err *err);

struct hostmemory_point {
	uint64_t order;             /* Later ones have more. */
	uint8_t hash[DIGEST_BYTES]; /* At the end of its object. */
	char *text;                 /* The manifest; malloc. */
	size_t size;
};
/* order is not read. */
int hostmemory_keep_point(struct localindex *li,
    const uint8_t id[OBJECT_ID_BYTES], const struct hostmemory_point *point,
    struct err *err);
/* 1: the caller frees out->text; 0: unknown. */
int hostmemory_point(struct hostmemory_point *out, struct localindex *li,
    const uint8_t id[OBJECT_ID_BYTES], struct err *err);
/* Sorted; caller finis. */
int hostmemory_points(
    struct idset *out, struct localindex *li, struct err *err);

/*
 * Forgets all points but those named, and all pieces but those whose hashes
 * are in live: count of them, sorted.
 */
int hostmemory_sweep(struct localindex *li, const struct idset *points,
    const uint8_t (*live)[DIGEST_BYTES], size_t count, struct err *err);
/* How many pieces there are, and were left by the last sweep. */
int hostmemory_pieces(
    uint64_t *now, uint64_t *swept, struct localindex *li, struct err *err);

#endif
