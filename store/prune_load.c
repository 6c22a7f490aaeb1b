/* SPDX-License-Identifier: Apache-2.0 */
/* The packs and indexes of one round, in a local index of the prune's own. */
#include <stdlib.h>
#include <string.h>

#include "common/cancel.h"
#include "common/err.h"
#include "common/log.h"
#include "store/prune.h"
#include "store/unread.h"

/* ---- what is doomed ---- */

/* 1: it is there, of that size; 0: it is not. */
static int
look_for_pack(
    struct prune *p, const uint8_t *id, uint64_t *size, struct err *err)
{
	char key[OBJECT_KEY_SIZE];

	return backend_has(
	    p->store->backend, object_key(key, OBJECT_PACK, id), size, err);
}

int
prune_remove_doomed(struct prune *p, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	uint64_t size;
	size_t i;
	int rc;

	for (i = 0; i < p->epoch.list_count; i++) {
		if (!p->epoch.list[i].doomed)
			continue;
		if (cancel_check(err) == -1)
			return -1;
		prune_tell(p, "removing packs", i, p->epoch.list_count);
		rc = look_for_pack(p, p->epoch.list[i].pack, &size, err);
		if (rc == -1)
			return -1;
		if (rc == 0)
			continue;
		object_key(key, OBJECT_PACK, p->epoch.list[i].pack);
		if (backend_remove(p->store->backend, key, err) == -1)
			return -1;
		if (!p->counted) { /* An earlier prune's decision. */
			p->result->packs_before++;
			p->result->bytes_before += size;
		}
		p->result->packs_removed++;
		p->result->bytes_freed += size;
	}
	return 0;
}

/* ---- which packs there are ---- */

static bool
is_doomed(const struct prune *p, const uint8_t *id)
{
	const struct epoch_entry *e = epoch_find(&p->epoch, id);

	return e != NULL && e->doomed;
}

/* Adds what a look finds of the packs that indexes name or a listing shows. */
static int
find_packs(struct prune *p, const struct idset *wanted, struct err *err)
{
	struct prune_pack *k;
	size_t i, capacity = 0;
	uint64_t size;
	int rc;

	for (i = 0; i < wanted->count; i++) {
		if (i > 0 && memcmp(wanted->ids[i], wanted->ids[i - 1],
				 OBJECT_ID_BYTES) == 0)
			continue;
		if (is_doomed(p, wanted->ids[i]) && !p->options->dry_run)
			continue;
		if (cancel_check(err) == -1)
			return -1;
		prune_tell(p, "packs", i, wanted->count);
		rc = look_for_pack(p, wanted->ids[i], &size, err);
		if (rc == -1)
			return -1;
		if (rc == 0)
			continue;
		k = grow_array(p->pack, p->packs.count, &capacity, sizeof(*k));
		if (k == NULL)
			return err_no_memory(err);
		p->pack = k;
		k[p->packs.count] = (struct prune_pack){ .size = size,
			.listed = epoch_find(&p->epoch, wanted->ids[i]) != NULL,
			.marked = idset_has(&p->damage.packs, wanted->ids[i]) };
		if (idset_add(&p->packs, wanted->ids[i], err) == -1)
			return -1;
	}
	return 0;
}

/* ---- indexes ---- */

typedef int index_fn(struct prune *p, size_t number, struct index_set *set,
    void *arg, struct err *err);

/* Of one that is damaged the packs tell of themselves. */
static int
each_index(struct prune *p, index_fn *fn, void *arg, struct err *err)
{
	struct index_set *set;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < p->indexes.count; i++) {
		prune_tell(p, "indexes", i, p->indexes.count);
		if (cancel_check(err) == -1)
			return -1;
		if (index_get(&set, p->store->backend, p->store->seal,
			p->indexes.ids[i], err) == -1) {
			if (!unread_is_wrong(err))
				return -1;
			if (err->class == ERR_CORRUPT)
				log_line(
				    LOG_WARNING, "left out: %s", err->text);
			err_clear(err);
			continue;
		}
		rc = fn(p, i, set, arg, err);
		index_set_free(set);
	}
	return rc;
}

static int
note_names(struct prune *p, size_t number, struct index_set *set, void *arg,
    struct err *err)
{
	unsigned int i;

	(void)p;
	(void)number;
	for (i = 0; i < set->count; i++) {
		if (idset_add(arg, set->packs[i].id, err) == -1)
			return -1;
	}
	return 0;
}

/* A pack is put before any index of it and never again: if all are gone now,
 * they are gone for ever. */
static int
load_or_remove(struct prune *p, size_t number, struct index_set *set, void *arg,
    struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	unsigned int i, kept = 0, later = 0;
	int64_t pack;
	int rc = 0;

	for (i = 0; i < set->count; i++) {
		pack = idset_find(&p->packs, set->packs[i].id);
		if (pack < 0) {
			pack_table_fini(&set->packs[i].table);
			continue;
		}
		p->pack[pack].indexed = true;
		if (!p->pack[pack].marked && !prune_is_own(p, (size_t)pack)) {
			set->packs[kept++] = set->packs[i];
			continue;
		}
		later++;
		if (!p->pack[pack].marked || prune_is_wary(p))
			pack_table_fini(&set->packs[i].table);
		else if (rc == 0)
			rc = prune_marked_add(
			    p, (size_t)pack, &set->packs[i], err);
		else
			pack_table_fini(&set->packs[i].table);
	}
	set->count = kept;
	if (rc == -1)
		return -1;
	if (kept > 0) {
		if (index_check_tables_sure(
			set, p->store->backend, p->store->seal, err) == -1)
			return -1;
		return localindex_load_add(
		    arg, p->indexes.ids[number], set->packs, set->count, err);
	}
	if (later > 0)
		return 0;
	object_key(key, OBJECT_INDEX, p->indexes.ids[number]);
	if (!p->options->dry_run)
		rc = backend_remove(p->store->backend, key, err);
	return rc;
}

static int
load_indexes(struct prune *p, struct err *err)
{
	struct localindex_load *load;
	int rc;

	if (localindex_load_new(&load, p->view.store.index, err) == -1)
		return -1;
	rc = each_index(p, load_or_remove, load, err);
	if (rc == 0)
		rc = localindex_load_end(load, err);
	/* The walk looks for every block. */
	if (rc == 0)
		rc = localindex_merge_all(p->view.store.index, err);
	localindex_load_free(load);
	return rc;
}

/* ---- packs that no index names ---- */

static int
load_orphan(struct prune *p, size_t i, struct err *err)
{
	struct index_pack pack = { .size = 0 };
	int rc;

	if (pack_read_table(&pack.table, &pack.size, p->store->backend,
		p->store->seal, p->packs.ids[i], err) == -1) {
		if (!unread_is_wrong(err) && !prune_marked_unread(p, i, err))
			return -1;
		log_line(LOG_WARNING, "left out: %s", err->text);
		err_clear(err);
		return 0;
	}
	memcpy(pack.id, p->packs.ids[i], OBJECT_ID_BYTES);
	if (p->pack[i].marked)
		return prune_marked_add(p, i, &pack, err);
	rc = localindex_add(p->view.store.index, NULL, &pack, 1, err);
	pack_table_fini(&pack.table);
	return rc;
}

static int
load_orphans(struct prune *p, struct err *err)
{
	size_t i;

	for (i = 0; i < p->packs.count; i++) {
		if (!p->pack[i].indexed && load_orphan(p, i, err) == -1)
			return -1;
	}
	return 0;
}

/* ---- all of it ---- */

static void
note_spared(struct prune *p)
{
	const uint8_t *tag;
	size_t i, k;

	for (i = 0; i < p->packs.count; i++) {
		tag = p->packs.ids[i] + OBJECT_ID_BYTES - SESSION_TAG_BYTES;
		for (k = 0; k < p->session_count; k++) {
			if (p->sessions[k].open.count > 0 &&
			    memcmp(p->sessions[k].tag, tag,
				SESSION_TAG_BYTES) == 0)
				p->pack[i].spared = true;
		}
	}
}

/* Packs that are condemned or marked rank below the others with the same
 * blobs. */
static int
begin_view(struct prune *p, struct err *err)
{
	struct idset listed = { .ids = NULL };
	int rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < p->epoch.list_count; i++)
		rc = idset_add(&listed, p->epoch.list[i].pack, err);
	for (i = 0; rc == 0 && i < p->damage.packs.count; i++)
		rc = idset_add(&listed, p->damage.packs.ids[i], err);
	idset_sort(&listed);
	if (rc == 0)
		rc = localindex_clear(p->view.store.index, err);
	if (rc == 0)
		rc = localindex_relist(
		    p->view.store.index, p->epoch.number, &listed, err);
	idset_fini(&listed);
	return rc;
}

static void
count_before(struct prune *p)
{
	size_t i;

	if (p->counted)
		return;
	p->counted = true;
	for (i = 0; i < p->packs.count; i++) {
		p->result->packs_before++;
		p->result->bytes_before += p->pack[i].size;
	}
}

int
prune_load(struct prune *p, struct err *err)
{
	struct idset wanted = { .ids = NULL };
	int rc = -1;

	if (begin_view(p, err) == -1 ||
	    idset_list(&p->indexes, p->store->backend, OBJECT_INDEX, err) ==
		-1 ||
	    idset_list(&wanted, p->store->backend, OBJECT_PACK, err) == -1 ||
	    each_index(p, note_names, &wanted, err) == -1)
		goto out;
	idset_sort(&wanted);
	if (find_packs(p, &wanted, err) == -1 || load_indexes(p, err) == -1 ||
	    prune_find_marked(p, err) == -1 || load_orphans(p, err) == -1 ||
	    prune_load_trusted(p, err) == -1 || prune_marked_load(p, err) == -1)
		goto out;
	note_spared(p);
	count_before(p);
	rc = marks_init(&p->marks, &p->packs, err);
out:
	idset_fini(&wanted);
	return rc;
}

void
prune_load_fini(struct prune *p)
{
	prune_marked_fini(p);
	if (p->marks.packs != NULL)
		marks_fini(&p->marks);
	p->marks.packs = NULL;
	idset_fini(&p->packs);
	idset_fini(&p->indexes);
	free(p->pack);
	p->pack = NULL;
}
