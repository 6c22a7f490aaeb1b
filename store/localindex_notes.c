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

/* What the notes of a pack become; arg is the caller's. */
typedef uint8_t change_fn(const void *arg, const uint8_t *id, uint8_t notes);

static int
change_all(struct localindex *li, MDB_txn *txn, change_fn *fn, const void *arg)
{
	MDB_val key, value;
	MDB_cursor *cursor;
	uint8_t notes;
	int code = mdb_cursor_open(txn, li->packs, &cursor);

	if (code != 0)
		return code;
	while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		if (key.mv_size != OBJECT_ID_BYTES || value.mv_size != 1)
			continue;
		notes = fn(arg, key.mv_data, *(const uint8_t *)value.mv_data);
		if (notes == *(const uint8_t *)value.mv_data)
			continue;
		value = (MDB_val){ .mv_size = 1, .mv_data = &notes };
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
	uint8_t notes = LOCALINDEX_LISTED;
	MDB_val key, value;
	int code = 0;
	size_t i;

	for (i = 0; code == 0 && i < listed->count; i++) {
		key = (MDB_val){ .mv_size = OBJECT_ID_BYTES,
			.mv_data = listed->ids[i] };
		value = (MDB_val){ .mv_size = 1, .mv_data = &notes };
		code = mdb_put(txn, li->packs, &key, &value, MDB_NOOVERWRITE);
		if (code == MDB_KEYEXIST)
			code = 0;
	}
	return code;
}

static int
try_advance(struct localindex *li, uint64_t from, bool any_from, uint64_t to,
    const struct lists *lists)
{
	struct lists own = *lists;
	uint64_t now;
	MDB_txn *txn;
	bool any;
	int code = localindex_txn_begin(li, 0, &txn);

	if (code != 0)
		return code;
	any = localindex_lists(li, txn, &now);
	if (any && now >= to) {
		mdb_txn_abort(txn);
		pthread_rwlock_unlock(&li->resize);
		return 0;
	}
	/* Another went on, or began anew, since the caller looked. */
	if (any != any_from || now != from)
		own.touched = NULL;
	if ((code = change_all(li, txn, follow_lists, &own)) == 0 &&
	    (code = note_listed(li, txn, own.listed)) == 0 &&
	    (code = set_lists(li, txn, to)) == 0)
		code = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	pthread_rwlock_unlock(&li->resize);
	return code;
}

int
localindex_advance(struct localindex *li, uint64_t from, bool any_from,
    uint64_t to, const struct idset *listed, const struct idset *touched,
    struct err *err)
{
	const struct lists lists = { .listed = listed, .touched = touched };
	int code = try_advance(li, from, any_from, to, &lists);

	while (code == MDB_MAP_FULL) {
		if ((code = localindex_grow(li)) == 0)
			code = try_advance(li, from, any_from, to, &lists);
	}
	return code == 0 ? 0 : localindex_error(li, code, err);
}

/* ---- packs found ---- */

static int
try_found(struct localindex *li, uint64_t epoch, const struct idset *packs)
{
	MDB_val key, value;
	uint64_t now;
	uint8_t notes;
	MDB_txn *txn;
	size_t i;
	int code = localindex_txn_begin(li, 0, &txn);

	if (code != 0)
		return code;
	/* Lists since then may have it: another look, later, is cheap. */
	if (localindex_lists(li, txn, &now) && now == epoch) {
		for (i = 0; code == 0 && i < packs->count; i++) {
			key = (MDB_val){ .mv_size = OBJECT_ID_BYTES,
				.mv_data = packs->ids[i] };
			if (mdb_get(txn, li->packs, &key, &value) != 0 ||
			    value.mv_size != 1)
				continue;
			notes =
			    *(const uint8_t *)value.mv_data | LOCALINDEX_FOUND;
			value = (MDB_val){ .mv_size = 1, .mv_data = &notes };
			code = mdb_put(txn, li->packs, &key, &value, 0);
		}
	}
	if (code == 0)
		code = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	pthread_rwlock_unlock(&li->resize);
	return code;
}

int
localindex_found(struct localindex *li, uint64_t epoch,
    const struct idset *packs, struct err *err)
{
	int code;

	if (packs->count == 0)
		return 0;
	code = try_found(li, epoch, packs);
	while (code == MDB_MAP_FULL) {
		if ((code = localindex_grow(li)) == 0)
			code = try_found(li, epoch, packs);
	}
	return code == 0 ? 0 : localindex_error(li, code, err);
}

static int
try_relist(struct localindex *li, uint64_t epoch, const struct idset *listed)
{
	MDB_txn *txn;
	int code = localindex_txn_begin(li, 0, &txn);

	if (code != 0)
		return code;
	if ((code = mdb_drop(txn, li->packs, 0)) == 0 &&
	    (code = note_listed(li, txn, listed)) == 0 &&
	    (code = set_lists(li, txn, epoch)) == 0)
		code = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	pthread_rwlock_unlock(&li->resize);
	return code;
}

int
localindex_relist(struct localindex *li, uint64_t epoch,
    const struct idset *listed, struct err *err)
{
	int code = try_relist(li, epoch, listed);

	while (code == MDB_MAP_FULL) {
		if ((code = localindex_grow(li)) == 0)
			code = try_relist(li, epoch, listed);
	}
	return code == 0 ? 0 : localindex_error(li, code, err);
}
