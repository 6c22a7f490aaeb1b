/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk's blocks from its NBD export to the store.
 *
 * An incremental first reads the whole dirty bitmap (2 MiB of memory a TiB):
 * then the cost follows the change, not the disk.  Allocation is asked for
 * only around what is wanted, a window at a time.
 */
#include "agent/source/source.h"

#include <stdlib.h>
#include <string.h>

#include "agent/nbd/nbd.h"
#include "agent/source/dirty.h"
#include "agent/source/pace.h"
#include "agent/source/worker.h"
#include "common/err.h"
#include "common/rate.h"
#include "store/store.h"

#define WINDOW_BLOCKS 16384u /* 1 GiB. */
/* Chunks under way; some of what the store allows is left to it. */
#define SLOTS 8u
#define FLAG_ZERO 2u /* base:allocation */

_Static_assert(SLOTS <= STORE_CHUNKS_HELD, "the store would wait for us");

/* A chunk being filled. */
struct slot {
	struct copy *copy;
	struct store_chunk *chunk; /* NULL: the slot is free. */
	unsigned int pending;      /* Reads under way. */
	bool closed;               /* All reads are started. */
};

struct copy {
	const struct source_disk *source;
	struct store_disk *disk;
	struct nbd_link *link;
	uint64_t size_bytes, block_count;
	struct extent_set wanted; /* Of an incremental. */
	struct extent_set data;   /* Of the present window. */
	struct slot slots[SLOTS];
	struct slot *open; /* Still takes blocks. */
	int read_error;
	uint64_t wanted_blocks_done;
	struct source_result result;
	struct worker worker;
	struct err err;
	int rc;
};

/* ---- chunks ---- */

static void
on_read(void *arg, int error)
{
	struct slot *slot = arg;

	slot->pending--;
	if (error != 0)
		slot->copy->read_error = error;
}

/* Gives the store what is complete. */
static int
submit_complete(struct copy *c)
{
	struct slot *slot;
	size_t i;

	if (c->read_error != 0)
		return err_errno(&c->err, c->read_error,
		    "cannot read from "
		    "the NBD export '%s'",
		    c->source->target);
	for (i = 0; i < SLOTS; i++) {
		slot = &c->slots[i];
		if (slot->chunk == NULL || !slot->closed || slot->pending > 0)
			continue;
		if (store_chunk_submit(c->disk, slot->chunk, &c->err) == -1)
			return -1;
		slot->chunk = NULL;
	}
	return 0;
}

static int
wait_for_reads(struct copy *c)
{
	if (worker_check_stop(&c->worker, &c->err) == -1 ||
	    nbd_link_wait(c->link, WORKER_TICK_MS, &c->err) == -1)
		return -1;
	return submit_complete(c);
}

static struct slot *
free_slot(struct copy *c)
{
	size_t i;

	for (i = 0; i < SLOTS; i++)
		if (c->slots[i].chunk == NULL)
			return &c->slots[i];
	return NULL;
}

/* A read that takes long holds up all behind it: others may have overtaken
 * it until every buffer of the store waits for its chunk. */
static int
get_chunk(struct copy *c, struct slot *slot)
{
	while (store_chunk_get(&slot->chunk, c->disk, &c->err) == -1) {
		slot->chunk = NULL;
		if (c->err.class != ERR_BUSY ||
		    nbd_link_in_flight(c->link) == 0)
			return -1;
		err_clear(&c->err);
		if (wait_for_reads(c) == -1)
			return -1;
	}
	return 0;
}

static int
open_chunk(struct copy *c)
{
	struct slot *slot;

	while ((slot = free_slot(c)) == NULL)
		if (wait_for_reads(c) == -1)
			return -1;
	if (get_chunk(c, slot) == -1)
		return -1;
	slot->copy = c;
	slot->pending = 0;
	slot->closed = false;
	slot->chunk->count = 0;
	slot->chunk->zero_offset = 0;
	slot->chunk->zero_bytes = 0;
	c->open = slot;
	return 0;
}

/* Until the limit lets so many bytes be read; what was read meanwhile goes on
 * its way, and a wish to stop is heard. */
static int
wait_for_rate(struct copy *c, size_t bytes)
{
	uint64_t due;
	int rc = 0;

	if (c->source->rate == NULL)
		return 0;
	due = rate_take(c->source->rate, bytes);
	while (rc == 0) {
		rc = pace_wait(&c->worker, c->link, due, &c->err);
		if (submit_complete(c) == -1)
			return -1;
	}
	return rc == -1 ? -1 : 0;
}

/* Reads `blocks` neighbours, the first of which is number `first` of the
 * chunk, in one request. */
static int
start_read(
    struct copy *c, struct slot *slot, unsigned int first, unsigned int blocks)
{
	uint64_t offset = slot->chunk->offset[first];
	size_t size = (size_t)blocks * STORE_BLOCK_BYTES, want = size;
	uint8_t *to = slot->chunk->data + (size_t)first * STORE_BLOCK_BYTES;

	if (want > c->size_bytes - offset) {
		want = (size_t)(c->size_bytes - offset);
		memset(to + want, 0, size - want);
	}
	if (wait_for_rate(c, want) == -1)
		return -1;
	c->result.read_bytes += want;
	slot->pending++;
	return nbd_link_read(c->link, to, want, offset, on_read, slot, &c->err);
}

static int
close_chunk(struct copy *c)
{
	unsigned int first, i, most = pace_blocks_max(c->source->rate);
	struct slot *slot = c->open;
	struct store_chunk *chunk;

	if (slot == NULL)
		return 0;
	chunk = slot->chunk;
	for (first = 0; first < chunk->count; first = i) {
		for (i = first + 1; i < chunk->count && i < first + most; i++)
			if (chunk->offset[i] !=
			    chunk->offset[i - 1] + STORE_BLOCK_BYTES)
				break;
		if (start_read(c, slot, first, i - first) == -1)
			return -1;
	}
	slot->closed = true;
	c->open = NULL;
	return submit_complete(c);
}

static int
emit_data(struct copy *c, uint64_t block, uint64_t count)
{
	struct store_chunk *chunk;

	for (; count > 0; block++, count--) {
		chunk = c->open == NULL ? NULL : c->open->chunk;
		if (chunk != NULL &&
		    (chunk->zero_bytes > 0 ||
			chunk->count == STORE_CHUNK_BLOCKS) &&
		    close_chunk(c) == -1)
			return -1;
		if (c->open == NULL && open_chunk(c) == -1)
			return -1;
		chunk = c->open->chunk;
		chunk->offset[chunk->count++] = block * STORE_BLOCK_BYTES;
	}
	return 0;
}

static int
emit_zeros(struct copy *c, uint64_t block, uint64_t count)
{
	uint64_t offset = block * STORE_BLOCK_BYTES;
	uint64_t bytes = count * STORE_BLOCK_BYTES;
	struct store_chunk *chunk = c->open == NULL ? NULL : c->open->chunk;

	if (bytes > c->size_bytes - offset)
		bytes = c->size_bytes - offset;
	if (chunk != NULL && chunk->zero_bytes > 0) {
		if (chunk->zero_offset + chunk->zero_bytes == offset) {
			chunk->zero_bytes += bytes;
			return 0;
		}
		if (close_chunk(c) == -1)
			return -1;
	}
	if (c->open == NULL && open_chunk(c) == -1)
		return -1;
	c->open->chunk->zero_offset = offset;
	c->open->chunk->zero_bytes = bytes;
	return 0;
}

/* ---- the walk ---- */

/* A stretch of wanted blocks whose allocation is known. */
static int
copy_run(struct copy *c, uint64_t block, uint64_t end)
{
	uint64_t data_first, data_count;

	while (block < end) {
		data_count =
		    extent_set_run(&c->data, true, block, end, &data_first);
		if (data_count == 0)
			data_first = end;
		/* Without a base, what is not written reads as zeros. */
		if (data_first > block && c->source->incremental &&
		    emit_zeros(c, block, data_first - block) == -1)
			return -1;
		if (data_count > 0 &&
		    emit_data(c, data_first, data_count) == -1)
			return -1;
		c->result.changed_bytes += data_count * STORE_BLOCK_BYTES;
		if (c->source->incremental)
			c->result.changed_bytes +=
			    (data_first - block) * STORE_BLOCK_BYTES;
		block = data_first + data_count;
	}
	return 0;
}

/* Allocation of [block, end), which is not longer than a window. */
static int
read_allocation(struct copy *c, uint64_t block, uint64_t end)
{
	struct dirty_fetch fetch = { .set = &c->data, .mask = FLAG_ZERO };
	uint64_t to = end * STORE_BLOCK_BYTES;

	extent_set_move(&c->data, block, end - block);
	return dirty_fetch_range(&c->worker, c->link, &fetch,
	    block * STORE_BLOCK_BYTES, to < c->size_bytes ? to : c->size_bytes,
	    &c->err);
}

static int
copy_full(struct copy *c)
{
	uint64_t block, end, done;

	for (block = 0; block < c->block_count; block = end) {
		end = block + WINDOW_BLOCKS;
		if (end > c->block_count)
			end = c->block_count;
		if (read_allocation(c, block, end) == -1 ||
		    copy_run(c, block, end) == -1)
			return -1;
		done = end * STORE_BLOCK_BYTES;
		worker_progress(&c->worker,
		    done < c->size_bytes ? done : c->size_bytes, c->size_bytes);
	}
	return 0;
}

/* The end of the last wanted run that starts before limit. */
static uint64_t
last_wanted(const struct copy *c, uint64_t block, uint64_t limit)
{
	uint64_t first, count, end = block;

	while (
	    (count = extent_set_run(&c->wanted, true, end, limit, &first)) > 0)
		end = first + count;
	return end;
}

static int
copy_incremental(struct copy *c)
{
	uint64_t total = extent_set_count(&c->wanted) * STORE_BLOCK_BYTES;
	uint64_t block = 0, end, count;

	worker_progress(&c->worker, 0, total);
	while (extent_set_run(&c->wanted, true, block, c->block_count, &block) >
	       0) {
		end = last_wanted(c, block, block + WINDOW_BLOCKS);
		if (read_allocation(c, block, end) == -1)
			return -1;
		while ((count = extent_set_run(
			    &c->wanted, true, block, end, &block)) > 0) {
			if (copy_run(c, block, block + count) == -1)
				return -1;
			block += count;
			worker_progress(
			    &c->worker, c->result.changed_bytes, total);
		}
		block = end;
	}
	return 0;
}

static int
copy_finish(struct copy *c)
{
	size_t i;

	if (close_chunk(c) == -1)
		return -1;
	for (i = 0; i < SLOTS; i++)
		while (c->slots[i].chunk != NULL)
			if (wait_for_reads(c) == -1)
				return -1;
	return 0;
}

static int
open_link(struct copy *c)
{
	struct nbd_link_options options = {
		.socket_path = c->source->socket_path,
		.export_name = c->source->target,
		.context = { "base:allocation" },
		.stop_fd = c->worker.stop_fd,
	};

	return nbd_link_open(&c->link, &options, &c->err);
}

static int
copy_run_all(struct copy *c)
{
	if (open_link(c) == -1)
		return -1;
	c->size_bytes = nbd_link_size(c->link);
	c->block_count = c->size_bytes / STORE_BLOCK_BYTES +
			 (c->size_bytes % STORE_BLOCK_BYTES != 0);
	if (extent_set_init(&c->data, 0, WINDOW_BLOCKS, &c->err) == -1)
		return -1;
	if (!c->source->incremental)
		return copy_full(c) == -1 ? -1 : copy_finish(c);
	if (dirty_read(&c->wanted, c->source, &c->worker, c->size_bytes,
		&c->err) == -1 ||
	    copy_incremental(c) == -1)
		return -1;
	return copy_finish(c);
}

static void
work(void *arg)
{
	struct copy *c = arg;

	c->rc = copy_run_all(c);
	/* Before the chunks go back: reads under way write into them. */
	nbd_link_close(c->link);
}

int
source_copy(const struct source_disk *source, struct store_disk *disk,
    source_tick_fn *tick, void *arg, struct source_result *result,
    struct err *err)
{
	struct copy *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return err_no_memory(err);
	if (worker_init(&c->worker, err) == -1) {
		free(c);
		return -1;
	}
	c->source = source;
	c->disk = disk;
	rc = worker_run(&c->worker, work, c, tick, arg, err);
	if (rc == 0 && c->rc == -1) {
		*err = c->err;
		rc = -1;
	}
	if (rc == 0)
		*result = c->result;
	extent_set_fini(&c->wanted);
	extent_set_fini(&c->data);
	worker_fini(&c->worker);
	free(c);
	return rc;
}

int
source_size(
    const struct source_disk *source, uint64_t *out_bytes, struct err *err)
{
	struct nbd_link_options options = {
		.socket_path = source->socket_path,
		.export_name = source->target,
	};
	struct nbd_link *link;

	if (nbd_link_open(&link, &options, err) == -1)
		return -1;
	*out_bytes = nbd_link_size(link);
	nbd_link_close(link);
	return 0;
}
