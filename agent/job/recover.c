/* SPDX-License-Identifier: Apache-2.0 */
/* Undoes what a dead process left. */
#include "agent/job/recover.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/domain/domain.h"
#include "agent/job/context.h"
#include "agent/job/lock.h"
#include "agent/job/owed.h"
#include "agent/job/promote.h"
#include "agent/job/scratch.h"
#include "agent/quiesce/quiesce.h"
#include "catalog/catalog.h"
#include "catalog/journal.h"
#include "common/err.h"
#include "common/log.h"
#include "store/manifest.h"
#include "store/store.h"

#define AGENT_TIMEOUT_MS 10000

struct recovery {
	struct job_context *ctx;
	struct domain *domain; /* NULL: it does not exist any more. */
	struct owed owed;
	struct recover_result result;
};

/* Our helper thaws by itself when the host's channel closes, and at the latest
 * when its lease ends; the QEMU guest agent thaws only when it is told. */
static int
undo_freeze(
    struct recovery *r, const struct journal_effect *effect, struct err *err)
{
	enum domain_state state;
	int count;

	if (r->domain == NULL ||
	    strcmp(effect->subject,
		manifest_quiesce_name(MANIFEST_QUIESCE_QEMU_GA)) != 0)
		return 0;
	if (domain_state(r->domain, &state, err) == -1)
		return -1;
	if (state == DOMAIN_OFF)
		return 0; /* A freeze does not outlive its guest. */
	if (domain_agent_thaw(r->domain, AGENT_TIMEOUT_MS, &count, err) == 0)
		return 0;
	/* An agent that answers, be it with a refusal, holds nothing any
	 * more, and a domain without one was started since. */
	return err->class == ERR_UNSUPPORTED ? 0 : -1;
}

static bool
names_this_store(const struct recovery *r, const char *checkpoint)
{
	return r->ctx->store != NULL &&
	       strncmp(checkpoint, DOMAIN_CHECKPOINT_PREFIX,
		   strlen(DOMAIN_CHECKPOINT_PREFIX)) == 0 &&
	       strncmp(checkpoint + strlen(DOMAIN_CHECKPOINT_PREFIX),
		   store_id(r->ctx->store), 8) == 0;
}

/* The point decides: with its manifest the checkpoint is good and those
 * before it are not, without it the checkpoint is the start of nothing. */
static int
undo_checkpoint(
    struct recovery *r, const struct journal_effect *effect, struct err *err)
{
	struct manifest *m = NULL;

	if (r->domain == NULL)
		return 0;
	if (!names_this_store(r, effect->subject)) {
		err_set(err, ERR_NOT_FOUND,
		    "checkpoint '%s' belongs to another repository",
		    effect->subject);
		return err_hint(
		    err, "run 'holdstill recover' with that repository");
	}
	if (store_manifest_read(&m, r->ctx->store, effect->point_id, err) ==
	    0) {
		manifest_free(m);
		job_promote(r->domain, effect->subject, NULL);
		return 0;
	}
	if (err->class != ERR_NOT_FOUND)
		return -1;
	return domain_checkpoint_delete(r->domain, effect->subject, err);
}

/* A domain that this libvirt does not know may live on with another. */
static int
check_connection(const struct recovery *r, const struct journal_effect *effect,
    struct err *err)
{
	const char *uri =
	    r->ctx->connect_uri != NULL ? r->ctx->connect_uri : "";

	if (r->domain != NULL || strcmp(uri, effect->connect_uri) == 0)
		return 0;
	err_set(err, ERR_NOT_FOUND,
	    "'%s' was done through libvirt at '%s', which is not asked now",
	    effect->subject, effect->connect_uri);
	return err_hint(err, "run 'holdstill recover --connect URI'");
}

static int
undo(struct recovery *r, const struct journal_effect *effect, struct err *err)
{
	if (effect->kind != JOURNAL_DIR &&
	    check_connection(r, effect, err) == -1)
		return -1;
	switch (effect->kind) {
	case JOURNAL_FREEZE:
		return undo_freeze(r, effect, err);
	case JOURNAL_JOB:
		if (r->domain == NULL)
			return 0;
		return scratch_end_job(r->domain, effect->subject, err);
	case JOURNAL_CHECKPOINT:
		return undo_checkpoint(r, effect, err);
	case JOURNAL_DIR:
		return scratch_remove_leftover(effect->subject, err);
	case JOURNAL_COMMITTED:
		return owed_settle(&r->owed, effect, err);
	}
	return err_set(
	    err, ERR_CORRUPT, "unknown kind of effect %d", (int)effect->kind);
}

static int
visit(void *arg, const struct journal_effect *effect)
{
	struct recovery *r = arg;
	struct err err = ERR_INIT;
	bool told = effect->kind == JOURNAL_COMMITTED;

	if (undo(r, effect, &err) == -1 ||
	    journal_strike(r->ctx->journal, effect->id, &err) == -1) {
		/* A guest that is off hears it some other day. */
		if (told) {
			r->result.owed++;
			return 0;
		}
		log_line(LOG_WARNING, "left of process %lld: %s%s%s%s",
		    (long long)effect->pid, err.text,
		    err.hint[0] != '\0' ? " (" : "", err.hint,
		    err.hint[0] != '\0' ? ")" : "");
		r->result.kept++;
		return 0;
	}
	log_line(LOG_INFO,
	    told ? "told: '%s' of process %lld"
		 : "undone: '%s' of dead process %lld",
	    effect->subject, (long long)effect->pid);
	if (!told)
		r->result.undone++;
	return 0;
}

/* The caller holds the domain's lock. */
static int
recover_effects(struct recovery *r, const char *uuid, struct err *err)
{
	r->owed.domain = r->domain;
	r->owed.store = r->ctx->store;
	return journal_leftovers(r->ctx->journal, uuid, visit, r, err);
}

/* The history then says "interrupted", not "running" for ever. */
static void
close_dead_runs(struct job_context *ctx)
{
	struct err err = ERR_INIT;
	uint64_t closed;

	if (ctx->catalog != NULL &&
	    catalog_runs_close_dead(ctx->catalog, &closed, &err) == -1)
		log_line(LOG_WARNING, "%s", err.text);
}

int
job_recover_domain(
    struct job_context *ctx, struct domain *domain, struct err *err)
{
	struct recovery r = { .ctx = ctx, .domain = domain };

	close_dead_runs(ctx);
	return recover_effects(&r, domain_uuid(domain), err);
}

static int
count_owed(void *arg, const struct journal_effect *effect)
{
	uint64_t *count = arg;

	if (effect->kind == JOURNAL_COMMITTED)
		++*count;
	return 0;
}

int
job_owed(struct job_context *ctx, const char *domain_uuid, uint64_t *out,
    struct err *err)
{
	*out = 0;
	if (job_open_journal(ctx, err) == -1)
		return -1;
	return journal_leftovers(
	    ctx->journal, domain_uuid, count_owed, out, err);
}

/* ---- all domains ---- */

struct uuid_list {
	char (*uuid)[DOMAIN_UUID_SIZE];
	size_t count;
};

static int
collect_uuid(void *arg, const struct journal_effect *effect)
{
	struct uuid_list *list = arg;
	char(*uuid)[DOMAIN_UUID_SIZE];
	size_t i;

	for (i = 0; i < list->count; i++)
		if (strcmp(list->uuid[i], effect->domain_uuid) == 0)
			return 0;
	uuid = realloc(list->uuid, (list->count + 1) * sizeof(*uuid));
	if (uuid == NULL)
		return 1;
	list->uuid = uuid;
	strncpy(uuid[list->count], effect->domain_uuid, DOMAIN_UUID_SIZE - 1);
	uuid[list->count][DOMAIN_UUID_SIZE - 1] = '\0';
	list->count++;
	return 0;
}

static int
recover_uuid(struct job_context *ctx, const char *uuid,
    struct recover_result *out, struct err *err)
{
	struct recovery r = { .ctx = ctx };
	struct job_lock *lock = NULL;
	int rc = -1;

	if (job_lock_take(&lock, ctx->state_dir, "domain", uuid, err) == -1) {
		if (err->class != ERR_BUSY)
			return -1;
		return 0; /* That run recovers its own domain. */
	}
	if (domain_open(&r.domain, ctx->connection, uuid, err) == -1 &&
	    err->class != ERR_NOT_FOUND)
		goto out;
	rc = recover_effects(&r, uuid, err);
	out->undone += r.result.undone;
	out->kept += r.result.kept;
	out->owed += r.result.owed;
out:
	domain_close(r.domain);
	job_lock_release(lock);
	return rc;
}

int
job_recover_all(
    struct job_context *ctx, struct recover_result *out, struct err *err)
{
	struct uuid_list list = { 0 };
	int rc = -1;
	size_t i;

	memset(out, 0, sizeof(*out));
	close_dead_runs(ctx);
	if (job_open_journal(ctx, err) == -1 ||
	    journal_leftovers(ctx->journal, NULL, collect_uuid, &list, err) ==
		-1)
		goto out;
	if (list.count > 0 && job_connect(ctx, err) == -1)
		goto out;
	rc = 0;
	for (i = 0; rc == 0 && i < list.count; i++)
		rc = recover_uuid(ctx, list.uuid[i], out, err);
out:
	free(list.uuid);
	return rc;
}
