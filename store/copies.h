/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where else a blob lies.  The local index has one place of each; who finds
 * that one damaged asks here for the others, which costs a look into all
 * indexes, once for each damaged pack.
 */
#ifndef HOLDSTILL_STORE_COPIES_H
#define HOLDSTILL_STORE_COPIES_H

#include "store/localindex.h"

struct copies;
struct store;

/* So many are tried. */
#define COPIES_MAX 4

int copies_new(struct copies **out, struct err *err);
void copies_free(struct copies *c); /* NULL is allowed. */

/*
 * The places of the blob in packs other than `bad`'s, where the local index
 * has it: their number, or -1.  Some may be damaged or gone as well.  Of the
 * store's own; thread-safe.
 */
int copies_find(struct blob_place out[COPIES_MAX], struct store *s,
    enum blob_type type, const uint8_t hash[DIGEST_BYTES],
    const struct blob_place *bad, struct err *err);

/* What was found out is as old as the local index is. */
void copies_forget(struct copies *c); /* NULL is allowed. */

/* May another copy make good what err says of one? */
bool copies_worth_asking(const struct err *err);

#endif
