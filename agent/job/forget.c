/* SPDX-License-Identifier: Apache-2.0 */
/* Forgets points by name or by policy, and keeps them after all. */
#include "agent/job/forget.h"

#include <stdlib.h>
#include <string.h>

#include "agent/job/context.h"
#include "catalog/catalog.h"
#include "common/err.h"
#include "store/manifest.h"
#include "store/store.h"

struct forgetting {
	struct job_context *ctx;
	bool dry_run;
	forget_fn *fn;
	void *arg;
};

/* What is told is durable. */
static int
decided(const struct forgetting *f, const char *id, unsigned int kept_by,
    struct err *err)
{
	const bool goes = kept_by == 0 && !f->dry_run;
	struct catalog *catalog = f->ctx->catalog;
	struct manifest *m;
	int rc = 0;

	if (catalog_point(&m, catalog, store_id(f->ctx->store), id, err) == -1)
		return -1;
	if (goes)
		rc = store_point_forget(f->ctx->store, id, err);
	if (rc == -1)
		err_prefix(err, "point %.8s is not forgotten", id);
	if (rc == 0 && m != NULL)
		f->fn(f->arg, m, kept_by);
	manifest_free(m);
	if (rc == -1 || !goes)
		return rc;
	return catalog_remove(catalog, store_id(f->ctx->store), id, err);
}

/* A host hears that before it is told of points that it does not know. */
static int
open_as_owner(struct job_context *ctx, struct err *err)
{
	if (job_open_catalog(ctx, err) == -1)
		return -1;
	return store_need_owner(
	    ctx->store, "no point can be forgotten or kept", err);
}

/* ---- by name ---- */

/* One point under two names, "@latest" and its id, goes once. */
static bool
is_repeated(char (*ids)[HEXID_SIZE], size_t i)
{
	size_t k;

	for (k = 0; k < i; k++)
		if (strcmp(ids[k], ids[i]) == 0)
			return true;
	return false;
}

int
job_forget_points(struct job_context *ctx, char *const *points, size_t count,
    bool dry_run, forget_fn *fn, void *arg, struct err *err)
{
	const struct forgetting f = { ctx, dry_run, fn, arg };
	char(*ids)[HEXID_SIZE] = calloc(count, sizeof(*ids));
	int rc = -1;
	size_t i;

	if (ids == NULL)
		return err_no_memory(err);
	if (open_as_owner(ctx, err) == -1)
		goto out;
	/* "@latest" and "@-1" move when a point goes: resolve all first. */
	for (i = 0; i < count; i++)
		if (job_resolve(ids[i], ctx, points[i], err) == -1)
			goto out;
	for (i = 0; i < count; i++)
		if (!is_repeated(ids, i) && decided(&f, ids[i], 0, err) == -1)
			goto out;
	rc = 0;
out:
	free(ids);
	return rc;
}

/* ---- by policy ---- */

struct candidates {
	struct retention_point *points;
	size_t count;
	bool out_of_memory;
};

static int
collect(void *arg, const struct manifest *m)
{
	struct candidates *list = arg;
	struct retention_point *grown =
	    reallocarray(list->points, list->count + 1, sizeof(*grown));

	if (grown == NULL) {
		list->out_of_memory = true;
		return 1;
	}
	list->points = grown;
	grown[list->count].id = strdup(m->id);
	grown[list->count].time_ms = m->time_ms;
	grown[list->count].kept_by = 0;
	list->out_of_memory = grown[list->count].id == NULL;
	list->count++;
	return list->out_of_memory;
}

static void
free_candidates(struct candidates *list)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		free((char *)list->points[i].id);
	free(list->points);
}

static int
decide(struct job_context *ctx, const char *domain,
    const struct retention_policy *policy, struct candidates *list,
    struct err *err)
{
	if (catalog_points(ctx->catalog, store_id(ctx->store), domain, collect,
		list, err) == -1)
		return -1;
	if (list->out_of_memory)
		return err_no_memory(err);
	if (list->count == 0) {
		err_set(
		    err, ERR_NOT_FOUND, "domain '%s' has no points", domain);
		return err_hint(err, "see 'holdstill list'");
	}
	return retention_apply(list->points, list->count, policy, err);
}

int
job_forget_policy(struct job_context *ctx, const char *domain,
    const struct retention_policy *policy, bool dry_run, forget_fn *fn,
    void *arg, struct err *err)
{
	const struct forgetting f = { ctx, dry_run, fn, arg };
	struct candidates list = { 0 };
	int rc = -1;
	size_t i;

	if (open_as_owner(ctx, err) == 0)
		rc = decide(ctx, domain, policy, &list, err);
	for (i = 0; rc == 0 && i < list.count; i++)
		rc =
		    decided(&f, list.points[i].id, list.points[i].kept_by, err);
	free_candidates(&list);
	return rc;
}

/* ---- after all ---- */

struct start {
	char digits[HEXID_SIZE];
	char id[HEXID_SIZE];
	unsigned int count;
};

static int
match_start(void *arg, const char *id, int64_t time_ms)
{
	struct start *start = arg;

	(void)time_ms;
	if (strncmp(id, start->digits, strlen(start->digits)) == 0) {
		memcpy(start->id, id, HEXID_SIZE);
		start->count++;
	}
	return 0;
}

int
job_find_forgotten(char out_id[HEXID_SIZE], struct job_context *ctx,
    const char *point, struct err *err)
{
	struct start start = { .count = 0 };

	if (hexid_start(start.digits, point) == -1)
		return 0;
	if (job_open_store(ctx, err) == -1 ||
	    store_forgotten(ctx->store, match_start, &start, err) == -1)
		return -1;
	if (start.count == 1)
		memcpy(out_id, start.id, HEXID_SIZE);
	return (int)start.count;
}

int
job_unforget(struct job_context *ctx, const char *point, struct manifest **out,
    struct err *err)
{
	char id[HEXID_SIZE];
	struct manifest *m;
	int count;

	if (open_as_owner(ctx, err) == -1 ||
	    (count = job_find_forgotten(id, ctx, point, err)) == -1)
		return -1;
	if (count != 1) {
		err_set(err, count == 0 ? ERR_NOT_FOUND : ERR_ARG,
		    count == 0 ? "no forgotten point begins with '%.40s'"
			       : "several forgotten points begin with '%.40s'",
		    point);
		return err_hint(err, "see 'holdstill list --forgotten'");
	}
	if (store_manifest_read(&m, ctx->store, id, err) == -1)
		return -1;
	if (store_point_unforget(ctx->store, id, err) == -1 ||
	    catalog_add(ctx->catalog, store_id(ctx->store), m, err) == -1) {
		manifest_free(m);
		return -1;
	}
	*out = m;
	return 0;
}
