/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commits that a guest was not told of, one domain's at a time: told now, if
 * the guest can hear them, and within a bounded time, for a backup may wait
 * for the end of it.
 */
#ifndef HOLDSTILL_AGENT_JOB_OWED_H
#define HOLDSTILL_AGENT_JOB_OWED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/hexid.h"
#include "store/manifest.h"

struct domain;
struct err;
struct journal_effect;
struct store;

/* So many of one guest are kept; beyond that the oldest are forgotten. */
#define OWED_MAX 32

/* A guest that has been at it for so long is asked nothing more. */
#define OWED_BUDGET_MS 60000

/* The subject of a JOURNAL_COMMITTED: the repository and the session. */
#define OWED_SUBJECT_SIZE (8 + 1 + HEXID_SIZE)
void owed_format_subject(char out[OWED_SUBJECT_SIZE], const char *repository_id,
    const char *session);

/* A writer that was told, or asked in vain. */
struct owed_writer {
	char name[64];
	bool heard;
};

/* Zeroed but for the first two; borrowed, both. */
struct owed {
	struct domain *domain; /* NULL: it does not exist any more. */
	struct store *store;   /* NULL: it cannot be read. */

	size_t seen; /* Commits that were settled or kept so far. */
	bool deaf;   /* The guest is asked nothing more. */
	int64_t began_ms;
	struct owed_writer writers[MANIFEST_WRITERS_MAX];
	size_t writer_count;
};

/*
 * Settles one effect of kind JOURNAL_COMMITTED.  The caller goes from the
 * newest to the oldest: what a newer point lets a writer drop includes what
 * an older one did, so each writer is asked once, about the newest.
 *
 * 0: the effect can be struck; -1: it is to be kept, *err says why.
 */
int owed_settle(
    struct owed *owed, const struct journal_effect *effect, struct err *err);

#endif
