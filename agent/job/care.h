/* SPDX-License-Identifier: Apache-2.0 */
/* Care of a repository: verify and prune, beside all others. */
#ifndef HOLDSTILL_AGENT_JOB_CARE_H
#define HOLDSTILL_AGENT_JOB_CARE_H

#include <stdbool.h>
#include <stddef.h>

#include "store/store.h"

struct err;
struct job_context;

/* Points as a person names them; count 0: all.  As store_verify: 0 even if
 * there is damage. */
int job_verify(struct job_context *ctx, char *const *points, size_t count,
    unsigned int sample_percent, store_damage_fn *fn, void *arg,
    struct store_verify_result *out, struct err *err);

/* The options' progress is the context's. */
int job_prune(struct job_context *ctx,
    const struct store_prune_options *options, struct store_prune_result *out,
    struct err *err);

#endif
