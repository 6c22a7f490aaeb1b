/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which blocks of the store a disk's extents touch: rounding out, merging,
 * and runs of blocks.  Pure; one thread.
 */
#ifndef HOLDSTILL_AGENT_SOURCE_EXTENTS_H
#define HOLDSTILL_AGENT_SOURCE_EXTENTS_H

#include <stdbool.h>
#include <stdint.h>

struct err;

/* One bit a block: 2 MiB of memory for each TiB of disk. */
struct extent_set {
	uint64_t *words;
	uint64_t first_block; /* Of the disk; bit 0. */
	uint64_t block_count;
};

int extent_set_init(struct extent_set *set, uint64_t first_block,
    uint64_t block_count, struct err *err);
void extent_set_fini(struct extent_set *set); /* All zero is allowed. */

/* Empties the set and lets it begin elsewhere, with at most as many blocks
 * as it was made for. */
void extent_set_move(
    struct extent_set *set, uint64_t first_block, uint64_t block_count);

/* Adds each block that [offset, offset + bytes) touches; what lies outside
 * of the set is left out. */
void extent_set_add(struct extent_set *set, uint64_t offset, uint64_t bytes);

bool extent_set_has(const struct extent_set *set, uint64_t block);

/* Blocks in the set. */
uint64_t extent_set_count(const struct extent_set *set);

/*
 * The next run at or after block `from`: consecutive blocks, all in the set
 * (present true) or all not in it, that end before `end`.  Returns its
 * length and fills *out_first; 0: there is none.
 */
uint64_t extent_set_run(const struct extent_set *set, bool present,
    uint64_t from, uint64_t end, uint64_t *out_first);

#endif
