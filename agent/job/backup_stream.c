/* SPDX-License-Identifier: Apache-2.0 */
/* Every disk from the job's export through the store. */
#include <stdlib.h>
#include <string.h>

#include "agent/job/backup_internal.h"
#include "agent/job/context.h"
#include "agent/quiesce/quiesce.h"
#include "agent/source/source.h"
#include "common/cancel.h"
#include "common/err.h"
#include "common/log.h"
#include "store/store.h"

struct stream {
	struct backup_set *set;
	struct backup *b;
	struct backup_disk *disk;
};

/* How much of a disk is behind us.  The whole is counted in sizes of disks:
 * what must be read of the later ones is not known yet. */
static uint64_t
covered(uint64_t size_bytes, uint64_t done_bytes, uint64_t total_bytes)
{
	if (total_bytes == 0)
		return 0;
	return (uint64_t)((double)size_bytes * (double)done_bytes /
			  (double)total_bytes);
}

static void
tell_progress(
    const struct stream *stream, uint64_t done_bytes, uint64_t total_bytes)
{
	const struct job_events *events = &stream->b->ctx->events;
	const struct domain_disk *disk = stream->disk->disk;

	if (events->progress != NULL)
		events->progress(events->arg, disk->target, done_bytes,
		    total_bytes,
		    stream->set->all_done +
			covered(disk->size_bytes, done_bytes, total_bytes),
		    stream->set->all_total);
}

static int
stop_job(struct backup *b, struct err *err)
{
	struct err stopping = ERR_INIT;

	(void)err;
	if (backup_stop_job(b, &stopping) == -1)
		log_line(LOG_WARNING, "cannot end the backup job: %s",
		    stopping.text);
	return 0;
}

/* One that is read needs no scratch space any more. */
static int
watch(struct backup *b, struct err *err)
{
	return b->scratch != NULL ? scratch_check(b->scratch, err) : 0;
}

/* While one member is read, the others' guests go on writing too. */
static int
tick(void *arg, uint64_t done_bytes, uint64_t total_bytes, struct err *err)
{
	struct stream *stream = arg;
	struct err never = ERR_INIT;

	tell_progress(stream, done_bytes, total_bytes);
	if (cancel_check(err) == -1)
		return -1;
	if (backup_each(stream->set, watch, err) == 0)
		return 0;
	/* At once: the worker may wait long for a slow repository. */
	backup_each(stream->set, stop_job, &never);
	return -1;
}

static int
copy_texts(
    struct manifest_disk *out, const struct backup_disk *disk, struct err *err)
{
	out->target = strdup(disk->disk->target);
	out->format = strdup(disk->disk->format);
	out->path = strdup(disk->disk->path);
	out->reason = strdup(disk->reason);
	if (out->target == NULL || out->format == NULL || out->path == NULL ||
	    out->reason == NULL)
		return err_no_memory(err);
	return 0;
}

static void
describe_source(struct source_disk *source, const struct stream *stream)
{
	const struct backup_disk *disk = stream->disk;

	*source = (struct source_disk){
		.socket_path = scratch_socket(stream->b->scratch),
		.target = disk->disk->target,
		.rate = stream->set->read_rate,
	};
	if (disk->base == NULL)
		return;
	source->incremental = true;
	source->base_size_bytes = disk->base->size_bytes;
	source->also = disk->heal;
	source->also_count = disk->heal_count;
}

/* Before the first byte is read, so that it may still be read whole. */
static int
audit(struct stream *stream, struct manifest_disk *out, struct err *err)
{
	struct source_disk source;

	describe_source(&source, stream);
	if (backup_audit_disk(
		stream->b, stream->disk, &source, tick, stream, err) == -1)
		return -1;
	free(out->reason);
	out->reason = strdup(stream->disk->reason);
	return out->reason == NULL ? err_no_memory(err) : 0;
}

static int
stream_disk(struct stream *stream, struct manifest_disk *out, struct err *err)
{
	const struct backup_disk *disk = stream->disk;
	const struct manifest_disk *base;
	struct source_disk source;
	struct source_result result = { 0 };
	struct store_disk *writer = NULL;

	if (audit(stream, out, err) == -1)
		return -1;
	describe_source(&source, stream);
	base = disk->base;
	out->source =
	    base != NULL ? MANIFEST_SOURCE_BITMAP : MANIFEST_SOURCE_FULL;
	/* The size is the picture's, not the plan's. */
	if (source_size(&source, &out->size_bytes, err) == -1 ||
	    store_disk_begin(&writer, stream->set->session, out->size_bytes,
		base != NULL ? base->root : NULL, source.base_size_bytes,
		err) == -1)
		return -1;
	if (source_copy(&source, writer, tick, stream, &result, err) == -1) {
		store_disk_abort(writer);
		return -1;
	}
	out->changed_bytes = result.changed_bytes;
	out->read_bytes = result.read_bytes;
	stream->set->all_done += disk->disk->size_bytes;
	return store_disk_end(writer, out, err);
}

static void
decide_kind(struct manifest *m)
{
	size_t i;

	m->kind = MANIFEST_FULL;
	for (i = 0; i < m->disk_count; i++)
		if (m->disks[i].source != MANIFEST_SOURCE_FULL)
			m->kind = MANIFEST_INCREMENTAL;
}

static int
describe_disks(struct backup *b, struct err *err)
{
	struct manifest *m = b->manifest;
	size_t i;

	m->disks = calloc(b->disk_count, sizeof(*m->disks));
	if (m->disks == NULL)
		return err_no_memory(err);
	m->disk_count = b->disk_count;
	for (i = 0; i < b->disk_count; i++)
		if (copy_texts(&m->disks[i], &b->disks[i], err) == -1)
			return -1;
	return 0;
}

static int
stream_member(struct backup_set *set, struct backup *b, struct err *err)
{
	struct stream stream = { .set = set, .b = b };
	struct manifest *m = b->manifest;
	int rc = 0;
	size_t i;

	job_step(b->ctx, m->domain, "streaming");
	for (i = 0; rc == 0 && i < b->disk_count; i++) {
		stream.disk = &b->disks[i];
		rc = stream_disk(&stream, &m->disks[i], err);
		if (rc == -1)
			err_prefix(err, "disk '%s'", m->disks[i].target);
	}
	if (b->ctx->events.progress_end != NULL)
		b->ctx->events.progress_end(b->ctx->events.arg);
	decide_kind(m);
	/* All is read: nobody watches the scratch space after this. */
	return rc == 0 ? backup_end_job(b, err) : -1;
}

int
backup_stream(struct backup_set *set, struct err *err)
{
	size_t i, k;

	if (backup_each(set, describe_disks, err) == -1)
		return -1;
	for (i = 0; i < set->count; i++)
		for (k = 0; k < set->members[i].disk_count; k++)
			set->all_total +=
			    set->members[i].disks[k].disk->size_bytes;
	for (i = 0; i < set->count; i++)
		if (stream_member(set, &set->members[i], err) == -1)
			return backup_blame(set, &set->members[i], err);
	return 0;
}
