/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs into a local index: gathered, sorted, put. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/ckd.h"
#include "common/endian.h"
#include "common/err.h"
#include "store/localindex_internal.h"

/* Blobs that are gathered before they are put; 28 MiB, and as many to sort. */
#define GATHER_MAX (512u << 10)
/* Blobs in LMDB's table, of some 100 bytes each; more become a run. */
#define NEWEST_MAX (256u << 10)

struct gathered_pack {
	uint8_t id[OBJECT_ID_BYTES];
	bool trusted;
};

struct gathered_index {
	uint8_t id[OBJECT_ID_BYTES];
	size_t first, count; /* Of packs. */
};

struct localindex_load {
	struct localindex *li;
	/* Where an entry has its pack's number later is now its place in
	 * packs: both rise in the same order. */
	uint8_t (*entry)[RUN_ENTRY_BYTES];
	size_t entries, entry_capacity;
	struct gathered_pack *packs;
	uint32_t *number; /* Of each; 0: it is in the index already. */
	size_t pack_count, pack_capacity;
	struct gathered_index *indexes;
	size_t index_count, index_capacity;
	struct localindex_merge merge;
	bool merged;
};

int
localindex_load_new(
    struct localindex_load **out, struct localindex *li, struct err *err)
{
	if ((*out = calloc(1, sizeof(**out))) == NULL)
		return err_no_memory(err);
	(*out)->li = li;
	return 0;
}

void
localindex_load_free(struct localindex_load *load)
{
	if (load == NULL)
		return;
	free(load->entry);
	free(load->packs);
	free(load->number);
	free(load->indexes);
	free(load);
}

/* ---- gathering ---- */

static int
make_room(
    void **array, size_t *capacity, size_t count, size_t more, size_t each)
{
	size_t wanted = *capacity > 0 ? *capacity : 64;
	void *grown;

	while (wanted - count < more) {
		if (ckd_mul(&wanted, wanted, (size_t)2))
			return -1;
	}
	if (wanted == *capacity)
		return 0;
	if ((grown = reallocarray(*array, wanted, each)) == NULL)
		return -1;
	*array = grown;
	*capacity = wanted;
	return 0;
}

static void
entry_put(uint8_t out[RUN_ENTRY_BYTES], const struct pack_frame *f,
    const struct pack_blob *b, size_t pack, uint32_t ordinal)
{
	uint8_t *place = out + RUN_KEY_BYTES;

	memcpy(out, b->hash, DIGEST_BYTES);
	out[DIGEST_BYTES] = (uint8_t)b->type;
	be32_put(out + RUN_NAME_BYTES, (uint32_t)pack);
	be32_put(place, f->offset);
	be24_put(place + 4, f->stored_size);
	be24_put(place + 7, f->raw_size);
	be24_put(place + 10, b->offset);
	be24_put(place + 13, b->size);
	be16_put(place + 16, (uint16_t)ordinal);
	place[18] = (uint8_t)f->coding;
}

static void
gather_pack(
    struct localindex_load *load, const struct index_pack *pack, bool trusted)
{
	const struct pack_table *t = &pack->table;
	struct gathered_pack *own = &load->packs[load->pack_count];
	uint32_t i, j, n = 0;

	memcpy(own->id, pack->id, OBJECT_ID_BYTES);
	own->trusted = trusted;
	for (i = 0; i < t->frame_count; i++) {
		for (j = 0; j < t->frames[i].blob_count; j++, n++)
			entry_put(load->entry[load->entries++], &t->frames[i],
			    &t->blobs[n], load->pack_count, n);
	}
	load->pack_count++;
}

static int
gather(struct localindex_load *load, const uint8_t *index_id,
    const struct index_pack *packs, unsigned int count)
{
	struct gathered_index *index;
	size_t blobs = 0;
	unsigned int i;

	for (i = 0; i < count; i++)
		blobs += packs[i].table.blob_count;
	if (make_room((void **)&load->entry, &load->entry_capacity,
		load->entries, blobs, sizeof(*load->entry)) == -1 ||
	    make_room((void **)&load->packs, &load->pack_capacity,
		load->pack_count, count, sizeof(*load->packs)) == -1 ||
	    make_room((void **)&load->indexes, &load->index_capacity,
		load->index_count, 1, sizeof(*load->indexes)) == -1)
		return -1;
	if (index_id != NULL) {
		index = &load->indexes[load->index_count++];
		memcpy(index->id, index_id, OBJECT_ID_BYTES);
		index->first = load->pack_count;
		index->count = count;
	}
	for (i = 0; i < count; i++)
		gather_pack(load, &packs[i], index_id != NULL);
	return 0;
}

/* ---- putting ---- */

static int
compare_entries(const void *a, const void *b)
{
	return memcmp(a, b, RUN_KEY_BYTES);
}

/* A pack that is in here already has all its blobs in here. */
static int
put_pack(struct localindex *li, MDB_txn *txn, const struct gathered_pack *p,
    uint32_t *number, uint64_t *next)
{
	uint8_t bytes[4];
	MDB_val key = { .mv_size = sizeof(bytes), .mv_data = bytes };
	MDB_val id = { .mv_size = OBJECT_ID_BYTES,
		.mv_data = (void *)(uintptr_t)p->id };
	uint32_t own;
	unsigned int notes = localindex_pack_notes(li, txn, p->id, &own);
	int code;

	*number = 0;
	if ((notes & LOCALINDEX_LOADED) == 0) {
		own = *number = (uint32_t)(*next)++;
		be32_put(bytes, own);
		code = mdb_put(txn, li->numbers, &key, &id, 0);
		if (code != 0)
			return code;
	}
	notes |= LOCALINDEX_LOADED | (p->trusted ? LOCALINDEX_INDEXED : 0u);
	return localindex_pack_put(li, txn, p->id, notes, own);
}

static int
put_packs(struct localindex_load *load, MDB_txn *txn)
{
	struct localindex *li = load->li;
	uint64_t next = localindex_counter(li, txn, LOCALINDEX_NEXT_PACK);
	int code = 0;
	size_t i;

	if (next == 0)
		next = 1;
	if (next + load->pack_count > UINT32_MAX)
		return MDB_CORRUPTED;
	for (i = 0; code == 0 && i < load->pack_count; i++)
		code =
		    put_pack(li, txn, &load->packs[i], &load->number[i], &next);
	if (code == 0)
		code =
		    localindex_counter_put(li, txn, LOCALINDEX_NEXT_PACK, next);
	return code;
}

static int
put_indexes(struct localindex_load *load, MDB_txn *txn)
{
	const struct gathered_index *index;
	MDB_val key, value;
	uint8_t *at;
	int code = 0;
	size_t i, k;

	for (i = 0; code == 0 && i < load->index_count; i++) {
		index = &load->indexes[i];
		key = (MDB_val){ .mv_size = OBJECT_ID_BYTES,
			.mv_data = (void *)(uintptr_t)index->id };
		value = (MDB_val){ .mv_size = index->count * OBJECT_ID_BYTES };
		code =
		    mdb_put(txn, load->li->indexes, &key, &value, MDB_RESERVE);
		at = value.mv_data;
		for (k = 0; code == 0 && k < index->count; k++)
			memcpy(at + k * OBJECT_ID_BYTES,
			    load->packs[index->first + k].id, OBJECT_ID_BYTES);
	}
	return code;
}

static int
put_newest(struct localindex_load *load, MDB_txn *txn)
{
	uint8_t bytes[RUN_ENTRY_BYTES], rest[LOCALINDEX_BLOB_VALUE_BYTES];
	MDB_val key = { .mv_size = RUN_KEY_BYTES, .mv_data = bytes };
	MDB_val value = { .mv_size = sizeof(rest), .mv_data = rest };
	uint32_t number;
	int code = 0;
	size_t i;

	for (i = 0; code == 0 && i < load->entries; i++) {
		memcpy(bytes, load->entry[i], sizeof(bytes));
		number = load->number[be32_get(bytes + RUN_NAME_BYTES)];
		if (number == 0)
			continue;
		be32_put(bytes + RUN_NAME_BYTES, number);
		localindex_row_put(rest, bytes);
		code = mdb_put(txn, load->li->blobs, &key, &value, 0);
	}
	return code;
}

static int
try_put(struct localindex *li, MDB_txn *txn, void *arg)
{
	struct localindex_load *load = arg;
	const struct localindex_gathered gathered = {
		.entry = (const uint8_t(*)[RUN_ENTRY_BYTES])load->entry,
		.count = load->entries,
		.number = load->number,
	};
	MDB_stat newest;
	int code;

	if ((code = put_packs(load, txn)) != 0 ||
	    (code = put_indexes(load, txn)) != 0 ||
	    (code = mdb_stat(txn, li->blobs, &newest)) != 0)
		return code;
	load->merged = newest.ms_entries + load->entries > NEWEST_MAX;
	if (!load->merged)
		return put_newest(load, txn);
	load->merge = (struct localindex_merge){ .gathered = &gathered };
	return localindex_merge(li, txn, &load->merge);
}

static int
flush(struct localindex_load *load, struct err *err)
{
	int code;

	if (load->pack_count == 0 && load->index_count == 0)
		return 0;
	free(load->number);
	load->number = calloc(load->pack_count + 1, sizeof(*load->number));
	if (load->number == NULL)
		return err_no_memory(err);
	if (load->entries > 1)
		qsort(load->entry, load->entries, sizeof(*load->entry),
		    compare_entries);
	code = localindex_change(load->li, try_put, load);
	if (code != 0)
		return localindex_error(load->li, code, err);
	if (load->merged)
		localindex_merge_done(load->li, &load->merge);
	load->entries = load->pack_count = load->index_count = 0;
	return 0;
}

int
localindex_load_add(struct localindex_load *load, const uint8_t *index_id,
    const struct index_pack *packs, unsigned int count, struct err *err)
{
	if (gather(load, index_id, packs, count) == -1)
		return err_no_memory(err);
	return load->entries >= GATHER_MAX ? flush(load, err) : 0;
}

int
localindex_load_end(struct localindex_load *load, struct err *err)
{
	return flush(load, err);
}

int
localindex_add(struct localindex *li, const uint8_t *index_id,
    const struct index_pack *packs, unsigned int count, struct err *err)
{
	struct localindex_load *load;
	int rc = -1;

	if (localindex_load_new(&load, li, err) == -1)
		return -1;
	if (gather(load, index_id, packs, count) == -1)
		err_no_memory(err);
	else
		rc = flush(load, err);
	localindex_load_free(load);
	return rc;
}
