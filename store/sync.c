/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings the local index up to the repository, and adopts the packs of runs
 * that ended before they wrote an index.
 */
#include <stdlib.h>

#include "common/err.h"
#include "common/log.h"
#include "store/damage.h"
#include "store/epochs.h"
#include "store/store_internal.h"
#include "store/unread.h"

struct sync {
	struct store *store;
	struct idset indexes; /* Listed first: its packs are all in packs. */
	struct idset packs;
	struct idset known; /* Loaded indexes, later packs. */
	struct index_set *set;
	const struct epoch *epoch; /* Of a session, or NULL. */
};

static void
sync_fini(struct sync *y)
{
	idset_fini(&y->indexes);
	idset_fini(&y->packs);
	idset_fini(&y->known);
	index_set_free(y->set);
}

/* All is read anew if more than this part of it went. */
#define GONE_PART 4

/* Forgets what is no longer there, or all. */
static int
forget(struct sync *y, struct idset *packs, struct err *err)
{
	bool all = localindex_damaged(y->store->index);
	size_t count = packs->count;

	idset_subtract(packs, &y->packs);
	all = all || packs->count > count / GONE_PART;
	if (!all &&
	    (packs->count > 0 || !idset_within(&y->known, &y->indexes)) &&
	    localindex_forget(y->store->index, &all, packs, &y->indexes, err) ==
		-1)
		return -1;
	return all ? localindex_clear(y->store->index, err) : 0;
}

static int
drop_stale(struct sync *y, bool rebuild, struct err *err)
{
	struct idset packs = { .ids = NULL };
	int rc = -1;

	if (localindex_indexes(&y->known, y->store->index, err) == -1 ||
	    localindex_packs(&packs, y->store->index, false, err) == -1)
		return -1;
	rc = rebuild ? localindex_clear(y->store->index, err)
		     : forget(y, &packs, err);
	idset_fini(&packs);
	idset_fini(&y->known);
	if (rc == -1)
		return -1;
	return localindex_indexes(&y->known, y->store->index, err);
}

/* Blobs of packs that are gone must not count as known. */
static void
drop_absent(struct index_set *set, const struct idset *packs)
{
	unsigned int i, kept = 0;

	for (i = 0; i < set->count; i++) {
		if (idset_has(packs, set->packs[i].id))
			set->packs[kept++] = set->packs[i];
		else
			pack_table_fini(&set->packs[i].table);
	}
	set->count = kept;
}

static void
note_left_out(const struct sync *y, const struct err *err)
{
	if (!y->store->quiet)
		log_line(LOG_WARNING, "left out: %s", err->text);
}

static int
load_index(struct sync *y, struct localindex_load *load, const uint8_t *id,
    struct err *err)
{
	struct index_set *set;
	int rc;

	if (index_get(&set, y->store->backend, y->store->seal, id, err) == -1) {
		if (!unread_is_own(y->store->backend, err))
			return -1;
		note_left_out(y, err);
		err_clear(err);
		return 0;
	}
	drop_absent(set, &y->packs);
	rc = index_check_tables(set, y->store->backend, y->store->seal, err);
	if (rc == 0)
		rc = localindex_load_add(load, id, set->packs, set->count, err);
	index_set_free(set);
	return rc;
}

static int
load_indexes(struct sync *y, struct err *err)
{
	struct localindex_load *load;
	int rc = 0;
	size_t i;

	if (localindex_load_new(&load, y->store->index, err) == -1)
		return -1;
	for (i = 0; rc == 0 && i < y->indexes.count; i++) {
		if (!idset_has(&y->known, y->indexes.ids[i]))
			rc = load_index(y, load, y->indexes.ids[i], err);
	}
	if (rc == 0)
		rc = localindex_load_end(load, err);
	localindex_load_free(load);
	return rc;
}

static int
flush_set(struct sync *y, enum sync_mode mode, struct err *err)
{
	uint8_t id[OBJECT_ID_BYTES];
	bool adopt = mode == SYNC_ADOPT;
	int rc = 0;

	if (y->set->count == 0)
		return 0;
	if (adopt)
		rc = index_put(
		    y->store->backend, y->store->seal, y->set, id, err);
	if (rc == 0)
		rc = localindex_add(y->store->index, adopt ? id : NULL,
		    y->set->packs, y->set->count, err);
	index_set_fini(y->set);
	return rc;
}

/* To adopt: the index that will name it stays, so the pack has to. */
static int
load_table(
    struct sync *y, const uint8_t *id, enum sync_mode mode, struct err *err)
{
	struct pack_table table;
	char key[OBJECT_KEY_SIZE];
	uint64_t size;

	object_key(key, OBJECT_PACK, id);
	if ((mode == SYNC_ADOPT &&
		backend_settle(y->store->backend, key, err) == -1) ||
	    pack_read_table(&table, &size, y->store->backend, y->store->seal,
		id, err) == -1) {
		if (!unread_is_own(y->store->backend, err))
			return -1;
		note_left_out(y, err);
		err_clear(err);
		return 0;
	}
	index_set_add(y->set, id, size, &table);
	return 0;
}

/* The packs that no index names. */
static int
load_tables(struct sync *y, enum sync_mode mode, struct err *err)
{
	size_t i;

	idset_fini(&y->known);
	if (localindex_packs(
		&y->known, y->store->index, mode == SYNC_ADOPT, err) == -1)
		return -1;
	if ((y->set = calloc(1, sizeof(*y->set))) == NULL)
		return err_no_memory(err);
	for (i = 0; i < y->packs.count; i++) {
		if (idset_has(&y->known, y->packs.ids[i]) ||
		    (mode == SYNC_ADOPT &&
			epoch_find(y->epoch, y->packs.ids[i]) != NULL))
			continue;
		if (load_table(y, y->packs.ids[i], mode, err) == -1)
			return -1;
		if (index_set_full(y->set) && flush_set(y, mode, err) == -1)
			return -1;
	}
	return flush_set(y, mode, err);
}

/* What is there and counts. */
static int
list_packs(struct sync *y, struct err *err)
{
	const struct store *s = y->store;

	if (idset_list(&y->packs, s->backend, OBJECT_PACK, err) == -1 ||
	    damage_hide_packs(&y->packs, s->backend, s->seal, err) == -1)
		return -1;
	if (s->hidden != NULL)
		idset_subtract(&y->packs, s->hidden);
	return 0;
}

static int
sync_with(struct store *s, enum sync_mode mode, const struct epoch *epoch,
    bool rebuild, struct err *err)
{
	struct sync y = { .store = s, .epoch = epoch };
	int rc = -1;

	/* A host reads neither indexes nor tables: it knows what it has put
	 * itself, and by stat what is there still. */
	if (store_is_host(s))
		return 0;
	pthread_mutex_lock(&s->sync_lock);
	if (idset_list(&y.indexes, s->backend, OBJECT_INDEX, err) == 0 &&
	    list_packs(&y, err) == 0 && drop_stale(&y, rebuild, err) == 0 &&
	    load_indexes(&y, err) == 0)
		rc = mode == SYNC_INDEXES ? 0 : load_tables(&y, mode, err);
	pthread_mutex_unlock(&s->sync_lock);
	copies_forget(s->copies);
	sync_fini(&y);
	return rc;
}

int
store_sync(struct store *s, enum sync_mode mode, bool rebuild, struct err *err)
{
	return sync_with(s, mode, NULL, rebuild, err);
}

int
store_sync_session(struct store *s, const struct epoch *epoch, struct err *err)
{
	return sync_with(s, SYNC_ADOPT, epoch, false, err);
}
