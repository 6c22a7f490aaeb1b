/* SPDX-License-Identifier: Apache-2.0 */
/* What indexes say of a pack whose own table cannot be read. */
#ifndef HOLDSTILL_STORE_TABLES_H
#define HOLDSTILL_STORE_TABLES_H

#include "store/idset.h"
#include "store/pack.h"

struct store;

/*
 * 1: caller finis *out; 0: none of the indexes names the pack; -1.  In mode
 * public anybody may have put an index that lies: of all that they say, what
 * most blobs of the pack bear out.  Indexes that cannot be read are passed
 * over.
 */
int tables_find(struct pack_table *out, struct store *s,
    const struct idset *indexes, const uint8_t pack[OBJECT_ID_BYTES],
    struct err *err);

#endif
