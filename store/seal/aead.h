/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-256-GCM and ChaCha20-Poly1305 with 32-byte keys.  A context is reused
 * for many keys and messages and belongs to one thread at a time.
 *
 * The nonce is 4 zero bytes and the message's offset in its object, so a key
 * is for one object only and each offset for one message (docs/seal.md).
 */
#ifndef HOLDSTILL_STORE_SEAL_AEAD_H
#define HOLDSTILL_STORE_SEAL_AEAD_H

#include <stddef.h>
#include <stdint.h>

#define AEAD_KEY_BYTES 32
#define AEAD_TAG_BYTES 16

struct err;
struct aead;

enum aead_cipher { AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305 };

/* "aes-256-gcm", "chacha20-poly1305", as stored. */
const char *aead_cipher_name(enum aead_cipher cipher);
/* -1: no such cipher. */
int aead_cipher_parse(enum aead_cipher *out, const char *name);

/* ERR_UNSUPPORTED if the crypto library lacks the cipher. */
int aead_new(struct aead **out, enum aead_cipher cipher, struct err *err);
void aead_free(struct aead *a); /* NULL is allowed.  Wipes the key. */

/* The key of all that follows; copied. */
int aead_set_key(
    struct aead *a, const uint8_t key[AEAD_KEY_BYTES], struct err *err);

/*
 * Writes size + AEAD_TAG_BYTES bytes to out, which may be in itself, but not
 * overlap it otherwise.  At most 2^30 bytes at once.
 */
int aead_seal(struct aead *a, uint8_t *out, uint64_t offset, const void *ad,
    size_t ad_size, const void *in, size_t size, struct err *err);

/*
 * Writes size - AEAD_TAG_BYTES bytes to out, which may be in itself.
 * ERR_CORRUPT, the message tampered with or damaged, or under another key:
 * out holds zeros then, never anything decrypted.
 */
int aead_open(struct aead *a, void *out, uint64_t offset, const void *ad,
    size_t ad_size, const uint8_t *in, size_t size, struct err *err);

/*
 * The cipher that this machine is faster with, by trying both for some
 * milliseconds: with instructions for AES that is AES-256-GCM.
 */
int aead_fastest(enum aead_cipher *out, struct err *err);

#endif
