/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs.  The first byte chooses: 0 the rest is a pack, 1 its table with the
 * pack's size (4 bytes) before it, 2 coding and size before compression (3
 * bytes) of a table of a pack whose frames have as many bytes as the next 2
 * say.
 */
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "common/endian.h"
#include "common/err.h"
#include "store/pack_internal.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/one_object.h"

/* What every reader of frames and blobs relies on. */
static void
check(const struct pack_table *t, uint64_t end)
{
	uint64_t at = ENVELOPE_HEAD_BYTES, filled;
	const struct pack_frame *f;
	const struct pack_blob *b;
	uint32_t blobs = 0, i, j;

	require(t->blob_count <= PACK_BLOBS_MAX);
	for (i = 0; i < t->frame_count; i++) {
		f = &t->frames[i];
		require(f->offset == at && f->raw_size <= FRAME_RAW_MAX);
		require(f->first_blob == blobs && f->blob_count > 0);
		at += f->stored_size;
		for (j = 0, filled = 0; j < f->blob_count; j++) {
			require(blobs < t->blob_count);
			b = &t->blobs[blobs++];
			require(b->offset == filled && b->size > 0);
			filled += b->size;
		}
		require(filled == f->raw_size);
	}
	require(blobs == t->blob_count && at <= end);
}

static void
table(const uint8_t *data, size_t size)
{
	struct pack_table t, again;
	struct err err = ERR_INIT;
	uint8_t *encoded;
	uint32_t end;

	if (size < 4)
		return;
	end = be32_get(data);
	if (pack_table_decode(&t, data + 4, size - 4, end, &err) == -1)
		return;
	check(&t, end);
	require(pack_table_size(&t) == size - 4);
	require((encoded = malloc(size)) != NULL);
	pack_table_encode(encoded, &t);
	require(pack_table_decode(&again, encoded, size - 4, end, &err) == 0);
	require(again.frame_count == t.frame_count &&
		again.blob_count == t.blob_count);
	free(encoded);
	pack_table_fini(&t);
	pack_table_fini(&again);
}

/* The footer's SHA-256 made right. */
static void
sign(uint8_t *pack, size_t size, uint8_t *footer)
{
	uint64_t at = be64_get(footer + 8);
	size_t n = ENVELOPE_HEAD_BYTES;
	uint8_t *all;

	if (at > (size_t)(footer - pack))
		return;
	all = malloc(ENVELOPE_HEAD_BYTES + size);
	require(all != NULL);
	memcpy(all, pack, n);
	memcpy(all + n, pack + at, size - SHA256_DIGEST_LENGTH - at);
	n += size - SHA256_DIGEST_LENGTH - at;
	SHA256(all, n, pack + size - SHA256_DIGEST_LENGTH);
	free(all);
}

static void
whole(uint8_t *pack, size_t size)
{
	struct err err = ERR_INIT;
	uint8_t *footer = NULL;
	struct pack_table t;
	uint64_t pack_size;

	if (size >= ENVELOPE_HEAD_BYTES + PACK_FOOTER_BYTES) {
		footer = pack + size - PACK_FOOTER_BYTES;
		sign(pack, size, footer);
	}
	if (pack_read_table(&t, &pack_size, one_object(OBJECT_PACK, pack, size),
		one_object_id, &err) == -1) {
		require(
		    err.class == ERR_CORRUPT || err.class == ERR_UNSUPPORTED);
		return;
	}
	require(pack_size == size && footer != NULL);
	check(&t, be64_get(footer + 8));
	pack_table_fini(&t);
}

/* A pack around a stored table. */
static void
around(const uint8_t *data, size_t size)
{
	struct object_head head = { .type = OBJECT_PACK };
	struct pack_footer footer;
	size_t frames;
	uint8_t *pack;

	if (size < 6)
		return;
	frames = be16_get(data + 4);
	head.stored_size = head.raw_size = frames;
	memcpy(head.id, one_object_id, sizeof(head.id));
	footer.coding = data[0];
	footer.raw_size =
	    (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
	footer.stored_size = (uint32_t)size - 6;
	footer.table_offset = ENVELOPE_HEAD_BYTES + frames;
	pack = calloc(
	    1, ENVELOPE_HEAD_BYTES + frames + size - 6 + PACK_FOOTER_BYTES);
	require(pack != NULL);
	envelope_head_put(pack, &head);
	memcpy(pack + footer.table_offset, data + 6, size - 6);
	pack_footer_put(pack + footer.table_offset + size - 6, &footer);
	whole(
	    pack, ENVELOPE_HEAD_BYTES + frames + size - 6 + PACK_FOOTER_BYTES);
	free(pack);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (size < 1)
		return 0;
	if (data[0] % 3 == 1) {
		table(data + 1, size - 1);
	} else if (data[0] % 3 == 2) {
		around(data + 1, size - 1);
	} else {
		require((copy = malloc(size)) != NULL);
		memcpy(copy, data + 1, size - 1);
		whole(copy, size - 1);
		free(copy);
	}
	return 0;
}
