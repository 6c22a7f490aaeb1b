/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk over a map: the disk's size (8 bytes), then up to 8 pieces, which
 * lie in one frame as they are.  A piece's name is a byte that chooses it,
 * and anything behind; each has the hash it is asked for.
 */
#include <string.h>

#include "common/endian.h"
#include "common/err.h"
#include "store/hostmemory.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/one_object.h"

#define STEPS_MAX 2000u

static uint32_t pieces;
static uint8_t asked[DIGEST_BYTES];
static volatile uint8_t touched;

int
localindex_find(struct localindex *li, enum blob_type type,
    const uint8_t hash[DIGEST_BYTES], struct blob_place *out, struct err *err)
{
	(void)li;
	(void)err;
	require(type == BLOB_MAP && !digest_is_zero(hash));
	memcpy(asked, hash, sizeof(asked));
	if (pieces == 0 || hash[0] % 16 >= pieces)
		return 0;
	*out = (struct blob_place){
		.stored_size = pieces * MAP_PIECE_BYTES,
		.raw_size = pieces * MAP_PIECE_BYTES,
		.offset = hash[0] % 16 * MAP_PIECE_BYTES,
		.size = MAP_PIECE_BYTES,
	};
	memcpy(out->pack, one_object_id, sizeof(out->pack));
	return 1;
}

/* There is one pack. */
void
copies_begin(struct copies_walk *w, struct store *s, enum blob_type type,
    const uint8_t hash[DIGEST_BYTES], const struct blob_place *bad)
{
	(void)w;
	(void)s;
	(void)type;
	(void)hash;
	(void)bad;
}

int
copies_next(struct copies_walk *w, struct blob_place *out, struct err *err)
{
	(void)w;
	(void)out;
	(void)err;
	return 0;
}

bool
store_is_host(const struct store *s)
{
	(void)s;
	return false;
}

int
hostmemory_piece(struct localindex *li, uint8_t *out,
    const uint8_t hash[DIGEST_BYTES], struct err *err)
{
	(void)li;
	(void)out;
	(void)hash;
	(void)err;
	return 0;
}

int
store_sync(struct store *s, enum sync_mode mode, bool rebuild, struct err *err)
{
	(void)s;
	(void)mode;
	(void)rebuild;
	(void)err;
	return 0;
}

int
digest_new(struct digest **out, const struct seal *seal, struct err *err)
{
	(void)seal;
	(void)err;
	*out = NULL;
	return 0;
}

void
digest_free(struct digest *d)
{
	(void)d;
}

int
digest_of(struct digest *d, uint8_t out[DIGEST_BYTES], const void *buf,
    size_t size, struct err *err)
{
	(void)d;
	(void)buf;
	(void)err;
	require(size == MAP_PIECE_BYTES);
	memcpy(out, asked, sizeof(asked));
	return 0;
}

int
digest_once(
    uint8_t out[DIGEST_BYTES], const void *buf, size_t size, struct err *err)
{
	return digest_of(NULL, out, buf, size, err);
}

bool
digest_is_zero(const uint8_t hash[DIGEST_BYTES])
{
	static const uint8_t zero[DIGEST_BYTES];

	return memcmp(hash, zero, sizeof(zero)) == 0;
}

/* The input's pieces are short: magic, level, entries of 4 bytes each. */
static struct backend *
lay_out(const uint8_t *data, size_t size)
{
	static uint8_t frame[8 * MAP_PIECE_BYTES];
	uint8_t *piece;
	unsigned int i;

	memset(frame, 0, sizeof(frame));
	for (pieces = 0; size >= 1 && pieces < 8; pieces++) {
		piece = frame + (size_t)pieces * MAP_PIECE_BYTES;
		memcpy(piece, "HSM1", 4);
		piece[4] = data[0] & 0x0f;
		piece[0] ^= data[0] >> 7;
		data++;
		size--;
		for (i = 0; i < MAP_FAN_OUT && size >= 2; i++) {
			memcpy(piece + MAP_PIECE_HEAD_BYTES + i * DIGEST_BYTES,
			    data, 2);
			data += 2;
			size -= 2;
		}
	}
	return one_object(OBJECT_PACK, frame, (size_t)pieces * MAP_PIECE_BYTES);
}

/* Pieces that name each other make a map larger than anyone can walk. */
static int
enter(void *arg, const uint8_t hash[DIGEST_BYTES], unsigned int level,
    uint64_t first_block, struct err *err)
{
	unsigned int *entered = arg;

	(void)hash;
	(void)level;
	(void)first_block;
	(void)err;
	return ++*entered <= STEPS_MAX;
}

static void
walk(struct piece_reader *r, uint64_t size_bytes)
{
	uint8_t root[DIGEST_BYTES] = { 0x10 };
	const uint8_t(*entries)[DIGEST_BYTES];
	uint64_t first, blocks = map_block_count(size_bytes), next = 0;
	unsigned int count, entered = 0;
	struct err err = ERR_INIT;
	struct map_cursor c;
	int rc;

	map_cursor_init(&c, r, root, size_bytes);
	c.enter = enter;
	c.arg = &entered;
	while (
	    (rc = map_cursor_next(&c, &first, &entries, &count, &err)) != 0) {
		if (rc == -1) {
			require(err.class == ERR_CORRUPT);
			err_clear(&err);
			continue;
		}
		require(first >= next && first < blocks && count > 0);
		require(count <= MAP_FAN_OUT && count <= blocks - first);
		touched ^= entries[count - 1][DIGEST_BYTES - 1];
		next = first + count;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store s = { .index = NULL };
	struct err err = ERR_INIT;
	struct piece_reader *r;

	if (size < 8)
		return 0;
	s.backend = lay_out(data + 8, size - 8);
	require(piece_reader_new(&r, &s, &err) == 0);
	walk(r, be64_get(data) % (MAP_DISK_MAX_BYTES + 1));
	piece_reader_free(r);
	return 0;
}
