/* SPDX-License-Identifier: Apache-2.0 */
/* The other places of blobs whose pack is damaged. */
#include "store/copies.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "store/damage.h"
#include "store/grow.h"
#include "store/store_internal.h"
#include "store/tables.h"
#include "store/unread.h"

/* What is known of more copies than this is forgotten, and asked for again. */
#define KNOWN_MAX (4u * COPIES_KEPT * PACK_BLOBS_MAX)

struct copy {
	struct blob_name name;
	struct blob_place place;
};

struct copies {
	pthread_mutex_t lock; /* Guards from here on. */
	struct idset asked;   /* The packs that were asked for. */
	struct copy *copies;  /* Sorted by name. */
	size_t count, capacity;
	struct idset sharers; /* All packs that have some of those blobs. */
	/* Where more than COPIES_KEPT copies had to be tried: the pack that
	 * was tried last, and so perhaps the one that served. */
	uint8_t served[OBJECT_ID_BYTES];
};

/* One look into all indexes. */
struct gathering {
	struct store *store;
	struct copies *copies;
	const uint8_t *pack; /* The damaged one. */
	struct blob_name *wanted;
	uint8_t *found; /* Copies, of each of those. */
	size_t wanted_count;
	struct idset packs; /* There, and not marked. */
	struct idset named; /* Of those, the ones that were looked at. */
	bool wary;          /* Mode public: each index is heard. */
};

int
copies_new(struct copies **out, struct err *err)
{
	struct copies *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return err_no_memory(err);
	pthread_mutex_init(&c->lock, NULL);
	*out = c;
	return 0;
}

static void
forget(struct copies *c)
{
	idset_fini(&c->asked);
	idset_fini(&c->sharers);
	free(c->copies);
	c->copies = NULL;
	c->count = c->capacity = 0;
}

void
copies_forget(struct copies *c)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	forget(c);
	pthread_mutex_unlock(&c->lock);
}

void
copies_free(struct copies *c)
{
	if (c == NULL)
		return;
	forget(c);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static int
compare_names(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct blob_name));
}

static int
compare_copies(const void *a, const void *b)
{
	const struct copy *x = a, *y = b;

	return compare_names(&x->name, &y->name);
}

static struct blob_place
place_of(const uint8_t *pack, const struct pack_frame *f,
    const struct pack_blob *b, uint32_t ordinal)
{
	struct blob_place place = blob_place_of_frame(pack, f);

	place.offset = b->offset;
	place.size = b->size;
	place.ordinal = ordinal;
	return place;
}

static int
add_copy(struct copies *c, const struct copy *copy, struct err *err)
{
	struct copy *grown =
	    grow_array(c->copies, c->count, &c->capacity, sizeof(*grown));

	if (grown == NULL)
		return err_no_memory(err);
	c->copies = grown;
	c->copies[c->count++] = *copy;
	return 0;
}

/* 1: the pack has a blob that is wanted. */
static int
take_blob(struct gathering *g, const uint8_t *pack, const struct pack_frame *f,
    const struct pack_blob *b, uint32_t ordinal, struct err *err)
{
	struct copy copy = { .place = place_of(pack, f, b, ordinal) };
	const struct blob_name *at;

	blob_name_put(&copy.name, b->type, b->hash);
	at = bsearch(&copy.name, g->wanted, g->wanted_count, sizeof(*g->wanted),
	    compare_names);
	if (at == NULL)
		return 0;
	if (g->found[at - g->wanted] == COPIES_KEPT)
		return 1;
	g->found[at - g->wanted]++;
	return add_copy(g->copies, &copy, err) == -1 ? -1 : 1;
}

static int
take_table(struct gathering *g, const uint8_t *pack, const struct pack_table *t,
    struct err *err)
{
	bool shares = false;
	uint32_t i, n;
	int rc;

	for (i = n = 0; i < t->frame_count; i++) {
		for (; n < t->frames[i].first_blob + t->frames[i].blob_count;
		     n++) {
			rc = take_blob(
			    g, pack, &t->frames[i], &t->blobs[n], n, err);
			if (rc == -1)
				return -1;
			shares = shares || rc == 1;
		}
	}
	return shares ? idset_add(&g->copies->sharers, pack, err) : 0;
}

/* Of packs that were not looked at yet. */
static int
take_index(struct gathering *g, const uint8_t *id, struct err *err)
{
	const struct index_pack *p;
	struct index_set *set;
	unsigned int i;
	int rc = 0;

	if (index_get(&set, g->store->backend, g->store->seal, id, err) == -1) {
		if (!unread_is_useless(err))
			return -1;
		err_clear(err);
		return 0;
	}
	for (i = 0; rc == 0 && i < set->count; i++) {
		p = &set->packs[i];
		if (idset_has(&g->packs, p->id) && !idset_has(&g->named, p->id))
			rc = take_table(g, p->id, &p->table, err);
	}
	for (i = 0; rc == 0 && !g->wary && i < set->count; i++)
		rc = idset_add(&g->named, set->packs[i].id, err);
	idset_sort(&g->named);
	index_set_free(set);
	return rc;
}

/* 1: of itself; 0: its table cannot be read. */
static int
take_pack(struct gathering *g, const uint8_t *id, struct err *err)
{
	struct pack_table table;
	uint64_t size;
	int rc;

	if (pack_read_table(&table, &size, g->store->backend, g->store->seal,
		id, err) == -1) {
		if (!unread_is_useless(err))
			return -1;
		err_clear(err);
		return 0;
	}
	rc = take_table(g, id, &table, err);
	pack_table_fini(&table);
	return rc == -1 ? -1 : 1;
}

static int
take_indexes(struct gathering *g, const struct idset *indexes, struct err *err)
{
	size_t i;

	for (i = 0; i < indexes->count; i++) {
		if (take_index(g, indexes->ids[i], err) == -1)
			return -1;
	}
	return 0;
}

/* Of those that were not looked at. */
static int
take_packs(struct gathering *g, struct err *err)
{
	struct idset heard = { .ids = NULL };
	size_t i;
	int rc = 0;

	for (i = 0; rc != -1 && i < g->packs.count; i++) {
		if (idset_has(&g->named, g->packs.ids[i]))
			continue;
		if ((rc = take_pack(g, g->packs.ids[i], err)) == 1)
			rc = idset_add(&heard, g->packs.ids[i], err);
	}
	for (i = 0; rc != -1 && i < heard.count; i++)
		rc = idset_add(&g->named, heard.ids[i], err);
	idset_sort(&g->named);
	idset_fini(&heard);
	return rc == -1 ? -1 : 0;
}

/*
 * Indexes are one read for many packs, and what none names tells of itself.
 * Where an index may lie each pack is asked first, and of one that cannot
 * tell all indexes are heard.
 */
static int
take_all(struct gathering *g, struct err *err)
{
	struct idset indexes = { .ids = NULL };
	struct backend *b = g->store->backend;
	int rc = -1;

	/* Itself is not asked. */
	if (idset_add(&g->named, g->pack, err) == 0 &&
	    idset_list(&indexes, b, OBJECT_INDEX, err) == 0 &&
	    idset_list(&g->packs, b, OBJECT_PACK, err) == 0)
		rc = damage_hide_packs(&g->packs, b, g->store->seal, err);
	idset_sort(&g->named);
	if (rc == 0 && g->wary)
		rc = take_packs(g, err);
	if (rc == 0)
		rc = take_indexes(g, &indexes, err);
	if (rc == 0 && !g->wary)
		rc = take_packs(g, err);
	idset_sort(&g->copies->sharers);
	idset_fini(&indexes);
	return rc;
}

/* What has no copy is an error by itself. */
static void
tell(const uint8_t *pack)
{
	char key[OBJECT_KEY_SIZE];

	log_line(LOG_WARNING,
	    "'%s' is damaged; what is elsewhere as well is read from there: "
	    "see 'holdstill verify'",
	    object_key(key, OBJECT_PACK, pack));
}

/* All other places of what the local index has in the pack. */
static int
gather(struct copies *c, struct store *s, const uint8_t *pack, struct err *err)
{
	struct gathering g = { .store = s,
		.copies = c,
		.pack = pack,
		.wary = seal_mode(s->seal) == SEAL_PUBLIC };
	size_t before;
	int rc = -1;

	if (c->count > KNOWN_MAX)
		forget(c);
	before = c->count;
	if (localindex_blobs_in(
		&g.wanted, &g.wanted_count, s->index, pack, err) == -1)
		return -1;
	if ((g.found = calloc(g.wanted_count + 1, 1)) == NULL)
		err_no_memory(err);
	else
		rc = take_all(&g, err);
	if (c->count > 1)
		qsort(c->copies, c->count, sizeof(*c->copies), compare_copies);
	if (rc == 0)
		rc = idset_add(&c->asked, pack, err);
	if (rc == 0 && c->count > before)
		tell(pack);
	idset_sort(&c->asked);
	idset_fini(&g.packs);
	idset_fini(&g.named);
	free(g.wanted);
	free(g.found);
	return rc;
}

/* The first of those with a name; c->count: there is none. */
static size_t
first_of(const struct copies *c, const struct blob_name *name)
{
	size_t low = 0, high = c->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (compare_names(&c->copies[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void
copies_begin(struct copies_walk *w, struct store *s, enum blob_type type,
    const uint8_t hash[DIGEST_BYTES], const struct blob_place *bad)
{
	memset(w, 0, sizeof(*w));
	w->store = s;
	w->type = type;
	w->hash = hash;
	memcpy(w->bad, bad->pack, OBJECT_ID_BYTES);
	/* A prune's view has none: it judges each pack itself. */
	w->kept_count = s->copies == NULL ? 0 : -1;
}

static int
fill_kept(struct copies_walk *w, struct err *err)
{
	struct copies *c = w->store->copies;
	struct blob_name name;
	int rc = 0;
	size_t i;

	blob_name_put(&name, w->type, w->hash);
	pthread_mutex_lock(&c->lock);
	if (!idset_has(&c->asked, w->bad))
		rc = gather(c, w->store, w->bad, err);
	w->kept_count = 0;
	for (i = first_of(c, &name);
	     rc == 0 && w->kept_count < COPIES_KEPT && i < c->count &&
	     compare_names(&c->copies[i].name, &name) == 0;
	     i++) {
		/* Of one pack as well as of another that was asked for. */
		if (memcmp(c->copies[i].place.pack, w->bad, OBJECT_ID_BYTES) !=
		    0)
			w->kept[w->kept_count++] = c->copies[i].place;
	}
	memcpy(w->from, c->served, OBJECT_ID_BYTES);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

/* ---- the others ---- */

/* 1: another pack that shares blobs with damaged ones; 0: there is no more. */
static int
next_sharer(struct copies_walk *w, uint8_t out[OBJECT_ID_BYTES])
{
	struct copies *c = w->store->copies;
	size_t i = 0;
	int rc;

	pthread_mutex_lock(&c->lock);
	while (i < c->sharers.count &&
	       memcmp(c->sharers.ids[i], w->from, OBJECT_ID_BYTES) < 0)
		i++;
	if ((rc = w->step < c->sharers.count) == 1) {
		memcpy(out, c->sharers.ids[(i + w->step++) % c->sharers.count],
		    OBJECT_ID_BYTES);
		memcpy(c->served, out, OBJECT_ID_BYTES);
	}
	pthread_mutex_unlock(&c->lock);
	return rc;
}

static bool
was_tried(const struct copies_walk *w, const uint8_t *pack)
{
	int i;

	for (i = 0; i < w->kept_count; i++) {
		if (memcmp(w->kept[i].pack, pack, OBJECT_ID_BYTES) == 0)
			return true;
	}
	return memcmp(w->bad, pack, OBJECT_ID_BYTES) == 0;
}

/* Its own table, or what indexes say of it. */
static int
table_of(struct pack_table *out, struct store *s, const uint8_t *pack,
    struct err *err)
{
	struct idset indexes;
	uint64_t size;
	int rc;

	if (pack_read_table(out, &size, s->backend, s->seal, pack, err) == 0)
		return 1;
	if (!unread_is_useless(err))
		return -1;
	err_clear(err);
	if (idset_list(&indexes, s->backend, OBJECT_INDEX, err) == -1)
		return -1;
	rc = tables_find(out, s, &indexes, pack, err);
	idset_fini(&indexes);
	return rc;
}

/* 1: the pack has the blob. */
static int
look_in(struct copies_walk *w, const uint8_t *pack, struct blob_place *out,
    struct err *err)
{
	const struct pack_frame *f;
	const struct pack_blob *b;
	struct pack_table t;
	int rc = table_of(&t, w->store, pack, err), found = 0;
	uint32_t i, n = 0;

	if (rc != 1)
		return rc;
	for (i = 0; found == 0 && i < t.frame_count; i++) {
		f = &t.frames[i];
		for (; found == 0 && n < f->first_blob + f->blob_count; n++) {
			b = &t.blobs[n];
			if (b->type != w->type ||
			    memcmp(b->hash, w->hash, DIGEST_BYTES) != 0)
				continue;
			*out = place_of(pack, f, b, n);
			found = 1;
		}
	}
	pack_table_fini(&t);
	return found;
}

int
copies_next(struct copies_walk *w, struct blob_place *out, struct err *err)
{
	uint8_t pack[OBJECT_ID_BYTES];
	int rc = 0;

	if (w->kept_count == -1 && fill_kept(w, err) == -1)
		return -1;
	if (w->at < w->kept_count) {
		*out = w->kept[w->at++];
		return 1;
	}
	if (w->kept_count < COPIES_KEPT)
		return 0;
	while (rc == 0 && next_sharer(w, pack) == 1) {
		if (!was_tried(w, pack))
			rc = look_in(w, pack, out, err);
	}
	return rc;
}
