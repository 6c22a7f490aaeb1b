/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changed blocks in: reads what a backup needs of one disk from the job's
 * NBD export and feeds it to the store, several requests in flight.
 */
#ifndef HOLDSTILL_AGENT_SOURCE_SOURCE_H
#define HOLDSTILL_AGENT_SOURCE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct rate;
struct store_disk;
struct store_range;

struct source_disk {
	const char *socket_path;
	const char *target; /* The export's name. */
	bool incremental;   /* Read what the dirty bitmap names; else all. */
	/* An incremental of a disk that has grown: its map ends here, and
	 * everything from here on is read. */
	uint64_t base_size_bytes;
	struct rate *rate; /* Reads of data keep to it; NULL: no limit. */
	/* And these, although the bitmap may call them clean. */
	const struct store_range *also;
	size_t also_count;
};

struct source_result {
	/* In whole blocks of the store.  Incremental: what the bitmap names;
	 * full: what holds data. */
	uint64_t changed_bytes;
	uint64_t read_bytes;
};

/*
 * Called now and then while data flows and while waiting (at least every
 * 250 ms), from the calling thread; -1 with err ends the copy (scratch full,
 * cancelled).  An incremental counts changed blocks, a full the whole disk;
 * total_bytes is 0 while the changes are still being looked up.
 */
typedef int source_tick_fn(
    void *arg, uint64_t done_bytes, uint64_t total_bytes, struct err *err);

/*
 * The whole disk through the store's pipeline; does not end the disk.  After
 * a failure some chunks may be got and not submitted, and nothing writes
 * into them any more: abort the disk.
 */
int source_copy(const struct source_disk *source, struct store_disk *disk,
    source_tick_fn *tick, void *arg, struct source_result *result,
    struct err *err);

struct source_audit {
	uint64_t audited_blocks;
	uint64_t missed_blocks; /* Of those, not what they were. */
	uint64_t first_missed;  /* Number of the first of them. */
};
#define SOURCE_AUDIT_AUTO 0
#define SOURCE_AUDIT_MIN_BLOCKS 16
#define SOURCE_AUDIT_AUTO_MAX_BLOCKS 256

/* Is the block what the base has?  data is a whole block, padded with zeros
 * at the disk's end.  1, 0, or -1. */
typedef int source_same_fn(
    void *arg, uint64_t block, const void *data, struct err *err);

/*
 * Of an incremental: reads blocks that will not be read because the bitmap
 * calls them clean, chosen by chance, each as likely as any other, and asks
 * whether they are what they were.  permille: of the clean ones, at least
 * SOURCE_AUDIT_MIN_BLOCKS; SOURCE_AUDIT_AUTO: one, and no more blocks than
 * SOURCE_AUDIT_AUTO_MAX_BLOCKS.  same is called from another thread, in
 * rising order.
 */
int source_audit(const struct source_disk *source, unsigned int permille,
    source_same_fn *same, source_tick_fn *tick, void *arg,
    struct source_audit *out, struct err *err);

/* The export's size. */
int source_size(
    const struct source_disk *source, uint64_t *out_bytes, struct err *err);

#endif
