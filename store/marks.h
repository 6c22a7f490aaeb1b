/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One bit for each blob of the repository, found by its place: memory is a
 * bit a blob, not its name.  No thread safety.
 */
#ifndef HOLDSTILL_STORE_MARKS_H
#define HOLDSTILL_STORE_MARKS_H

#include "store/localindex.h"

struct marks {
	const struct idset *packs; /* Borrowed. */
	struct marks_row {
		uint8_t *bits;      /* NULL: none set. */
		unsigned int bytes; /* What is behind them is not set. */
	} * rows;                   /* One a pack. */
};

int marks_init(struct marks *m, const struct idset *packs, struct err *err);
void marks_fini(struct marks *m);

/* 1: it was marked already; 0: it is now; 2: it is in none of these packs;
 * -1. */
int marks_set(struct marks *m, const struct blob_place *place, struct err *err);
bool marks_has(const struct marks *m, size_t pack, uint32_t ordinal);
void marks_clear(struct marks *m, size_t pack, uint32_t ordinal);
/* Is any blob of the pack marked? */
bool marks_any(const struct marks *m, size_t pack);

#endif
