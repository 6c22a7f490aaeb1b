/* SPDX-License-Identifier: Apache-2.0 */
/* Every blob of a disk. */
#include "store/walk.h"

#include <string.h>

#include "common/err.h"
#include "store/unread.h"

/* 1: new to the marks, or there are none; 2: of no pack that they know, for it
 * went since, or came. */
static int
is_new(struct walk *w, const struct blob_place *place, struct err *err)
{
	int rc;

	if (w->marks == NULL)
		return 1;
	rc = marks_set(w->marks, place, err);
	return rc == -1 || rc == 2 ? rc : !rc;
}

static int
enter(void *arg, const uint8_t hash[DIGEST_BYTES], unsigned int level,
    uint64_t first_block, struct err *err)
{
	struct walk *w = arg;
	int rc;

	w->first_block = w->piece_first_block = first_block;
	w->block_count = w->piece_block_count = map_span(level);
	memcpy(w->piece, hash, DIGEST_BYTES);
	w->piece_lost = true;
	rc = localindex_find(
	    w->store->index, BLOB_MAP, hash, &w->piece_place, err);
	/* The read says what is wrong, but on a host, which has it still. */
	if (rc == 0 && store_is_host(w->store))
		return w->fn(w->arg, BLOB_MAP, hash, NULL, NULL, err) == -1 ? -1
									    : 1;
	if (rc != 1)
		return rc == -1 ? -1 : 1;
	w->piece_lost = false;
	rc = is_new(w, &w->piece_place, err);
	if (rc == 2) {
		w->piece_lost = true;
		return 1;
	}
	if (rc != 1)
		return rc;
	if (w->fn(w->arg, BLOB_MAP, hash, &w->piece_place, NULL, err) == -1)
		return -1;
	return 1;
}

/* Of each entry that is not zero; in no pack: its size is 0. */
static int
find_places(struct walk *w, struct blob_place place[MAP_FAN_OUT],
    const uint8_t (*entries)[DIGEST_BYTES], unsigned int count, struct err *err)
{
	struct localindex_view v;
	unsigned int i;
	int rc = 0;

	if (localindex_view_begin(&v, w->store->index, err) == -1)
		return -1;
	for (i = 0; rc != -1 && i < count; i++) {
		if (digest_is_zero(entries[i]))
			continue;
		rc = localindex_view_find(
		    &v, BLOB_DATA, entries[i], &place[i], NULL, err);
		if (rc == 0)
			place[i].size = 0;
	}
	localindex_view_end(&v);
	return rc == -1 ? -1 : 0;
}

static int
tell_entry(struct walk *w, const uint8_t *hash, const struct blob_place *place,
    struct err *err)
{
	int rc;

	if (place->size != STORE_BLOCK_BYTES ||
	    (rc = is_new(w, place, err)) == 2)
		return w->fn(w->arg, BLOB_DATA, hash, NULL, NULL, err);
	if (rc != 1)
		return rc;
	return w->fn(w->arg, BLOB_DATA, hash, place, NULL, err);
}

/* Told with no view open: whoever is told may look into the index, too, and a
 * second look of one thread would wait for itself while the file grows. */
static int
check_leaf(struct walk *w, uint64_t first,
    const uint8_t (*entries)[DIGEST_BYTES], unsigned int count, struct err *err)
{
	struct blob_place place[MAP_FAN_OUT];
	unsigned int i;
	int rc = 0;

	if (find_places(w, place, entries, count, err) == -1)
		return -1;
	w->block_count = 1;
	for (i = 0; rc == 0 && i < count; i++) {
		w->first_block = first + i;
		if (!digest_is_zero(entries[i]))
			rc = tell_entry(w, entries[i], &place[i], err);
	}
	return rc;
}

/* A piece that cannot be read is told to the caller, who may go on. */
static int
tell_piece(struct walk *w, struct err *err)
{
	struct err why = *err;

	if (!unread_is_own(w->store->backend, &why))
		return -1;
	err_clear(err);
	w->first_block = w->piece_first_block;
	w->block_count = w->piece_block_count;
	return w->fn(w->arg, BLOB_MAP, w->piece,
	    w->piece_lost ? NULL : &w->piece_place, &why, err);
}

static int
walk_pieces(struct walk *w, struct piece_reader *pieces,
    const struct manifest_disk *disk, struct err *err)
{
	const uint8_t(*entries)[DIGEST_BYTES];
	struct map_cursor c;
	unsigned int count;
	uint64_t first;
	int rc;

	map_cursor_init(&c, pieces, disk->root, disk->size_bytes);
	c.enter = enter;
	c.arg = w;
	while ((rc = map_cursor_next(&c, &first, &entries, &count, err)) != 0) {
		if (rc == -1 ? tell_piece(w, err) == -1
			     : check_leaf(w, first, entries, count, err) == -1)
			return -1;
	}
	return 0;
}

int
walk_disk(struct walk *w, const struct manifest_disk *disk, struct err *err)
{
	struct piece_reader *pieces;
	int rc;

	if (piece_reader_new(&pieces, w->store, err) == -1)
		return -1;
	piece_reader_trust_index(pieces);
	rc = walk_pieces(w, pieces, disk, err);
	piece_reader_free(pieces);
	return rc;
}
