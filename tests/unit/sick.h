/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that cannot read some places, or from some read on nothing. */
#ifndef HOLDSTILL_TESTS_UNIT_SICK_H
#define HOLDSTILL_TESTS_UNIT_SICK_H

#include <stdatomic.h>
#include <stdint.h>

#include "backends/backend.h"

#define SICK_PREFIXES_MAX 4

struct store;

/* Around a store's backend. */
struct sick {
	struct backend backend;
	struct backend *inner;
	struct store *store;
	char prefix[SICK_PREFIXES_MAX][BACKEND_KEY_MAX + 1];
	unsigned int count;
	/* Counted down, also from several threads; without end at first. */
	_Atomic int64_t reads_left; /* Then all fail. */
	_Atomic int64_t ills_left; /* Then the prefixes' keys are read again. */
	int errnum;                /* EIO. */
	int settle_errnum;         /* 0: settles. */
};

/* Whatever it was before is over. */
void sick_begin(struct sick *sick, struct store *s);
/* Reads of keys that begin so fail. */
void sick_add(struct sick *sick, const char *prefix);
/* May be called again. */
void sick_end(struct sick *sick);

#endif
