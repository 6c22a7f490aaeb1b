/* SPDX-License-Identifier: Apache-2.0 */
/* Verify and prune. */
#include "agent/job/care.h"

#include <stdlib.h>
#include <string.h>

#include "agent/job/context.h"
#include "catalog/catalog.h"
#include "common/err.h"

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
		if (catalog_resolve(ids[i], ctx->catalog, store_id(ctx->store),
			points[i], err) == -1)
			return -1;
		list[i] = ids[i];
	}
	return 0;
}

int
job_verify(struct job_context *ctx, char *const *points, size_t count,
    unsigned int sample_percent, store_damage_fn *fn, void *arg,
    struct store_verify_result *out, struct err *err)
{
	struct store_verify_options options = {
		.point_count = count,
		.sample_percent = sample_percent,
	};
	char(*ids)[HEXID_SIZE] = NULL;
	const char **list = NULL;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	/* Damage must not keep the check from running: no catalog without
	 * names to look up. */
	if (count > 0) {
		if (job_open_catalog(ctx, err) == -1 ||
		    resolve_all(&ids, &list, ctx, points, count, err) == -1)
			goto out;
		options.points = list;
	}
	if (job_open_store(ctx, err) == -1)
		goto out;
	rc = store_verify(ctx->store, &options, fn, arg, out, err);
out:
	free(list);
	free(ids);
	return rc;
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
