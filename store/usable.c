/* SPDX-License-Identifier: Apache-2.0 */
/* What is known, and the looks that it takes. */
#include "store/usable.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "store/damage.h"
#include "store/store_internal.h"
#include "store/unread.h"

struct verdict {
	uint8_t pack[OBJECT_ID_BYTES];
	bool filled, there;
};

struct usable {
	struct store *store;
	const struct epoch *epoch;
	pthread_mutex_t lock;    /* Guards from here on. */
	struct verdict *verdict; /* Open addressing; a power of two. */
	size_t capacity, count;
	struct idset found;   /* By this session; not sorted. */
	struct damage damage; /* What a repair has marked. */
};

/* ---- the lists since then ---- */

/* What was on lists, and what of it was doomed. */
struct listed {
	struct idset all, doomed;
};

static void
listed_fini(struct listed *l)
{
	idset_fini(&l->all);
	idset_fini(&l->doomed);
}

static int
add_list(struct listed *out, const struct epoch *e, struct err *err)
{
	size_t i;

	for (i = 0; i < e->list_count; i++) {
		if (idset_add(&out->all, e->list[i].pack, err) == -1 ||
		    (e->list[i].doomed &&
			idset_add(&out->doomed, e->list[i].pack, err) == -1))
			return -1;
	}
	return 0;
}

/*
 * All packs on the lists of the epochs behind `from` up to ours.  1: done;
 * 0: some list cannot be read.
 */
static int
lists_between(
    struct listed *out, const struct usable *u, uint64_t from, struct err *err)
{
	uint64_t n = u->epoch->number;
	struct epoch e;
	int rc = 0;

	if (n > from + EPOCH_ROLLS_KEPT)
		return 0;
	if (n > from && add_list(out, u->epoch, err) == -1)
		return -1;
	while (rc == 0 && --n > from && n < u->epoch->number) {
		if (epochs_get(&e, u->store, n, err) == -1) {
			if (!unread_is_wrong(err))
				return -1;
			err_clear(err);
			return 0;
		}
		rc = add_list(out, &e, err);
		epoch_fini(&e);
	}
	idset_sort(&out->all);
	idset_sort(&out->doomed);
	return rc == -1 ? -1 : 1;
}

int
usable_listed_since(struct usable *u, uint64_t epoch, struct err *err)
{
	struct listed since = { .all = { .ids = NULL } };
	int rc = lists_between(&since, u, epoch, err);

	if (rc != -1)
		rc = rc == 0 || since.all.count > 0;
	listed_fini(&since);
	return rc;
}

/*
 * What was doomed is removed, and its id is free: whoever takes another host
 * can put a pack that lies under it.  One who looks into packs will see; a
 * host forgets its own, all of them if it cannot know which.
 */
static int
forget_doomed(struct usable *u, const struct listed *since, bool all_lists,
    struct err *err)
{
	struct localindex *li = u->store->index;
	struct idset indexes;
	bool behind;
	int rc;

	if (!store_is_host(u->store))
		return 0;
	if (!all_lists)
		return localindex_clear(li, err);
	if (since->doomed.count == 0)
		return 0;
	if (localindex_indexes(&indexes, li, err) == -1)
		return -1;
	rc = localindex_forget(li, &behind, &since->doomed, &indexes, err);
	idset_fini(&indexes);
	return rc;
}

static int
advance(struct usable *u, struct err *err)
{
	struct listed listed = { .all = { .ids = NULL } },
		      since = { .all = { .ids = NULL } };
	struct localindex *li = u->store->index;
	struct localindex_view v;
	int rc = -1, all = 0;

	if (localindex_view_begin(&v, li, err) == -1)
		return -1;
	localindex_view_end(&v);
	if (v.any_lists && v.lists_to >= u->epoch->number)
		return 0;
	if (add_list(&listed, u->epoch, err) == 0 &&
	    (!v.any_lists ||
		(all = lists_between(&since, u, v.lists_to, err)) != -1) &&
	    forget_doomed(u, &since, all == 1, err) == 0) {
		idset_sort(&listed.all);
		rc = localindex_advance(li, v.lists_to, v.any_lists,
		    u->epoch->number, &listed.all, all == 1 ? &since.all : NULL,
		    err);
	}
	listed_fini(&listed);
	listed_fini(&since);
	return rc;
}

int
usable_new(struct usable **out, struct store *s, const struct epoch *epoch,
    struct err *err)
{
	struct usable *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return err_no_memory(err);
	u->store = s;
	u->epoch = epoch;
	pthread_mutex_init(&u->lock, NULL);
	u->capacity = 64;
	u->verdict = calloc(u->capacity, sizeof(*u->verdict));
	if (u->verdict == NULL) {
		usable_free(u);
		return err_no_memory(err);
	}
	/* A pack whose mark cannot be read may not have what it says. */
	if (advance(u, err) == -1 ||
	    damage_load_sure(&u->damage, s->backend, s->seal, err) == -1) {
		usable_free(u);
		return -1;
	}
	*out = u;
	return 0;
}

void
usable_free(struct usable *u)
{
	if (u == NULL)
		return;
	idset_fini(&u->found);
	damage_fini(&u->damage);
	free(u->verdict);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

/* ---- one pack ---- */

/* Ids are random: any of their bytes will do. */
static struct verdict *
slot_of(struct verdict *table, size_t capacity, const uint8_t *pack)
{
	size_t i;

	memcpy(&i, pack, sizeof(i));
	for (i &= capacity - 1; table[i].filled; i = (i + 1) & (capacity - 1)) {
		if (memcmp(table[i].pack, pack, OBJECT_ID_BYTES) == 0)
			break;
	}
	return &table[i];
}

static int
make_room(struct usable *u, struct err *err)
{
	struct verdict *larger;
	size_t i;

	if (u->count * 2 < u->capacity)
		return 0;
	larger = calloc(u->capacity * 2, sizeof(*larger));
	if (larger == NULL)
		return err_no_memory(err);
	for (i = 0; i < u->capacity; i++) {
		if (u->verdict[i].filled)
			*slot_of(larger, u->capacity * 2, u->verdict[i].pack) =
			    u->verdict[i];
	}
	free(u->verdict);
	u->verdict = larger;
	u->capacity *= 2;
	return 0;
}

/* With the lock held. */
static int
decide(struct usable *u, const uint8_t *pack, bool there, struct err *err)
{
	struct verdict *slot = slot_of(u->verdict, u->capacity, pack);

	if (slot->filled)
		return 0;
	if (make_room(u, err) == -1 ||
	    (there && idset_add(&u->found, pack, err) == -1))
		return -1;
	slot = slot_of(u->verdict, u->capacity, pack);
	*slot = (struct verdict){ .filled = true, .there = there };
	memcpy(slot->pack, pack, OBJECT_ID_BYTES);
	u->count++;
	return 0;
}

static int
look(struct usable *u, const uint8_t *pack, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	int there, rc;

	there = backend_has(
	    u->store->backend, object_key(key, OBJECT_PACK, pack), NULL, err);
	if (there == -1)
		return -1;
	pthread_mutex_lock(&u->lock);
	rc = decide(u, pack, there, err);
	pthread_mutex_unlock(&u->lock);
	return rc == -1 ? -1 : there;
}

int
usable_pack(struct usable *u, const struct localindex_view *v,
    unsigned int notes, const uint8_t pack[OBJECT_ID_BYTES], struct err *err)
{
	const struct verdict *slot;
	bool filled, there;

	if ((notes & LOCALINDEX_INDEXED) == 0 ||
	    epoch_find(u->epoch, pack) != NULL ||
	    idset_has(&u->damage.packs, pack))
		return 0;
	if ((notes & LOCALINDEX_FOUND) != 0 && v->any_lists &&
	    v->lists_to >= u->epoch->number)
		return 1;
	pthread_mutex_lock(&u->lock);
	slot = slot_of(u->verdict, u->capacity, pack);
	filled = slot->filled;
	there = slot->there;
	pthread_mutex_unlock(&u->lock);
	return filled ? there : look(u, pack, err);
}

int
usable_left(struct usable *u, uint64_t epoch,
    const uint8_t pack[OBJECT_ID_BYTES], uint64_t size, struct err *err)
{
	struct listed since = { .all = { .ids = NULL } };
	char key[OBJECT_KEY_SIZE];
	uint64_t found;
	bool listed;
	int rc = lists_between(&since, u, epoch, err);

	listed = rc != 1 || idset_has(&since.all, pack);
	listed_fini(&since);
	if (rc == -1 || listed || idset_has(&u->damage.packs, pack))
		return rc == -1 ? -1 : 0;
	rc = backend_has(
	    u->store->backend, object_key(key, OBJECT_PACK, pack), &found, err);
	return rc == 1 ? found == size : rc;
}

int
usable_blob(struct usable *u, struct localindex_view *v, enum blob_type type,
    const uint8_t hash[DIGEST_BYTES], struct err *err)
{
	struct blob_place place;
	unsigned int notes;
	int rc = localindex_view_find(v, type, hash, &place, &notes, err);

	if (rc != 1)
		return rc;
	return usable_pack(u, v, notes, place.pack, err);
}

int
usable_put(struct usable *u, const struct index_pack *packs, unsigned int count,
    struct err *err)
{
	unsigned int i;
	int rc = 0;

	pthread_mutex_lock(&u->lock);
	for (i = 0; rc == 0 && i < count; i++)
		rc = decide(u, packs[i].id, true, err);
	pthread_mutex_unlock(&u->lock);
	return rc;
}

int
usable_note(struct usable *u, struct err *err)
{
	struct idset found;
	int rc;

	pthread_mutex_lock(&u->lock);
	found = u->found;
	u->found = (struct idset){ .ids = NULL };
	pthread_mutex_unlock(&u->lock);
	rc = localindex_found(u->store->index, u->epoch->number, &found, err);
	idset_fini(&found);
	return rc;
}
