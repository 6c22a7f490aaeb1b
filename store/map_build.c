/* SPDX-License-Identifier: Apache-2.0 */
/* The map of a new point from that of its parent. */
#include "store/map_build.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"

struct open_piece {
	bool open;
	uint64_t number; /* Among the pieces of its level. */
	uint8_t base[DIGEST_BYTES];
	struct map_piece piece;
};

struct map_build {
	struct piece_reader *pieces;
	struct digest *digest;
	map_emit_fn *emit;
	void *arg;
	uint64_t blocks;
	unsigned int top;
	uint64_t zero_from; /* Blocks of a larger base from here vanish. */
	uint64_t zero_to;
	uint64_t next;              /* No block below it may be set any more. */
	uint8_t root[DIGEST_BYTES]; /* The base's until finish. */
	struct open_piece level[MAP_LEVELS_MAX];
};

static const uint8_t zero_hash[DIGEST_BYTES];

/* A base of more levels than needed: its first child holds all we keep. */
static int
lower_base(struct map_build *m, unsigned int base_top, struct err *err)
{
	struct map_piece piece;

	for (; base_top > m->top && !digest_is_zero(m->root); base_top--) {
		if (piece_reader_get(
			m->pieces, &piece, m->root, base_top, err) == -1)
			return -1;
		memcpy(m->root, piece.entry[0], DIGEST_BYTES);
	}
	return 0;
}

/*
 * A base of fewer levels: the pieces above it exist in no pack, so they are
 * opened here, down to the one above the base's root, and closed with the
 * rest.
 */
static void
raise_base(struct map_build *m, unsigned int base_top)
{
	unsigned int level;

	for (level = m->top; level > base_top; level--) {
		m->level[level].open = true;
		m->level[level].number = 0;
	}
	memcpy(m->level[base_top + 1].piece.entry[0], m->root, DIGEST_BYTES);
	memcpy(m->root, zero_hash, DIGEST_BYTES);
}

static int
take_base(struct map_build *m, const uint8_t *base_root,
    uint64_t base_size_bytes, struct err *err)
{
	uint64_t base_blocks = map_block_count(base_size_bytes);
	unsigned int base_top = map_top_level(base_blocks);

	memcpy(m->root, base_root, DIGEST_BYTES);
	if (base_blocks > m->blocks) {
		m->zero_from = m->blocks;
		m->zero_to = map_span(m->top);
	}
	if (base_top < m->top && !digest_is_zero(m->root))
		raise_base(m, base_top);
	return lower_base(m, base_top, err);
}

int
map_build_new(struct map_build **out, struct piece_reader *pieces,
    uint64_t size_bytes, const uint8_t *base_root, uint64_t base_size_bytes,
    map_emit_fn *emit, void *arg, struct err *err)
{
	struct map_build *m;

	if (size_bytes > MAP_DISK_MAX_BYTES ||
	    base_size_bytes > MAP_DISK_MAX_BYTES)
		return err_set(err, ERR_ARG,
		    "a disk of %llu bytes is too "
		    "large",
		    (unsigned long long)size_bytes);
	if ((m = calloc(1, sizeof(*m))) == NULL)
		return err_no_memory(err);
	m->pieces = pieces;
	m->emit = emit;
	m->arg = arg;
	m->blocks = map_block_count(size_bytes);
	m->top = map_top_level(m->blocks);
	if (digest_new(&m->digest, piece_reader_seal(pieces), err) == -1 ||
	    (base_root != NULL &&
		take_base(m, base_root, base_size_bytes, err) == -1)) {
		map_build_free(m);
		return -1;
	}
	*out = m;
	return 0;
}

void
map_build_free(struct map_build *m)
{
	if (m == NULL)
		return;
	digest_free(m->digest);
	free(m);
}

/* Where the hash of an open piece goes: into its parent, or the root. */
static uint8_t *
slot_of(struct map_build *m, unsigned int level, uint64_t number)
{
	if (level == m->top)
		return m->root;
	return m->level[level + 1].piece.entry[number % MAP_FAN_OUT];
}

static int
close_piece(struct map_build *m, unsigned int level, struct err *err)
{
	struct open_piece *p = &m->level[level];
	uint8_t bytes[MAP_PIECE_BYTES], hash[DIGEST_BYTES];

	p->open = false;
	if (map_piece_is_zero(&p->piece)) {
		memcpy(slot_of(m, level, p->number), zero_hash, DIGEST_BYTES);
		return 0;
	}
	map_piece_encode(bytes, &p->piece, level);
	if (digest_of(m->digest, hash, bytes, sizeof(bytes), err) == -1)
		return -1;
	memcpy(slot_of(m, level, p->number), hash, DIGEST_BYTES);
	if (memcmp(hash, p->base, DIGEST_BYTES) == 0)
		return 0;
	return m->emit(m->arg, hash, bytes, err);
}

/* Closes the open pieces from the leaf up to and with that level. */
static int
close_below(struct map_build *m, unsigned int level, struct err *err)
{
	unsigned int i;

	for (i = 0; i <= level; i++) {
		if (m->level[i].open && close_piece(m, i, err) == -1)
			return -1;
	}
	return 0;
}

static int
open_piece(
    struct map_build *m, unsigned int level, uint64_t number, struct err *err)
{
	struct open_piece *p = &m->level[level];

	if (p->open && p->number == number)
		return 0;
	if (close_below(m, level, err) == -1)
		return -1;
	memcpy(p->base, slot_of(m, level, number), DIGEST_BYTES);
	if (digest_is_zero(p->base))
		memset(&p->piece, 0, sizeof(p->piece));
	else if (piece_reader_get(m->pieces, &p->piece, p->base, level, err) ==
		 -1)
		return -1;
	p->open = true;
	p->number = number;
	return 0;
}

/* Opens the pieces that lead to a block, from the root to that level. */
static int
open_path(
    struct map_build *m, unsigned int level, uint64_t block, struct err *err)
{
	unsigned int i;

	for (i = m->top + 1; i-- > level;) {
		if (open_piece(m, i, block / map_span(i), err) == -1)
			return -1;
	}
	return 0;
}

static int
check_order(
    struct map_build *m, uint64_t first, uint64_t count, struct err *err)
{
	if (first < m->next || first > m->blocks || count > m->blocks - first)
		return err_set(err, ERR_ARG,
		    "block %llu of a disk comes out "
		    "of order or lies behind its end",
		    (unsigned long long)first);
	m->next = first + count;
	return 0;
}

int
map_build_set(struct map_build *m, uint64_t block,
    const uint8_t hash[DIGEST_BYTES], struct err *err)
{
	if (check_order(m, block, 1, err) == -1 ||
	    open_path(m, 0, block, err) == -1)
		return -1;
	memcpy(
	    m->level[0].piece.entry[block % MAP_FAN_OUT], hash, DIGEST_BYTES);
	return 0;
}

/* Zeroes the largest aligned subtree at first; returns its blocks or 0. */
static uint64_t
zero_step(struct map_build *m, uint64_t first, uint64_t end, struct err *err)
{
	unsigned int level = 0; /* Of the piece that holds the entry. */
	uint64_t span = 1;

	while (level < m->top && first % map_span(level) == 0 &&
	       first + map_span(level) <= end) {
		span = map_span(level);
		level++;
	}
	/* What is open below the entry lies before it, or in it. */
	if (open_path(m, level, first, err) == -1 ||
	    (level > 0 && close_below(m, level - 1, err) == -1))
		return 0;
	memcpy(m->level[level].piece.entry[first / span % MAP_FAN_OUT],
	    zero_hash, DIGEST_BYTES);
	return span;
}

static int
zero_range(struct map_build *m, uint64_t first, uint64_t end, struct err *err)
{
	uint64_t span;

	while (first < end) {
		if ((span = zero_step(m, first, end, err)) == 0)
			return -1;
		first += span;
	}
	return 0;
}

int
map_build_zero(
    struct map_build *m, uint64_t first_block, uint64_t count, struct err *err)
{
	uint64_t end = first_block + count;

	if (check_order(m, first_block, count, err) == -1)
		return -1;
	/* Nothing lies behind the end: so whole subtrees may go. */
	if (end == m->blocks)
		end = map_span(m->top);
	return zero_range(m, first_block, end, err);
}

int
map_build_finish(
    struct map_build *m, uint8_t root[DIGEST_BYTES], struct err *err)
{
	if (zero_range(m, m->zero_from, m->zero_to, err) == -1 ||
	    close_below(m, m->top, err) == -1)
		return -1;
	memcpy(root, m->root, DIGEST_BYTES);
	return 0;
}
