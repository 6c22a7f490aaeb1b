/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256, and the names of blobs made of it.  A context belongs to one thread
 * at a time.
 */
#ifndef HOLDSTILL_STORE_DIGEST_H
#define HOLDSTILL_STORE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES 32

struct err;
struct digest;
struct seal;

/*
 * Gives the names of a repository's blobs: SHA-256, keyed where it is sealed
 * (docs/seal.md); seal NULL: as it is.  ERR_UNSUPPORTED if the crypto library
 * has no SHA-256.
 */
int digest_new(struct digest **out, const struct seal *seal, struct err *err);
void digest_free(struct digest *d); /* NULL is allowed. */

int digest_of(struct digest *d, uint8_t out[DIGEST_BYTES], const void *buf,
    size_t size, struct err *err);

/* For one small thing, and never keyed: makes its own context. */
int digest_once(
    uint8_t out[DIGEST_BYTES], const void *buf, size_t size, struct err *err);

/* The hash that stands for "all zeros" in maps: 32 zero bytes. */
bool digest_is_zero(const uint8_t hash[DIGEST_BYTES]);

#endif
