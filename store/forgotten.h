/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words on a point (docs/prune.md): numbered, the last one counts.  After
 * `gone` there is none.
 */
#ifndef HOLDSTILL_STORE_FORGOTTEN_H
#define HOLDSTILL_STORE_FORGOTTEN_H

#include "store/idset.h"

struct store;

enum forgotten_word {
	FORGOTTEN_NONE, /* Nothing was ever said of it. */
	FORGOTTEN_FORGOTTEN,
	FORGOTTEN_KEPT,
	FORGOTTEN_GONE,
};

struct forgotten {
	enum forgotten_word word; /* The last. */
	uint64_t count;           /* Of all words: the next one's number. */
	int64_t time_ms;          /* When it was said, for people. */
};

int forgotten_get(struct forgotten *out, struct store *s,
    const uint8_t id[OBJECT_ID_BYTES], struct err *err);

/* Puts word number `number`.  ERR_EXISTS: somebody else said something. */
int forgotten_say(struct store *s, const uint8_t id[OBJECT_ID_BYTES],
    uint64_t number, enum forgotten_word word, struct err *err);

/* Sorted ids of the points that a listing shows a word on; caller finis. */
int forgotten_list(struct idset *out, struct store *s, struct err *err);

#endif
