/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of an open repository (docs/seal.md): either all of them, out of
 * the master key, or those that a host has that may only add.  They lie in
 * locked memory and are wiped by seal_free().  A struct seal never changes,
 * so any number of threads may use one.  NULL is a repository of mode none.
 */
#ifndef HOLDSTILL_STORE_SEAL_SEAL_H
#define HOLDSTILL_STORE_SEAL_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/seal/aead.h"

#define SEAL_KEY_BYTES 32
#define SEAL_ID_BYTES 16
/* Behind the head of a sealed object; in mode public a public key. */
#define SEAL_SALT_BYTES 32
#define SEAL_SIGNATURE_BYTES 64

struct err;
struct hostkey;
struct mac;
struct seal;

enum seal_mode { SEAL_NONE, SEAL_SECRET, SEAL_PUBLIC };

/* Holds each text of `compression`. */
#define SEAL_TEXT_SIZE 16

/* What `config` says.  check covers the other members. */
struct seal_settings {
	enum seal_mode mode;
	enum aead_cipher cipher;
	uint8_t repository[SEAL_ID_BYTES];
	uint32_t block_bytes;
	char compression[SEAL_TEXT_SIZE];
	uint32_t undelete_days;
	uint8_t check[SEAL_KEY_BYTES];
};

/* "none", "secret", "public". */
const char *seal_mode_name(enum seal_mode mode);
/* For people, as `init --encrypt` says it. */
const char *seal_mode_words(enum seal_mode mode);
/* -1: no such mode. */
int seal_mode_parse(enum seal_mode *out, const char *name);

/* Fills settings->check from the master key and the other members. */
int seal_settings_sign(struct seal_settings *settings,
    const uint8_t master[SEAL_KEY_BYTES], struct err *err);

/*
 * All keys.  The master key is copied; the caller wipes its own.
 * ERR_CORRUPT: the settings are not those that the key's owner made.
 * ERR_AUTH: the settings say none, though there is a key.
 */
int seal_open_master(struct seal **out, const struct seal_settings *settings,
    const uint8_t master[SEAL_KEY_BYTES], struct err *err);

/*
 * The keys of a host.  The chain's is not among them.  ERR_AUTH: the key is
 * of another repository or the settings say another mode or cipher.
 */
int seal_open_host(struct seal **out, const struct seal_settings *settings,
    const struct hostkey *key, struct err *err);

void seal_free(struct seal *s); /* NULL is allowed. */

enum seal_mode seal_mode(const struct seal *s);
enum aead_cipher seal_cipher(const struct seal *s);
const uint8_t *seal_repository(const struct seal *s);
/* Has it the master key: may it open what is sealed? */
bool seal_can_open(const struct seal *s);

/* For a new slot of the same key.  ERR_AUTH without it. */
int seal_copy_master(
    const struct seal *s, uint8_t out[SEAL_KEY_BYTES], struct err *err);

/*
 * A MAC that turns the SHA-256 of a blob into its name; one for each thread.
 * The caller frees it.
 */
int seal_namer(struct mac **out, const struct seal *s, struct err *err);

/* ---- keys of objects; store/seal/box.h is what callers want ---- */

/* A new object's salt and key.  type is enum object_type. */
int seal_object_make(const struct seal *s, uint8_t key[SEAL_KEY_BYTES],
    uint8_t salt[SEAL_SALT_BYTES], unsigned int type,
    const uint8_t id[SEAL_ID_BYTES], struct err *err);
/* The key of a stored object.  ERR_AUTH: only a host's keys are there. */
int seal_object_open(const struct seal *s, uint8_t key[SEAL_KEY_BYTES],
    const uint8_t salt[SEAL_SALT_BYTES], unsigned int type,
    const uint8_t id[SEAL_ID_BYTES], struct err *err);

/* ---- mode public: what only the master key's owner may say ---- */

/* ERR_AUTH without the master key, ERR_BUG in another mode. */
int seal_sign(const struct seal *s, uint8_t out[SEAL_SIGNATURE_BYTES],
    const void *buf, size_t size, struct err *err);
/* By hosts, too.  ERR_CORRUPT: not the owner's. */
int seal_verify(const struct seal *s,
    const uint8_t signature[SEAL_SIGNATURE_BYTES], const void *buf, size_t size,
    struct err *err);

/* All that a host gets, but its id, for hostkey_make(): needs the master key
 * and mode public.  key->host is read. */
int seal_fill_host(const struct seal *s, struct hostkey *key, struct err *err);
/* A host's first chain key.  ERR_AUTH without the master key. */
int seal_chain_start(const struct seal *s, uint8_t out[SEAL_KEY_BYTES],
    const uint8_t host[SEAL_ID_BYTES], struct err *err);

#endif
