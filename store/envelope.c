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
#include "store/seal/box.h"
#include "store/seal/chain.h"

#define FLAGS_KNOWN \
	(ENVELOPE_SEALED | ENVELOPE_TO_PUBLIC | ENVELOPE_SIGNED | \
	    ENVELOPE_MARKED)
#define TRAILER_MAX SEAL_SIGNATURE_BYTES

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

static unsigned int
public_flags(enum object_type type)
{
	switch (type) {
	case OBJECT_SESSION:
	case OBJECT_BEAT:
	case OBJECT_TOMBSTONE:
		return 0;
	case OBJECT_EPOCH:
	case OBJECT_ROLL:
	case OBJECT_WORD:
	case OBJECT_DAMAGE:
		return ENVELOPE_SIGNED;
	case OBJECT_MANIFEST:
		return ENVELOPE_SEALED | ENVELOPE_TO_PUBLIC | ENVELOPE_MARKED;
	default:
		return ENVELOPE_SEALED | ENVELOPE_TO_PUBLIC;
	}
}

unsigned int
object_flags(enum object_type type, const struct seal *seal)
{
	if (type == OBJECT_CONFIG || type == OBJECT_KEY_SLOT)
		return 0;
	switch (seal_mode(seal)) {
	case SEAL_SECRET:
		return ENVELOPE_SEALED;
	case SEAL_PUBLIC:
		return public_flags(type);
	case SEAL_NONE:
		break;
	}
	return 0;
}

size_t
object_body_offset(unsigned int flags)
{
	return ENVELOPE_HEAD_BYTES +
	       ((flags & ENVELOPE_SEALED) != 0 ? SEAL_SALT_BYTES : 0);
}

void
envelope_head_put(
    uint8_t out[ENVELOPE_HEAD_BYTES], const struct object_head *head)
{
	memset(out, 0, ENVELOPE_HEAD_BYTES);
	memcpy(out, magic, sizeof(magic));
	out[8] = (uint8_t)head->type;
	out[9] = ENVELOPE_VERSION;
	be16_put(out + 10, (uint16_t)head->flags);
	out[12] = (uint8_t)head->coding;
	memcpy(out + 16, head->id, OBJECT_ID_BYTES);
	be64_put(out + 32, head->stored_size);
	be64_put(out + 40, head->raw_size);
}

static int
check_flags(
    const struct object_head *head, const struct seal *seal, struct err *err)
{
	const unsigned int right = object_flags(head->type, seal);

	if (head->flags == right)
		return 0;
	if ((right & ENVELOPE_SIGNED) != 0)
		return err_set(err, ERR_CORRUPT,
		    "it is not signed, though only the repository's owner may "
		    "make such an object: somebody else has put it there");
	if (head->flags == 0)
		return err_set(err, ERR_CORRUPT,
		    "it is not sealed, though the repository is encrypted: "
		    "somebody without its key has put it there");
	return err_set(err, ERR_CORRUPT,
	    "it is sealed in another way than the repository's settings say");
}

int
envelope_head_get(struct object_head *out,
    const uint8_t in[ENVELOPE_HEAD_BYTES], const struct seal *seal,
    enum object_type type, const uint8_t *id, struct err *err)
{
	*out = (struct object_head){ .type = type };
	if (memcmp(in, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_CORRUPT,
		    "it does not begin like a "
		    "holdstill object");
	if (in[8] != type)
		return err_set(err, ERR_CORRUPT,
		    "it is of type %u instead of "
		    "%u",
		    in[8], (unsigned int)type);
	out->flags = be16_get(in + 10);
	if (in[9] != ENVELOPE_VERSION || (out->flags & ~FLAGS_KNOWN) != 0) {
		err_set(err, ERR_UNSUPPORTED,
		    "it was made by a later program: format version %u, "
		    "flags %#x",
		    in[9], out->flags);
		return err_hint(err, "use a newer holdstill");
	}
	memcpy(out->id, in + 16, OBJECT_ID_BYTES);
	if (id != NULL && memcmp(out->id, id, OBJECT_ID_BYTES) != 0)
		return err_set(err, ERR_CORRUPT,
		    "it bears another object's "
		    "name");
	out->coding = in[12];
	out->stored_size = be64_get(in + 32);
	out->raw_size = be64_get(in + 40);
	return check_flags(out, seal, err);
}

int
envelope_misnamed(struct backend *b, const struct object_head *head,
    const uint8_t *id, struct err *err)
{
	static const uint8_t none[OBJECT_ID_BYTES];
	struct err ignored = ERR_INIT;
	char key[OBJECT_KEY_SIZE];
	uint64_t size;

	if (id == NULL || memcmp(head->id, id, sizeof(none)) == 0 ||
	    memcmp(head->id, none, sizeof(none)) == 0)
		return -1;
	object_key(key, head->type, head->id);
	if (backend_stat(b, key, &size, &ignored) == 0)
		return err_set(err, ERR_CORRUPT,
		    "it bears another object's name: it is a copy of '%s', "
		    "replayed under a new name",
		    key);
	return err_set(err, ERR_CORRUPT,
	    "it bears another object's name: it is '%s', renamed", key);
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

/* Seals the body of an object whose head is there already. */
static int
seal_body(uint8_t *object, size_t plain_size, const struct seal *seal,
    const char *key, const struct object_head *head, struct err *err)
{
	const size_t at = object_body_offset(head->flags);
	struct box *box;
	int rc = -1;

	if (box_new(&box, seal, err) == -1)
		return -1;
	if (box_make(box, key, head->type, head->id,
		object + ENVELOPE_HEAD_BYTES, err) == 0)
		rc = box_put(box, object + at, at, object, ENVELOPE_HEAD_BYTES,
		    object + at, plain_size, err);
	box_free(box);
	return rc;
}

/* Between the body and the hash. */
static size_t
trailer_size(unsigned int flags)
{
	if ((flags & ENVELOPE_SIGNED) != 0)
		return SEAL_SIGNATURE_BYTES;
	return (flags & ENVELOPE_MARKED) != 0 ? CHAIN_MARK_BYTES : 0;
}

/* What is signed: the object's key in the repository, a zero, the object. */
static int
signed_text(uint8_t **out, size_t *out_size, const char *key,
    const uint8_t *object, size_t size, struct err *err)
{
	size_t name = strlen(key) + 1;

	if ((*out = malloc(name + size)) == NULL)
		return err_no_memory(err);
	memcpy(*out, key, name);
	memcpy(*out + name, object, size);
	*out_size = name + size;
	return 0;
}

static int
put_trailer(uint8_t *object, size_t used, const struct seal *seal,
    const struct envelope_marks *marks, const char *key,
    const struct object_head *head, struct err *err)
{
	uint8_t *text;
	size_t size;
	int rc;

	if ((head->flags & ENVELOPE_MARKED) != 0)
		return marks == NULL
			   ? err_set(err, ERR_BUG, "nobody makes its mark")
			   : marks->make(
				 marks->arg, object + used, object, used, err);
	if ((head->flags & ENVELOPE_SIGNED) == 0)
		return 0;
	if (signed_text(&text, &size, key, object, used, err) == -1)
		return -1;
	rc = seal_sign(seal, object + used, text, size, err);
	free(text);
	return rc;
}

int
envelope_make(uint8_t **out, size_t *out_size, const struct seal *seal,
    const struct envelope_marks *marks, const char *key, enum object_type type,
    const uint8_t id[OBJECT_ID_BYTES], const struct envelope_body *body,
    struct err *err)
{
	struct object_head head = { .type = type, .raw_size = body->size };
	size_t at, used, stored;
	uint8_t *object;
	bool sealed;

	head.flags = object_flags(type, seal);
	sealed = (head.flags & ENVELOPE_SEALED) != 0;
	at = object_body_offset(head.flags);
	object = malloc(
	    at + body->size + AEAD_TAG_BYTES + TRAILER_MAX + DIGEST_BYTES);
	if (object == NULL)
		return err_no_memory(err);
	memcpy(head.id, id, OBJECT_ID_BYTES);
	stored = fill_body(
	    object + at, body->bytes, body->size, body->compress, &head.coding);
	head.stored_size = stored + (sealed ? AEAD_TAG_BYTES : 0);
	envelope_head_put(object, &head);
	used = at + (size_t)head.stored_size;
	if ((sealed &&
		seal_body(object, stored, seal, key, &head, err) == -1) ||
	    put_trailer(object, used, seal, marks, key, &head, err) == -1)
		goto fail;
	used += trailer_size(head.flags);
	if (digest_once(object + used, object, used, err) == -1)
		goto fail;
	*out = object;
	*out_size = used + DIGEST_BYTES;
	return 0;
fail:
	free(object);
	return -1;
}

int
envelope_put(struct backend *b, const struct seal *seal, const char *key,
    enum object_type type, const uint8_t id[OBJECT_ID_BYTES], const void *body,
    size_t size, bool compress, struct err *err)
{
	const struct envelope_body whole = { body, size, compress };
	size_t object_size;
	uint8_t *object;
	int rc;

	if (envelope_make(&object, &object_size, seal, NULL, key, type, id,
		&whole, err) == -1)
		return -1;
	rc = backend_put(b, key, object, object_size, err);
	free(object);
	return rc;
}

/* Checksum first: only of whole objects is anything believed. */
static int
check_whole(struct object_head *head, const uint8_t *object, size_t size,
    const struct seal *seal, enum object_type type, const uint8_t *id,
    struct err *err)
{
	uint8_t hash[DIGEST_BYTES];
	size_t used, at;

	if (size < ENVELOPE_HEAD_BYTES + DIGEST_BYTES)
		return err_set(err, ERR_CORRUPT, "it is too short");
	used = size - DIGEST_BYTES;
	if (digest_once(hash, object, used, err) == -1)
		return -1;
	if (memcmp(hash, object + used, DIGEST_BYTES) != 0)
		return err_set(err, ERR_CORRUPT, "its checksum is wrong");
	if (envelope_head_get(head, object, seal, type, id, err) == -1)
		return -1;
	at = object_body_offset(head->flags) + trailer_size(head->flags);
	if (used < at || head->stored_size != used - at)
		return err_set(err, ERR_CORRUPT, "its length is wrong");
	return 0;
}

/* The trailer of a whole object of that size. */
static int
check_trailer(const uint8_t *object, size_t size, const struct seal *seal,
    const struct envelope_marks *marks, const char *key,
    const struct object_head *head, struct err *err)
{
	size_t used = size - DIGEST_BYTES, text_size;
	uint8_t *text;
	int rc;

	if ((head->flags & ENVELOPE_MARKED) != 0)
		return marks == NULL
			   ? err_set(err, ERR_BUG, "nobody checks its mark")
			   : marks->check(marks->arg, object, used, err);
	if ((head->flags & ENVELOPE_SIGNED) == 0)
		return 0;
	used -= SEAL_SIGNATURE_BYTES;
	if (signed_text(&text, &text_size, key, object, used, err) == -1)
		return -1;
	rc = seal_verify(seal, object + used, text, text_size, err);
	free(text);
	return rc;
}

int
envelope_tampered(struct err *err)
{
	if (err->class != ERR_CORRUPT)
		return -1;
	return err_set(err, ERR_CORRUPT,
	    "it was tampered with: its checksum fits, its seal does not");
}

/* Opens the body where it lies; head->stored_size is without the tag then. */
static int
unseal_body(uint8_t *object, struct object_head *head, const struct seal *seal,
    const char *key, struct err *err)
{
	const size_t at = object_body_offset(head->flags);
	struct box *box;
	int rc = -1;

	if (box_new(&box, seal, err) == -1)
		return -1;
	if (box_open(box, key, head->type, head->id,
		object + ENVELOPE_HEAD_BYTES, err) == 0 &&
	    (rc = box_get(box, object + at, at, object, ENVELOPE_HEAD_BYTES,
		 object + at, (size_t)head->stored_size, err)) == -1)
		envelope_tampered(err);
	box_free(box);
	head->stored_size -= rc == 0 ? AEAD_TAG_BYTES : 0;
	return rc;
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

static int
get(struct backend *b, const struct seal *seal,
    const struct envelope_marks *marks, const char *key, enum object_type type,
    const uint8_t *id, uint8_t *id_out, size_t body_max, char **out,
    size_t *out_size, struct err *err)
{
	struct object_head head = { .type = type };
	uint8_t *object;
	void *bytes;
	size_t size;
	int rc = -1;

	if (backend_get_all(b, key, body_max + 4096, &bytes, &size, err) == -1)
		return -1;
	object = bytes;
	if (check_whole(&head, object, size, seal, type, id, err) == -1)
		envelope_misnamed(b, &head, id, err);
	else if (check_trailer(object, size, seal, marks, key, &head, err) ==
		     0 &&
		 ((head.flags & ENVELOPE_SEALED) == 0 ||
		     unseal_body(object, &head, seal, key, err) == 0))
		rc = open_body(out, out_size, &head,
		    object + object_body_offset(head.flags), body_max, err);
	free(object);
	if (rc == -1)
		return err_prefix(err, "object '%s'", key);
	if (id_out != NULL)
		memcpy(id_out, head.id, OBJECT_ID_BYTES);
	return 0;
}

int
envelope_get(struct backend *b, const struct seal *seal, const char *key,
    enum object_type type, const uint8_t *id, uint8_t *id_out, size_t body_max,
    char **out, size_t *out_size, struct err *err)
{
	return get(
	    b, seal, NULL, key, type, id, id_out, body_max, out, out_size, err);
}

int
envelope_get_marked(struct backend *b, const struct seal *seal,
    const struct envelope_marks *marks, const char *key, enum object_type type,
    const uint8_t *id, size_t body_max, char **out, size_t *out_size,
    struct err *err)
{
	return get(
	    b, seal, marks, key, type, id, NULL, body_max, out, out_size, err);
}

int
envelope_look(struct backend *b, const struct seal *seal, const char *key,
    enum object_type type, const uint8_t *id, size_t body_max, uint8_t *hash,
    struct err *err)
{
	struct object_head head = { .type = type };
	void *object;
	size_t size;
	int rc;

	if (backend_get_all(b, key, body_max + 4096, &object, &size, err) == -1)
		return -1;
	rc = check_whole(&head, object, size, seal, type, id, err);
	if (rc == -1)
		envelope_misnamed(b, &head, id, err);
	else
		memcpy(hash, (uint8_t *)object + size - DIGEST_BYTES,
		    DIGEST_BYTES);
	free(object);
	return rc == -1 ? err_prefix(err, "object '%s'", key) : 0;
}
