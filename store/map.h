/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The map of a disk: a tree of pieces with 64 entries each, named by their
 * hashes.  A leaf (level 0) names 64 data blocks, 4 MiB of disk; a piece of a
 * higher level names 64 pieces of the one below.  The zero hash stands for a
 * block or a whole subtree of zeros.  Small pieces keep scattered changes
 * cheap: each costs one leaf of 2 KiB and a share of those above it.
 */
#ifndef HOLDSTILL_STORE_MAP_H
#define HOLDSTILL_STORE_MAP_H

#include "store/store_internal.h"

#define MAP_FAN_OUT 64u
#define MAP_LEVELS_MAX 8u
#define MAP_PIECE_HEAD_BYTES 8u
#define MAP_PIECE_BYTES (MAP_PIECE_HEAD_BYTES + MAP_FAN_OUT * DIGEST_BYTES)
/* So that no count of blocks or capacity overflows. */
#define MAP_DISK_MAX_BYTES (UINT64_C(1) << 62)

struct map_piece {
	uint8_t entry[MAP_FAN_OUT][DIGEST_BYTES];
};

/* Blocks of a disk, the last one perhaps partial. */
uint64_t map_block_count(uint64_t size_bytes);
/* The root's level for a disk of so many blocks. */
unsigned int map_top_level(uint64_t blocks);
/* Blocks that a piece of that level covers. */
uint64_t map_span(unsigned int level);

void map_piece_encode(uint8_t out[MAP_PIECE_BYTES],
    const struct map_piece *piece, unsigned int level);
bool map_piece_is_zero(const struct map_piece *piece);

/* Reads pieces, with the last frames kept; belongs to one thread at a time. */
struct piece_reader;
int piece_reader_new(
    struct piece_reader **out, struct store *s, struct err *err);
void piece_reader_free(struct piece_reader *r); /* NULL is allowed. */
/* The keys of its repository; NULL: plain. */
const struct seal *piece_reader_seal(const struct piece_reader *r);
/* Looks again in the repository, once, before it says ERR_CORRUPT. */
int piece_reader_get(struct piece_reader *r, struct map_piece *out,
    const uint8_t hash[DIGEST_BYTES], unsigned int level, struct err *err);

/* For callers that have just synced: says ERR_CORRUPT at once. */
void piece_reader_trust_index(struct piece_reader *r);

/* ---- walking a map from its first block to its last ---- */

/* Before a piece is read: 1 to go into it, 0 to pass over it, -1 to fail. */
typedef int map_enter_fn(void *arg, const uint8_t hash[DIGEST_BYTES],
    unsigned int level, uint64_t first_block, struct err *err);

struct map_cursor {
	struct piece_reader *pieces; /* Borrowed. */
	map_enter_fn *enter;         /* May be NULL. */
	void *arg;
	uint64_t blocks;
	unsigned int top;
	unsigned int level; /* Of the piece last entered. */
	bool started, ended;
	uint8_t root[DIGEST_BYTES];
	struct {
		struct map_piece piece;
		uint64_t number; /* Among the pieces of its level. */
		unsigned int next;
	} stack[MAP_LEVELS_MAX];
};

void map_cursor_init(struct map_cursor *c, struct piece_reader *pieces,
    const uint8_t root[DIGEST_BYTES], uint64_t size_bytes);
/*
 * The next leaf that is not all zeros: 1, with its first block and *count
 * entries, valid until the next call; 0 at the end.  After -1 a further call
 * goes on behind the piece that failed.
 */
int map_cursor_next(struct map_cursor *c, uint64_t *first_block,
    const uint8_t (**entries)[DIGEST_BYTES], unsigned int *count,
    struct err *err);

#endif
