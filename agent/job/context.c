/* SPDX-License-Identifier: Apache-2.0 */
/* What a job works with, opened when it is needed. */
#include "agent/job/context.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/domain/domain.h"
#include "agent/job/forget.h"
#include "backends/backend.h"
#include "backends/wrap_rate.h"
#include "catalog/catalog.h"
#include "catalog/journal.h"
#include "common/err.h"
#include "common/io.h"
#include "store/store.h"

/* libvirt's QEMU user must be able to pass through to the scratch folder;
 * the files in it are for root alone. */
#define STATE_DIR_MODE 0711

static int
make_state_dir(const struct job_context *ctx, struct err *err)
{
	int rc = io_make_dirs(ctx->state_dir, STATE_DIR_MODE, err);

	if (rc == 0 && access(ctx->state_dir, W_OK | X_OK) == -1)
		rc = err_errno(
		    err, errno, "cannot write to '%s'", ctx->state_dir);
	if (rc == 0)
		return 0;
	err_prefix(err, "the state directory");
	return err_hint(err, "name another one with --state-dir");
}

/* After a failure to read a key: whose it is, and where it is named. */
static int
name_key(const struct job_context *ctx, struct err *err)
{
	const char *origin = ctx->keys.origin;

	return err_prefix(err, "the key of repository '%s'%s%s",
	    ctx->repository_url, origin != NULL ? ", " : "",
	    origin != NULL ? origin : "");
}

/* After a failure to open: what was opened, and with what. */
static int
name_repository(const struct job_context *ctx, bool key, struct err *err)
{
	if (err->class == ERR_NOT_FOUND && err->hint[0] == '\0')
		err_hint(err,
		    "is its disk mounted?  'holdstill init --repo "
		    "%s' makes a new, empty one",
		    ctx->repository_url);
	if (key && err->class == ERR_AUTH && err->sys_errno == 0 &&
	    ctx->keys.origin != NULL)
		err_prefix(err, "with the key of %s", ctx->keys.origin);
	return err_prefix(err, "repository '%s'", ctx->repository_url);
}

static int
open_backend(struct backend **out, struct job_context *ctx, struct err *err)
{
	if (backend_open(out, ctx->repository_url, BACKEND_OPEN, err) == -1)
		return -1;
	if (ctx->limit_rate == 0)
		return 0;
	return wrap_rate_open(out, *out, ctx->limit_rate, err);
}

int
job_open_store(struct job_context *ctx, struct err *err)
{
	struct store_open_options options = { .ask = ctx->keys.ask,
		.arg = ctx->keys.arg };
	struct backend *backend = NULL;

	if (ctx->store != NULL)
		return 0;
	if (ctx->keys.given != NULL &&
	    ctx->keys.given(
		ctx->keys.arg, ctx->repository_url, &options.secret, err) == -1)
		return name_key(ctx, err);
	if (make_state_dir(ctx, err) == -1)
		return -1;
	if (open_backend(&backend, ctx, err) == 0 &&
	    store_open(&ctx->store, backend, ctx->state_dir, &options, err) ==
		0)
		return 0;
	backend_close(backend);
	return name_repository(ctx, options.secret != NULL, err);
}

int
job_open_history(struct job_context *ctx, struct err *err)
{
	if (job_open_store(ctx, err) == -1)
		return -1;
	if (ctx->catalog != NULL)
		return 0;
	return catalog_open(&ctx->catalog, ctx->state_dir, err);
}

int
job_open_catalog(struct job_context *ctx, struct err *err)
{
	if (job_open_history(ctx, err) == -1)
		return -1;
	if (ctx->catalog_synced)
		return 0;
	if (catalog_sync(ctx->catalog, ctx->store, &ctx->synced, err) == -1)
		return -1;
	ctx->catalog_synced = true;
	return 0;
}

int
job_open_journal(struct job_context *ctx, struct err *err)
{
	if (ctx->journal != NULL)
		return 0;
	if (make_state_dir(ctx, err) == -1)
		return -1;
	return journal_open(&ctx->journal, ctx->state_dir, err);
}

int
job_connect(struct job_context *ctx, struct err *err)
{
	if (ctx->connection != NULL)
		return 0;
	return domain_connect(&ctx->connection, ctx->connect_uri, err);
}

void
job_close_store(struct job_context *ctx)
{
	store_close(ctx->store);
	ctx->store = NULL;
	ctx->catalog_synced = false;
}

void
job_context_fini(struct job_context *ctx)
{
	domain_disconnect(ctx->connection);
	ctx->connection = NULL;
	journal_close(ctx->journal);
	ctx->journal = NULL;
	catalog_close(ctx->catalog);
	ctx->catalog = NULL;
	job_close_store(ctx);
}

void
job_step(struct job_context *ctx, const char *domain, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (ctx->events.step == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ctx->events.step(ctx->events.arg, domain, text);
}
