/* SPDX-License-Identifier: Apache-2.0 */
/* Looks into a local index; what is in it told, forgotten, cleared. */
#include <errno.h>
#include <string.h>

#include "common/endian.h"
#include "common/err.h"
#include "store/localindex_internal.h"

#define RANK_BEST 4u
/* Others merge runs meanwhile: seldom, and it takes them long. */
#define VIEW_TRIES 4

/* ---- views ---- */

int
localindex_view_begin(
    struct localindex_view *v, struct localindex *li, struct err *err)
{
	struct run_set *runs;
	MDB_txn *txn;
	int code, tries;

	for (tries = 1;; tries++) {
		code = localindex_txn_begin(li, MDB_RDONLY, &txn);
		if (code != 0)
			return localindex_error(li, code, err);
		code = localindex_runs_get(&runs, li, txn, tries == VIEW_TRIES);
		if (code == 0)
			break;
		mdb_txn_abort(txn);
		pthread_rwlock_unlock(&li->resize);
		if (code != ENOENT || tries == VIEW_TRIES)
			return localindex_error(li, code, err);
	}
	v->li = li;
	v->txn = txn;
	v->cursor = NULL;
	v->runs = runs;
	v->any_lists = localindex_lists(li, txn, &v->lists_to);
	return 0;
}

void
localindex_view_end(struct localindex_view *v)
{
	if (v->cursor != NULL)
		mdb_cursor_close(v->cursor);
	mdb_txn_abort(v->txn);
	localindex_runs_put(v->li, v->runs);
	pthread_rwlock_unlock(&v->li->resize);
}

/* ---- a look ---- */

/* The best of the entries with a name. */
struct finding {
	struct localindex_view *view;
	bool any;
	unsigned int rank, notes;
	uint32_t number;
	struct blob_place place;
};

/* A cache may be garbled: sizes are checked as those of any input. */
static int
place_get(struct blob_place *out, const uint8_t *in)
{
	out->frame_offset = be32_get(in);
	out->stored_size = be24_get(in + 4);
	out->raw_size = be24_get(in + 7);
	out->offset = be24_get(in + 10);
	out->size = be24_get(in + 13);
	out->ordinal = be16_get(in + 16);
	out->coding = in[18];
	if (out->raw_size > FRAME_RAW_MAX ||
	    out->stored_size > out->raw_size + AEAD_TAG_BYTES ||
	    out->offset > out->raw_size ||
	    out->size > out->raw_size - out->offset)
		return -1;
	return 0;
}

/* Of two packs with a blob the one with more serves. */
static unsigned int
rank_of(unsigned int notes)
{
	return 1 + ((notes & LOCALINDEX_INDEXED) != 0) +
	       2 * ((notes & LOCALINDEX_LISTED) == 0);
}

static void
consider(void *arg, const uint8_t entry[RUN_ENTRY_BYTES])
{
	struct finding *f = arg;
	struct localindex *li = f->view->li;
	MDB_val key = { .mv_size = 4,
		.mv_data = (void *)(uintptr_t)(entry + RUN_NAME_BYTES) };
	uint32_t number = be32_get(entry + RUN_NAME_BYTES), own;
	unsigned int notes, rank;
	struct blob_place place;
	MDB_val id;

	/* Of a pack that is gone nothing is known. */
	if (mdb_get(f->view->txn, li->numbers, &key, &id) != 0 ||
	    id.mv_size != OBJECT_ID_BYTES)
		return;
	notes = localindex_pack_notes(li, f->view->txn, id.mv_data, &own);
	if ((notes & LOCALINDEX_LOADED) == 0 || own != number ||
	    place_get(&place, entry + RUN_KEY_BYTES) == -1)
		return;
	rank = rank_of(notes);
	if (f->any &&
	    (rank < f->rank || (rank == f->rank && (rank == RANK_BEST) ==
						       (number < f->number))))
		return;
	memcpy(place.pack, id.mv_data, OBJECT_ID_BYTES);
	f->place = place;
	f->any = true;
	f->rank = rank;
	f->notes = notes;
	f->number = number;
}

static int
look_at_newest(struct finding *f, const uint8_t name[RUN_NAME_BYTES])
{
	struct localindex_view *v = f->view;
	MDB_val key = { .mv_size = RUN_NAME_BYTES,
		.mv_data = (void *)(uintptr_t)name };
	uint8_t entry[RUN_ENTRY_BYTES];
	MDB_cursor *cursor = v->cursor;
	MDB_val value;
	int code;

	if (cursor == NULL) {
		code = mdb_cursor_open(v->txn, v->li->blobs, &cursor);
		if (code != 0)
			return code;
		v->cursor = cursor;
	}
	for (code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	     code == 0 && key.mv_size >= RUN_NAME_BYTES &&
	     memcmp(key.mv_data, name, RUN_NAME_BYTES) == 0;
	     code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		if (localindex_row_get(entry, &key, &value))
			consider(f, entry);
		else
			localindex_note_damage(v->li, "a row of it is damaged");
	}
	return code == MDB_NOTFOUND ? 0 : code;
}

/* What cannot be read is as unknown: then it is stored again, or read anew. */
static int
look_at_runs(struct finding *f, const uint8_t name[RUN_NAME_BYTES])
{
	const struct run_set *runs = f->view->runs;
	unsigned int i;
	int code;

	/* In a newer run numbers are higher, so the first best is the best. */
	for (i = runs->count; i-- > 0 && f->rank < RANK_BEST;) {
		if (runs->run[i] == NULL)
			continue;
		code = localindex_run_find(runs->run[i], name, consider, f);
		if (code == MDB_CORRUPTED)
			localindex_note_damage(
			    f->view->li, "a file of it is damaged");
		else if (code != 0)
			return code;
	}
	return 0;
}

int
localindex_view_find(struct localindex_view *v, enum blob_type type,
    const uint8_t hash[DIGEST_BYTES], struct blob_place *out,
    unsigned int *notes, struct err *err)
{
	struct finding f = { .view = v };
	uint8_t name[RUN_NAME_BYTES];
	int code;

	memcpy(name, hash, DIGEST_BYTES);
	name[DIGEST_BYTES] = (uint8_t)type;
	if ((code = look_at_newest(&f, name)) != 0 ||
	    (code = look_at_runs(&f, name)) != 0)
		return localindex_error(v->li, code, err);
	if (!f.any)
		return 0;
	*out = f.place;
	if (notes != NULL)
		*notes = f.notes;
	return 1;
}

int
localindex_find(struct localindex *li, enum blob_type type,
    const uint8_t hash[DIGEST_BYTES], struct blob_place *out, struct err *err)
{
	struct localindex_view v;
	int rc;

	if (localindex_view_begin(&v, li, err) == -1)
		return -1;
	rc = localindex_view_find(&v, type, hash, out, NULL, err);
	localindex_view_end(&v);
	return rc;
}

/* ---- clearing ---- */

static int
try_clear(struct localindex *li, MDB_txn *txn, void *arg)
{
	int code;

	*(uint64_t *)arg = localindex_counter(li, txn, LOCALINDEX_NEXT_RUN);
	if ((code = mdb_drop(txn, li->blobs, 0)) == 0 &&
	    (code = mdb_drop(txn, li->numbers, 0)) == 0 &&
	    (code = localindex_unload(li, txn)) == 0 &&
	    (code = mdb_drop(txn, li->indexes, 0)) == 0 &&
	    (code = localindex_runs_set(li, txn, NULL, 0)) == 0)
		code = localindex_counter_put(li, txn, LOCALINDEX_NEXT_PACK, 1);
	return code;
}

int
localindex_clear(struct localindex *li, struct err *err)
{
	uint64_t below;
	int code;

	localindex_forget_damage(li);
	code = localindex_change(li, try_clear, &below);
	if (code != 0)
		return localindex_error(li, code, err);
	localindex_runs_sweep(li, below, NULL, 0);
	return 0;
}

/* ---- what is in it ---- */

static int
collect(struct idset *out, MDB_cursor *cursor, unsigned int need,
    struct err *err, int *code)
{
	MDB_val key, value;

	while ((*code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		if (key.mv_size != OBJECT_ID_BYTES)
			continue;
		if (need != 0 &&
		    (value.mv_size != LOCALINDEX_PACK_VALUE_BYTES ||
			(*(uint8_t *)value.mv_data & need) == 0))
			continue;
		if (idset_add(out, key.mv_data, err) == -1)
			return -1;
	}
	if (*code == MDB_NOTFOUND)
		*code = 0;
	return 0;
}

int
localindex_ids(struct idset *out, struct localindex *li, MDB_dbi table,
    unsigned int need, struct err *err)
{
	struct localindex_view v;
	MDB_cursor *cursor = NULL;
	int code, rc = 0;

	*out = (struct idset){ .ids = NULL };
	if (localindex_view_begin(&v, li, err) == -1)
		return -1;
	code = mdb_cursor_open(v.txn, table, &cursor);
	if (code == 0) {
		rc = collect(out, cursor, need, err, &code);
		mdb_cursor_close(cursor);
	}
	localindex_view_end(&v);
	if (code != 0)
		rc = localindex_error(li, code, err);
	if (rc == -1)
		idset_fini(out);
	else
		idset_sort(out);
	return rc;
}

int
localindex_indexes(struct idset *out, struct localindex *li, struct err *err)
{
	return localindex_ids(out, li, li->indexes, 0, err);
}

int
localindex_packs(struct idset *out, struct localindex *li, bool trusted_only,
    struct err *err)
{
	return localindex_ids(out, li, li->packs,
	    trusted_only ? LOCALINDEX_INDEXED : LOCALINDEX_LOADED, err);
}

/* ---- packs that are gone ---- */

struct forget {
	const struct idset *gone, *indexes;
	bool behind;
};

static int
forget_packs(struct localindex *li, MDB_txn *txn, const struct idset *gone)
{
	const unsigned int stay = LOCALINDEX_FOUND | LOCALINDEX_LISTED;
	uint8_t bytes[4];
	MDB_val key = { .mv_size = sizeof(bytes), .mv_data = bytes };
	unsigned int notes;
	uint32_t number;
	int code = 0;
	size_t i;

	for (i = 0; code == 0 && i < gone->count; i++) {
		notes = localindex_pack_notes(li, txn, gone->ids[i], &number);
		if (notes == 0)
			continue;
		be32_put(bytes, number);
		code = mdb_del(txn, li->numbers, &key, NULL);
		if (code == MDB_NOTFOUND)
			code = 0;
		if (code == 0)
			code = localindex_pack_put(
			    li, txn, gone->ids[i], notes & stay, 0);
	}
	return code;
}

/* How many of the packs that an index named are gone. */
static size_t
count_gone(const MDB_val *packs, const struct idset *gone)
{
	const uint8_t *id = packs->mv_data;
	size_t i, count = 0;

	for (i = 0; i < packs->mv_size / OBJECT_ID_BYTES; i++)
		count += idset_has(gone, id + i * OBJECT_ID_BYTES);
	return count;
}

static int
forget_indexes(struct localindex *li, MDB_txn *txn, struct forget *f)
{
	MDB_val key, packs;
	MDB_cursor *cursor;
	size_t count;
	bool there;
	int code = mdb_cursor_open(txn, li->indexes, &cursor);

	if (code != 0)
		return code;
	while ((code = mdb_cursor_get(cursor, &key, &packs, MDB_NEXT)) == 0) {
		there = key.mv_size == OBJECT_ID_BYTES &&
			idset_has(f->indexes, key.mv_data);
		count = count_gone(&packs, f->gone);
		if (!there && count < packs.mv_size / OBJECT_ID_BYTES)
			f->behind = true;
		if (there && count == 0)
			continue;
		if ((code = mdb_cursor_del(cursor, 0)) != 0)
			break;
	}
	mdb_cursor_close(cursor);
	return code == MDB_NOTFOUND ? 0 : code;
}

static int
try_forget(struct localindex *li, MDB_txn *txn, void *arg)
{
	struct forget *f = arg;
	int code;

	f->behind = false;
	if ((code = forget_indexes(li, txn, f)) == 0)
		code = forget_packs(li, txn, f->gone);
	return code;
}

int
localindex_forget(struct localindex *li, bool *behind, const struct idset *gone,
    const struct idset *indexes, struct err *err)
{
	struct forget f = { .gone = gone, .indexes = indexes };
	int code = localindex_change(li, try_forget, &f);

	*behind = f.behind;
	return code == 0 ? 0 : localindex_error(li, code, err);
}
