/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256.  A context belongs to one thread at a time. */
#ifndef HOLDSTILL_STORE_DIGEST_H
#define HOLDSTILL_STORE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES 32

struct err;
struct digest;

/* ERR_UNSUPPORTED if the crypto library has no SHA-256. */
int digest_new(struct digest **out, struct err *err);
void digest_free(struct digest *d); /* NULL is allowed. */

int digest_of(struct digest *d, uint8_t out[DIGEST_BYTES], const void *buf,
    size_t size, struct err *err);

/* For one small thing: makes its own context. */
int digest_once(
    uint8_t out[DIGEST_BYTES], const void *buf, size_t size, struct err *err);

/* The hash that stands for "all zeros" in maps: 32 zero bytes. */
bool digest_is_zero(const uint8_t hash[DIGEST_BYTES]);

#endif
