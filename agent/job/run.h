/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cron calls: a configured job over its domains.  One domain's failure
 * does not stop the others, unless the job is a group.
 */
#ifndef HOLDSTILL_AGENT_JOB_RUN_H
#define HOLDSTILL_AGENT_JOB_RUN_H

#include <stddef.h>

struct backup_result;
struct config_job;
struct err;
struct job_context;

struct run_result {
	size_t done, demoted, failed, busy;
};

/* One domain is over: result on success, failure else (the other is NULL).
 * The caller of the run keeps neither. */
typedef void run_fn(void *arg, const char *domain,
    const struct backup_result *result, const struct err *failure);

/*
 * Backs up every domain that the job wants, applies its retention and its
 * verify.  ERR_BUSY: the job runs already.  ERR_NOT_FOUND: no domain fits.
 * -1 also when retention or verify fail; backups' failures are in *out.
 */
int job_run(struct job_context *ctx, const struct config_job *job, run_fn *fn,
    void *arg, struct run_result *out, struct err *err);

#endif
