/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X25519 (RFC 7748), to which hosts seal, and Ed25519 (RFC 8032), with which
 * epochs are signed.  Thread-safe.
 */
#ifndef HOLDSTILL_STORE_SEAL_CURVE_H
#define HOLDSTILL_STORE_SEAL_CURVE_H

#include <stddef.h>
#include <stdint.h>

#define CURVE_KEY_BYTES 32
#define CURVE_SIGNATURE_BYTES 64

struct err;

/* The public half of any 32 bytes. */
int curve_x25519_public(uint8_t out[CURVE_KEY_BYTES],
    const uint8_t private_key[CURVE_KEY_BYTES], struct err *err);
/* ERR_CORRUPT: the other's key is one of those that give zeros. */
int curve_x25519_shared(uint8_t out[CURVE_KEY_BYTES],
    const uint8_t private_key[CURVE_KEY_BYTES],
    const uint8_t public_key[CURVE_KEY_BYTES], struct err *err);

/* The public half of a seed. */
int curve_ed25519_public(uint8_t out[CURVE_KEY_BYTES],
    const uint8_t seed[CURVE_KEY_BYTES], struct err *err);
int curve_ed25519_sign(uint8_t out[CURVE_SIGNATURE_BYTES],
    const uint8_t seed[CURVE_KEY_BYTES], const void *buf, size_t size,
    struct err *err);
/* ERR_CORRUPT: not signed with that key. */
int curve_ed25519_verify(const uint8_t signature[CURVE_SIGNATURE_BYTES],
    const uint8_t public_key[CURVE_KEY_BYTES], const void *buf, size_t size,
    struct err *err);

#endif
