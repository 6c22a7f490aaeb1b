/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changed blocks in: reads what a backup needs of one disk from the job's
 * NBD export and feeds it to the store, several requests in flight.
 */
#ifndef HOLDSTILL_AGENT_SOURCE_SOURCE_H
#define HOLDSTILL_AGENT_SOURCE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct rate;
struct store_disk;

struct source_disk {
	const char *socket_path;
	const char *target; /* The export's name. */
	bool incremental;   /* Read what the dirty bitmap names; else all. */
	/* An incremental of a disk that has grown: its map ends here, and
	 * everything from here on is read. */
	uint64_t base_size_bytes;
	struct rate *rate; /* Reads of data keep to it; NULL: no limit. */
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

/* The export's size. */
int source_size(
    const struct source_disk *source, uint64_t *out_bytes, struct err *err);

#endif
