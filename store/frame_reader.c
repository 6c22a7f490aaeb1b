/* SPDX-License-Identifier: Apache-2.0 */
/* Frames from packs: read, decompressed, their blobs checked. */
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "store/store_internal.h"

struct frame_reader {
	struct store *store;
	struct frame_codec *codec;
	struct digest *digest;
	uint8_t *stored; /* FRAME_RAW_MAX bytes. */
};

int
frame_reader_new(struct frame_reader **out, struct store *s, struct err *err)
{
	struct frame_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return err_no_memory(err);
	r->store = s;
	r->codec = frame_codec_new();
	r->stored = malloc(FRAME_RAW_MAX);
	if (r->codec == NULL || r->stored == NULL) {
		frame_reader_free(r);
		return err_no_memory(err);
	}
	if (digest_new(&r->digest, err) == -1) {
		frame_reader_free(r);
		return -1;
	}
	*out = r;
	return 0;
}

void
frame_reader_free(struct frame_reader *r)
{
	if (r == NULL)
		return;
	frame_codec_free(r->codec);
	digest_free(r->digest);
	free(r->stored);
	free(r);
}

int
frame_reader_fetch(struct frame_reader *r, uint8_t *out,
    const struct blob_place *place, struct err *err)
{
	uint8_t *stored = place->coding == FRAME_RAW ? out : r->stored;
	char key[OBJECT_KEY_SIZE];

	object_key(key, OBJECT_PACK, place->pack);
	if (place->coding == FRAME_RAW && place->stored_size != place->raw_size)
		return err_set(err, ERR_CORRUPT,
		    "object '%s': frame at %u has "
		    "a wrong size",
		    key, place->frame_offset);
	if (backend_get(r->store->backend, key, place->frame_offset, stored,
		place->stored_size, err) == -1)
		return -1;
	if (place->coding != FRAME_RAW &&
	    frame_decompress(r->codec, place->coding, out, place->raw_size,
		stored, place->stored_size, err) == -1)
		return err_prefix(
		    err, "object '%s': frame at %u", key, place->frame_offset);
	return 0;
}

int
frame_reader_check(struct frame_reader *r, const uint8_t *blob, size_t size,
    const uint8_t hash[DIGEST_BYTES], const struct blob_place *place,
    struct err *err)
{
	uint8_t found[DIGEST_BYTES];
	char key[OBJECT_KEY_SIZE];

	if (digest_of(r->digest, found, blob, size, err) == -1)
		return -1;
	if (memcmp(found, hash, sizeof(found)) == 0)
		return 0;
	return err_set(err, ERR_CORRUPT,
	    "object '%s': frame at %u does not "
	    "hold what its table says",
	    object_key(key, OBJECT_PACK, place->pack), place->frame_offset);
}
