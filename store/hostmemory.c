/* SPDX-License-Identifier: Apache-2.0 */
/* A host's memory: tables beside those of its local index. */
#include "store/hostmemory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/endian.h"
#include "common/err.h"
#include "store/localindex_internal.h"

#define POINT_HEAD_BYTES (8 + DIGEST_BYTES)

static const char order_name[] = "host order";
static const char swept_name[] = "host swept";

static MDB_val
val(const void *data, size_t size)
{
	return (MDB_val){ .mv_size = size, .mv_data = (void *)(uintptr_t)data };
}

/* ---- numbers in the table of settings ---- */

static int
number_get(struct localindex *li, MDB_txn *txn, const char *name, uint64_t *out)
{
	MDB_val key = val(name, strlen(name)), value;
	int code = mdb_get(txn, li->meta, &key, &value);

	*out = 0;
	if (code == 0 && value.mv_size == 8)
		*out = be64_get(value.mv_data);
	return code == MDB_NOTFOUND ? 0 : code;
}

static int
number_put(struct localindex *li, MDB_txn *txn, const char *name, uint64_t n)
{
	uint8_t bytes[8];
	MDB_val key = val(name, strlen(name)), value = val(bytes, 8);

	be64_put(bytes, n);
	return mdb_put(txn, li->meta, &key, &value, 0);
}

/* ---- changes ---- */

static int
change(
    struct localindex *li, localindex_change_fn *fn, void *arg, struct err *err)
{
	int code = localindex_change(li, fn, arg);

	return code == 0 ? 0 : localindex_error(li, code, err);
}

/* ---- pieces ---- */

int
hostmemory_piece(struct localindex *li, uint8_t *out,
    const uint8_t hash[DIGEST_BYTES], struct err *err)
{
	MDB_val key = val(hash, DIGEST_BYTES), value;
	struct localindex_view v;
	int code;

	if (localindex_view_begin(&v, li, err) == -1)
		return -1;
	code = mdb_get(v.txn, li->pieces, &key, &value);
	if (code == 0 && value.mv_size == MAP_PIECE_BYTES)
		memcpy(out, value.mv_data, MAP_PIECE_BYTES);
	else if (code == 0)
		code = MDB_NOTFOUND; /* Garbled. */
	localindex_view_end(&v);
	if (code == 0)
		return 1;
	return code == MDB_NOTFOUND ? 0 : localindex_error(li, code, err);
}

struct keeping {
	const uint8_t (*hash)[DIGEST_BYTES];
	const uint8_t *raw;
	unsigned int count;
};

static int
put_pieces(struct localindex *li, MDB_txn *txn, void *arg)
{
	const struct keeping *k = arg;
	MDB_val key, value;
	unsigned int i;
	int code = 0;

	for (i = 0; code == 0 && i < k->count; i++) {
		key = val(k->hash[i], DIGEST_BYTES);
		value =
		    val(k->raw + (size_t)i * MAP_PIECE_BYTES, MAP_PIECE_BYTES);
		code = mdb_put(txn, li->pieces, &key, &value, 0);
	}
	return code;
}

int
hostmemory_keep_pieces(struct localindex *li,
    const uint8_t (*hash)[DIGEST_BYTES], const uint8_t *raw, unsigned int count,
    struct err *err)
{
	struct keeping k = { hash, raw, count };

	return change(li, put_pieces, &k, err);
}

/* ---- points ---- */

struct keeping_point {
	const uint8_t *id;
	uint8_t *bytes; /* POINT_HEAD_BYTES, then the manifest. */
	size_t size;
};

static int
put_point(struct localindex *li, MDB_txn *txn, void *arg)
{
	const struct keeping_point *k = arg;
	MDB_val key = val(k->id, OBJECT_ID_BYTES);
	MDB_val value = val(k->bytes, k->size);
	uint64_t order;
	int code = number_get(li, txn, order_name, &order);

	if (code == 0)
		code = number_put(li, txn, order_name, ++order);
	be64_put(k->bytes, order);
	return code == 0 ? mdb_put(txn, li->points, &key, &value, 0) : code;
}

int
hostmemory_keep_point(struct localindex *li, const uint8_t id[OBJECT_ID_BYTES],
    const struct hostmemory_point *point, struct err *err)
{
	struct keeping_point k = { .id = id };
	int rc;

	k.size = POINT_HEAD_BYTES + point->size;
	if ((k.bytes = malloc(k.size)) == NULL)
		return err_no_memory(err);
	memcpy(k.bytes + 8, point->hash, DIGEST_BYTES);
	memcpy(k.bytes + POINT_HEAD_BYTES, point->text, point->size);
	rc = change(li, put_point, &k, err);
	free(k.bytes);
	return rc;
}

static int
copy_point(struct hostmemory_point *out, const MDB_val *value)
{
	const uint8_t *in = value->mv_data;

	if (value->mv_size < POINT_HEAD_BYTES)
		return MDB_NOTFOUND;
	out->size = value->mv_size - POINT_HEAD_BYTES;
	if ((out->text = malloc(out->size + 1)) == NULL)
		return ENOMEM;
	out->order = be64_get(in);
	memcpy(out->hash, in + 8, DIGEST_BYTES);
	memcpy(out->text, in + POINT_HEAD_BYTES, out->size);
	out->text[out->size] = '\0';
	return 0;
}

int
hostmemory_point(struct hostmemory_point *out, struct localindex *li,
    const uint8_t id[OBJECT_ID_BYTES], struct err *err)
{
	MDB_val key = val(id, OBJECT_ID_BYTES), value;
	struct localindex_view v;
	int code;

	if (localindex_view_begin(&v, li, err) == -1)
		return -1;
	if ((code = mdb_get(v.txn, li->points, &key, &value)) == 0)
		code = copy_point(out, &value);
	localindex_view_end(&v);
	if (code == 0)
		return 1;
	return code == MDB_NOTFOUND ? 0 : localindex_error(li, code, err);
}

int
hostmemory_points(struct idset *out, struct localindex *li, struct err *err)
{
	return localindex_ids(out, li, li->points, 0, err);
}

/* ---- the sweep ---- */

struct sweeping {
	bool of_points;
	const struct idset *points;
	const uint8_t (*live)[DIGEST_BYTES];
	size_t count;
};

static int
compare_hashes(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_BYTES);
}

static bool
stays(const struct sweeping *s, const MDB_val *key)
{
	if (s->of_points)
		return key->mv_size == OBJECT_ID_BYTES &&
		       idset_has(s->points, key->mv_data);
	return s->count > 0 && key->mv_size == DIGEST_BYTES &&
	       bsearch(key->mv_data, s->live, s->count, DIGEST_BYTES,
		   compare_hashes) != NULL;
}

static int
sweep_table(MDB_txn *txn, MDB_dbi table, const struct sweeping *s)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int code = mdb_cursor_open(txn, table, &cursor);

	if (code != 0)
		return code;
	while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		if (!stays(s, &key) && (code = mdb_cursor_del(cursor, 0)) != 0)
			break;
	}
	mdb_cursor_close(cursor);
	return code == MDB_NOTFOUND ? 0 : code;
}

static int
sweep(struct localindex *li, MDB_txn *txn, void *arg)
{
	const struct sweeping *s = arg;
	const struct sweeping points = { .of_points = true,
		.points = s->points };
	int code = sweep_table(txn, li->points, &points);

	if (code == 0)
		code = sweep_table(txn, li->pieces, s);
	return code == 0 ? number_put(li, txn, swept_name, s->count) : code;
}

int
hostmemory_sweep(struct localindex *li, const struct idset *points,
    const uint8_t (*live)[DIGEST_BYTES], size_t count, struct err *err)
{
	struct sweeping s = { false, points, live, count };

	return change(li, sweep, &s, err);
}

int
hostmemory_pieces(
    uint64_t *now, uint64_t *swept, struct localindex *li, struct err *err)
{
	struct localindex_view v;
	MDB_stat stat;
	int code;

	if (localindex_view_begin(&v, li, err) == -1)
		return -1;
	if ((code = mdb_stat(v.txn, li->pieces, &stat)) == 0)
		code = number_get(li, v.txn, swept_name, swept);
	*now = stat.ms_entries;
	localindex_view_end(&v);
	return code == 0 ? 0 : localindex_error(li, code, err);
}
