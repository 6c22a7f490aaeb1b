/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blobs of a session that no index names yet.  A claim makes one thread
 * the blob's writer and all others take it as known.  Thread-safe.
 */
#ifndef HOLDSTILL_STORE_CLAIMS_H
#define HOLDSTILL_STORE_CLAIMS_H

#include "store/pack.h"

struct claims;

struct claims *claims_new(void);    /* NULL without memory. */
void claims_free(struct claims *c); /* NULL is allowed. */

/* 1: the caller writes the blob; 0: somebody does; -1: err is set. */
int claims_take(struct claims *c, enum blob_type type,
    const uint8_t hash[DIGEST_BYTES], struct err *err);

/* The blobs of a pack are in an index now. */
void claims_drop(struct claims *c, const struct pack_table *table);

#endif
