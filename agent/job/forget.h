/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes points: named ones, or those of a domain that a retention policy
 * does not keep.  The space comes back with the next prune.
 */
#ifndef HOLDSTILL_AGENT_JOB_FORGET_H
#define HOLDSTILL_AGENT_JOB_FORGET_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/job/retention.h"

struct err;
struct job_context;
struct manifest;

/* Called for each point that is decided about.  kept_by: bits of the rules
 * (1 << RETENTION_*), 0 when it goes. */
typedef void forget_fn(
    void *arg, const struct manifest *m, unsigned int kept_by);

/* By name.  All names are resolved before the first point goes. */
int job_forget_points(struct job_context *ctx, char *const *points,
    size_t count, bool dry_run, forget_fn *fn, void *arg, struct err *err);

/* By policy.  ERR_NOT_FOUND: the domain has no points. */
int job_forget_policy(struct job_context *ctx, const char *domain,
    const struct retention_policy *policy, bool dry_run, forget_fn *fn,
    void *arg, struct err *err);

#endif
