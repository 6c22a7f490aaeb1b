/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HMAC-SHA256 under one key, many times.  A mac belongs to one thread at a
 * time; mac_once() is for one small thing.
 */
#ifndef HOLDSTILL_STORE_SEAL_MAC_H
#define HOLDSTILL_STORE_SEAL_MAC_H

#include <stddef.h>
#include <stdint.h>

#define MAC_BYTES 32

struct err;
struct mac;

/* The key is copied.  ERR_UNSUPPORTED if the crypto library has no HMAC. */
int mac_new(
    struct mac **out, const void *key, size_t key_size, struct err *err);
void mac_free(struct mac *m); /* NULL is allowed. */

/* May be called again and again. */
int mac_of(struct mac *m, uint8_t out[MAC_BYTES], const void *buf, size_t size,
    struct err *err);

int mac_once(uint8_t out[MAC_BYTES], const void *key, size_t key_size,
    const void *buf, size_t size, struct err *err);

#endif
