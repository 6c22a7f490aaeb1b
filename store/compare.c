/* SPDX-License-Identifier: Apache-2.0 */
/* Is a block what a point's map says it was? */
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "store/map.h"

struct store_comparer {
	struct piece_reader *pieces;
	struct digest *digest;
	uint8_t root[DIGEST_BYTES];
	uint64_t blocks;
};

int
store_comparer_new(struct store_comparer **out, struct store *s,
    const struct manifest_disk *disk, struct err *err)
{
	struct store_comparer *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return err_no_memory(err);
	memcpy(c->root, disk->root, sizeof(c->root));
	c->blocks = map_block_count(disk->size_bytes);
	if (disk->size_bytes > MAP_DISK_MAX_BYTES ||
	    piece_reader_new(&c->pieces, s, err) == -1 ||
	    digest_new(&c->digest, s->seal, err) == -1) {
		store_comparer_free(c);
		return -1;
	}
	*out = c;
	return 0;
}

void
store_comparer_free(struct store_comparer *c)
{
	if (c == NULL)
		return;
	piece_reader_free(c->pieces);
	digest_free(c->digest);
	free(c);
}

/* The hash of a block in the map, or the zero hash. */
static int
look_up(struct store_comparer *c, uint8_t hash[DIGEST_BYTES], uint64_t block,
    struct err *err)
{
	unsigned int level = map_top_level(c->blocks) + 1;
	struct map_piece piece;

	memcpy(hash, c->root, DIGEST_BYTES);
	while (level-- > 0 && !digest_is_zero(hash)) {
		if (piece_reader_get(c->pieces, &piece, hash, level, err) == -1)
			return -1;
		memcpy(hash,
		    piece.entry[level == 0 ? block % MAP_FAN_OUT
					   : block / map_span(level - 1) %
						 MAP_FAN_OUT],
		    DIGEST_BYTES);
	}
	return 0;
}

static bool
is_zero(const uint8_t *data)
{
	return data[0] == 0 &&
	       memcmp(data, data + 1, STORE_BLOCK_BYTES - 1) == 0;
}

int
store_compare_block(
    struct store_comparer *c, uint64_t block, const void *data, struct err *err)
{
	uint8_t then[DIGEST_BYTES], now[DIGEST_BYTES] = { 0 };

	if (block >= c->blocks)
		return err_set(
		    err, ERR_BUG, "a block lies behind the disk's end");
	if (look_up(c, then, block, err) == -1)
		return -1;
	if (!is_zero(data) &&
	    digest_of(c->digest, now, data, STORE_BLOCK_BYTES, err) == -1)
		return -1;
	return memcmp(then, now, sizeof(now)) == 0;
}
