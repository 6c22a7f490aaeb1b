/* SPDX-License-Identifier: Apache-2.0 */
/* A host's memory swept: the newest points of each machine stay. */
#include "store/host_sweep.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/json/json.h"
#include "store/hostmemory.h"

/* Pieces beside twice those that the last sweep left. */
#define SWEEP_SLACK 4096u

struct remembered {
	uint8_t id[OBJECT_ID_BYTES];
	uint64_t order;
	struct manifest *manifest;
};

struct sweep {
	struct store *store;
	struct remembered *all;
	size_t count;
	struct idset stay;
	uint8_t (*live)[DIGEST_BYTES];
	size_t live_count, live_capacity;
};

/* One that is garbled is passed over, and goes. */
static int
load_point(struct sweep *w, const uint8_t *id, struct err *err)
{
	struct remembered *r = &w->all[w->count];
	struct hostmemory_point point;
	json_t *json = NULL;
	int rc = hostmemory_point(&point, w->store->index, id, err);

	if (rc != 1)
		return rc;
	if (json_parse(&json, point.text, point.size, err) == 0 &&
	    manifest_from_json(&r->manifest, json, err) == 0) {
		memcpy(r->id, id, OBJECT_ID_BYTES);
		r->order = point.order;
		w->count++;
	}
	err_clear(err);
	json_decref(json);
	free(point.text);
	return 0;
}

static int
load(struct sweep *w, struct err *err)
{
	struct idset ids;
	int rc = 0;
	size_t i;

	if (hostmemory_points(&ids, w->store->index, err) == -1)
		return -1;
	if ((w->all = calloc(ids.count + 1, sizeof(*w->all))) == NULL)
		rc = err_no_memory(err);
	for (i = 0; rc == 0 && i < ids.count; i++)
		rc = load_point(w, ids.ids[i], err);
	idset_fini(&ids);
	return rc;
}

/* How many of the same machine are later? */
static unsigned int
later(const struct sweep *w, const struct remembered *r)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < w->count; i++)
		n += w->all[i].order > r->order &&
		     strcmp(w->all[i].manifest->uuid, r->manifest->uuid) == 0;
	return n;
}

/* ---- which pieces they need ---- */

static int
note_piece(void *arg, const uint8_t hash[DIGEST_BYTES], unsigned int level,
    uint64_t first_block, struct err *err)
{
	struct sweep *w = arg;
	void *grown;

	(void)level;
	(void)first_block;
	if (w->live_count == w->live_capacity) {
		w->live_capacity = w->live_capacity * 2 + 1024;
		grown =
		    reallocarray(w->live, w->live_capacity, sizeof(*w->live));
		if (grown == NULL)
			return err_no_memory(err);
		w->live = grown;
	}
	memcpy(w->live[w->live_count++], hash, DIGEST_BYTES);
	return 1;
}

/* -1 with ERR_CORRUPT: some of it is not remembered. */
static int
walk(struct sweep *w, const struct manifest_disk *disk, struct err *err)
{
	const uint8_t(*entries)[DIGEST_BYTES];
	struct piece_reader *pieces;
	struct map_cursor c;
	unsigned int count;
	uint64_t first;
	int rc;

	if (piece_reader_new(&pieces, w->store, err) == -1)
		return -1;
	map_cursor_init(&c, pieces, disk->root, disk->size_bytes);
	c.enter = note_piece;
	c.arg = w;
	while ((rc = map_cursor_next(&c, &first, &entries, &count, err)) == 1)
		;
	piece_reader_free(pieces);
	return rc;
}

/* 1: stays; 0: its maps are not whole, and it is no base. */
static int
walk_point(struct sweep *w, const struct remembered *r, struct err *err)
{
	size_t i;

	for (i = 0; i < r->manifest->disk_count; i++) {
		if (walk(w, &r->manifest->disks[i], err) == 0)
			continue;
		if (err->class != ERR_CORRUPT)
			return -1;
		err_clear(err);
		return 0;
	}
	return 1;
}

static int
compare_hashes(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_BYTES);
}

static int
sweep(struct sweep *w, struct err *err)
{
	size_t i;
	int rc = load(w, err);

	for (i = 0; rc != -1 && i < w->count; i++) {
		if (later(w, &w->all[i]) >= HOSTMEMORY_POINTS)
			continue;
		if ((rc = walk_point(w, &w->all[i], err)) == 1)
			rc = idset_add(&w->stay, w->all[i].id, err);
	}
	if (rc == -1)
		return -1;
	idset_sort(&w->stay);
	if (w->live_count > 1)
		qsort(w->live, w->live_count, sizeof(*w->live), compare_hashes);
	return hostmemory_sweep(w->store->index, &w->stay,
	    (const uint8_t(*)[DIGEST_BYTES])w->live, w->live_count, err);
}

int
host_sweep(struct store *s, struct err *err)
{
	struct sweep w = { .store = s };
	uint64_t now, swept;
	int rc;

	/* Nobody else reads it anew: a host does not look at indexes. */
	if (localindex_damaged(s->index) &&
	    localindex_clear(s->index, err) == -1)
		return -1;
	if (hostmemory_pieces(&now, &swept, s->index, err) == -1)
		return -1;
	if (now <= 2 * swept + SWEEP_SLACK)
		return 0;
	rc = sweep(&w, err);
	while (w.count > 0)
		manifest_free(w.all[--w.count].manifest);
	free(w.all);
	free(w.live);
	idset_fini(&w.stay);
	return rc;
}
