/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forgets points: named ones, or those of a domain that a retention policy
 * does not keep.  A prune removes them for ever once they have been forgotten
 * for some days; until then they may be kept after all.
 */
#ifndef HOLDSTILL_AGENT_JOB_FORGET_H
#define HOLDSTILL_AGENT_JOB_FORGET_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/job/retention.h"
#include "common/hexid.h"

struct err;
struct job_context;
struct manifest;

/* Called for each point that is decided about, once it is forgotten if it is
 * to be.  kept_by: bits of the rules (1 << RETENTION_*), 0 when it goes. */
typedef void forget_fn(
    void *arg, const struct manifest *m, unsigned int kept_by);

/* By name.  All names are resolved before the first point goes. */
int job_forget_points(struct job_context *ctx, char *const *points,
    size_t count, bool dry_run, forget_fn *fn, void *arg, struct err *err);

/* By policy.  ERR_NOT_FOUND: the domain has no points. */
int job_forget_policy(struct job_context *ctx, const char *domain,
    const struct retention_policy *policy, bool dry_run, forget_fn *fn,
    void *arg, struct err *err);

/* How many forgotten points begin with these digits, and the id if it is one;
 * -1.  Fewer digits than HEXID_START_MIN name none. */
int job_find_forgotten(char out_id[HEXID_SIZE], struct job_context *ctx,
    const char *point, struct err *err);

/* Keeps a forgotten point after all, named by the start of its id.  The caller
 * owns *out. */
int job_unforget(struct job_context *ctx, const char *point,
    struct manifest **out, struct err *err);

#endif
