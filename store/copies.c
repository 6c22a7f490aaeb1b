/* SPDX-License-Identifier: Apache-2.0 */
/* The other places of blobs whose pack is damaged. */
#include "store/copies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "store/damage.h"
#include "store/grow.h"
#include "store/store_internal.h"

/* What is known of more copies than this is forgotten, and asked for again. */
#define KNOWN_MAX (4u * COPIES_MAX * PACK_BLOBS_MAX)

struct copy {
	struct blob_name name;
	struct blob_place place;
};

struct copies {
	pthread_mutex_t lock; /* Guards from here on. */
	struct idset asked;   /* The packs that were asked for. */
	struct copy *copies;  /* Sorted by name. */
	size_t count, capacity;
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

bool
copies_worth_asking(const struct err *err)
{
	/* EIO: a disk cannot read the place; others may be well. */
	return store_worth_resync(err) || err->sys_errno == EIO;
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

static int
take_blob(struct gathering *g, const uint8_t *pack, const struct pack_frame *f,
    const struct pack_blob *b, uint32_t ordinal, struct err *err)
{
	struct copy copy = { .place = { .frame_offset = f->offset,
				 .stored_size = f->stored_size,
				 .raw_size = f->raw_size,
				 .offset = b->offset,
				 .size = b->size,
				 .ordinal = ordinal,
				 .coding = f->coding } };
	const struct blob_name *at;

	blob_name_put(&copy.name, b->type, b->hash);
	at = bsearch(&copy.name, g->wanted, g->wanted_count, sizeof(*g->wanted),
	    compare_names);
	if (at == NULL || g->found[at - g->wanted] == COPIES_MAX)
		return 0;
	g->found[at - g->wanted]++;
	memcpy(copy.place.pack, pack, OBJECT_ID_BYTES);
	return add_copy(g->copies, &copy, err);
}

/* Of a pack that was not looked at yet. */
static int
take_table(struct gathering *g, const uint8_t *pack, const struct pack_table *t,
    struct err *err)
{
	uint32_t i, n;

	if (!idset_has(&g->packs, pack) || idset_has(&g->named, pack))
		return 0;
	for (i = n = 0; i < t->frame_count; i++) {
		for (; n < t->frames[i].first_blob + t->frames[i].blob_count;
		     n++) {
			if (take_blob(g, pack, &t->frames[i], &t->blobs[n], n,
				err) == -1)
				return -1;
		}
	}
	return 0;
}

static int
take_index(struct gathering *g, const uint8_t *id, struct err *err)
{
	struct index_set *set;
	unsigned int i;
	int rc = 0;

	if (index_get(&set, g->store->backend, g->store->seal, id, err) == -1) {
		if (!copies_worth_asking(err))
			return -1;
		err_clear(err);
		return 0;
	}
	for (i = 0; rc == 0 && i < set->count; i++)
		rc = take_table(g, set->packs[i].id, &set->packs[i].table, err);
	for (i = 0; rc == 0 && i < set->count; i++)
		rc = idset_add(&g->named, set->packs[i].id, err);
	idset_sort(&g->named);
	index_set_free(set);
	return rc;
}

/* What no index names tells of itself. */
static int
take_pack(struct gathering *g, const uint8_t *id, struct err *err)
{
	struct pack_table table;
	uint64_t size;
	int rc;

	if (idset_has(&g->named, id))
		return 0;
	if (pack_read_table(&table, &size, g->store->backend, g->store->seal,
		id, err) == -1) {
		if (!copies_worth_asking(err))
			return -1;
		err_clear(err);
		return 0;
	}
	rc = take_table(g, id, &table, err);
	pack_table_fini(&table);
	return rc;
}

static int
take_all(struct gathering *g, struct err *err)
{
	struct idset indexes = { .ids = NULL };
	struct backend *b = g->store->backend;
	int rc = -1;
	size_t i;

	/* Itself is not asked. */
	if (idset_add(&g->named, g->pack, err) == 0 &&
	    idset_list(&indexes, b, OBJECT_INDEX, err) == 0 &&
	    idset_list(&g->packs, b, OBJECT_PACK, err) == 0)
		rc = damage_hide_packs(&g->packs, b, g->store->seal, err);
	idset_sort(&g->named);
	for (i = 0; rc == 0 && i < indexes.count; i++)
		rc = take_index(g, indexes.ids[i], err);
	for (i = 0; rc == 0 && i < g->packs.count; i++)
		rc = take_pack(g, g->packs.ids[i], err);
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
	struct gathering g = { .store = s, .copies = c, .pack = pack };
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

int
copies_find(struct blob_place out[COPIES_MAX], struct store *s,
    enum blob_type type, const uint8_t hash[DIGEST_BYTES],
    const struct blob_place *bad, struct err *err)
{
	struct copies *c = s->copies;
	struct blob_name name;
	int n = 0;
	size_t i;

	if (c == NULL)
		return 0; /* A prune's view: it judges each pack itself. */
	blob_name_put(&name, type, hash);
	pthread_mutex_lock(&c->lock);
	if (!idset_has(&c->asked, bad->pack) &&
	    gather(c, s, bad->pack, err) == -1)
		n = -1;
	for (i = first_of(c, &name);
	     n >= 0 && n < COPIES_MAX && i < c->count &&
	     compare_names(&c->copies[i].name, &name) == 0;
	     i++) {
		/* Of one pack as well as of another that was asked for. */
		if (memcmp(c->copies[i].place.pack, bad->pack,
			OBJECT_ID_BYTES) != 0)
			out[n++] = c->copies[i].place;
	}
	pthread_mutex_unlock(&c->lock);
	return n;
}
