/* SPDX-License-Identifier: Apache-2.0 */
/* What is live, and what becomes of each pack. */
#include <stdlib.h>
#include <string.h>

#include "common/cancel.h"
#include "common/err.h"
#include "store/prune.h"
#include "store/unread.h"

#define LIVE_PERCENT 75u

/* ---- the walk ---- */

struct walker {
	struct prune *prune;
	const struct prune_disk *disk;
	struct walk walk;
};

/*
 * What the piece names is there, and is not to be judged unseen - unless a
 * repair has taken the piece's pack out of use, and told the point's loss.
 */
static bool
is_told_lost(const struct walker *k, const struct blob_place *place)
{
	return place != NULL &&
	       idset_has(&k->prune->damage.packs, place->pack) &&
	       prune_told(
		   k->disk->hurt, k->walk.first_block, k->walk.block_count);
}

static int
mark_blob(void *arg, enum blob_type type, const uint8_t hash[DIGEST_BYTES],
    const struct blob_place *place, const struct err *why, struct err *err)
{
	struct walker *k = arg;

	(void)type;
	(void)hash;
	if (why != NULL && !unread_is_wrong(why) && !is_told_lost(k, place)) {
		*err = *why;
		return err_hint(err,
		    "nothing more was removed; run 'holdstill repair', which "
		    "marks the points that lack it");
	}
	if ((place == NULL || why != NULL) &&
	    !prune_told(
		k->disk->hurt, k->walk.first_block, k->walk.block_count))
		k->prune->missing = true;
	return cancel_check(err);
}

static int
walk_some(struct prune *p, bool hurt, struct err *err)
{
	struct walker k = { .prune = p };
	char hex[HEXID_SIZE];
	size_t i;

	k.walk = (struct walk){ .store = &p->view.store,
		.marks = &p->marks,
		.fn = mark_blob,
		.arg = &k };
	for (i = 0; !p->missing && i < p->disk_count; i++) {
		k.disk = &p->disks[i];
		if ((k.disk->hurt != NULL) != hurt)
			continue;
		prune_tell(p, "disks", i, p->disk_count);
		if (walk_disk(&k.walk, &k.disk->disk, err) == -1) {
			hex_encode(hex, k.disk->point, OBJECT_ID_BYTES);
			return err_prefix(err, "point %s", hex);
		}
	}
	return 0;
}

/*
 * A piece that is missing may be of a point that has gone since, or newer
 * than the listing: the round is begun again.  Disks that may lack something
 * come last: what an earlier walk has met is passed over.
 */
int
prune_walk(struct prune *p, struct err *err)
{
	p->missing = false;
	if (walk_some(p, false, err) == -1)
		return -1;
	return walk_some(p, true, err);
}

/* ---- packs weighed by their tables ---- */

/* How many blobs of a frame the pack is to keep; -1. */
static int64_t
used_of(struct prune *p, struct localindex_view *v, size_t pack,
    const struct pack_table *t, const struct pack_frame *f, struct err *err)
{
	int64_t used = 0;
	uint32_t j;
	int rc;

	for (j = f->first_blob; j < f->first_blob + f->blob_count; j++) {
		if ((rc = prune_uses(p, v, pack, j, &t->blobs[j], err)) == -1)
			return -1;
		used += rc;
	}
	return used;
}

static int
count_used(
    struct prune *p, size_t pack, const struct pack_table *t, struct err *err)
{
	struct prune_pack *k = &p->pack[pack];
	struct localindex_view v;
	const struct pack_frame *f;
	int64_t used = 0;
	uint32_t i;

	if (localindex_view_begin(&v, p->view.store.index, err) == -1)
		return -1;
	for (i = 0; used != -1 && i < t->frame_count; i++) {
		f = &t->frames[i];
		if ((used = used_of(p, &v, pack, t, f, err)) == -1)
			break;
		k->used_blobs += (uint32_t)used;
		k->used_bytes +=
		    (uint64_t)f->stored_size * (uint64_t)used / f->blob_count;
	}
	localindex_view_end(&v);
	return used == -1 ? -1 : 0;
}

static int
weigh(struct prune *p, size_t pack, const struct pack_table *t, struct err *err)
{
	struct prune_pack *k = &p->pack[pack];
	unsigned int percent = p->options->live_percent > 0
				   ? p->options->live_percent
				   : LIVE_PERCENT;

	if (k->judged)
		return 0;
	k->judged = true;
	k->blobs = t->blob_count;
	if (count_used(p, pack, t, err) == -1)
		return -1;
	/* What is on the list goes its way; what is being written stays. */
	if (k->listed || k->spared || k->unread)
		return 0;
	if (k->used_blobs == 0)
		k->action = PRUNE_CONDEMN;
	else if (k->marked && prune_is_wary(p) && !p->rewritten)
		k->action = PRUNE_REWRITE;
	else if (k->used_blobs < k->blobs && !p->rewritten && !k->marked &&
		 k->used_bytes * 100 < k->size * percent)
		k->action = PRUNE_REWRITE;
	return 0;
}

/* Their tables are not asked for again. */
static void
drop_judged(struct prune *p, struct index_set *set)
{
	unsigned int i, kept = 0;
	int64_t pack;

	for (i = 0; i < set->count; i++) {
		pack = idset_find(&p->packs, set->packs[i].id);
		if (pack >= 0 && !p->pack[pack].judged)
			set->packs[kept++] = set->packs[i];
		else
			pack_table_fini(&set->packs[i].table);
	}
	set->count = kept;
}

static int
weigh_index(struct prune *p, const uint8_t *id, struct err *err)
{
	struct index_set *set;
	unsigned int i;
	int64_t pack;
	int rc;

	if (index_get(&set, p->store->backend, p->store->seal, id, err) == -1) {
		if (!unread_is_wrong(err))
			return -1;
		err_clear(err);
		return 0;
	}
	drop_judged(p, set);
	rc = index_check_tables_sure(
	    set, p->store->backend, p->store->seal, err);
	for (i = 0; rc == 0 && i < set->count; i++) {
		pack = idset_find(&p->packs, set->packs[i].id);
		if (pack >= 0)
			rc = weigh(p, (size_t)pack, &set->packs[i].table, err);
	}
	index_set_free(set);
	return rc;
}

/* By the tables by which their blobs were read. */
static int
weigh_marked(struct prune *p, struct err *err)
{
	int64_t pack;
	size_t i;

	for (i = 0; i < p->late_count; i++) {
		pack = idset_find(&p->packs, p->late[i].pack.id);
		if (pack >= 0 &&
		    weigh(p, (size_t)pack, &p->late[i].pack.table, err) == -1)
			return -1;
	}
	return 0;
}

/* Those that no index names, unless they cannot be read: then they stay. */
static int
weigh_rest(struct prune *p, struct err *err)
{
	struct pack_table table;
	uint64_t size;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < p->packs.count; i++) {
		if (p->pack[i].judged)
			continue;
		if (pack_read_table(&table, &size, p->store->backend,
			p->store->seal, p->packs.ids[i], err) == 0) {
			rc = weigh(p, i, &table, err);
			pack_table_fini(&table);
		} else if (unread_is_wrong(err) ||
			   prune_marked_unread(p, i, err)) {
			err_clear(err);
		} else {
			return -1;
		}
	}
	return rc;
}

/* ---- what rewriting may cost ---- */

struct costly {
	struct prune_pack *pack;
};

static int
most_waste_first(const void *a, const void *b)
{
	const struct prune_pack *x = ((const struct costly *)a)->pack;
	const struct prune_pack *y = ((const struct costly *)b)->pack;
	/* used / size: cross-multiplied. */
	uint64_t left = x->used_bytes * y->size,
		 right = y->used_bytes * x->size;

	return left < right ? -1 : left > right;
}

static uint64_t
repack_limit(const struct prune *p)
{
	uint64_t bytes = p->options->repack_bytes;
	uint64_t share =
	    p->result->bytes_before / 100 * p->options->repack_percent;

	if (bytes == 0 && p->options->repack_percent == 0)
		return UINT64_MAX;
	return bytes > share ? bytes : share;
}

static int
limit_rewrites(struct prune *p, struct err *err)
{
	struct costly *all = calloc(p->packs.count + 1, sizeof(*all));
	uint64_t left = repack_limit(p);
	size_t i, count = 0;

	if (all == NULL)
		return err_no_memory(err);
	for (i = 0; i < p->packs.count; i++) {
		/* What is marked is out of use until then, and goes. */
		if (p->pack[i].action == PRUNE_REWRITE && !p->pack[i].marked)
			all[count++].pack = &p->pack[i];
	}
	if (count > 1)
		qsort(all, count, sizeof(*all), most_waste_first);
	for (i = 0; i < count; i++) {
		if (all[i].pack->size > left)
			all[i].pack->action = PRUNE_KEEP;
		else
			left -= all[i].pack->size;
	}
	free(all);
	return 0;
}

static void
sum_up(struct prune *p)
{
	struct store_prune_result *r = p->result;
	const struct prune_pack *k;
	size_t i;

	r->blocks_kept = r->blocks_removed = 0;
	for (i = 0; i < p->packs.count; i++) {
		k = &p->pack[i];
		if (k->action == PRUNE_KEEP && !k->listed) {
			r->blocks_kept += k->blobs;
		} else {
			r->blocks_kept += k->used_blobs;
			r->blocks_removed += k->blobs - k->used_blobs;
		}
	}
}

int
prune_judge(struct prune *p, struct err *err)
{
	size_t i;

	if (prune_is_wary(p) && weigh_marked(p, err) == -1)
		return -1;
	for (i = 0; i < p->indexes.count; i++) {
		if (weigh_index(p, p->indexes.ids[i], err) == -1)
			return -1;
	}
	if (weigh_rest(p, err) == -1 || limit_rewrites(p, err) == -1)
		return -1;
	if (!p->rewritten)
		sum_up(p);
	return 0;
}

/* ---- the next epoch ---- */

static int
add_entry(struct prune *p, const uint8_t *pack, uint64_t since, bool doomed,
    struct err *err)
{
	struct epoch_entry *grown =
	    reallocarray(p->next.list, p->next.list_count + 1, sizeof(*grown));

	if (grown == NULL)
		return err_no_memory(err);
	p->next.list = grown;
	grown += p->next.list_count++;
	memcpy(grown->pack, pack, OBJECT_ID_BYTES);
	grown->since = since;
	grown->doomed = doomed;
	return 0;
}

static void
count_freed(struct prune *p, const struct prune_pack *k)
{
	/* What is removed is counted then; here it is a forecast. */
	if (!p->options->dry_run)
		return;
	p->result->packs_removed++;
	p->result->bytes_freed += k->size;
}

static int
condemn(struct prune *p, bool *changed, struct err *err)
{
	size_t i;

	for (i = 0; i < p->packs.count; i++) {
		if (p->pack[i].action == PRUNE_KEEP)
			continue;
		*changed = true;
		count_freed(p, &p->pack[i]);
		if (add_entry(p, p->packs.ids[i], p->next.number, false, err) ==
		    -1)
			return -1;
	}
	return 0;
}

/*
 * Has a pack on the list a live blob that is in no good pack?  Good packs
 * rank above it, so the blob's place would be there.  1, 0, -1.
 */
static int
is_needed(struct prune *p, const struct pack_table *t, struct err *err)
{
	struct localindex_view v;
	struct blob_place place;
	int64_t pack;
	uint32_t i;
	int rc = 0;

	if (localindex_view_begin(&v, p->view.store.index, err) == -1)
		return -1;
	for (i = 0; rc == 0 && i < t->blob_count; i++) {
		rc = localindex_view_find(
		    &v, t->blobs[i].type, t->blobs[i].hash, &place, NULL, err);
		if (rc != 1)
			continue;
		pack = idset_find(&p->packs, place.pack);
		rc = pack >= 0 &&
		     (p->pack[pack].listed ||
			 (prune_is_wary(p) && !p->pack[pack].trusted)) &&
		     marks_has(&p->marks, (size_t)pack, place.ordinal);
	}
	localindex_view_end(&v);
	return rc;
}

/* The same of a pack whose own table cannot be read, as err says. */
static int
pardoned_unseen(struct prune *p, size_t pack, struct err *err)
{
	const struct prune_pack *k = &p->pack[pack];
	int rc;

	if (!unread_is_wrong(err) && !prune_marked_unread(p, pack, err))
		return -1;
	rc = err->class == ERR_NOT_FOUND ? 0 : 2;
	/* What an index says of it was looked at. */
	if (k->marked && k->indexed)
		rc = marks_any(&p->marks, pack);
	err_clear(err);
	return rc;
}

/* 1: it is pardoned; 0: it is not; 2: nobody can say. */
static int
pardoned(struct prune *p, const struct epoch_entry *e, struct err *err)
{
	const struct prune_late *late;
	struct pack_table table;
	int64_t pack = idset_find(&p->packs, e->pack);
	uint64_t size;
	int rc;

	if (pack < 0)
		return 0;
	if (prune_is_wary(p) && p->pack[pack].marked &&
	    (late = prune_marked_find(p, (size_t)pack)) != NULL)
		return prune_uses_any(p, (size_t)pack, &late->pack.table, err);
	if (pack_read_table(&table, &size, p->store->backend, p->store->seal,
		e->pack, err) == -1)
		return pardoned_unseen(p, (size_t)pack, err);
	rc = is_needed(p, &table, err);
	pack_table_fini(&table);
	return rc;
}

static int
move_on(struct prune *p, const struct epoch_entry *e, bool *changed,
    struct err *err)
{
	bool waited_for = e->since <= p->first_open;
	int64_t pack = idset_find(&p->packs, e->pack);
	int rc;

	if (e->doomed) { /* Our removes have said that it is gone. */
		if (p->options->dry_run && pack >= 0)
			count_freed(p, &p->pack[pack]);
		*changed = true;
		return 0;
	}
	if ((rc = pardoned(p, e, err)) == -1)
		return -1;
	if (rc == 1) {
		*changed = true;
		return 0;
	}
	if (pack >= 0) {
		count_freed(p, &p->pack[pack]);
		if (!waited_for || rc == 2)
			p->result->bytes_waiting += p->pack[pack].size;
	}
	if (!waited_for || rc == 2)
		return add_entry(p, e->pack, e->since, false, err);
	*changed = true;
	return add_entry(p, e->pack, e->since, true, err);
}

int
prune_decide(struct prune *p, struct err *err)
{
	bool changed = false;
	size_t i;

	p->next = (struct epoch){ .number = p->epoch.number + 1 };
	p->next.decided =
	    p->first_open < p->epoch.number ? p->first_open : p->epoch.number;
	p->result->bytes_waiting = 0;
	if (condemn(p, &changed, err) == -1)
		return -1;
	for (i = 0; i < p->epoch.list_count; i++) {
		if (move_on(p, &p->epoch.list[i], &changed, err) == -1)
			return -1;
	}
	/* The roll goes with the epoch. */
	p->next.roll = p->roll;
	p->roll = (struct idset){ .ids = NULL };
	return changed;
}
