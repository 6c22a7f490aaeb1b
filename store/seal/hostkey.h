/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host of a repository of mode public has: keys that add points and
 * read nothing (docs/seal.md).  Plain values; whoever holds one wipes it.
 */
#ifndef HOLDSTILL_STORE_SEAL_HOSTKEY_H
#define HOLDSTILL_STORE_SEAL_HOSTKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/seal/seal.h"

/* Holds each host key as text. */
#define HOSTKEY_TEXT_SIZE 1024

struct hostkey {
	uint8_t repository[SEAL_ID_BYTES];
	uint8_t host[SEAL_ID_BYTES];
	enum aead_cipher cipher;
	uint8_t x25519[SEAL_KEY_BYTES];  /* Public. */
	uint8_t ed25519[SEAL_KEY_BYTES]; /* Public. */
	uint8_t names[SEAL_KEY_BYTES];
	bool has_chain;                /* False once the host works with it. */
	uint8_t chain[SEAL_KEY_BYTES]; /* The host's first chain key. */
};

/* A new host's, with a random id.  ERR_ARG: the repository is of another
 * mode; ERR_AUTH: s has no master key. */
int hostkey_make(struct hostkey *out, const struct seal *s, struct err *err);
void hostkey_wipe(struct hostkey *key);

/* Does it begin like a host key? */
bool hostkey_is_one(const char *text);
/* Returns the text's length. */
int hostkey_print(
    char out[HOSTKEY_TEXT_SIZE], const struct hostkey *key, struct err *err);
/* text ends with a NUL.  ERR_CORRUPT: it was changed or is none. */
int hostkey_parse(struct hostkey *out, const char *text, struct err *err);

/* From a file that nobody else may read; see keyfile.h. */
int hostkey_read(struct hostkey *out, const char *path, struct err *err);
/* A new file, mode 0600; one that is there is ERR_EXISTS and stays. */
int hostkey_write_new(
    const char *path, const struct hostkey *key, struct err *err);
/* Replaces the file durably, with mode 0600. */
int hostkey_write(const char *path, const struct hostkey *key, struct err *err);

#endif
