/* SPDX-License-Identifier: Apache-2.0 */
/* Links of a chain, as maker and checker see them. */
#ifndef HOLDSTILL_STORE_SEAL_CHAIN_INTERNAL_H
#define HOLDSTILL_STORE_SEAL_CHAIN_INTERNAL_H

#include "store/seal/chain.h"

/* Of a mark: all but the MAC. */
#define CHAIN_NAME_BYTES (SEAL_ID_BYTES + 8)

struct chain_link {
	uint64_t n;
	uint8_t key[SEAL_KEY_BYTES];
};

/* Goes on by one; the key that it had is gone. */
int chain_link_next(struct chain_link *link, struct err *err);

/* The MAC of an object and of a mark's name behind it. */
int chain_link_mac(uint8_t out[SEAL_KEY_BYTES], const struct chain_link *link,
    const void *object, size_t size, const uint8_t name[CHAIN_NAME_BYTES],
    struct err *err);

#endif
