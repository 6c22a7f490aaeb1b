/* SPDX-License-Identifier: Apache-2.0 */
/* Is the tracking of changes to be believed?  A few blocks are asked. */
#include <inttypes.h>
#include <stdio.h>

#include "agent/job/backup_internal.h"
#include "agent/job/context.h"
#include "catalog/catalog.h"
#include "common/log.h"
#include "store/store.h"

struct audit {
	struct store_comparer *base;
	source_tick_fn *tick;
	void *arg;
};

static int
is_same(void *arg, uint64_t block, const void *data, struct err *err)
{
	struct audit *audit = arg;

	return store_compare_block(audit->base, block, data, err);
}

static int
tick(void *arg, uint64_t done_bytes, uint64_t total_bytes, struct err *err)
{
	struct audit *audit = arg;

	return audit->tick(audit->arg, done_bytes, total_bytes, err);
}

/* The history is kept, not relied on. */
static void
record(struct backup *b, const struct source_audit *result)
{
	struct err err = ERR_INIT;

	if (catalog_run_audit(b->ctx->catalog, b->run, result->audited_blocks,
		result->missed_blocks, &err) == -1)
		log_line(LOG_WARNING, "history is not kept: %s", err.text);
}

static void
demote(struct backup_disk *disk, const struct source_audit *result)
{
	disk->base = NULL;
	disk->demoted = true;
	snprintf(disk->reason, sizeof(disk->reason),
	    "the audit found %" PRIu64 " of %" PRIu64 " blocks changed that "
	    "the bitmap calls unchanged, the first at byte %" PRIu64 ": points "
	    "since the last full may lack changes",
	    result->missed_blocks, result->audited_blocks,
	    result->first_missed * STORE_BLOCK_BYTES);
}

/* A base that cannot be compared with cannot be built on either. */
static int
give_up_base(struct backup_disk *disk, struct err *err)
{
	if (err->class != ERR_CORRUPT)
		return -1;
	disk->base = NULL;
	disk->demoted = true;
	snprintf(disk->reason, sizeof(disk->reason),
	    "the last point is damaged: %.180s", err->text);
	err_clear(err);
	return 0;
}

int
backup_audit_disk(struct backup *b, struct backup_disk *disk,
    const struct source_disk *source, source_tick_fn *tick_fn, void *arg,
    struct err *err)
{
	struct audit audit = { .tick = tick_fn, .arg = arg };
	struct source_audit result;
	int rc;

	if (disk->base == NULL || b->options->no_audit)
		return 0;
	if (store_comparer_new(&audit.base, b->ctx->store, disk->base, err) ==
	    -1)
		return -1;
	rc = source_audit(source, b->options->audit_permille, is_same, tick,
	    &audit, &result, err);
	store_comparer_free(audit.base);
	record(b, &result);
	if (rc == -1)
		return give_up_base(disk, err);
	if (result.missed_blocks > 0)
		demote(disk, &result);
	return 0;
}
