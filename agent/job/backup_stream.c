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
	struct backup *b;
	const struct backup_disk *disk;
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

static int
tick(void *arg, uint64_t done_bytes, uint64_t total_bytes, struct err *err)
{
	struct stream *stream = arg;
	struct backup *b = stream->b;
	const struct job_events *events = &b->ctx->events;
	struct err stopping = ERR_INIT;

	if (events->progress != NULL)
		events->progress(events->arg, stream->disk->disk->target,
		    done_bytes, total_bytes,
		    b->all_done + covered(stream->disk->disk->size_bytes,
				      done_bytes, total_bytes),
		    b->all_total);
	if (cancel_check(err) == -1)
		return -1;
	if (scratch_check(b->scratch, err) == 0)
		return 0;
	/* At once: the worker may wait long for a slow repository. */
	if (backup_stop_job(b, &stopping) == -1)
		log_line(LOG_WARNING, "cannot end the backup job: %s",
		    stopping.text);
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

static int
stream_disk(struct backup *b, const struct backup_disk *disk,
    struct manifest_disk *out, struct err *err)
{
	const struct manifest_disk *base = disk->base;
	struct stream stream = { .b = b, .disk = disk };
	struct source_disk source = {
		.socket_path = scratch_socket(b->scratch),
		.target = disk->disk->target,
		.incremental = base != NULL,
		.base_size_bytes = base != NULL ? base->size_bytes : 0,
	};
	struct source_result result = { 0 };
	struct store_disk *writer = NULL;

	out->source =
	    base != NULL ? MANIFEST_SOURCE_BITMAP : MANIFEST_SOURCE_FULL;
	/* The size is the picture's, not the plan's. */
	if (source_size(&source, &out->size_bytes, err) == -1 ||
	    store_disk_begin(&writer, b->session, out->size_bytes,
		base != NULL ? base->root : NULL, source.base_size_bytes,
		err) == -1)
		return -1;
	if (source_copy(&source, writer, tick, &stream, &result, err) == -1) {
		store_disk_abort(writer);
		return -1;
	}
	out->changed_bytes = result.changed_bytes;
	out->read_bytes = result.read_bytes;
	b->all_done += disk->disk->size_bytes;
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

int
backup_stream(struct backup *b, struct err *err)
{
	struct manifest *m = b->manifest;
	int rc = 0;
	size_t i;

	m->disks = calloc(b->disk_count, sizeof(*m->disks));
	if (m->disks == NULL)
		return err_no_memory(err);
	m->disk_count = b->disk_count;
	for (i = 0; i < b->disk_count; i++) {
		if (copy_texts(&m->disks[i], &b->disks[i], err) == -1)
			return -1;
		b->all_total += b->disks[i].disk->size_bytes;
	}
	job_step(b->ctx, m->domain, "streaming");
	for (i = 0; rc == 0 && i < b->disk_count; i++) {
		rc = stream_disk(b, &b->disks[i], &m->disks[i], err);
		if (rc == -1)
			err_prefix(err, "disk '%s'", m->disks[i].target);
	}
	if (b->ctx->events.progress_end != NULL)
		b->ctx->events.progress_end(b->ctx->events.arg);
	decide_kind(m);
	return rc;
}
