/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of every object, and the whole of the small ones: head, body,
 * SHA-256 over both (docs/format.md).  An object names itself, so that one
 * that took another's place is seen.
 */
#ifndef HOLDSTILL_STORE_ENVELOPE_H
#define HOLDSTILL_STORE_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "backends/backend.h"
#include "common/hexid.h"

struct err;
struct seal;

#define OBJECT_ID_BYTES 16
#define OBJECT_KEY_SIZE 96 /* Holds each key that we make. */
#define ENVELOPE_HEAD_BYTES 48
#define ENVELOPE_VERSION 1
/* Flags of the head. */
#define ENVELOPE_SEALED 0x1u
#define ENVELOPE_TO_PUBLIC 0x2u /* With the first. */

enum object_type {
	OBJECT_CONFIG = 1,
	OBJECT_INDEX = 2,
	OBJECT_MANIFEST = 3,
	OBJECT_PACK = 5,
	OBJECT_KEY_SLOT = 6,
	OBJECT_EPOCH = 7,
	OBJECT_ROLL = 8,
	OBJECT_SESSION = 9,
	OBJECT_BEAT = 10,
	OBJECT_WORD = 11,
	OBJECT_TOMBSTONE = 12,
	OBJECT_DAMAGE = 13,
};

struct object_head {
	enum object_type type;
	unsigned int flags;
	unsigned int coding; /* enum frame_coding of the body. */
	uint8_t id[OBJECT_ID_BYTES];
	uint64_t stored_size; /* Of the body, with its tag if sealed. */
	uint64_t raw_size;
};

/* "packs/0f/0f12...": the key of an object that is named by an id alone.
 * Returns out. */
char *object_key(char out[OBJECT_KEY_SIZE], enum object_type type,
    const uint8_t id[OBJECT_ID_BYTES]);
/* The folder of a type's keys, with its slash. */
const char *object_prefix(enum object_type type);
/* Reads a key back; -1 if it is none of that type. */
int object_key_parse(
    uint8_t id[OBJECT_ID_BYTES], enum object_type type, const char *key);

/*
 * The flags that an object of that type has in a repository with these keys
 * (NULL: plain), and where its body begins.  Settings and key slots are
 * never sealed.
 */
unsigned int object_flags(enum object_type type, const struct seal *seal);
size_t object_body_offset(unsigned int flags);

void envelope_head_put(
    uint8_t out[ENVELOPE_HEAD_BYTES], const struct object_head *head);
/*
 * ERR_CORRUPT: no head of that type and id (id NULL: any), or plain where it
 * has to be sealed, or the other way round.  ERR_UNSUPPORTED: a later version
 * or an unknown flag.  *out is filled as soon as in is a head at all; its id
 * is zeros before.
 */
int envelope_head_get(struct object_head *out,
    const uint8_t in[ENVELOPE_HEAD_BYTES], const struct seal *seal,
    enum object_type type, const uint8_t *id, struct err *err);

/*
 * After an ERR_CORRUPT: if the head bears another id than that of the key,
 * says in err whether the object was copied there or renamed.  Returns -1.
 */
int envelope_misnamed(struct backend *b, const struct object_head *head,
    const uint8_t *id, struct err *err);

/* What is to be said of a seal that does not fit, of bytes whose checksum
 * does: another class than ERR_CORRUPT stays as it is.  Returns -1. */
int envelope_tampered(struct err *err);

/*
 * Wraps body and puts it under key; compress: where that shrinks it.  seal:
 * the repository's keys, NULL where it is plain.
 */
int envelope_put(struct backend *b, const struct seal *seal, const char *key,
    enum object_type type, const uint8_t id[OBJECT_ID_BYTES], const void *body,
    size_t size, bool compress, struct err *err);

/*
 * Reads and checks a whole object; *out (malloc, caller frees) has one NUL
 * behind its *out_size bytes.  A body over body_max is ERR_CORRUPT.  id_out,
 * if not NULL, is filled and no id is demanded then.
 */
int envelope_get(struct backend *b, const struct seal *seal, const char *key,
    enum object_type type, const uint8_t *id, uint8_t *id_out, size_t body_max,
    char **out, size_t *out_size, struct err *err);

#endif
