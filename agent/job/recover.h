/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Undoes what a dead process left, by the effect journal: the freeze first,
 * then the job, the checkpoint, the scratch folder.  A commit that the guest
 * was not told of is told now, if the guest can hear it.
 */
#ifndef HOLDSTILL_AGENT_JOB_RECOVER_H
#define HOLDSTILL_AGENT_JOB_RECOVER_H

#include <stdint.h>

struct domain;
struct err;
struct job_context;

struct recover_result {
	uint64_t undone;
	uint64_t kept; /* Could not be undone now; see the warnings. */
	uint64_t owed; /* Points that guests are still to be told of. */
};

/* Of one domain; the caller holds its lock and the store is open. */
int job_recover_domain(
    struct job_context *ctx, struct domain *domain, struct err *err);

/* Of every domain.  A domain whose lock another run holds is left to it. */
int job_recover_all(
    struct job_context *ctx, struct recover_result *out, struct err *err);

/* Of how many points is this guest still to be told? */
int job_owed(struct job_context *ctx, const char *domain_uuid, uint64_t *out,
    struct err *err);

#endif
