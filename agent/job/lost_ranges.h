/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges of a disk that a restore had to leave out: gathered in any order,
 * then sorted, joined and bounded.  No thread safety.
 */
#ifndef HOLDSTILL_AGENT_JOB_LOST_RANGES_H
#define HOLDSTILL_AGENT_JOB_LOST_RANGES_H

#include "store/store.h"

struct err;

struct lost_ranges { /* Zeroed is empty. */
	uint64_t bytes;
	struct store_range *ranges;
	size_t count, capacity;
	bool more; /* There are ranges that are not listed. */
};

void lost_ranges_fini(struct lost_ranges *l);
/* Ranges do not overlap. */
int lost_ranges_add(
    struct lost_ranges *l, uint64_t offset, uint64_t bytes, struct err *err);
/* The last call: STORE_HURT_RANGES_MAX at most are left. */
void lost_ranges_finish(struct lost_ranges *l);

#endif
