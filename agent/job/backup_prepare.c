/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that can be done before the freeze.  A sync of the journal costs
 * milliseconds, a question to QEMU as many: the guest should not wait for
 * either.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/job/backup_internal.h"
#include "agent/job/context.h"
#include "agent/job/group.h"
#include "agent/quiesce/quiesce.h"
#include "common/io.h"

static int
add_scratch_files(struct backup *b, struct err *err)
{
	size_t i;

	for (i = 0; i < b->disk_count; i++) {
		free(b->disks[i].scratch_path);
		b->disks[i].scratch_path = NULL;
		if (scratch_add_disk(&b->disks[i].scratch_path, b->scratch,
			b->disks[i].disk->target, b->disks[i].disk->size_bytes,
			err) == -1)
			return -1;
	}
	return 0;
}

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
	int rc;

	if (default_dir == NULL)
		return err_no_memory(err);
	if (base_dir == NULL)
		base_dir = default_dir;
	memcpy(effect.run, b->run, sizeof(effect.run));
	rc = scratch_new(
	    &b->scratch, b->domain, b->ctx->journal, &effect, base_dir, err);
	if (rc == 0)
		rc = add_scratch_files(b, err);
	free(default_dir);
	return rc;
}

/* Scratch space, and the journal of the picture to come. */
static int
prepare_host(struct backup *b, struct err *err)
{
	job_step(b->ctx, b->manifest->domain, "preparing the guest");
	if (prepare_scratch(b, err) == -1 ||
	    backup_effect(b, &b->job_effect, JOURNAL_JOB,
		scratch_socket(b->scratch), err) == -1)
		return -1;
	if (b->checkpoint[0] == '\0')
		return 0;
	return backup_effect(
	    b, &b->checkpoint_effect, JOURNAL_CHECKPOINT, b->checkpoint, err);
}

static int
begin_quiesce(struct backup *b, struct err *err)
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
	free(disks);
	return rc;
}

static int
prepare_picture(struct backup *b, struct err *err)
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
	rc = domain_picture_prepare(&b->picture, b->domain, &job, err);
	free(disks);
	return rc;
}

/* A guest's writers may take long to get ready: all guests at once, so that
 * the first has not grown stale when the last is done. */
static int
prepare_guest(struct backup *b, struct err *err)
{
	if (begin_quiesce(b, err) == -1)
		return -1;
	b->offered = quiesce_source(b->quiesce);
	/* Late, for a disk must not change its size between. */
	return prepare_picture(b, err);
}

/* Nothing is frozen for a level that cannot be reached. */
static int
check_reachable(struct backup *b, struct err *err)
{
	b->manifest->consistency = quiesce_reachable(b->quiesce);
	return backup_settle(b, err);
}

static int
journal_freeze(struct backup *b, struct err *err)
{
	if (b->offered == MANIFEST_QUIESCE_NONE)
		return 0;
	return backup_effect(b, &b->freeze_effect, JOURNAL_FREEZE,
	    manifest_quiesce_name(b->offered), err);
}

int
backup_prepare(struct backup_set *set, struct err *err)
{
	if (backup_each(set, prepare_host, err) == -1 ||
	    group_parallel(set, prepare_guest, err) == -1 ||
	    backup_each(set, check_reachable, err) == -1)
		return -1;
	return backup_each(set, journal_freeze, err);
}
