/* SPDX-License-Identifier: Apache-2.0 */
/* One frame's blocks: read, checked, given out; and what to do if not. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/reader_internal.h"
#include "store/unread.h"

int
read_worker_new(
    struct read_worker **out, struct store_reader *r, struct err *err)
{
	struct read_worker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return err_no_memory(err);
	w->reader = r;
	w->raw = malloc(FRAME_RAW_MAX);
	w->join = malloc(FRAME_RAW_MAX);
	if (w->raw == NULL || w->join == NULL) {
		read_worker_free(w);
		return err_no_memory(err);
	}
	if (frame_reader_new(&w->frames, r->store, err) == -1) {
		read_worker_free(w);
		return -1;
	}
	*out = w;
	return 0;
}

void
read_worker_free(struct read_worker *w)
{
	frame_reader_free(w->frames);
	free(w->raw);
	free(w->join);
	free(w);
}

int
reader_resync(struct store_reader *r, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&r->resync_lock);
	if (!r->resynced) {
		r->resynced = true;
		rc = store_sync(r->store, SYNC_TABLES, true, err);
	}
	pthread_mutex_unlock(&r->resync_lock);
	return rc;
}

/* Is what the block's place says in raw the block? */
static int
check_block(struct read_worker *w, const struct read_block *b, struct err *err)
{
	if (b->place.size != STORE_BLOCK_BYTES)
		return err_set(err, ERR_CORRUPT, "no pack holds the block");
	return frame_reader_check(w->frames, w->raw + b->place.offset,
	    b->place.size, b->hash, &b->place, err);
}

static int
try_place(struct read_worker *w, const struct read_block *b, struct err *err)
{
	if (frame_reader_fetch(w->frames, w->raw, &b->place, err) == -1)
		return -1;
	return check_block(w, b, err);
}

/* The same block in other packs.  If none serves, err stays as it is. */
static int
try_copies(struct read_worker *w, struct read_block *b, struct err *err)
{
	struct copies_walk others;
	struct err first = *err;
	int rc;

	copies_begin(&others, w->reader->store, BLOB_DATA, b->hash, &b->place);
	err_clear(err);
	while ((rc = copies_next(&others, &b->place, err)) == 1) {
		if (try_place(w, b, err) == 0)
			return 0;
		if (!unread_is_useless(err))
			return -1;
		err_clear(err);
	}
	if (rc == 0)
		*err = first;
	return -1;
}

/* Another look at the repository, and at this block alone. */
static int
try_again(struct read_worker *w, struct read_block *b, struct err *err)
{
	struct err first = *err;
	int rc;

	if (reader_resync(w->reader, err) == -1)
		return -1;
	rc = localindex_find(
	    w->reader->store->index, BLOB_DATA, b->hash, &b->place, err);
	if (rc == -1)
		return -1;
	if (rc == 0) {
		*err = first;
		return -1;
	}
	if (try_place(w, b, err) == 0)
		return 0;
	return unread_is_useless(err) ? try_copies(w, b, err) : -1;
}

static int
damaged(struct read_worker *w, const struct read_block *b, struct err *err)
{
	err->class = ERR_CORRUPT;
	err_prefix(err, "disk range %" PRIu64 " to %" PRIu64, b->offset,
	    b->offset + reader_block_size(w->reader, b->offset) - 1);
	if (err->hint[0] == '\0')
		err_hint(
		    err, "run 'holdstill verify' to see what else is hurt");
	return -1;
}

/* The slow way: one block, by itself, whatever it takes. */
static int
give_single(struct read_worker *w, struct read_block *b, struct err *err)
{
	if (try_again(w, b, err) == -1) {
		if (w->reader->lost != NULL)
			return reader_pass_over(w->reader, b->offset,
			    reader_block_size(w->reader, b->offset), err);
		return unread_is_wrong(err) ? damaged(w, b, err) : -1;
	}
	return w->reader->fn(w->reader->arg, b->offset,
	    w->raw + b->place.offset, reader_block_size(w->reader, b->offset),
	    err);
}

/* Blocks from first on that are neighbours on the disk: how many. */
static unsigned int
run_length(const struct read_worker *w, unsigned int first, unsigned int count)
{
	unsigned int n = 1;

	while (first + n < count && n < STORE_CHUNK_BLOCKS &&
	       w->blocks[first + n].offset ==
		   w->blocks[first].offset + (uint64_t)n * STORE_BLOCK_BYTES)
		n++;
	return n;
}

/* Are they neighbours in the frame as well?  Then nothing is copied. */
static const uint8_t *
run_bytes(struct read_worker *w, unsigned int first, unsigned int n)
{
	const struct read_block *b = &w->blocks[first];
	unsigned int i;

	for (i = 1; i < n; i++) {
		if (b[i].place.offset !=
		    b[0].place.offset + i * STORE_BLOCK_BYTES)
			break;
	}
	if (i == n)
		return w->raw + b[0].place.offset;
	for (i = 0; i < n; i++)
		memcpy(w->join + (size_t)i * STORE_BLOCK_BYTES,
		    w->raw + b[i].place.offset, STORE_BLOCK_BYTES);
	return w->join;
}

static int
give_run(
    struct read_worker *w, unsigned int first, unsigned int n, struct err *err)
{
	struct store_reader *r = w->reader;
	const struct read_block *last = &w->blocks[first + n - 1];
	size_t size = (size_t)(n - 1) * STORE_BLOCK_BYTES +
		      reader_block_size(r, last->offset);

	return r->fn(
	    r->arg, w->blocks[first].offset, run_bytes(w, first, n), size, err);
}

/* The whole frame, each block of it checked before any is given out. */
static int
fetch_checked(struct read_worker *w, unsigned int count, struct err *err)
{
	unsigned int i;

	if (w->blocks[0].place.size == 0)
		return err_set(err, ERR_CORRUPT, "no pack holds the block");
	if (frame_reader_fetch(w->frames, w->raw, &w->blocks[0].place, err) ==
	    -1)
		return -1;
	for (i = 0; i < count; i++) {
		if (check_block(w, &w->blocks[i], err) == -1)
			return -1;
	}
	return 0;
}

int
read_worker_frame(struct read_worker *w, unsigned int count, struct err *err)
{
	unsigned int i, n;
	struct err why;

	if (fetch_checked(w, count, err) == -1) {
		if (!unread_is_useless(err) && w->reader->lost == NULL)
			return -1;
		why = *err;
		for (i = 0; i < count; i++) {
			/* Of those before it nothing may be left. */
			*err = why;
			if (give_single(w, &w->blocks[i], err) == -1)
				return -1;
		}
		return 0;
	}
	for (i = 0; i < count; i += n) {
		n = run_length(w, i, count);
		if (give_run(w, i, n, err) == -1)
			return -1;
	}
	return 0;
}
