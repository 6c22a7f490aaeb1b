/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys out of keys and passphrases: HKDF-SHA256 (RFC 5869) and Argon2id
 * (RFC 9106).  Pointers are borrowed; one of size 0 may be NULL.  On failure
 * the output is not to be used.  Thread-safe.
 */
#ifndef HOLDSTILL_STORE_SEAL_KDF_H
#define HOLDSTILL_STORE_SEAL_KDF_H

#include <stddef.h>
#include <stdint.h>

#define KDF_KEY_BYTES 32

struct err;

struct kdf_bytes {
	const void *data;
	size_t size;
};

/* ERR_UNSUPPORTED if the crypto library has no HKDF. */
int kdf_hkdf(void *out, size_t out_size, struct kdf_bytes key,
    struct kdf_bytes salt, struct kdf_bytes info, struct err *err);

struct kdf_argon2 {
	uint32_t memory_kib; /* At least 8 a lane. */
	uint32_t passes;
	uint32_t lanes;                  /* As many threads work. */
	struct kdf_bytes password, salt; /* A salt has at least 8 bytes. */
	struct kdf_bytes secret, data;   /* Usually of size 0. */
};

/* ERR_ARG: the library refuses a parameter.  ERR_NO_MEMORY says how much. */
int kdf_argon2id(
    void *out, size_t out_size, const struct kdf_argon2 *in, struct err *err);

#endif
