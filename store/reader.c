/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a disk of a point.  The map is walked in windows; the blocks of a
 * window are sorted by pack and frame, so that each frame is read once for
 * all its blocks, and frames are taken by several threads.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "store/host.h"
#include "store/reader_internal.h"
#include "store/unread.h"

/* The first window is small, so that threads start soon; later ones bound
 * the memory: 16 GiB of disk. */
#define WINDOW_FIRST_BLOCKS 1024u
#define WINDOW_MAX_BLOCKS 262144u
#define READ_THREADS_MAX 64u

int
store_reader_open(struct store_reader **out, struct store *s,
    const struct manifest_disk *disk, struct err *err)
{
	struct store_reader *r;

	if (host_refuse(s, "no point can be read", err) == -1)
		return -1;
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return err_no_memory(err);
	pthread_mutex_init(&r->lock, NULL);
	pthread_mutex_init(&r->resync_lock, NULL);
	pthread_mutex_init(&r->lost_lock, NULL);
	r->store = s;
	r->size_bytes = disk->size_bytes;
	memcpy(r->root, disk->root, sizeof(r->root));
	if (disk->size_bytes > MAP_DISK_MAX_BYTES) {
		store_reader_close(r);
		return err_set(err, ERR_CORRUPT, "a disk is too large");
	}
	if (piece_reader_new(&r->pieces, s, err) == -1) {
		store_reader_close(r);
		return -1;
	}
	*out = r;
	return 0;
}

void
store_reader_close(struct store_reader *r)
{
	if (r == NULL)
		return;
	piece_reader_free(r->pieces);
	free(r->window.block);
	pthread_mutex_destroy(&r->lock);
	pthread_mutex_destroy(&r->resync_lock);
	pthread_mutex_destroy(&r->lost_lock);
	free(r);
}

void
store_reader_salvage(struct store_reader *r, store_range_fn *lost, void *arg)
{
	r->lost = lost;
	r->lost_arg = arg;
}

static bool
is_loss(const struct store_reader *r, const struct err *err)
{
	return r->lost != NULL && unread_is_loss(r->store->backend, err);
}

int
reader_pass_over(
    struct store_reader *r, uint64_t offset, uint64_t bytes, struct err *err)
{
	int rc;

	if (!is_loss(r, err) || offset >= r->size_bytes)
		return -1;
	err_clear(err);
	if (bytes > r->size_bytes - offset)
		bytes = r->size_bytes - offset;
	pthread_mutex_lock(&r->lost_lock);
	rc = r->lost(r->lost_arg, offset, bytes, err);
	pthread_mutex_unlock(&r->lost_lock);
	return rc;
}

static int
note_piece(void *arg, const uint8_t hash[DIGEST_BYTES], unsigned int level,
    uint64_t first_block, struct err *err)
{
	struct store_reader *r = arg;

	(void)hash;
	(void)err;
	r->piece_first_block = first_block;
	r->piece_block_count = map_span(level);
	return 1;
}

int
store_reader_data_bytes(struct store_reader *r, uint64_t *out, struct err *err)
{
	const uint8_t(*entries)[DIGEST_BYTES];
	uint64_t first, total = 0;
	struct map_cursor c;
	unsigned int count, i;
	int rc;

	map_cursor_init(&c, r->pieces, r->root, r->size_bytes);
	while ((rc = map_cursor_next(&c, &first, &entries, &count, err)) != 0) {
		if (rc == -1 && !is_loss(r, err))
			return -1;
		if (rc == -1)
			err_clear(err);
		for (i = 0; rc == 1 && i < count; i++) {
			if (!digest_is_zero(entries[i]))
				total += reader_block_size(
				    r, (first + i) * STORE_BLOCK_BYTES);
		}
	}
	*out = total;
	return 0;
}

size_t
reader_block_size(const struct store_reader *r, uint64_t offset)
{
	return r->size_bytes - offset < STORE_BLOCK_BYTES
		   ? (size_t)(r->size_bytes - offset)
		   : STORE_BLOCK_BYTES;
}

static int
compare_blocks(const void *a, const void *b)
{
	const struct read_block *x = a, *y = b;
	int order = memcmp(x->place.pack, y->place.pack, OBJECT_ID_BYTES);

	if (order != 0)
		return order;
	if (x->place.frame_offset != y->place.frame_offset)
		return x->place.frame_offset < y->place.frame_offset ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int
window_reserve(struct read_window *w, size_t count, struct err *err)
{
	struct read_block *grown;

	if (count <= w->capacity)
		return 0;
	grown = realloc(w->block, count * sizeof(*grown));
	if (grown == NULL)
		return err_no_memory(err);
	w->block = grown;
	w->capacity = count;
	return 0;
}

/* Reads leaves until the window is full or the map ends. */
static int
collect_blocks(struct store_reader *r, struct err *err)
{
	struct read_window *w = &r->window;
	const uint8_t(*entries)[DIGEST_BYTES];
	unsigned int count, i;
	uint64_t first;
	int rc;

	while (w->count + MAP_FAN_OUT <= w->capacity) {
		rc = map_cursor_next(&r->cursor, &first, &entries, &count, err);
		if (rc == -1 &&
		    reader_pass_over(r,
			r->piece_first_block * STORE_BLOCK_BYTES,
			r->piece_block_count * STORE_BLOCK_BYTES, err) == -1)
			return -1;
		if (rc == 0) {
			r->map_ended = true;
			return 0;
		}
		for (i = 0; rc == 1 && i < count; i++) {
			if (digest_is_zero(entries[i]))
				continue;
			w->block[w->count].offset =
			    (first + i) * STORE_BLOCK_BYTES;
			memcpy(w->block[w->count++].hash, entries[i],
			    DIGEST_BYTES);
		}
	}
	return 0;
}

/* Finds the place of each block; *missing counts those without. */
static int
find_places(struct store_reader *r, size_t *missing, struct err *err)
{
	struct read_window *w = &r->window;
	struct localindex_view v;
	size_t i;
	int rc = 0;

	*missing = 0;
	if (localindex_view_begin(&v, r->store->index, err) == -1)
		return -1;
	for (i = 0; rc != -1 && i < w->count; i++) {
		rc = localindex_view_find(&v, BLOB_DATA, w->block[i].hash,
		    &w->block[i].place, NULL, err);
		if (rc == 1)
			continue;
		memset(&w->block[i].place, 0, sizeof(w->block[i].place));
		++*missing;
	}
	localindex_view_end(&v);
	return rc == -1 ? -1 : 0;
}

/* With the lock held. */
static int
fill_window(struct store_reader *r, struct err *err)
{
	struct read_window *w = &r->window;
	size_t want = w->capacity * 4, missing;

	if (want < WINDOW_FIRST_BLOCKS)
		want = WINDOW_FIRST_BLOCKS;
	if (want > WINDOW_MAX_BLOCKS)
		want = WINDOW_MAX_BLOCKS;
	w->count = w->next = 0;
	if (window_reserve(w, want, err) == -1 ||
	    collect_blocks(r, err) == -1 || find_places(r, &missing, err) == -1)
		return -1;
	if (missing > 0 && (reader_resync(r, err) == -1 ||
			       find_places(r, &missing, err) == -1))
		return -1;
	if (w->count > 1)
		qsort(w->block, w->count, sizeof(*w->block), compare_blocks);
	return 0;
}

/* The blocks of the next frame: their number, 0 at the end, -1. */
static int
next_frame(struct store_reader *r, struct read_block *out, struct err *err)
{
	struct read_window *w = &r->window;
	const struct read_block *first;
	int n = 0;

	while (w->next == w->count) {
		if (r->map_ended)
			return 0;
		if (fill_window(r, err) == -1)
			return -1;
	}
	first = &w->block[w->next];
	while (
	    w->next < w->count && n < (int)READ_BLOCKS_MAX &&
	    w->block[w->next].place.frame_offset == first->place.frame_offset &&
	    memcmp(w->block[w->next].place.pack, first->place.pack,
		OBJECT_ID_BYTES) == 0)
		out[n++] = w->block[w->next++];
	return n;
}

static int
take_job(struct store_reader *r, struct read_block *out, struct err *err)
{
	int n;

	pthread_mutex_lock(&r->lock);
	n = r->failed ? 0 : next_frame(r, out, err);
	pthread_mutex_unlock(&r->lock);
	return n;
}

static void
reader_fail(struct store_reader *r, const struct err *err)
{
	pthread_mutex_lock(&r->lock);
	if (!r->failed) {
		r->failed = true;
		r->failure = *err;
	}
	pthread_mutex_unlock(&r->lock);
}

static void *
read_loop(void *arg)
{
	struct store_reader *r = arg;
	struct err err = ERR_INIT;
	struct read_worker *w;
	int n = -1;

	if (read_worker_new(&w, r, &err) == 0) {
		while ((n = take_job(r, w->blocks, &err)) > 0) {
			if (read_worker_frame(w, (unsigned int)n, &err) == -1) {
				n = -1;
				break;
			}
		}
		read_worker_free(w);
	}
	if (n == -1)
		reader_fail(r, &err);
	return NULL;
}

int
store_reader_stream(struct store_reader *r, unsigned int threads,
    store_data_fn *fn, void *arg, struct err *err)
{
	pthread_t extra[READ_THREADS_MAX];
	unsigned int started = 0;

	if (threads == 0)
		threads = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	if (threads > READ_THREADS_MAX)
		threads = READ_THREADS_MAX;
	map_cursor_init(&r->cursor, r->pieces, r->root, r->size_bytes);
	r->cursor.enter = note_piece;
	r->cursor.arg = r;
	r->window.count = r->window.next = 0;
	r->map_ended = r->failed = false;
	r->fn = fn;
	r->arg = arg;
	/* This thread is one of them; fewer than asked for will do. */
	while (started + 1 < threads &&
	       pthread_create(&extra[started], NULL, read_loop, r) == 0)
		started++;
	read_loop(r);
	while (started > 0)
		pthread_join(extra[--started], NULL);
	if (!r->failed)
		return 0;
	*err = r->failure;
	return -1;
}
