/* SPDX-License-Identifier: Apache-2.0 */
/* Hold still: everything ready beforehand, then freeze, picture, thaw. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/job/backup_internal.h"
#include "agent/job/context.h"
#include "agent/quiesce/quiesce.h"
#include "common/cancel.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/io.h"

static int
prepare_scratch(struct backup *b, struct err *err)
{
	struct journal_effect effect = {
		.connect_uri =
		    b->ctx->connect_uri != NULL ? b->ctx->connect_uri : "",
		.domain_uuid = domain_uuid(b->domain),
		.point_id = b->manifest->id,
	};
	char *default_dir = io_path(b->ctx->state_dir, "scratch");
	const char *base_dir = b->ctx->scratch_dir;
	size_t i;
	int rc = -1;

	if (default_dir == NULL)
		return err_no_memory(err);
	if (base_dir == NULL)
		base_dir = default_dir;
	memcpy(effect.run, b->run, sizeof(effect.run));
	if (scratch_new(&b->scratch, b->domain, b->ctx->journal, &effect,
		base_dir, err) == -1)
		goto out;
	for (i = 0; i < b->disk_count; i++)
		if (scratch_add_disk(&b->disks[i].scratch_path, b->scratch,
			b->disks[i].disk->target, b->disks[i].disk->size_bytes,
			err) == -1)
			goto out;
	rc = 0;
out:
	free(default_dir);
	return rc;
}

static int
prepare_guest(struct backup *b, struct err *err)
{
	struct quiesce_disk *disks = calloc(b->disk_count, sizeof(*disks));
	struct quiesce_options options = {
		.session = b->run,
		.lease_ms = b->options->lease_ms,
		.disks = disks,
		.disk_count = b->disk_count,
		.prefer = b->options->has_prefer ? b->options->prefer
						 : MANIFEST_APPLICATION,
	};
	size_t i;
	int rc;

	if (disks == NULL)
		return err_no_memory(err);
	for (i = 0; i < b->disk_count; i++) {
		disks[i].target = b->disks[i].disk->target;
		disks[i].serial = b->disks[i].disk->serial;
		disks[i].wwn = b->disks[i].disk->wwn;
		disks[i].pci = b->disks[i].disk->pci;
	}
	/* A paused guest cannot answer. */
	if (b->state == DOMAIN_PAUSED)
		options.prefer = MANIFEST_CRASH;
	rc = quiesce_begin(&b->quiesce, b->domain, &options, err);
	if (rc == 0)
		b->offered = quiesce_source(b->quiesce);
	free(disks);
	return rc;
}

static int
journal_freeze(struct backup *b, struct err *err)
{
	enum manifest_quiesce source = quiesce_source(b->quiesce);

	if (source == MANIFEST_QUIESCE_NONE || b->freeze_effect != 0)
		return 0;
	return backup_effect(b, &b->freeze_effect, JOURNAL_FREEZE,
	    manifest_quiesce_name(source), err);
}

/* Written before the freeze: a sync to disk costs milliseconds that the
 * guest should not wait. */
static int
journal_picture(struct backup *b, struct err *err)
{
	if (backup_effect(b, &b->job_effect, JOURNAL_JOB,
		scratch_socket(b->scratch), err) == -1)
		return -1;
	if (b->checkpoint[0] == '\0')
		return 0;
	return backup_effect(
	    b, &b->checkpoint_effect, JOURNAL_CHECKPOINT, b->checkpoint, err);
}

static int
begin_job(struct backup *b, struct err *err)
{
	struct domain_backup_disk *disks =
	    calloc(b->disk_count, sizeof(*disks));
	struct domain_backup job = {
		.socket_path = scratch_socket(b->scratch),
		.checkpoint = b->checkpoint[0] != '\0' ? b->checkpoint : NULL,
		.disks = disks,
		.disk_count = b->disk_count,
	};
	size_t i;
	int rc;

	if (disks == NULL)
		return err_no_memory(err);
	for (i = 0; i < b->disk_count; i++) {
		disks[i].target = b->disks[i].disk->target;
		disks[i].since =
		    b->disks[i].base != NULL ? b->base->checkpoint : NULL;
		disks[i].scratch_path = b->disks[i].scratch_path;
	}
	b->manifest->time_ms = clock_wall_ms();
	rc = domain_backup_begin(b->domain, &job, err);
	free(disks);
	return rc;
}

/* Freeze, picture, thaw.  Thaws on every path. */
static int
take_picture(struct backup *b, struct err *err)
{
	struct manifest *m = b->manifest;
	int rc;

	job_step(b->ctx, m->domain, "hold still");
	if (journal_freeze(b, err) == -1)
		return -1;
	if (quiesce_freeze(b->quiesce, err) == -1)
		return -1;
	rc = begin_job(b, err);
	manifest_freeze_fini(&m->freeze);
	quiesce_thaw(b->quiesce, &m->freeze, &m->consistency);
	if (!quiesce_owes_thaw(b->quiesce))
		backup_strike(b, &b->freeze_effect);
	return rc;
}

/* A session freezes once. */
static int
take_full_picture(struct backup *b, const char *reason, struct err *err)
{
	backup_plan_all_full(b, true, reason);
	if (quiesce_end(b->quiesce))
		backup_strike(b, &b->freeze_effect);
	b->quiesce = NULL;
	if (cancel_check(err) == -1 || prepare_guest(b, err) == -1)
		return -1;
	return take_picture(b, err);
}

static bool
wants_application(const struct backup_options *options)
{
	return options->require == MANIFEST_APPLICATION ||
	       (options->has_prefer && options->prefer == MANIFEST_APPLICATION);
}

static int
record_reason(struct backup *b, struct err *err)
{
	const char *reason = quiesce_reason(b->quiesce);

	if (reason[0] == '\0' &&
	    b->manifest->consistency == MANIFEST_FILESYSTEM &&
	    wants_application(b->options))
		reason = "no writer in the guest answers for its applications";

	if (b->state == DOMAIN_PAUSED)
		reason = "the guest was paused: it held still, but its file "
			 "systems were not asked to be clean";
	b->manifest->consistency_reason = strdup(reason);
	if (b->manifest->consistency_reason == NULL)
		return err_no_memory(err);
	return 0;
}

static int
check_required(const struct backup *b, struct err *err)
{
	const struct manifest *m = b->manifest;

	if (m->consistency >= b->options->require)
		return 0;
	err_set(err, ERR_UNSUPPORTED,
	    "consistency is only '%s', and '%s' is required: %s",
	    manifest_consistency_name(m->consistency),
	    manifest_consistency_name(b->options->require),
	    m->consistency_reason);
	return err_hint(err, "see 'holdstill guest status %s'", m->domain);
}

int
backup_picture(struct backup *b, struct err *err)
{
	struct err unusable = ERR_INIT;

	job_step(b->ctx, b->manifest->domain, "preparing the guest");
	if (prepare_scratch(b, err) == -1 || prepare_guest(b, err) == -1 ||
	    journal_picture(b, err) == -1)
		return -1;
	if (take_picture(b, &unusable) == -1) {
		/* A bitmap that breaks between plan and picture must not cost
		 * the night's backup. */
		if (unusable.class != ERR_CORRUPT || b->base == NULL) {
			*err = unusable;
			return -1;
		}
		if (take_full_picture(b, unusable.text, err) == -1)
			return -1;
	}
	if (record_reason(b, err) == -1)
		return -1;
	return check_required(b, err);
}
