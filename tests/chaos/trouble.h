/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend before a folder that makes trouble by chance: calls that fail
 * before or after they were done, puts that end in the middle, listings that
 * lag or break off, gets of flipped bits, and a stop for ever at a given call.
 * Each is told on standard error.
 */
#ifndef HOLDSTILL_TESTS_CHAOS_TROUBLE_H
#define HOLDSTILL_TESTS_CHAOS_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

struct backend;
struct err;

struct trouble_plan {
	uint64_t seed;
	/* What cannot be read is damage to some: all reads are well. */
	bool only_writes;
	unsigned int fail_permille; /* Of all calls. */
	unsigned int flip_permille; /* Of gets. */
	unsigned int lag_permille;  /* Of objects in a listing: not shown. */
	unsigned int slow_permille; /* Of all calls: up to 5 ms. */
	uint64_t stop_at;           /* Number of a call; 0: none. */
};

/* Opens the folder.  The caller closes *out. */
int trouble_open(struct backend **out, const char *folder,
    const struct trouble_plan *plan, struct err *err);

#endif
