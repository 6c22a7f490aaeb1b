/* SPDX-License-Identifier: Apache-2.0 */
/* Verify and prune, with their locks. */
#include "agent/job/care.h"

#include <errno.h>
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
	struct store_lock *lock = NULL;
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
	/* A prune would move objects under the check's hands. */
	if (job_open_store(ctx, err) == -1)
		goto out;
	/* A repository that cannot be written cannot be pruned either. */
	if (store_lock_take(&lock, ctx->store, STORE_LOCK_SHARED, err) == -1 &&
	    err->sys_errno != EROFS)
		goto out;
	rc = store_verify(ctx->store, &options, fn, arg, out, err);
out:
	store_lock_release(lock);
	free(list);
	free(ids);
	return rc;
}

int
job_prune(struct job_context *ctx, bool dry_run, struct store_prune_result *out,
    struct err *err)
{
	struct store_lock *lock = NULL;
	int rc;

	memset(out, 0, sizeof(*out));
	if (job_open_store(ctx, err) == -1 ||
	    store_lock_take(&lock, ctx->store, STORE_LOCK_EXCLUSIVE, err) == -1)
		return -1;
	rc = store_prune(ctx->store, dry_run, out, err);
	store_lock_release(lock);
	return rc;
}
