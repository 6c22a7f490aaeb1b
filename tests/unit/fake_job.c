/* SPDX-License-Identifier: Apache-2.0 */
/* A job's surroundings that are always there, for tests of what it does. */
#include <stddef.h>

#include "agent/job/context.h"
#include "agent/job/lock.h"

int
job_open_catalog(struct job_context *ctx, struct err *err)
{
	(void)ctx;
	(void)err;
	return 0;
}

int
job_open_history(struct job_context *ctx, struct err *err)
{
	(void)ctx;
	(void)err;
	return 0;
}

int
job_open_journal(struct job_context *ctx, struct err *err)
{
	(void)ctx;
	(void)err;
	return 0;
}

int
job_connect(struct job_context *ctx, struct err *err)
{
	(void)ctx;
	(void)err;
	return 0;
}

void
job_step(struct job_context *ctx, const char *domain, const char *fmt, ...)
{
	(void)ctx;
	(void)domain;
	(void)fmt;
}

/* Nobody else is at work. */
int
job_lock_take(struct job_lock **out, const char *state_dir, const char *kind,
    const char *name, struct err *err)
{
	(void)state_dir;
	(void)kind;
	(void)name;
	(void)err;
	*out = NULL;
	return 0;
}

void
job_lock_release(struct job_lock *lock)
{
	(void)lock;
}
