/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives back the space of blobs that no point needs.  What is needed is
 * copied, indexed and durable before its old copy goes: new packs, new
 * indexes, then the old indexes, then the old packs.
 */
#include "store/prune.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"

/* A pack is rewritten when this much of it is waste. */
#define WASTE_PERCENT 25u

static int
mark_blob(void *arg, enum blob_type type, const uint8_t hash[DIGEST_BYTES],
    const struct blob_place *place, const struct err *why, struct err *err)
{
	(void)arg;
	if (why != NULL) {
		*err = *why;
		return -1;
	}
	if (place != NULL)
		return 0;
	(void)hash;
	return err_set(err, ERR_CORRUPT, "a %s is in no pack",
	    type == BLOB_MAP ? "piece of its map" : "block");
}

static int
mark_point(struct prune *p, const char *id, struct err *err)
{
	struct walk w = {
		.store = p->store, .marks = &p->marks, .fn = mark_blob
	};
	struct manifest *m;
	size_t i;
	int rc = 0;

	if (store_manifest_read(&m, p->store, id, err) == -1)
		return -1;
	for (i = 0; rc == 0 && i < m->disk_count; i++) {
		if (walk_disk(&w, &m->disks[i], err) == -1)
			rc = err_prefix(err, "disk '%s'", m->disks[i].target);
	}
	manifest_free(m);
	return rc;
}

/* A point that cannot be read might need anything: then nothing goes. */
static int
mark_all(struct prune *p, struct err *err)
{
	struct idset points;
	char id[HEXID_SIZE];
	size_t i;
	int rc = 0;

	if (idset_list(&points, p->store->backend, OBJECT_MANIFEST, err) == -1)
		return -1;
	for (i = 0; rc == 0 && i < points.count; i++) {
		hex_encode(id, points.ids[i], OBJECT_ID_BYTES);
		rc = mark_point(p, id, err);
		if (rc == -1) {
			err_prefix(err, "point %s", id);
			err_hint(err,
			    "nothing was removed; run 'holdstill "
			    "verify', and forget the points it names");
		}
	}
	idset_fini(&points);
	return rc;
}

/* Weighs one pack by its table. */
static void
judge(struct prune *p, size_t pack, uint64_t size, const struct pack_table *t)
{
	struct prune_pack *k = &p->pack[pack];
	const struct pack_frame *f;
	uint32_t i, j, used;

	if (k->seen)
		return;
	k->seen = true;
	k->size = size;
	k->blobs = t->blob_count;
	for (i = 0; i < t->frame_count; i++) {
		f = &t->frames[i];
		for (j = 0, used = 0; j < f->blob_count; j++)
			used += marks_has(&p->marks, pack, f->first_blob + j);
		k->used_blobs += used;
		k->used_bytes +=
		    (uint64_t)f->stored_size * used / f->blob_count;
	}
	if (k->used_blobs == 0)
		k->action = PRUNE_REMOVE;
	else if (k->used_blobs < k->blobs &&
		 k->used_bytes * 100 < size * (100 - WASTE_PERCENT))
		k->action = PRUNE_REWRITE;
}

static int
judge_index(struct prune *p, size_t i, struct err *err)
{
	struct index_set *set;
	unsigned int j;
	int64_t pack;

	if (index_get(&set, p->store->backend, p->store->seal,
		p->indexes.ids[i], err) == -1) {
		if (!store_worth_resync(err))
			return -1;
		/* Damaged: the new indexes take its place. */
		err_clear(err);
		p->replace[i] = true;
		return 0;
	}
	for (j = 0; j < set->count; j++) {
		pack = idset_find(&p->packs, set->packs[j].id);
		if (pack < 0) {
			p->replace[i] = true;
			continue;
		}
		judge(
		    p, (size_t)pack, set->packs[j].size, &set->packs[j].table);
		p->pack[pack].indexed = true;
		if (p->pack[pack].action != PRUNE_KEEP)
			p->replace[i] = true;
	}
	index_set_free(set);
	return 0;
}

/* Packs that no good index names tell of themselves, or are left alone. */
static int
judge_rest(struct prune *p, struct err *err)
{
	struct pack_table table;
	uint64_t size;
	size_t i;

	for (i = 0; i < p->packs.count; i++) {
		if (p->pack[i].seen)
			continue;
		if (pack_read_table(&table, &size, p->store->backend,
			p->store->seal, p->packs.ids[i], err) == 0) {
			judge(p, i, size, &table);
			pack_table_fini(&table);
		} else if (store_worth_resync(err)) {
			err_clear(err);
		} else {
			return -1;
		}
	}
	return 0;
}

static void
sum_up(struct prune *p)
{
	struct store_prune_result *r = p->result;
	const struct prune_pack *k;
	size_t i;

	r->packs_before = p->packs.count;
	for (i = 0; i < p->packs.count; i++) {
		k = &p->pack[i];
		r->bytes_before += k->size;
		r->packs_removed += k->action == PRUNE_REMOVE;
		r->packs_rewritten += k->action == PRUNE_REWRITE;
		if (k->action != PRUNE_KEEP) {
			r->bytes_freed += k->size - k->used_bytes;
			r->blocks_kept += k->used_blobs;
			r->blocks_removed += k->blobs - k->used_blobs;
		} else {
			r->blocks_kept += k->blobs;
		}
	}
}

/* The kept packs of an index that is about to go. */
static int
carry_over(struct prune *p, size_t i, struct err *err)
{
	struct index_set *set;
	unsigned int j;
	int64_t pack;
	int rc = 0;

	if (index_get(&set, p->store->backend, p->store->seal,
		p->indexes.ids[i], err) == -1) {
		if (!store_worth_resync(err))
			return -1;
		err_clear(err);
		return 0;
	}
	for (j = 0; rc == 0 && j < set->count; j++) {
		pack = idset_find(&p->packs, set->packs[j].id);
		if (pack < 0 || p->pack[pack].action != PRUNE_KEEP ||
		    p->pack[pack].written)
			continue;
		p->pack[pack].written = true;
		rc = prune_gather(p, set->packs[j].id, set->packs[j].size,
		    &set->packs[j].table, err);
	}
	index_set_free(set);
	return rc;
}

/* Kept packs that were in no good index get into one now. */
static int
adopt_rest(struct prune *p, struct err *err)
{
	struct pack_table table;
	uint64_t size;
	size_t i;

	for (i = 0; i < p->packs.count; i++) {
		if (p->pack[i].indexed || !p->pack[i].seen ||
		    p->pack[i].action != PRUNE_KEEP)
			continue;
		if (pack_read_table(&table, &size, p->store->backend,
			p->store->seal, p->packs.ids[i], err) == -1 ||
		    prune_gather(p, p->packs.ids[i], size, &table, err) == -1)
			return -1;
	}
	return 0;
}

static int
write_indexes(struct prune *p, struct err *err)
{
	size_t i;

	for (i = 0; i < p->indexes.count; i++) {
		if (p->replace[i] && carry_over(p, i, err) == -1)
			return -1;
	}
	if (adopt_rest(p, err) == -1)
		return -1;
	return prune_flush_index(p, err);
}

static int
remove_object(
    struct prune *p, enum object_type type, const uint8_t *id, struct err *err)
{
	char key[OBJECT_KEY_SIZE];

	return backend_remove(
	    p->store->backend, object_key(key, type, id), err);
}

static int
remove_old(struct prune *p, struct err *err)
{
	size_t i;

	for (i = 0; i < p->indexes.count; i++) {
		if (p->replace[i] && remove_object(p, OBJECT_INDEX,
					 p->indexes.ids[i], err) == -1)
			return -1;
	}
	for (i = 0; i < p->packs.count; i++) {
		if (p->pack[i].action != PRUNE_KEEP &&
		    remove_object(p, OBJECT_PACK, p->packs.ids[i], err) == -1)
			return -1;
	}
	return store_sync(p->store, SYNC_INDEXES, true, err);
}

static int
decide(struct prune *p, struct err *err)
{
	size_t i;

	p->pack = calloc(p->packs.count + 1, sizeof(*p->pack));
	p->replace = calloc(p->indexes.count + 1, sizeof(*p->replace));
	p->set = calloc(1, sizeof(*p->set));
	if (p->pack == NULL || p->replace == NULL || p->set == NULL)
		return err_no_memory(err);
	if (marks_init(&p->marks, &p->packs, err) == -1 ||
	    mark_all(p, err) == -1)
		return -1;
	for (i = 0; i < p->indexes.count; i++) {
		if (judge_index(p, i, err) == -1)
			return -1;
	}
	if (judge_rest(p, err) == -1)
		return -1;
	sum_up(p);
	return 0;
}

static void
prune_fini(struct prune *p)
{
	marks_fini(&p->marks);
	index_set_free(p->set);
	free(p->pack);
	free(p->replace);
	idset_fini(&p->packs);
	idset_fini(&p->indexes);
}

int
store_prune(struct store *s, bool dry_run, struct store_prune_result *out,
    struct err *err)
{
	struct prune p = { .store = s, .result = out };
	int rc = -1;

	memset(out, 0, sizeof(*out));
	/* From nothing: what is removed must not rest on an old cache. */
	if (store_sync(s, SYNC_TABLES, true, err) == -1 ||
	    idset_list(&p.indexes, s->backend, OBJECT_INDEX, err) == -1 ||
	    idset_list(&p.packs, s->backend, OBJECT_PACK, err) == -1 ||
	    decide(&p, err) == -1)
		goto out;
	if (!dry_run &&
	    (prune_rewrite(&p, err) == -1 || write_indexes(&p, err) == -1 ||
		remove_old(&p, err) == -1))
		goto out;
	rc = 0;
out:
	prune_fini(&p);
	return rc;
}
