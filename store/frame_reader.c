/* SPDX-License-Identifier: Apache-2.0 */
/* Frames from packs: read, decompressed, their blobs checked. */
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "store/store_internal.h"
#include "store/unseal.h"

struct frame_reader {
	struct store *store;
	struct frame_codec *codec;
	struct digest *digest;
	struct unseal *unseal; /* NULL: the repository is plain. */
	uint8_t *stored;       /* A frame, with its tag. */
};

int
frame_reader_new(struct frame_reader **out, struct store *s, struct err *err)
{
	struct frame_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return err_no_memory(err);
	r->store = s;
	r->codec = frame_codec_new();
	r->stored = malloc(FRAME_RAW_MAX + AEAD_TAG_BYTES);
	if (r->codec == NULL || r->stored == NULL) {
		frame_reader_free(r);
		return err_no_memory(err);
	}
	if (digest_new(&r->digest, s->seal, err) == -1 ||
	    unseal_new(&r->unseal, s, err) == -1) {
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
	unseal_free(r->unseal);
	free(r->stored);
	free(r);
}

/* From in, where the frame was read to, into out. */
static int
open_frame(struct frame_reader *r, uint8_t *out, uint8_t *in,
    const struct blob_place *place, struct err *err)
{
	uint8_t *stored = place->coding == FRAME_RAW ? out : in;
	uint32_t size = place->stored_size;

	if (r->unseal != NULL) {
		if (unseal_frame(r->unseal, stored, place->pack,
			place->frame_offset, in, size, err) == -1)
			return -1;
		size -= AEAD_TAG_BYTES;
	}
	if (place->coding == FRAME_RAW)
		return 0;
	return frame_decompress(
	    r->codec, place->coding, out, place->raw_size, stored, size, err);
}

int
frame_reader_fetch(struct frame_reader *r, uint8_t *out,
    const struct blob_place *place, struct err *err)
{
	const uint32_t tag = r->unseal == NULL ? 0 : AEAD_TAG_BYTES;
	uint8_t *in = r->stored;
	char key[OBJECT_KEY_SIZE];

	if (place->coding == FRAME_RAW && r->unseal == NULL)
		in = out;
	object_key(key, OBJECT_PACK, place->pack);
	if (place->stored_size < tag ||
	    (place->coding == FRAME_RAW &&
		place->stored_size - tag != place->raw_size))
		return err_set(err, ERR_CORRUPT,
		    "object '%s': frame at %u has "
		    "a wrong size",
		    key, place->frame_offset);
	if (backend_get(r->store->backend, key, place->frame_offset, in,
		place->stored_size, err) == -1)
		return -1;
	if (open_frame(r, out, in, place, err) == -1)
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
