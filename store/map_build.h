/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds a map from changes in rising order over a base map, or over zeros.
 * Keeps one piece a level in memory; subtrees that do not change are carried
 * over by their hash, unread.
 */
#ifndef HOLDSTILL_STORE_MAP_BUILD_H
#define HOLDSTILL_STORE_MAP_BUILD_H

#include "store/map.h"

struct map_build;

/* Takes a finished piece that differs from the base's.  -1 with err fails. */
typedef int map_emit_fn(void *arg, const uint8_t hash[DIGEST_BYTES],
    const uint8_t piece[MAP_PIECE_BYTES], struct err *err);

/* base_root NULL: over zeros.  pieces is borrowed. */
int map_build_new(struct map_build **out, struct piece_reader *pieces,
    uint64_t size_bytes, const uint8_t *base_root, uint64_t base_size_bytes,
    map_emit_fn *emit, void *arg, struct err *err);
void map_build_free(struct map_build *m); /* NULL is allowed. */

/* hash may be the zero hash.  Blocks rise from call to call. */
int map_build_set(struct map_build *m, uint64_t block,
    const uint8_t hash[DIGEST_BYTES], struct err *err);
int map_build_zero(
    struct map_build *m, uint64_t first_block, uint64_t count, struct err *err);

/* Closes the map and fills root. */
int map_build_finish(
    struct map_build *m, uint8_t root[DIGEST_BYTES], struct err *err);

#endif
