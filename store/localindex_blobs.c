/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a local index: found, added, listed, cleared. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/endian.h"
#include "common/err.h"
#include "store/grow.h"
#include "store/localindex_internal.h"

#define KEY_BYTES (1 + DIGEST_BYTES)
#define PLACE_BYTES 41
#define RANK_BEST 4u

static MDB_val
val(const void *data, size_t size)
{
	return (MDB_val){ .mv_size = size, .mv_data = (void *)(uintptr_t)data };
}

static void
key_put(uint8_t out[KEY_BYTES], enum blob_type type, const uint8_t *hash)
{
	out[0] = (uint8_t)type;
	memcpy(out + 1, hash, DIGEST_BYTES);
}

void
blob_name_put(struct blob_name *out, enum blob_type type,
    const uint8_t hash[DIGEST_BYTES])
{
	key_put(out->bytes, type, hash);
}

static void
place_put(uint8_t out[PLACE_BYTES], const struct blob_place *p)
{
	memcpy(out, p->pack, OBJECT_ID_BYTES);
	be32_put(out + 16, p->frame_offset);
	be32_put(out + 20, p->stored_size);
	be32_put(out + 24, p->raw_size);
	be32_put(out + 28, p->offset);
	be32_put(out + 32, p->size);
	be32_put(out + 36, p->ordinal);
	out[40] = (uint8_t)p->coding;
}

/* A cache may be garbled: sizes are checked as those of any input. */
static int
place_get(struct blob_place *out, const MDB_val *value)
{
	const uint8_t *in = value->mv_data;

	if (value->mv_size != PLACE_BYTES)
		return -1;
	memcpy(out->pack, in, OBJECT_ID_BYTES);
	out->frame_offset = be32_get(in + 16);
	out->stored_size = be32_get(in + 20);
	out->raw_size = be32_get(in + 24);
	out->offset = be32_get(in + 28);
	out->size = be32_get(in + 32);
	out->ordinal = be32_get(in + 36);
	out->coding = in[40];
	if (out->raw_size > FRAME_RAW_MAX ||
	    out->stored_size > out->raw_size + AEAD_TAG_BYTES ||
	    out->offset > out->raw_size ||
	    out->size > out->raw_size - out->offset)
		return -1;
	return 0;
}

/* 0: not a word of it. */
static unsigned int
pack_notes(struct localindex *li, MDB_txn *txn, const uint8_t *id)
{
	MDB_val key = val(id, OBJECT_ID_BYTES), value;

	if (mdb_get(txn, li->packs, &key, &value) != 0 || value.mv_size != 1)
		return 0;
	return *(const uint8_t *)value.mv_data;
}

/* Of two packs with a blob the one with more serves. */
static unsigned int
rank(unsigned int notes)
{
	if ((notes & LOCALINDEX_LOADED) == 0)
		return 0;
	return 1 + ((notes & LOCALINDEX_INDEXED) != 0) +
	       2 * ((notes & LOCALINDEX_LISTED) == 0);
}

int
localindex_view_begin(
    struct localindex_view *v, struct localindex *li, struct err *err)
{
	MDB_txn *txn;
	int code = localindex_txn_begin(li, MDB_RDONLY, &txn);

	if (code != 0)
		return localindex_error(li, code, err);
	v->li = li;
	v->txn = txn;
	v->any_lists = localindex_lists(li, txn, &v->lists_to);
	return 0;
}

void
localindex_view_end(struct localindex_view *v)
{
	mdb_txn_abort(v->txn);
	pthread_rwlock_unlock(&v->li->resize);
}

int
localindex_view_find(struct localindex_view *v, enum blob_type type,
    const uint8_t hash[DIGEST_BYTES], struct blob_place *out,
    unsigned int *notes, struct err *err)
{
	uint8_t bytes[KEY_BYTES] = { 0 };
	MDB_val key = val(bytes, sizeof(bytes)), value;
	int code;

	key_put(bytes, type, hash);
	code = mdb_get(v->txn, v->li->blobs, &key, &value);
	if (code == MDB_NOTFOUND)
		return 0;
	if (code != 0)
		return localindex_error(v->li, code, err);
	if (place_get(out, &value) == -1)
		return 0;
	if (notes != NULL)
		*notes = pack_notes(v->li, v->txn, out->pack);
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

/*
 * The place that ranks higher stays.  Of two of the highest rank it is the
 * later one: a prune has copied the blob, and the old copy is about to go.
 */
static int
add_blob(struct localindex *li, MDB_txn *txn, const uint8_t *key_bytes,
    const struct blob_place *place, unsigned int own)
{
	uint8_t bytes[PLACE_BYTES];
	MDB_val key = val(key_bytes, KEY_BYTES);
	MDB_val value = val(bytes, sizeof(bytes));
	struct blob_place old;
	unsigned int other;
	int code;

	place_put(bytes, place);
	code = mdb_put(txn, li->blobs, &key, &value, MDB_NOOVERWRITE);
	if (code != MDB_KEYEXIST)
		return code;
	if (place_get(&old, &value) == 0) {
		other = rank(pack_notes(li, txn, old.pack));
		if (other > own || (other == own && own < RANK_BEST))
			return 0;
	}
	value = val(bytes, sizeof(bytes));
	return mdb_put(txn, li->blobs, &key, &value, 0);
}

struct sorted {
	const struct pack_frame *frame;
	const struct pack_blob *blob;
	uint32_t ordinal;
};

static int
compare_sorted(const void *a, const void *b)
{
	const struct sorted *x = a, *y = b;

	return memcmp(x->blob->hash, y->blob->hash, DIGEST_BYTES);
}

/* In the order of their hashes: neighbours share pages. */
static struct sorted *
sort_blobs(const struct pack_table *t)
{
	struct sorted *s = calloc(t->blob_count + 1u, sizeof(*s));
	uint32_t i, j, n = 0;

	if (s == NULL)
		return NULL;
	for (i = 0; i < t->frame_count; i++) {
		for (j = 0; j < t->frames[i].blob_count; j++, n++) {
			s[n].frame = &t->frames[i];
			s[n].blob = &t->blobs[n];
			s[n].ordinal = n;
		}
	}
	qsort(s, n, sizeof(*s), compare_sorted);
	return s;
}

static int
add_pack(struct localindex *li, MDB_txn *txn, const struct index_pack *pack,
    bool trusted)
{
	struct sorted *s = sort_blobs(&pack->table);
	uint8_t notes = (uint8_t)pack_notes(li, txn, pack->id);
	MDB_val key = val(pack->id, OBJECT_ID_BYTES), value = val(&notes, 1);
	struct blob_place place = { .coding = 0 };
	uint8_t blob_key[KEY_BYTES];
	uint32_t i;
	int code;

	if (s == NULL)
		return ENOMEM;
	notes |= LOCALINDEX_LOADED | (trusted ? LOCALINDEX_INDEXED : 0u);
	code = mdb_put(txn, li->packs, &key, &value, 0);
	memcpy(place.pack, pack->id, OBJECT_ID_BYTES);
	for (i = 0; code == 0 && i < pack->table.blob_count; i++) {
		place.frame_offset = s[i].frame->offset;
		place.stored_size = s[i].frame->stored_size;
		place.raw_size = s[i].frame->raw_size;
		place.coding = s[i].frame->coding;
		place.offset = s[i].blob->offset;
		place.size = s[i].blob->size;
		place.ordinal = s[i].ordinal;
		key_put(blob_key, s[i].blob->type, s[i].blob->hash);
		code = add_blob(li, txn, blob_key, &place, rank(notes));
	}
	free(s);
	return code;
}

/* One try; MDB_MAP_FULL asks for another with a larger map. */
static int
try_add(struct localindex *li, const uint8_t *index_id,
    const struct index_pack *packs, unsigned int count)
{
	MDB_val key = val(index_id, OBJECT_ID_BYTES), value = val("", 0);
	MDB_txn *txn;
	unsigned int i;
	int code = localindex_txn_begin(li, 0, &txn);

	if (code != 0)
		return code;
	for (i = 0; code == 0 && i < count; i++)
		code = add_pack(li, txn, &packs[i], index_id != NULL);
	if (code == 0 && index_id != NULL)
		code = mdb_put(txn, li->indexes, &key, &value, 0);
	if (code == 0)
		code = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	pthread_rwlock_unlock(&li->resize);
	return code;
}

int
localindex_add(struct localindex *li, const uint8_t *index_id,
    const struct index_pack *packs, unsigned int count, struct err *err)
{
	int code = try_add(li, index_id, packs, count);

	while (code == MDB_MAP_FULL) {
		if ((code = localindex_grow(li)) == 0)
			code = try_add(li, index_id, packs, count);
	}
	return code == 0 ? 0 : localindex_error(li, code, err);
}

int
localindex_clear(struct localindex *li, struct err *err)
{
	MDB_txn *txn;
	int code = localindex_txn_begin(li, 0, &txn);

	if (code != 0)
		return localindex_error(li, code, err);
	if ((code = mdb_drop(txn, li->blobs, 0)) == 0 &&
	    (code = localindex_unload(li, txn)) == 0 &&
	    (code = mdb_drop(txn, li->indexes, 0)) == 0)
		code = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	pthread_rwlock_unlock(&li->resize);
	return code == 0 ? 0 : localindex_error(li, code, err);
}

static int
collect(struct idset *out, MDB_cursor *cursor, unsigned int need,
    struct err *err, int *code)
{
	MDB_val key, value;

	while ((*code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		if (key.mv_size != OBJECT_ID_BYTES)
			continue;
		if (need != 0 && (value.mv_size != 1 ||
				     (*(uint8_t *)value.mv_data & need) == 0))
			continue;
		if (idset_add(out, key.mv_data, err) == -1)
			return -1;
	}
	if (*code == MDB_NOTFOUND)
		*code = 0;
	return 0;
}

static int
list_table(struct idset *out, struct localindex *li, bool packs,
    unsigned int need, struct err *err)
{
	struct localindex_view v;
	MDB_cursor *cursor = NULL;
	int code, rc = 0;

	*out = (struct idset){ .ids = NULL };
	if (localindex_view_begin(&v, li, err) == -1)
		return -1;
	code = mdb_cursor_open(v.txn, packs ? li->packs : li->indexes, &cursor);
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
	return list_table(out, li, false, 0, err);
}

int
localindex_packs(struct idset *out, struct localindex *li, bool trusted_only,
    struct err *err)
{
	return list_table(out, li, true,
	    trusted_only ? LOCALINDEX_INDEXED : LOCALINDEX_LOADED, err);
}

struct names {
	struct blob_name *names;
	size_t count, capacity;
};

static int
add_name(struct names *n, const void *key, struct err *err)
{
	struct blob_name *grown =
	    grow_array(n->names, n->count, &n->capacity, sizeof(*grown));

	if (grown == NULL)
		return err_no_memory(err);
	n->names = grown;
	memcpy(n->names[n->count++].bytes, key, KEY_BYTES);
	return 0;
}

static int
collect_names(struct names *out, MDB_cursor *cursor, const uint8_t *pack,
    struct err *err, int *code)
{
	struct blob_place place;
	MDB_val key, value;

	while ((*code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		if (key.mv_size != KEY_BYTES ||
		    place_get(&place, &value) == -1 ||
		    memcmp(place.pack, pack, OBJECT_ID_BYTES) != 0)
			continue;
		if (add_name(out, key.mv_data, err) == -1)
			return -1;
	}
	if (*code == MDB_NOTFOUND)
		*code = 0;
	return 0;
}

int
localindex_blobs_in(struct blob_name **out, size_t *count,
    struct localindex *li, const uint8_t pack[OBJECT_ID_BYTES], struct err *err)
{
	struct names names = { .names = NULL };
	struct localindex_view v;
	MDB_cursor *cursor;
	int code, rc = 0;

	if (localindex_view_begin(&v, li, err) == -1)
		return -1;
	code = mdb_cursor_open(v.txn, li->blobs, &cursor);
	if (code == 0) {
		rc = collect_names(&names, cursor, pack, err, &code);
		mdb_cursor_close(cursor);
	}
	localindex_view_end(&v);
	if (code != 0)
		rc = localindex_error(li, code, err);
	if (rc == -1) {
		free(names.names);
		return -1;
	}
	*out = names.names;
	*count = names.count;
	return 0;
}
