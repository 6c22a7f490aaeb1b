/* SPDX-License-Identifier: Apache-2.0 */
/* A POINT as a person names it, where not all points can be read. */
#include <stdio.h>
#include <string.h>

#include "agent/job/context.h"
#include "agent/job/forget.h"
#include "common/err.h"
#include "store/manifest.h"
#include "store/store.h"

/* "1234abcd, 5678cdef and 3 more" */
static const char *
list_unreadable(
    char *out, size_t size, const struct catalog_sync_result *synced)
{
	uint64_t i, named = synced->unreadable < CATALOG_UNREADABLE_MAX
				? synced->unreadable
				: CATALOG_UNREADABLE_MAX;
	size_t used = 0;

	for (i = 0; i < named; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%.12s",
		    i > 0 ? ", " : "", synced->unreadable_id[i]);
	if (synced->unreadable > named)
		snprintf(out + used, size - used, " and %llu more",
		    (unsigned long long)(synced->unreadable - named));
	return out;
}

static const char *
remedy(const struct catalog_sync_result *synced)
{
	if (synced->newer)
		return "use a newer holdstill: a later version has made it";
	if (synced->out_of_reach)
		return "the warning of it says why";
	return "'holdstill repair' sets aside what cannot be read, and says "
	       "what is known";
}

/* It may be of the domain, and the newest: what is taken instead has to be
 * named by somebody who knows. */
static int
refuse(const struct job_context *ctx, const char *point, const char *id,
    struct err *err)
{
	char list[CATALOG_UNREADABLE_MAX * 16 + 32];
	bool one = ctx->synced.unreadable == 1;

	err_clear(err);
	err_set(err, ERR_CORRUPT,
	    "point%s %s cannot be read, and %s be what '%.200s' means",
	    one ? "" : "s", list_unreadable(list, sizeof(list), &ctx->synced),
	    one ? "may" : "one of them may", point);
	if (id == NULL)
		return err_hint(err, "%s", remedy(&ctx->synced));
	return err_hint(err,
	    "of those that can be read it is %.12s: name that to have it; %s",
	    id, remedy(&ctx->synced));
}

/* ---- the start of an id that no listed point has ---- */

/* NULL: it is none of those that are named. */
static const char *
find_unreadable(const struct job_context *ctx, const char *start)
{
	const struct catalog_sync_result *synced = &ctx->synced;
	uint64_t i;

	for (i = 0; i < synced->unreadable && i < CATALOG_UNREADABLE_MAX; i++)
		if (strncmp(synced->unreadable_id[i], start, strlen(start)) ==
		    0)
			return synced->unreadable_id[i];
	return NULL;
}

static int
explain_unreadable(
    const struct job_context *ctx, const char *id, struct err *err)
{
	err_clear(err);
	err_set(err, ERR_CORRUPT, "point %s cannot be read", id);
	return err_hint(err, "'holdstill verify' says what is wrong; %s",
	    remedy(&ctx->synced));
}

/* Why there is none of that name, where more can be said. */
static int
explain_start(struct job_context *ctx, const char *point, struct err *err)
{
	char start[HEXID_SIZE], id[HEXID_SIZE];
	struct err own = ERR_INIT;
	const char *unreadable;
	int count;

	if (hexid_start(start, point) == -1)
		return -1;
	if ((unreadable = find_unreadable(ctx, start)) != NULL)
		return explain_unreadable(ctx, unreadable, err);
	if ((count = job_find_forgotten(id, ctx, point, &own)) < 1)
		return -1;
	err_clear(err);
	if (count > 1) {
		err_set(err, ERR_NOT_FOUND,
		    "no point begins with '%.40s', but %d that were forgotten",
		    point, count);
		return err_hint(err, "see 'holdstill list --forgotten'");
	}
	err_set(err, ERR_NOT_FOUND, "point %.8s was forgotten", id);
	return err_hint(
	    err, "'holdstill unforget %.8s' keeps it after all", id);
}

/* ---- points of a domain ---- */

static int
count_any(void *arg, const char *id, int64_t time_ms)
{
	(void)id;
	(void)time_ms;
	++*(uint64_t *)arg;
	return 0;
}

/* Those of the domain may all be forgotten. */
static int
hint_at_forgotten(struct job_context *ctx, struct err *err)
{
	struct err own = ERR_INIT;
	uint64_t count = 0;

	if (store_forgotten(ctx->store, count_any, &count, &own) == 0 &&
	    count > 0)
		err_hint(err,
		    "see 'holdstill list', and 'holdstill list --forgotten' "
		    "for what can be kept after all");
	return -1;
}

/* A host that may only add knows but its own newest points. */
static int
hint_at_owner(const char *point, struct err *err)
{
	err_set(err, ERR_AUTH,
	    "'%.200s' is none of the newest points of this host, and a host "
	    "key opens no other",
	    point);
	return err_hint(err, "give the owner's key, where that is kept: "
			     "--passphrase-file or --key-file");
}

int
job_resolve(char out_id[HEXID_SIZE], struct job_context *ctx, const char *point,
    struct err *err)
{
	int rc;

	if (job_open_catalog(ctx, err) == -1)
		return -1;
	rc = catalog_resolve(
	    out_id, ctx->catalog, store_id(ctx->store), point, err);
	if (rc == -1 && err->class != ERR_NOT_FOUND)
		return -1;
	if (rc == -1 && store_is_host(ctx->store))
		return hint_at_owner(point, err);
	if (strchr(point, '@') == NULL)
		return rc == 0 ? 0 : explain_start(ctx, point, err);
	if (ctx->synced.unreadable > 0)
		return refuse(ctx, point, rc == 0 ? out_id : NULL, err);
	return rc == 0 ? 0 : hint_at_forgotten(ctx, err);
}

int
job_find_point(struct manifest **out, struct job_context *ctx,
    const char *point, struct err *err)
{
	char id[HEXID_SIZE];

	if (job_resolve(id, ctx, point, err) == -1)
		return -1;
	if (store_manifest_read(out, ctx->store, id, err) == 0)
		return 0;
	/* This host knows it from better days. */
	if (err->class == ERR_CORRUPT) {
		err_prefix(err, "point %s cannot be read", id);
		err_hint(err,
		    "run 'holdstill verify' to see what else is hurt; "
		    "'holdstill list' has other points");
	}
	return -1;
}
