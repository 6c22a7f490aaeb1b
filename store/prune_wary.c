/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A prune where hosts may only add (docs/seal.md).  Whoever takes a host can
 * put a pack that says it holds a block and does not.  So no copy of a block
 * stands for another, but one in a pack that an earlier prune has put from
 * here: that one was read and found right.
 */
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "store/prune.h"
#include "store/tables.h"
#include "store/unread.h"

bool
prune_is_wary(const struct prune *p)
{
	return seal_mode(p->store->seal) == SEAL_PUBLIC;
}

int
prune_trust(struct prune *p, const struct pack *pack, struct err *err)
{
	struct own_pack own;

	if (!prune_is_wary(p) || p->options->dry_run)
		return 0;
	memcpy(own.id, pack->id, OBJECT_ID_BYTES);
	memcpy(own.table, pack->data + pack->size - DIGEST_BYTES, DIGEST_BYTES);
	if (digest_once(own.whole, pack->data, pack->size, err) == -1)
		return -1;
	return ownpacks_add(p->store, p->epoch.number, &own, err);
}

int
prune_find_own(struct prune *p, struct err *err)
{
	ownpacks_fini(&p->own);
	if (!prune_is_wary(p))
		return 0;
	return ownpacks_load(
	    &p->own, p->store, &p->epoch, p->options->dry_run, err);
}

bool
prune_is_own(const struct prune *p, size_t pack)
{
	const struct prune_pack *k = &p->pack[pack];

	return k->indexed && !k->marked && !k->listed &&
	       ownpacks_find(&p->own, p->packs.ids[pack]) != NULL;
}

/* Not what was put there: a pack like any other. */
static bool
is_another(const struct prune *p, size_t i, const uint8_t *bound)
{
	const struct own_pack *own = ownpacks_find(&p->own, p->packs.ids[i]);
	char key[OBJECT_KEY_SIZE];

	if (memcmp(own->table, bound, DIGEST_BYTES) == 0)
		return false;
	log_line(LOG_WARNING, "'%s' is not what a prune has put there",
	    object_key(key, OBJECT_PACK, p->packs.ids[i]));
	return true;
}

/* The last to be loaded of packs of one rank has the blob. */
static int
load_trusted(struct prune *p, size_t i, struct err *err)
{
	struct index_pack pack = { .size = 0 };
	uint8_t bound[DIGEST_BYTES];
	int rc;

	if (pack_read_table_bound(&pack.table, &pack.size, bound,
		p->store->backend, p->store->seal, p->packs.ids[i],
		err) == -1) {
		if (!unread_is_wrong(err))
			return -1;
		err_clear(err);
		return 0;
	}
	memcpy(pack.id, p->packs.ids[i], OBJECT_ID_BYTES);
	rc = localindex_add(p->view.store.index, pack.id, &pack, 1, err);
	pack_table_fini(&pack.table);
	p->pack[i].trusted = rc == 0 && !is_another(p, i, bound);
	return rc;
}

/* 1: *out has its table; 0: nothing says what is in it. */
static int
find_marked(struct index_pack *out, struct prune *p, size_t i, struct err *err)
{
	memcpy(out->id, p->packs.ids[i], OBJECT_ID_BYTES);
	out->size = p->pack[i].size;
	if (pack_read_table(&out->table, &out->size, p->store->backend,
		p->store->seal, out->id, err) == 0)
		return 1;
	if (!unread_is_useless(err))
		return -1;
	err_clear(err);
	return tables_find(&out->table, p->store, &p->indexes, out->id, err);
}

int
prune_find_marked(struct prune *p, struct err *err)
{
	struct index_pack late;
	int rc = 0;
	size_t i;

	for (i = 0; rc != -1 && prune_is_wary(p) && i < p->packs.count; i++) {
		if (!p->pack[i].marked || !p->pack[i].indexed)
			continue;
		if ((rc = find_marked(&late, p, i, err)) == 1)
			rc = prune_marked_add(p, i, &late, err);
	}
	return rc == -1 ? -1 : 0;
}

int
prune_load_trusted(struct prune *p, struct err *err)
{
	int rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < p->packs.count; i++)
		if (prune_is_own(p, i))
			rc = load_trusted(p, i, err);
	return rc;
}

int
prune_uses(const struct prune *p, struct localindex_view *v, size_t pack,
    uint32_t ordinal, const struct pack_blob *b, struct err *err)
{
	struct blob_place place;
	int64_t at;
	int rc;

	if (!prune_is_wary(p))
		return marks_has(&p->marks, pack, ordinal);
	if (prune_marked_wrong(p, pack, ordinal))
		return 0;
	rc = localindex_view_find(v, b->type, b->hash, &place, NULL, err);
	if (rc != 1)
		return rc;
	at = idset_find(&p->packs, place.pack);
	if (at < 0 || !marks_has(&p->marks, (size_t)at, place.ordinal))
		return 0;
	return (size_t)at == pack || !p->pack[at].trusted;
}

int
prune_uses_any(
    struct prune *p, size_t pack, const struct pack_table *t, struct err *err)
{
	struct localindex_view v;
	uint32_t i;
	int rc = 0;

	if (localindex_view_begin(&v, p->view.store.index, err) == -1)
		return -1;
	for (i = 0; rc == 0 && i < t->blob_count; i++)
		rc = prune_uses(p, &v, pack, i, &t->blobs[i], err);
	localindex_view_end(&v);
	return rc;
}

int64_t
prune_find_used(bool *used, const struct prune *p, size_t pack,
    const struct pack_table *t, const struct pack_frame *f, struct err *err)
{
	struct localindex_view v;
	int64_t n = 0;
	uint32_t i;
	int rc = 0;

	if (localindex_view_begin(&v, p->view.store.index, err) == -1)
		return -1;
	for (i = 0; rc != -1 && i < f->blob_count; i++) {
		rc = prune_uses(p, &v, pack, f->first_blob + i,
		    &t->blobs[f->first_blob + i], err);
		used[i] = rc == 1;
		n += rc == 1;
	}
	localindex_view_end(&v);
	return rc == -1 ? -1 : n;
}
