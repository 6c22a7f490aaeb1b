/* SPDX-License-Identifier: Apache-2.0 */
/* Care of a repository: verify, repair and prune, beside all others. */
#ifndef HOLDSTILL_AGENT_JOB_CARE_H
#define HOLDSTILL_AGENT_JOB_CARE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/job/verify_memory.h"
#include "store/store.h"

struct err;
struct job_context;

struct job_verify_options {
	char *const *points;         /* As a person names them. */
	size_t point_count;          /* 0: all. */
	unsigned int sample_percent; /* As store_verify_options. */
	uint64_t budget_ms;
	store_damage_fn *damage;
	store_hurt_fn *hurt; /* NULL is allowed. */
	void *arg;           /* Of both. */
};
struct job_verify_result {
	struct store_verify_result found;
	struct verify_coverage coverage;
};
/* As store_verify: 0 even if there is damage. */
int job_verify(struct job_context *ctx,
    const struct job_verify_options *options, struct job_verify_result *out,
    struct err *err);

/* A point whose manifest cannot be read, and what this host's catalog says. */
struct job_lost_point {
	const char *id;
	const char *why;
	bool aside;         /* Under aside/, or would be; else left. */
	const char *domain; /* NULL: not known. */
	int64_t time_ms;    /* 0: not known. */
};

struct job_repair_options {
	bool dry_run;
	store_damage_fn *damage;
	store_hurt_fn *hurt; /* As of verify. */
	void (*lost)(void *arg, const struct job_lost_point *point);
	void *arg; /* Of all of them. */
};
/* As store_repair. */
int job_repair(struct job_context *ctx,
    const struct job_repair_options *options, struct store_repair_result *out,
    struct err *err);

/* The options' progress is the context's. */
int job_prune(struct job_context *ctx,
    const struct store_prune_options *options, struct store_prune_result *out,
    struct err *err);

#endif
