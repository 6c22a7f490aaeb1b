/* SPDX-License-Identifier: Apache-2.0 */
/* Verify, repair and prune. */
#include "agent/job/care.h"

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

int
job_repair(struct job_context *ctx, const struct store_repair_options *options,
    store_damage_fn *fn, void *arg, struct store_repair_result *out,
    struct err *err)
{
	memset(out, 0, sizeof(*out));
	if (job_open_store(ctx, err) == -1)
		return -1;
	return store_repair(ctx->store, options, fn, arg, out, err);
}

static void
tell_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	const struct job_context *ctx = arg;

	if (ctx->events.progress != NULL)
		ctx->events.progress(
		    ctx->events.arg, what, done, total, done, total);
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
