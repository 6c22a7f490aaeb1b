/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of every object, and the whole of the small ones: head, body,
 * SHA-256 over both (docs/format.md).  An object names itself, so that one
 * that took another's place is seen.
 */
#ifndef HOLDSTILL_STORE_ENVELOPE_H
#define HOLDSTILL_STORE_ENVELOPE_H

#include <stdbool.h>
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
#define ENVELOPE_SIGNED 0x4u    /* Not sealed; its owner's signature. */
#define ENVELOPE_MARKED 0x8u    /* With the first two: a host's mark. */

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
 * never sealed.  In mode public hosts read what prunes and they tell one
 * another: what only the owner may say is signed, what hosts say is plain.
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

/* Who makes and checks the marks of manifests (store/seal/chain.h). */
struct envelope_marks {
	void *arg;
	/* out has CHAIN_MARK_BYTES. */
	int (*make)(void *arg, uint8_t *out, const void *object, size_t size,
	    struct err *err);
	/* The object's last CHAIN_MARK_BYTES are its mark. */
	int (*check)(
	    void *arg, const void *object, size_t size, struct err *err);
};

/* What is wrapped. */
struct envelope_body {
	const void *bytes;
	size_t size;
	bool compress; /* Where that shrinks it. */
};

/*
 * The bytes of an object (malloc, caller frees).  seal: the repository's
 * keys, NULL where it is plain.  marks: of an object that bears a mark.
 */
int envelope_make(uint8_t **out, size_t *out_size, const struct seal *seal,
    const struct envelope_marks *marks, const char *key, enum object_type type,
    const uint8_t id[OBJECT_ID_BYTES], const struct envelope_body *body,
    struct err *err);

/* Makes an object without a mark and puts it under key. */
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

/* The same of an object that bears a mark, which is checked. */
int envelope_get_marked(struct backend *b, const struct seal *seal,
    const struct envelope_marks *marks, const char *key, enum object_type type,
    const uint8_t *id, size_t body_max, char **out, size_t *out_size,
    struct err *err);

/*
 * Without a key: is it a whole object of that type and id?  hash, 32 bytes,
 * is the one at its end.
 */
int envelope_look(struct backend *b, const struct seal *seal, const char *key,
    enum object_type type, const uint8_t *id, size_t body_max, uint8_t *hash,
    struct err *err);

#endif
