/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of a pack, out of indexes, and which of them is true. */
#include "store/tables.h"

#include <stdlib.h>
#include <string.h>

#include "common/cancel.h"
#include "common/err.h"
#include "store/store_internal.h"
#include "store/unread.h"

struct search {
	struct store *store;
	const uint8_t *pack;
	struct pack_table *best; /* The caller's. */
	bool found;
	uint32_t good; /* Blobs of the best, once they were read. */
	bool read;
	struct frame_reader *frames;
	uint8_t *raw; /* FRAME_RAW_MAX bytes. */
};

/* 1: as it should be; 0: what is stored is wrong; -1. */
static int
is_good(int rc, struct err *err)
{
	if (rc == 0)
		return 1;
	if (!unread_is_useless(err))
		return -1;
	err_clear(err);
	return 0;
}

/* How many blobs of the frame are what the table says; -1. */
static int64_t
good_of(struct search *k, const struct pack_table *t,
    const struct pack_frame *f, struct err *err)
{
	struct blob_place place = blob_place_of_frame(k->pack, f);
	const struct pack_blob *b;
	int64_t good = 0;
	uint32_t i;
	int rc;

	rc = is_good(frame_reader_fetch(k->frames, k->raw, &place, err), err);
	for (i = 0; rc == 1 && i < f->blob_count; i++) {
		b = &t->blobs[f->first_blob + i];
		rc = is_good(frame_reader_check(k->frames, k->raw + b->offset,
				 b->size, b->hash, &place, err),
		    err);
		good += rc == 1;
		rc = rc == 0 ? 1 : rc;
	}
	return rc == -1 ? -1 : good;
}

static int
count_good(uint32_t *out, struct search *k, const struct pack_table *t,
    struct err *err)
{
	int64_t good = 0;
	uint32_t i;

	if (k->raw == NULL && (k->raw = malloc(FRAME_RAW_MAX)) == NULL)
		return err_no_memory(err);
	if (k->frames == NULL &&
	    frame_reader_new(&k->frames, k->store, err) == -1)
		return -1;
	*out = 0;
	for (i = 0; i < t->frame_count; i++) {
		if (cancel_check(err) == -1 ||
		    (good = good_of(k, t, &t->frames[i], err)) == -1)
			return -1;
		*out += (uint32_t)good;
	}
	return 0;
}

static bool
same(const struct pack_table *a, const struct pack_table *b)
{
	size_t size = pack_table_size(a);
	uint8_t *x, *y;
	bool is_same;

	if (size != pack_table_size(b))
		return false;
	x = malloc(size);
	y = malloc(size);
	if (x != NULL && y != NULL) {
		pack_table_encode(x, a);
		pack_table_encode(y, b);
	}
	/* Without memory it is looked at, and that fails, too. */
	is_same = x != NULL && y != NULL && memcmp(x, y, size) == 0;
	free(x);
	free(y);
	return is_same;
}

/* Takes the table over. */
static int
weigh(struct search *k, struct pack_table *t, struct err *err)
{
	uint32_t good;
	int rc = 0;

	if (!k->found) {
		k->found = true;
		*k->best = *t;
		return 0;
	}
	if (same(k->best, t)) {
		pack_table_fini(t);
		return 0;
	}
	if (!k->read)
		rc = count_good(&k->good, k, k->best, err);
	k->read = true;
	if (rc == 0)
		rc = count_good(&good, k, t, err);
	if (rc == 0 && good > k->good) {
		pack_table_fini(k->best);
		*k->best = *t;
		k->good = good;
	} else {
		pack_table_fini(t);
	}
	return rc;
}

static int
look_into(struct search *k, const uint8_t *index, struct err *err)
{
	struct index_set *set;
	unsigned int i;
	int rc = 0;

	if (index_get(&set, k->store->backend, k->store->seal, index, err) ==
	    -1) {
		if (!unread_is_useless(err) && err->class != ERR_UNSUPPORTED)
			return -1;
		err_clear(err);
		return 0;
	}
	for (i = 0; rc == 0 && i < set->count; i++) {
		if (memcmp(set->packs[i].id, k->pack, OBJECT_ID_BYTES) != 0)
			continue;
		rc = weigh(k, &set->packs[i].table, err);
		set->packs[i].table = (struct pack_table){ .frames = NULL };
	}
	index_set_free(set);
	return rc;
}

int
tables_find(struct pack_table *out, struct store *s,
    const struct idset *indexes, const uint8_t pack[OBJECT_ID_BYTES],
    struct err *err)
{
	struct search k = { .store = s, .pack = pack, .best = out };
	bool wary = seal_mode(s->seal) == SEAL_PUBLIC;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && (wary || !k.found) && i < indexes->count; i++)
		rc = look_into(&k, indexes->ids[i], err);
	frame_reader_free(k.frames);
	free(k.raw);
	if (rc == -1 && k.found)
		pack_table_fini(out);
	return rc == -1 ? -1 : k.found;
}
