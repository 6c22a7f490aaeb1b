/* SPDX-License-Identifier: Apache-2.0 */
/* Verify, repair and prune. */
#include "agent/job/care.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/job/context.h"
#include "catalog/catalog.h"
#include "common/err.h"
#include "common/log.h"

static int
resolve_all(char (**out_ids)[HEXID_SIZE], const char ***out_list,
    struct job_context *ctx, char *const *points, size_t count, struct err *err)
{
	char(*ids)[HEXID_SIZE] = calloc(count, sizeof(*ids));
	const char **list = calloc(count, sizeof(*list));
	size_t i;

	*out_ids = ids;
	*out_list = list;
	if (ids == NULL || list == NULL)
		return err_no_memory(err);
	for (i = 0; i < count; i++) {
		if (job_resolve(ids[i], ctx, points[i], err) == -1)
			return -1;
		list[i] = ids[i];
	}
	return 0;
}

/* Without a memory the check is done all the same. */
static struct verify_memory *
remember(struct job_context *ctx)
{
	struct err err = ERR_INIT;
	struct verify_memory *memory = NULL;

	if (job_open_history(ctx, &err) == 0)
		memory = verify_memory_new(ctx->catalog, store_id(ctx->store));
	if (memory == NULL)
		log_line(LOG_WARNING, "what is checked is not remembered: %s",
		    err.text);
	return memory;
}

static int
verify(struct job_context *ctx, const struct job_verify_options *options,
    const char *const *points, struct job_verify_result *out, struct err *err)
{
	struct verify_memory *memory = remember(ctx);
	struct store_verify_options verify = {
		.points = points,
		.point_count = options->point_count,
		.sample_percent = options->sample_percent,
		.budget_ms = options->budget_ms,
		.hurt = options->hurt,
	};
	int rc;

	if (memory != NULL)
		verify.memory = verify_memory_of(memory);
	rc = store_verify(ctx->store, &verify, options->damage, options->arg,
	    &out->found, err);
	if (memory != NULL)
		verify_memory_finish(memory, &out->coverage);
	verify_memory_free(memory);
	return rc;
}

int
job_verify(struct job_context *ctx, const struct job_verify_options *options,
    struct job_verify_result *out, struct err *err)
{
	char(*ids)[HEXID_SIZE] = NULL;
	const char **list = NULL;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	/* Damage must not keep the check from running: no list of points
	 * without names to look up. */
	if (options->point_count > 0 &&
	    (job_open_catalog(ctx, err) == -1 ||
		resolve_all(&ids, &list, ctx, options->points,
		    options->point_count, err) == -1))
		goto out;
	if (job_open_store(ctx, err) == -1)
		goto out;
	rc = verify(ctx, options, list, out, err);
out:
	free(list);
	free(ids);
	return rc;
}

/* ---- repair ---- */

struct repairing {
	struct job_context *ctx;
	const struct job_repair_options *options;
	struct job_lost_point *point; /* That is looked up. */
	char domain[256];
};

static void
pass_damage(void *arg, const struct store_damage *damage)
{
	const struct repairing *r = arg;

	r->options->damage(r->options->arg, damage);
}

static void
pass_hurt(void *arg, const struct store_hurt *hurt)
{
	const struct repairing *r = arg;

	if (r->options->hurt != NULL)
		r->options->hurt(r->options->arg, hurt);
}

/* Itself, or one that was made after it, so of the same domain. */
static int
take_row(void *arg, const struct manifest *m)
{
	struct repairing *r = arg;
	bool itself = strcmp(m->id, r->point->id) == 0;

	if (!itself && strcmp(m->parent, r->point->id) != 0)
		return 0;
	snprintf(r->domain, sizeof(r->domain), "%s", m->domain);
	r->point->domain = r->domain;
	if (itself)
		r->point->time_ms = m->time_ms;
	return itself;
}

static void
pass_lost(void *arg, const char *id, const char *why, bool aside)
{
	struct repairing *r = arg;
	struct job_lost_point point = { .id = id, .why = why, .aside = aside };
	struct err err = ERR_INIT;

	r->point = &point;
	/* What is not known is not said; the repair goes on. */
	if (job_open_history(r->ctx, &err) == 0)
		catalog_points(r->ctx->catalog, store_id(r->ctx->store), NULL,
		    take_row, r, &err);
	r->options->lost(r->options->arg, &point);
}

int
job_repair(struct job_context *ctx, const struct job_repair_options *options,
    struct store_repair_result *out, struct err *err)
{
	struct repairing r = { .ctx = ctx, .options = options };
	const struct store_repair_options repair = {
		.dry_run = options->dry_run,
		.hurt = pass_hurt,
		.lost = pass_lost,
	};

	memset(out, 0, sizeof(*out));
	if (job_open_store(ctx, err) == -1 ||
	    store_need_owner(ctx->store, "nothing can be repaired", err) == -1)
		return -1;
	return store_repair(ctx->store, &repair, pass_damage, &r, out, err);
}

/* ---- prune ---- */

static void
tell_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	const struct job_context *ctx = arg;

	if (ctx->events.count != NULL)
		ctx->events.count(ctx->events.arg, what, done, total);
}

int
job_prune(struct job_context *ctx, const struct store_prune_options *options,
    struct store_prune_result *out, struct err *err)
{
	struct store_prune_options own = *options;
	int rc;

	memset(out, 0, sizeof(*out));
	if (job_open_store(ctx, err) == -1)
		return -1;
	own.progress = tell_progress;
	own.arg = ctx;
	rc = store_prune(ctx->store, &own, out, err);
	if (ctx->events.progress_end != NULL)
		ctx->events.progress_end(ctx->events.arg);
	return rc;
}
