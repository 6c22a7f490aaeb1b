/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the reader share; nobody else includes this. */
#ifndef HOLDSTILL_STORE_READER_INTERNAL_H
#define HOLDSTILL_STORE_READER_INTERNAL_H

#include "common/err.h"
#include "store/map.h"

/* Blocks that one job serves from one frame. */
#define READ_BLOCKS_MAX 256u

struct read_block {
	uint64_t offset; /* On the disk. */
	uint8_t hash[DIGEST_BYTES];
	struct blob_place place; /* size 0: in no pack that we know. */
};

struct read_window {
	struct read_block *block;
	size_t count, capacity;
	size_t next; /* The first not yet handed to a thread. */
};

struct store_reader {
	struct store *store;
	uint64_t size_bytes;
	uint8_t root[DIGEST_BYTES];
	store_data_fn *fn;
	void *arg;

	/* Lock order: lock, then resync_lock or lost_lock. */
	pthread_mutex_t lock; /* Guards from here on. */
	struct piece_reader *pieces;
	struct map_cursor cursor;
	bool map_ended;
	/* The piece of the map that was entered last. */
	uint64_t piece_first_block, piece_block_count;
	struct read_window window;
	bool failed;
	struct err failure;

	store_range_fn *lost; /* NULL: what cannot be read is a failure. */
	void *lost_arg;
	pthread_mutex_t lost_lock; /* Held while lost is called. */

	pthread_mutex_t resync_lock;
	bool resynced; /* Guarded by resync_lock. */
};

/* One thread's part of a stream. */
struct read_worker {
	struct store_reader *reader;
	struct frame_reader *frames;
	uint8_t *raw;  /* A frame. */
	uint8_t *join; /* Neighbours on the disk, side by side. */
	struct read_block blocks[READ_BLOCKS_MAX];
};

int read_worker_new(
    struct read_worker **out, struct store_reader *r, struct err *err);
void read_worker_free(struct read_worker *w);
/* Reads one frame and gives its count blocks to the caller's function. */
int read_worker_frame(
    struct read_worker *w, unsigned int count, struct err *err);

/* Rebuilds the local index, the first time it is asked to. */
int reader_resync(struct store_reader *r, struct err *err);

/*
 * After a failure to read so much of the disk: 0 if it is passed over and
 * told, -1 if the failure stands.
 */
int reader_pass_over(
    struct store_reader *r, uint64_t offset, uint64_t bytes, struct err *err);

/* Bytes of the block at offset: fewer only at the disk's end. */
size_t reader_block_size(const struct store_reader *r, uint64_t offset);

#endif
