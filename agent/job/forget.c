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

static int
remove_point(struct job_context *ctx, const char *id, struct err *err)
{
	if (store_point_forget(ctx->store, id, err) == -1)
		return -1;
	return catalog_remove(ctx->catalog, store_id(ctx->store), id, err);
}

/* ---- by name ---- */

struct by_name {
	const char *id;
	forget_fn *fn;
	void *arg;
};

static int
report_named(void *arg, const struct manifest *m)
{
	struct by_name *named = arg;

	if (strcmp(m->id, named->id) != 0)
		return 0;
	named->fn(named->arg, m, 0);
	return 1;
}

static int
forget_id(struct job_context *ctx, const char *id, bool dry_run, forget_fn *fn,
    void *arg, struct err *err)
{
	struct by_name named = { .id = id, .fn = fn, .arg = arg };

	if (catalog_points(ctx->catalog, store_id(ctx->store), NULL,
		report_named, &named, err) == -1)
		return -1;
	return dry_run ? 0 : remove_point(ctx, id, err);
}

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
	char(*ids)[HEXID_SIZE] = calloc(count, sizeof(*ids));
	int rc = -1;
	size_t i;

	if (ids == NULL)
		return err_no_memory(err);
	if (job_open_catalog(ctx, err) == -1)
		goto out;
	/* "@latest" and "@-1" move when a point goes: resolve all first. */
	for (i = 0; i < count; i++)
		if (job_resolve(ids[i], ctx, points[i], err) == -1)
			goto out;
	for (i = 0; i < count; i++)
		if (!is_repeated(ids, i) &&
		    forget_id(ctx, ids[i], dry_run, fn, arg, err) == -1)
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

struct by_policy {
	const struct candidates *list;
	forget_fn *fn;
	void *arg;
	size_t next; /* Points come in the order they were collected in. */
};

static int
report_decided(void *arg, const struct manifest *m)
{
	struct by_policy *decided = arg;
	const struct candidates *list = decided->list;

	while (decided->next < list->count &&
	       strcmp(list->points[decided->next].id, m->id) != 0)
		decided->next++;
	if (decided->next < list->count)
		decided->fn(
		    decided->arg, m, list->points[decided->next].kept_by);
	return 0;
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
	struct candidates list = { 0 };
	struct by_policy decided = { .list = &list, .fn = fn, .arg = arg };
	int rc = -1;
	size_t i;

	if (job_open_catalog(ctx, err) == -1 ||
	    decide(ctx, domain, policy, &list, err) == -1 ||
	    catalog_points(ctx->catalog, store_id(ctx->store), domain,
		report_decided, &decided, err) == -1)
		goto out;
	rc = 0;
	for (i = 0; rc == 0 && !dry_run && i < list.count; i++)
		if (list.points[i].kept_by == 0)
			rc = remove_point(ctx, list.points[i].id, err);
out:
	free_candidates(&list);
	return rc;
}

/* ---- after all ---- */

struct found {
	const char *start; /* Of an id. */
	char id[HEXID_SIZE];
	unsigned int count;
};

static int
match_start(void *arg, const char *id, int64_t time_ms)
{
	struct found *found = arg;

	(void)time_ms;
	if (strncmp(id, found->start, strlen(found->start)) == 0) {
		memcpy(found->id, id, HEXID_SIZE);
		found->count++;
	}
	return 0;
}

int
job_unforget(struct job_context *ctx, const char *point, struct manifest **out,
    struct err *err)
{
	struct found found = { .start = point };
	struct manifest *m;

	if (job_open_catalog(ctx, err) == -1 ||
	    store_forgotten(ctx->store, match_start, &found, err) == -1)
		return -1;
	if (found.count != 1) {
		err_set(err, found.count == 0 ? ERR_NOT_FOUND : ERR_ARG,
		    found.count == 0
			? "no forgotten point begins with '%.40s'"
			: "several forgotten points begin with '%.40s'",
		    point);
		return err_hint(err, "see 'holdstill list --forgotten'");
	}
	if (store_manifest_read(&m, ctx->store, found.id, err) == -1)
		return -1;
	if (store_point_unforget(ctx->store, found.id, err) == -1 ||
	    catalog_add(ctx->catalog, store_id(ctx->store), m, err) == -1) {
		manifest_free(m);
		return -1;
	}
	*out = m;
	return 0;
}
