/* SPDX-License-Identifier: Apache-2.0 */
/* A freeze without a backup, held for a moment. */
#ifndef HOLDSTILL_AGENT_JOB_FREEZE_TEST_H
#define HOLDSTILL_AGENT_JOB_FREEZE_TEST_H

#include "store/manifest.h"

struct domain;
struct err;
struct job_context;

struct freeze_test_options {
	unsigned int hold_ms;
	/* More than hold_ms; 0: that, and what a backup has. */
	unsigned int lease_ms;
};

struct freeze_test_result {
	struct manifest_freeze freeze;
	enum manifest_consistency level;   /* What a point would have had. */
	enum manifest_consistency offered; /* Were all to go well. */
	char reason[512];                  /* Why not better, or "". */
};

/*
 * Undoes what a dead run left of the domain, freezes, waits hold_ms or until
 * a stop is asked for, thaws.  ERR_BUSY: a backup of the domain runs.  After
 * success the caller gives *out to freeze_test_result_fini.
 */
int job_freeze_test(struct job_context *ctx, struct domain *domain,
    const struct freeze_test_options *options, struct freeze_test_result *out,
    struct err *err);
void freeze_test_result_fini(struct freeze_test_result *result);

#endif
