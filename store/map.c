/* SPDX-License-Identifier: Apache-2.0 */
/* Shape and coding of maps; walking one. */
#include "store/map.h"

#include <string.h>

#include "common/err.h"

uint64_t
map_block_count(uint64_t size_bytes)
{
	return size_bytes / STORE_BLOCK_BYTES +
	       (size_bytes % STORE_BLOCK_BYTES != 0);
}

uint64_t
map_span(unsigned int level)
{
	return UINT64_C(1) << (6 * (level + 1));
}

unsigned int
map_top_level(uint64_t blocks)
{
	unsigned int level = 0;

	while (map_span(level) < blocks)
		level++;
	return level;
}

void
map_piece_encode(uint8_t out[MAP_PIECE_BYTES], const struct map_piece *piece,
    unsigned int level)
{
	const uint8_t head[MAP_PIECE_HEAD_BYTES] = { 'H', 'S', 'M', '1',
		(uint8_t)level };

	memcpy(out, head, sizeof(head));
	memcpy(out + sizeof(head), piece->entry, sizeof(piece->entry));
}

bool
map_piece_is_zero(const struct map_piece *piece)
{
	unsigned int i;

	for (i = 0; i < MAP_FAN_OUT; i++) {
		if (!digest_is_zero(piece->entry[i]))
			return false;
	}
	return true;
}

void
map_cursor_init(struct map_cursor *c, struct piece_reader *pieces,
    const uint8_t root[DIGEST_BYTES], uint64_t size_bytes)
{
	c->pieces = pieces;
	c->enter = NULL;
	c->arg = NULL;
	c->blocks = map_block_count(size_bytes);
	c->top = map_top_level(c->blocks);
	c->started = c->ended = false;
	memcpy(c->root, root, DIGEST_BYTES);
}

/* 1: the piece is on the stack; 0: it is zero or passed over. */
static int
enter_piece(struct map_cursor *c, const uint8_t *hash, unsigned int level,
    uint64_t number, struct err *err)
{
	int rc;

	if (digest_is_zero(hash))
		return 0;
	if (c->enter != NULL) {
		rc = c->enter(
		    c->arg, hash, level, number * map_span(level), err);
		if (rc != 1)
			return rc;
	}
	if (piece_reader_get(
		c->pieces, &c->stack[level].piece, hash, level, err) == -1)
		return -1;
	c->stack[level].number = number;
	c->stack[level].next = 0;
	c->level = level;
	return 1;
}

/* Goes down to the next leaf: 1, or 0 at the end. */
static int
descend(struct map_cursor *c, struct err *err)
{
	unsigned int i;
	int rc;

	while (c->level > 0) {
		i = c->stack[c->level].next;
		if (i == MAP_FAN_OUT) {
			if (c->level == c->top)
				return 0;
			c->level++;
			continue;
		}
		c->stack[c->level].next++;
		rc = enter_piece(c, c->stack[c->level].piece.entry[i],
		    c->level - 1, c->stack[c->level].number * MAP_FAN_OUT + i,
		    err);
		if (rc == -1)
			return -1;
	}
	return 1;
}

static int
advance(struct map_cursor *c, struct err *err)
{
	int rc;

	if (!c->started) {
		c->started = true;
		rc = enter_piece(c, c->root, c->top, 0, err);
		if (rc != 1) {
			c->ended = true;
			return rc;
		}
	} else if (c->level == 0) { /* Done with the leaf of last time. */
		if (c->top == 0)
			return 0;
		c->level = 1;
	}
	return descend(c, err);
}

int
map_cursor_next(struct map_cursor *c, uint64_t *first_block,
    const uint8_t (**entries)[DIGEST_BYTES], unsigned int *count,
    struct err *err)
{
	uint64_t first;
	int rc;

	if (c->ended || c->blocks == 0)
		return 0;
	if ((rc = advance(c, err)) != 1) {
		c->ended = c->ended || rc == 0;
		return rc;
	}
	first = c->stack[0].number * MAP_FAN_OUT;
	if (first >= c->blocks) {
		c->ended = true;
		return 0;
	}
	*first_block = first;
	*entries = (const uint8_t(*)[DIGEST_BYTES])c->stack[0].piece.entry;
	*count = c->blocks - first < MAP_FAN_OUT
		     ? (unsigned int)(c->blocks - first)
		     : MAP_FAN_OUT;
	return 1;
}
