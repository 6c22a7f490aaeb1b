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

int copies_new(struct copies **out, struct err *err);
void copies_free(struct copies *c); /* NULL is allowed. */

/* Of so many each blob's places are kept in memory; others are looked for. */
#define COPIES_KEPT 4

/*
 * The places of a blob in packs other than `bad`'s, where the local index has
 * it: all that there are, however many, for in mode public whoever took a
 * host can put packs that lie.  Some may be damaged or gone as well.  Filled
 * by copies_begin(); of one thread, while the store's copies are thread-safe.
 */
struct copies_walk {
	struct store *store;
	enum blob_type type;
	const uint8_t *hash;
	uint8_t bad[OBJECT_ID_BYTES];
	struct blob_place kept[COPIES_KEPT];
	int kept_count; /* -1: nobody has asked yet. */
	int at;         /* Of those. */
	size_t step;    /* Of the others, once these are used up. */
	uint8_t from[OBJECT_ID_BYTES]; /* Where the steps begin. */
};
/* Borrows store and hash; bad is copied. */
void copies_begin(struct copies_walk *w, struct store *s, enum blob_type type,
    const uint8_t hash[DIGEST_BYTES], const struct blob_place *bad);
/* 1: the next; 0: there is no more; -1. */
int copies_next(struct copies_walk *w, struct blob_place *out, struct err *err);

/* What was found out is as old as the local index is. */
void copies_forget(struct copies *c); /* NULL is allowed. */

#endif
