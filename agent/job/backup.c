/* SPDX-License-Identifier: Apache-2.0 */
/* The story of one backup, of one domain or of several. */
#include "agent/job/backup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/job/backup_internal.h"
#include "agent/job/context.h"
#include "agent/job/group.h"
#include "agent/job/owed.h"
#include "agent/job/promote.h"
#include "agent/quiesce/quiesce.h"
#include "catalog/catalog.h"
#include "common/cancel.h"
#include "common/clock.h"
#include "common/log.h"
#include "store/store.h"

/* ---- the points ---- */

/* Written before the point is there: from then on the guest is owed the
 * news, whatever becomes of this process. */
static int
journal_committed(struct backup *b, struct err *err)
{
	char subject[OWED_SUBJECT_SIZE];

	job_step(b->ctx, b->manifest->domain, "committing");
	b->manifest->duration_ms = clock_monotonic_ms() - b->started_ms;
	if (!quiesce_any_held(&b->manifest->freeze))
		return 0;
	owed_format_subject(subject, store_id(b->ctx->store), b->run);
	return backup_effect(
	    b, &b->committed_effect, JOURNAL_COMMITTED, subject, err);
}

static int
commit(struct backup_set *set, struct err *err)
{
	struct backup *b;
	size_t i;

	if (backup_each(set, journal_committed, err) == -1)
		return -1;
	for (i = 0; i < set->count; i++) {
		b = &set->members[i];
		if (store_session_commit(set->session, b->manifest, err) == -1)
			return backup_blame(set, b, err);
		b->committed = true;
	}
	return 0;
}

/* What follows a durable point cannot undo it: failures are warnings. */
static int
after_commit(struct backup *b, struct err *err)
{
	if (!b->committed)
		return 0;
	if (quiesce_committed(
		b->quiesce, b->manifest->id, &b->manifest->freeze))
		backup_strike(b, &b->committed_effect);
	if (b->checkpoint[0] != '\0')
		job_promote(b->domain, b->checkpoint,
		    b->base != NULL ? b->base->checkpoint : NULL);
	backup_strike(b, &b->checkpoint_effect);
	if (catalog_add(b->ctx->catalog, store_id(b->ctx->store), b->manifest,
		err) == -1)
		log_line(LOG_WARNING, "the catalog will lag: %s", err->text);
	return 0;
}

/* ---- the story ---- */

static int
plan(struct backup *b, struct err *err)
{
	job_step(b->ctx, b->name, "planning");
	return backup_plan(b, err);
}

/* What a prune may be about to remove is no base: such disks are read whole,
 * and what is there still is not stored again. */
static int
check_bases(struct backup_set *set, struct err *err)
{
	struct backup *b;
	size_t i;
	int rc;

	for (i = 0; i < set->count; i++) {
		b = &set->members[i];
		if (b->base == NULL)
			continue;
		rc = store_session_base(set->session, b->base, err);
		if (rc == -1)
			return backup_blame(set, b, err);
		if (rc == 0)
			backup_plan_all_full(b, true,
			    "a prune may be removing parts of the last point");
	}
	return 0;
}

static int
run(struct backup_set *set, struct err *err)
{
	struct err ignored = ERR_INIT;
	int rc;

	if (backup_open(set, err) == -1 || backup_each(set, plan, err) == -1 ||
	    check_bases(set, err) == -1 || backup_prepare(set, err) == -1 ||
	    backup_hold(set, err) == -1 ||
	    backup_each(set, backup_settle, err) == -1 ||
	    group_judge(set, err) == -1 || backup_stream(set, err) == -1 ||
	    cancel_check(err) == -1)
		return -1;
	rc = commit(set, err);
	backup_each(set, after_commit, &ignored);
	return rc;
}

/* ---- what came of it ---- */

static void append_note(struct backup_result *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
append_note(struct backup_result *out, const char *fmt, ...)
{
	size_t used = strlen(out->note);
	va_list ap;

	out->demoted = true;
	if (used > 0)
		used += (size_t)snprintf(
		    out->note + used, sizeof(out->note) - used, "; ");
	if (used >= sizeof(out->note))
		return;
	va_start(ap, fmt);
	vsnprintf(out->note + used, sizeof(out->note) - used, fmt, ap);
	va_end(ap);
}

/* Below what was preferred, a disk read whole that need not have been, or not
 * of one instant? */
static void
judge(const struct backup *b, struct backup_result *out)
{
	const struct manifest *m = b->manifest;
	enum manifest_consistency wanted = MANIFEST_CRASH;
	size_t i;

	/* By default the best that the guest offered when it was asked. */
	if (b->options->has_prefer)
		wanted = b->options->prefer;
	else if (b->quiesce != NULL)
		wanted = quiesce_offered(b->quiesce);
	if (m->consistency < wanted)
		append_note(out, "consistency is only '%s': %s",
		    manifest_consistency_name(m->consistency),
		    m->consistency_reason);
	for (i = 0; i < b->disk_count; i++)
		if (b->disks[i].demoted)
			append_note(out, "disk '%s' was read whole: %s",
			    b->disks[i].disk->target, b->disks[i].reason);
	if (m->group.id[0] != '\0' && !m->group.consistent)
		append_note(
		    out, "the group is not consistent: %s", m->group.reason);
}

static int
record_run_begin(struct backup *b, struct err *err)
{
	struct catalog_run run = {
		.repository_id = store_id(b->ctx->store),
		.domain = b->name,
		.job = b->options->job,
		.started_ms = clock_wall_ms(),
	};

	memcpy(run.id, b->run, sizeof(run.id));
	if (catalog_run_begin(b->ctx->catalog, &run, err) == -1)
		log_line(LOG_WARNING, "history is not kept: %s", err->text);
	return 0;
}

/* failure: of the whole set, NULL if there was none. */
static void
record_run_end(struct backup *b, const struct backup_result *result,
    const struct err *failure)
{
	const char *outcome = "done", *message = result->note;
	struct err err = ERR_INIT;

	if (!b->committed) {
		outcome =
		    failure->class == ERR_CANCELLED ? "cancelled" : "failed";
		message = failure->text;
	} else if (result->demoted) {
		outcome = "demoted";
	}
	if (catalog_run_end(b->ctx->catalog, b->run, outcome,
		b->committed ? b->manifest->id : "", message, &err) == -1)
		log_line(LOG_WARNING, "history is not kept: %s", err.text);
}

static int
begin_set(struct backup_set *set, const char *const *domains, struct err *err)
{
	struct backup *b;
	size_t i;

	set->members = calloc(set->count, sizeof(*set->members));
	if (set->members == NULL)
		return err_no_memory(err);
	for (i = 0; i < set->count; i++) {
		b = &set->members[i];
		b->ctx = set->ctx;
		b->options = set->options;
		b->name = domains[i];
		b->started_ms = clock_monotonic_ms();
		if (hexid_new(b->run, err) == -1)
			return -1;
		if ((b->manifest = manifest_new()) == NULL)
			return err_no_memory(err);
	}
	return 0;
}

/* Takes the points that are there out of the set. */
static void
hand_over(struct backup_set *set, struct backup_result *results,
    const struct err *failure)
{
	struct backup *b;
	size_t i;

	for (i = 0; i < set->count; i++) {
		b = &set->members[i];
		if (b->committed)
			judge(b, &results[i]);
		backup_undo(b);
		record_run_end(b, &results[i], failure);
		if (!b->committed)
			continue;
		results[i].manifest = b->manifest;
		b->manifest = NULL;
	}
}

static int
run_set(struct backup_set *set, const char *const *domains,
    struct backup_result *results, struct err *err)
{
	struct err ignored = ERR_INIT;
	int rc = -1;

	memset(results, 0, set->count * sizeof(*results));
	/* Points are listed once, when the session holds them. */
	if (job_open_history(set->ctx, err) == -1 ||
	    job_open_journal(set->ctx, err) == -1)
		return -1;
	if (begin_set(set, domains, err) == 0) {
		backup_each(set, record_run_begin, &ignored);
		rc = run(set, err);
		hand_over(set, results, err);
	}
	backup_close(set);
	return rc;
}

int
job_backup(struct job_context *ctx, const char *domain,
    const struct backup_options *options, struct backup_result *out,
    struct err *err)
{
	struct backup_set set = {
		.ctx = ctx,
		.options = options,
		.count = 1,
	};

	return run_set(&set, &domain, out, err);
}

int
job_backup_group(struct job_context *ctx, const char *const *domains,
    size_t count, const struct backup_options *options,
    struct backup_result *results, struct err *err)
{
	struct backup_set set = {
		.ctx = ctx,
		.options = options,
		.count = count,
	};

	memset(results, 0, count * sizeof(*results));
	if (count > MANIFEST_GROUP_MAX)
		return err_set(err, ERR_ARG,
		    "a group has %d domains at most, not %zu",
		    MANIFEST_GROUP_MAX, count);
	if (hexid_new(set.group, err) == -1)
		return -1;
	return run_set(&set, domains, results, err);
}
