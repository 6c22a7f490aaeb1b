/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a local index notes of packs, so that a backup need not look for each
 * (docs/prune.md): which lists were looked at, and which packs were found
 * since when no list has them.
 */
#include <string.h>

#include "common/endian.h"
#include "common/err.h"
#include "store/localindex_internal.h"

static char lists_name[] = "lists";

static MDB_val
lists_key(void)
{
	return (MDB_val){ .mv_size = sizeof(lists_name) - 1,
		.mv_data = lists_name };
}

bool
localindex_lists(struct localindex *li, MDB_txn *txn, uint64_t *out)
{
	MDB_val key = lists_key(), value;

	*out = 0;
	if (mdb_get(txn, li->meta, &key, &value) != 0 || value.mv_size != 8)
		return false;
	*out = be64_get(value.mv_data);
	return true;
}

static int
set_lists(struct localindex *li, MDB_txn *txn, uint64_t to)
{
	MDB_val key = lists_key(), value;
	uint8_t bytes[8];

	be64_put(bytes, to);
	value = (MDB_val){ .mv_size = sizeof(bytes), .mv_data = bytes };
	return mdb_put(txn, li->meta, &key, &value, 0);
}

/* ---- packs ---- */

/* A cache may be garbled: sizes are checked as those of any input. */
static unsigned int
value_get(const MDB_val *value, uint32_t *number)
{
	const uint8_t *in = value->mv_data;

	*number = 0;
	if (value->mv_size != LOCALINDEX_PACK_VALUE_BYTES)
		return 0;
	*number = be32_get(in + 1);
	return in[0];
}

static MDB_val
value_put(uint8_t bytes[LOCALINDEX_PACK_VALUE_BYTES], unsigned int notes,
    uint32_t number)
{
	bytes[0] = (uint8_t)notes;
	be32_put(bytes + 1, number);
	return (MDB_val){ .mv_size = LOCALINDEX_PACK_VALUE_BYTES,
		.mv_data = bytes };
}

static MDB_val
pack_key(const uint8_t *id)
{
	return (MDB_val){ .mv_size = OBJECT_ID_BYTES,
		.mv_data = (void *)(uintptr_t)id };
}

unsigned int
localindex_pack_notes(struct localindex *li, MDB_txn *txn,
    const uint8_t id[OBJECT_ID_BYTES], uint32_t *number)
{
	MDB_val key = pack_key(id), value;

	*number = 0;
	if (mdb_get(txn, li->packs, &key, &value) != 0)
		return 0;
	return value_get(&value, number);
}

int
localindex_pack_put(struct localindex *li, MDB_txn *txn,
    const uint8_t id[OBJECT_ID_BYTES], unsigned int notes, uint32_t number)
{
	uint8_t bytes[LOCALINDEX_PACK_VALUE_BYTES];
	MDB_val key = pack_key(id), value = value_put(bytes, notes, number);

	if (notes != 0)
		return mdb_put(txn, li->packs, &key, &value, 0);
	return mdb_del(txn, li->packs, &key, NULL);
}

/* What the notes of a pack become; arg is the caller's. */
typedef uint8_t change_fn(const void *arg, const uint8_t *id, uint8_t notes);

static int
change_all(struct localindex *li, MDB_txn *txn, change_fn *fn, const void *arg)
{
	uint8_t bytes[LOCALINDEX_PACK_VALUE_BYTES];
	unsigned int notes, was;
	MDB_val key, value;
	MDB_cursor *cursor;
	uint32_t number;
	int code = mdb_cursor_open(txn, li->packs, &cursor);

	if (code != 0)
		return code;
	while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		if (key.mv_size != OBJECT_ID_BYTES)
			continue;
		was = value_get(&value, &number);
		notes = fn(arg, key.mv_data, (uint8_t)was);
		if (notes == was)
			continue;
		if ((notes & LOCALINDEX_LOADED) == 0)
			number = 0;
		value = value_put(bytes, notes, number);
		if (notes == 0)
			code = mdb_cursor_del(cursor, 0);
		else
			code =
			    mdb_cursor_put(cursor, &key, &value, MDB_CURRENT);
		if (code != 0)
			break;
	}
	mdb_cursor_close(cursor);
	return code == MDB_NOTFOUND ? 0 : code;
}

static uint8_t
without_blobs(const void *arg, const uint8_t *id, uint8_t notes)
{
	(void)arg;
	(void)id;
	return notes & (LOCALINDEX_FOUND | LOCALINDEX_LISTED);
}

int
localindex_unload(struct localindex *li, MDB_txn *txn)
{
	return change_all(li, txn, without_blobs, NULL);
}

struct lists {
	const struct idset *listed, *touched;
};

static uint8_t
follow_lists(const void *arg, const uint8_t *id, uint8_t notes)
{
	const struct lists *l = arg;

	notes &= (uint8_t)~LOCALINDEX_LISTED;
	if (idset_has(l->listed, id))
		notes |= LOCALINDEX_LISTED;
	if (l->touched == NULL || idset_has(l->touched, id))
		notes &= (uint8_t)~LOCALINDEX_FOUND;
	return notes;
}

/* Packs may be on a list before their blobs are here. */
static int
note_listed(struct localindex *li, MDB_txn *txn, const struct idset *listed)
{
	uint8_t bytes[LOCALINDEX_PACK_VALUE_BYTES];
	MDB_val key, value;
	int code = 0;
	size_t i;

	for (i = 0; code == 0 && i < listed->count; i++) {
		key = pack_key(listed->ids[i]);
		value = value_put(bytes, LOCALINDEX_LISTED, 0);
		code = mdb_put(txn, li->packs, &key, &value, MDB_NOOVERWRITE);
		if (code == MDB_KEYEXIST)
			code = 0;
	}
	return code;
}

struct advance {
	uint64_t from, to;
	bool any_from;
	struct lists lists;
};

static int
try_advance(struct localindex *li, MDB_txn *txn, void *arg)
{
	const struct advance *a = arg;
	struct lists own = a->lists;
	uint64_t now;
	bool any = localindex_lists(li, txn, &now);
	int code;

	if (any && now >= a->to)
		return 0;
	/* Another went on, or began anew, since the caller looked. */
	if (any != a->any_from || now != a->from)
		own.touched = NULL;
	if ((code = change_all(li, txn, follow_lists, &own)) == 0 &&
	    (code = note_listed(li, txn, own.listed)) == 0)
		code = set_lists(li, txn, a->to);
	return code;
}

int
localindex_advance(struct localindex *li, uint64_t from, bool any_from,
    uint64_t to, const struct idset *listed, const struct idset *touched,
    struct err *err)
{
	struct advance a = { .from = from,
		.to = to,
		.any_from = any_from,
		.lists = { .listed = listed, .touched = touched } };
	int code = localindex_change(li, try_advance, &a);

	return code == 0 ? 0 : localindex_error(li, code, err);
}

/* ---- packs found ---- */

struct found {
	uint64_t epoch;
	const struct idset *packs;
};

static int
try_found(struct localindex *li, MDB_txn *txn, void *arg)
{
	const struct found *f = arg;
	unsigned int notes;
	uint32_t number;
	uint64_t now;
	int code = 0;
	size_t i;

	/* Lists since then may have it: another look, later, is cheap. */
	if (!localindex_lists(li, txn, &now) || now != f->epoch)
		return 0;
	for (i = 0; code == 0 && i < f->packs->count; i++) {
		notes =
		    localindex_pack_notes(li, txn, f->packs->ids[i], &number);
		if (notes != 0)
			code = localindex_pack_put(li, txn, f->packs->ids[i],
			    notes | LOCALINDEX_FOUND, number);
	}
	return code;
}

int
localindex_found(struct localindex *li, uint64_t epoch,
    const struct idset *packs, struct err *err)
{
	struct found f = { .epoch = epoch, .packs = packs };
	int code;

	if (packs->count == 0)
		return 0;
	code = localindex_change(li, try_found, &f);
	return code == 0 ? 0 : localindex_error(li, code, err);
}

static int
try_relist(struct localindex *li, MDB_txn *txn, void *arg)
{
	const struct found *f = arg;
	int code;

	if ((code = mdb_drop(txn, li->packs, 0)) == 0 &&
	    (code = note_listed(li, txn, f->packs)) == 0)
		code = set_lists(li, txn, f->epoch);
	return code;
}

int
localindex_relist(struct localindex *li, uint64_t epoch,
    const struct idset *listed, struct err *err)
{
	struct found f = { .epoch = epoch, .packs = listed };
	int code = localindex_change(li, try_relist, &f);

	return code == 0 ? 0 : localindex_error(li, code, err);
}
