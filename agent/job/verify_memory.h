/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this host remembers of the packs of a repository: when a verify of it
 * first met each, and when it was last found whole.  Kept in the catalog.
 */
#ifndef HOLDSTILL_AGENT_JOB_VERIFY_MEMORY_H
#define HOLDSTILL_AGENT_JOB_VERIFY_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

struct catalog;
struct verify_memory;

struct verify_coverage {
	bool known; /* Else nothing is remembered here. */
	uint64_t packs, never_checked;
	int64_t since_ms; /* When the first of those checked was; 0: none. */
	/* Since when the pack that was not checked for longest is so, as far
	 * as this host knows; 0: there is no pack. */
	int64_t oldest_ms;
};

/* NULL without memory. */
struct verify_memory *verify_memory_new(
    struct catalog *c, const char *repository_id);
/* NULL is allowed. */
void verify_memory_free(struct verify_memory *m);

/* For store_verify(); lives as long as m. */
const struct store_verify_memory *verify_memory_of(struct verify_memory *m);

/* After the verify, whatever came of it: writes what is left, forgets packs
 * that are gone, sums up.  Failures are warnings. */
void verify_memory_finish(struct verify_memory *m, struct verify_coverage *out);

#endif
