/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of objects; small objects sealed and opened. */
#include "store/envelope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ckd.h"
#include "common/endian.h"
#include "common/err.h"
#include "store/digest.h"
#include "store/frame.h"

static const char magic[8] = { 'H', 'O', 'L', 'D', 'S', 'T', 'I', 'L' };

const char *
object_prefix(enum object_type type)
{
	switch (type) {
	case OBJECT_INDEX:
		return "index/";
	case OBJECT_MANIFEST:
	case OBJECT_TOMBSTONE:
		return "points/";
	case OBJECT_EPOCH:
		return "epochs/";
	case OBJECT_ROLL:
		return "rolls/";
	case OBJECT_SESSION:
		return "sessions/";
	case OBJECT_BEAT:
		return "beats/";
	case OBJECT_WORD:
		return "forgotten/";
	case OBJECT_PACK:
		return "packs/";
	case OBJECT_KEY_SLOT:
		return "keys/";
	case OBJECT_DAMAGE:
		return "damage/";
	case OBJECT_CONFIG:
		break;
	}
	return "config";
}

char *
object_key(char out[OBJECT_KEY_SIZE], enum object_type type,
    const uint8_t id[OBJECT_ID_BYTES])
{
	char hex[HEXID_SIZE];

	hex_encode(hex, id, OBJECT_ID_BYTES);
	if (type == OBJECT_CONFIG)
		snprintf(out, OBJECT_KEY_SIZE, "config");
	else if (type == OBJECT_PACK)
		snprintf(out, OBJECT_KEY_SIZE, "packs/%.2s/%s", hex, hex);
	else
		snprintf(
		    out, OBJECT_KEY_SIZE, "%s%s", object_prefix(type), hex);
	return out;
}

int
object_key_parse(
    uint8_t id[OBJECT_ID_BYTES], enum object_type type, const char *key)
{
	char again[OBJECT_KEY_SIZE];
	const char *hex = strrchr(key, '/');

	if (hex == NULL || !hexid_valid(hex + 1) ||
	    hex_decode(id, OBJECT_ID_BYTES, hex + 1) == -1)
		return -1;
	return strcmp(object_key(again, type, id), key) == 0 ? 0 : -1;
}

void
envelope_head_put(
    uint8_t out[ENVELOPE_HEAD_BYTES], const struct object_head *head)
{
	memset(out, 0, ENVELOPE_HEAD_BYTES);
	memcpy(out, magic, sizeof(magic));
	out[8] = (uint8_t)head->type;
	out[9] = ENVELOPE_VERSION;
	out[12] = (uint8_t)head->coding;
	memcpy(out + 16, head->id, OBJECT_ID_BYTES);
	be64_put(out + 32, head->stored_size);
	be64_put(out + 40, head->raw_size);
}

int
envelope_head_get(struct object_head *out,
    const uint8_t in[ENVELOPE_HEAD_BYTES], enum object_type type,
    const uint8_t *id, struct err *err)
{
	if (memcmp(in, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_CORRUPT,
		    "it does not begin like a "
		    "holdstill object");
	if (in[8] != type)
		return err_set(err, ERR_CORRUPT,
		    "it is of type %u instead of "
		    "%u",
		    in[8], (unsigned int)type);
	if (in[9] != ENVELOPE_VERSION || be16_get(in + 10) != 0) {
		err_set(err, ERR_UNSUPPORTED,
		    "it was made by a later program: format version %u, "
		    "flags %#x",
		    in[9], be16_get(in + 10));
		return err_hint(err, "use a newer holdstill");
	}
	if (id != NULL && memcmp(in + 16, id, OBJECT_ID_BYTES) != 0)
		return err_set(err, ERR_CORRUPT,
		    "it bears another object's "
		    "name");
	out->type = type;
	out->coding = in[12];
	memcpy(out->id, in + 16, OBJECT_ID_BYTES);
	out->stored_size = be64_get(in + 32);
	out->raw_size = be64_get(in + 40);
	return 0;
}

/* Fills the space behind the head; returns the stored size. */
static size_t
fill_body(uint8_t *out, const void *body, size_t size, bool compress,
    unsigned int *coding)
{
	struct frame_codec *codec = compress ? frame_codec_new() : NULL;
	size_t stored = size;

	*coding = FRAME_RAW;
	if (codec != NULL)
		*coding = frame_compress(codec, out, &stored, body, size);
	if (*coding == FRAME_RAW) {
		memcpy(out, body, size);
		stored = size;
	}
	frame_codec_free(codec);
	return stored;
}

int
envelope_put(struct backend *b, const char *key, enum object_type type,
    const uint8_t id[OBJECT_ID_BYTES], const void *body, size_t size,
    bool compress, struct err *err)
{
	struct object_head head = { .type = type, .raw_size = size };
	uint8_t *object;
	size_t used;
	int rc = -1;

	object = malloc(ENVELOPE_HEAD_BYTES + size + DIGEST_BYTES);
	if (object == NULL)
		return err_no_memory(err);
	memcpy(head.id, id, OBJECT_ID_BYTES);
	head.stored_size = fill_body(
	    object + ENVELOPE_HEAD_BYTES, body, size, compress, &head.coding);
	envelope_head_put(object, &head);
	used = ENVELOPE_HEAD_BYTES + (size_t)head.stored_size;
	if (digest_once(object + used, object, used, err) == 0)
		rc = backend_put(b, key, object, used + DIGEST_BYTES, err);
	free(object);
	return rc;
}

/* Checksum first: only of whole objects is anything believed. */
static int
check_whole(struct object_head *head, const uint8_t *object, size_t size,
    enum object_type type, const uint8_t *id, struct err *err)
{
	uint8_t hash[DIGEST_BYTES];
	size_t used;

	if (size < ENVELOPE_HEAD_BYTES + DIGEST_BYTES)
		return err_set(err, ERR_CORRUPT, "it is too short");
	used = size - DIGEST_BYTES;
	if (digest_once(hash, object, used, err) == -1)
		return -1;
	if (memcmp(hash, object + used, DIGEST_BYTES) != 0)
		return err_set(err, ERR_CORRUPT, "its checksum is wrong");
	if (envelope_head_get(head, object, type, id, err) == -1)
		return -1;
	if (head->stored_size != used - ENVELOPE_HEAD_BYTES)
		return err_set(err, ERR_CORRUPT, "its length is wrong");
	return 0;
}

static int
open_body(char **out, size_t *out_size, const struct object_head *head,
    const uint8_t *body, size_t body_max, struct err *err)
{
	struct frame_codec *codec;
	char *raw;
	int rc;

	if (head->raw_size > body_max)
		return err_set(err, ERR_CORRUPT, "its content is too large");
	raw = malloc((size_t)head->raw_size + 1);
	if (raw == NULL || (codec = frame_codec_new()) == NULL) {
		free(raw);
		return err_no_memory(err);
	}
	rc = frame_decompress(codec, head->coding, raw, (size_t)head->raw_size,
	    body, (size_t)head->stored_size, err);
	frame_codec_free(codec);
	if (rc == -1) {
		free(raw);
		return -1;
	}
	raw[head->raw_size] = '\0';
	*out = raw;
	*out_size = (size_t)head->raw_size;
	return 0;
}

int
envelope_get(struct backend *b, const char *key, enum object_type type,
    const uint8_t *id, uint8_t *id_out, size_t body_max, char **out,
    size_t *out_size, struct err *err)
{
	struct object_head head;
	void *object;
	size_t size;
	int rc = -1;

	if (backend_get_all(b, key, body_max + 4096, &object, &size, err) == -1)
		return -1;
	if (check_whole(&head, object, size, type, id, err) == 0 &&
	    open_body(out, out_size, &head,
		(uint8_t *)object + ENVELOPE_HEAD_BYTES, body_max, err) == 0)
		rc = 0;
	free(object);
	if (rc == -1)
		return err_prefix(err, "object '%s'", key);
	if (id_out != NULL)
		memcpy(id_out, head.id, OBJECT_ID_BYTES);
	return 0;
}
