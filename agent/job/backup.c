/* SPDX-License-Identifier: Apache-2.0 */
/* The story of one backup. */
#include "agent/job/backup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/domain/domain.h"
#include "agent/job/backup_internal.h"
#include "agent/job/context.h"
#include "agent/job/lock.h"
#include "agent/job/promote.h"
#include "agent/job/recover.h"
#include "agent/job/scratch.h"
#include "agent/quiesce/quiesce.h"
#include "catalog/catalog.h"
#include "catalog/journal.h"
#include "common/cancel.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "store/store.h"

int
backup_effect(struct backup *b, int64_t *id, enum journal_kind kind,
    const char *subject, struct err *err)
{
	struct journal_effect effect = {
		.kind = kind,
		.connect_uri =
		    b->ctx->connect_uri != NULL ? b->ctx->connect_uri : "",
		.domain_uuid = domain_uuid(b->domain),
		.subject = subject,
		.point_id = b->manifest->id,
	};

	memcpy(effect.run, b->run, sizeof(effect.run));
	if (journal_add(b->ctx->journal, &effect, err) == -1)
		return -1;
	*id = effect.id;
	return 0;
}

void
backup_strike(struct backup *b, int64_t *id)
{
	struct err err = ERR_INIT;

	if (*id == 0)
		return;
	if (journal_strike(b->ctx->journal, *id, &err) == -1)
		log_line(LOG_WARNING, "%s", err.text);
	*id = 0;
}

/* A domain that is off has no QEMU to ask. */
static int
check_state(struct backup *b, struct err *err)
{
	const char *name = domain_name(b->domain);

	if (domain_state(b->domain, &b->state, err) == -1)
		return -1;
	switch (b->state) {
	case DOMAIN_RUNNING:
	case DOMAIN_PAUSED:
		return 0;
	case DOMAIN_PAUSED_IO:
		err_set(err, ERR_IO,
		    "domain '%s' is stopped by an I/O error of its disk", name);
		return err_hint(err,
		    "see 'virsh domblkerror %s', mend the "
		    "cause, then 'virsh resume %s'",
		    name, name);
	case DOMAIN_OFF:
		err_set(err, ERR_UNSUPPORTED,
		    "domain '%s' is off, and this version backs up running "
		    "domains only",
		    name);
		return err_hint(err, "start it with 'virsh start %s'", name);
	case DOMAIN_STATE_OTHER:
		break;
	}
	err_set(
	    err, ERR_BUSY, "domain '%s' is neither running nor paused", name);
	return err_hint(err, "try again when it has started or stopped");
}

/* The domain, its lock, and nothing left of a dead run. */
static int
open_domain(struct backup *b, const char *name, struct err *err)
{
	if (job_connect(b->ctx, err) == -1 ||
	    domain_open(&b->domain, b->ctx->connection, name, err) == -1)
		return -1;
	if (job_lock_take(&b->lock, b->ctx->state_dir, "domain",
		domain_uuid(b->domain), err) == -1)
		return err_prefix(err, "domain '%s'", domain_name(b->domain));
	if (job_recover_domain(b->ctx, b->domain, err) == -1)
		return err_prefix(err, "cannot clean up after a dead run");
	return check_state(b, err);
}

/* The lock comes before the plan: a prune in between could take away what
 * the chosen base refers to.  So does a look at what others made since. */
static int
open_store(struct backup *b, struct err *err)
{
	const struct store_session_options options = { .threads = 0 };

	if (store_lock_take(
		&b->store_lock, b->ctx->store, STORE_LOCK_SHARED, err) == -1)
		return -1;
	b->ctx->catalog_synced = false;
	if (job_open_catalog(b->ctx, err) == -1)
		return -1;
	return store_session_begin(&b->session, b->ctx->store, &options, err);
}

/* Asks libvirt, not ourselves: a begin whose answer was lost has begun. */
int
backup_stop_job(struct backup *b, struct err *err)
{
	if (b->job_effect == 0)
		return 0;
	return scratch_end_job(b->domain, scratch_socket(b->scratch), err);
}

/* The job is over: nothing of it is needed any more. */
static int
end_job(struct backup *b, struct err *err)
{
	if (backup_stop_job(b, err) == -1)
		return -1;
	backup_strike(b, &b->job_effect);
	scratch_free(b->scratch);
	b->scratch = NULL;
	return 0;
}

/* Written before the point is there: from then on the guest is owed the
 * news, whatever becomes of this process. */
static int
journal_committed(struct backup *b, struct err *err)
{
	char subject[RECOVER_COMMITTED_SIZE];

	if (b->manifest->freeze.writer_count == 0)
		return 0;
	recover_format_committed(subject, store_id(b->ctx->store), b->run);
	return backup_effect(
	    b, &b->committed_effect, JOURNAL_COMMITTED, subject, err);
}

static int
commit(struct backup *b, struct err *err)
{
	job_step(b->ctx, b->manifest->domain, "committing");
	b->manifest->duration_ms = clock_monotonic_ms() - b->started_ms;
	if (journal_committed(b, err) == -1)
		return -1;
	if (store_session_commit(b->session, b->manifest, err) == -1)
		return -1;
	b->committed = true;
	return 0;
}

/* What follows a durable point cannot undo it: failures are warnings. */
static void
after_commit(struct backup *b)
{
	struct err err = ERR_INIT;

	if (quiesce_committed(
		b->quiesce, b->manifest->id, &b->manifest->freeze))
		backup_strike(b, &b->committed_effect);
	if (b->checkpoint[0] != '\0')
		job_promote(b->domain, b->checkpoint,
		    b->base != NULL ? b->base->checkpoint : NULL);
	backup_strike(b, &b->checkpoint_effect);
	if (catalog_add(b->ctx->catalog, store_id(b->ctx->store), b->manifest,
		&err) == -1)
		log_line(LOG_WARNING, "the catalog will lag: %s", err.text);
}

/* Without a point, the new checkpoint would be the start of changes that
 * nobody has the beginning of. */
static void
drop_checkpoint(struct backup *b)
{
	struct err err = ERR_INIT;

	if (b->checkpoint_effect == 0 || b->committed)
		return;
	if (domain_checkpoint_delete(b->domain, b->checkpoint, &err) == -1)
		log_line(LOG_WARNING, "cannot delete checkpoint '%s': %s",
		    b->checkpoint, err.text);
	else
		backup_strike(b, &b->checkpoint_effect);
}

/* Undoes what is left; the guest first. */
static void
undo_effects(struct backup *b)
{
	struct err err = ERR_INIT;

	if (quiesce_end(b->quiesce))
		backup_strike(b, &b->freeze_effect);
	b->quiesce = NULL;
	if (end_job(b, &err) == -1)
		log_line(
		    LOG_WARNING, "cannot end the backup job: %s", err.text);
	drop_checkpoint(b);
	/* Without a point there is nothing to tell. */
	if (!b->committed)
		backup_strike(b, &b->committed_effect);
}

static void
close_backup(struct backup *b)
{
	size_t i;

	store_session_end(b->session);
	store_lock_release(b->store_lock);
	for (i = 0; i < b->disk_count; i++)
		free(b->disks[i].scratch_path);
	free(b->disks);
	manifest_free(b->base);
	manifest_free(b->manifest);
	domain_disks_free(b->domain_disks, b->domain_disk_count);
	domain_close(b->domain);
	job_lock_release(b->lock);
}

static int
run(struct backup *b, const char *name, struct err *err)
{
	if (open_domain(b, name, err) == -1)
		return -1;
	job_step(b->ctx, name, "planning");
	if (open_store(b, err) == -1 || backup_plan(b, err) == -1 ||
	    backup_picture(b, err) == -1)
		return -1;
	/* All is read: nobody watches the scratch space during the commit. */
	if (backup_stream(b, err) == -1 || end_job(b, err) == -1)
		return -1;
	if (cancel_check(err) == -1 || commit(b, err) == -1)
		return -1;
	after_commit(b);
	return 0;
}

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

/* Below what was preferred, or a disk read whole that need not have been? */
static void
judge(const struct backup *b, struct backup_result *out)
{
	const struct manifest *m = b->manifest;
	enum manifest_consistency wanted = MANIFEST_CRASH;
	size_t i;

	/* By default the best that the guest offered when it was asked. */
	if (b->options->has_prefer)
		wanted = b->options->prefer;
	else if (b->offered != MANIFEST_QUIESCE_NONE)
		wanted = MANIFEST_FILESYSTEM;
	if (m->consistency < wanted)
		append_note(out, "consistency is only '%s': %s",
		    manifest_consistency_name(m->consistency),
		    m->consistency_reason);
	for (i = 0; i < b->disk_count; i++)
		if (b->disks[i].demoted)
			append_note(out, "disk '%s' was read whole: %s",
			    b->disks[i].disk->target, b->disks[i].reason);
}

static void
record_run_begin(struct backup *b, const char *domain)
{
	struct err err = ERR_INIT;
	struct catalog_run run = {
		.repository_id = store_id(b->ctx->store),
		.domain = domain,
		.job = b->options->job,
		.started_ms = clock_wall_ms(),
	};

	memcpy(run.id, b->run, sizeof(run.id));
	if (catalog_run_begin(b->ctx->catalog, &run, &err) == -1)
		log_line(LOG_WARNING, "history is not kept: %s", err.text);
}

static void
record_run_end(struct backup *b, int rc, const struct backup_result *result,
    const struct err *failure)
{
	struct err err = ERR_INIT;
	const char *outcome = "done", *message = result->note;

	if (rc == -1) {
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

int
job_backup(struct job_context *ctx, const char *domain,
    const struct backup_options *options, struct backup_result *out,
    struct err *err)
{
	struct backup b = { .ctx = ctx, .options = options };
	int rc = -1;

	memset(out, 0, sizeof(*out));
	b.started_ms = clock_monotonic_ms();
	if (job_open_catalog(ctx, err) == -1 ||
	    job_open_journal(ctx, err) == -1 || hexid_new(b.run, err) == -1)
		return -1;
	if ((b.manifest = manifest_new()) == NULL)
		return err_no_memory(err);
	record_run_begin(&b, domain);
	rc = run(&b, domain, err);
	if (rc == 0)
		judge(&b, out);
	undo_effects(&b);
	record_run_end(&b, rc, out, err);
	if (rc == 0) {
		out->manifest = b.manifest;
		b.manifest = NULL;
	}
	close_backup(&b);
	return rc;
}
