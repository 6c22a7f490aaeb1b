/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads back and checks: small objects, packs, and whether all that points
 * need is there.  Damage is told object by object, then point by point.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "store/host.h"
#include "store/seal/slot.h"
#include "store/tables.h"
#include "store/unread.h"
#include "store/verify_internal.h"

void
verify_tell(struct verify *v, struct store_damage damage)
{
	char name[OBJECT_KEY_SIZE + 16];

	snprintf(name, sizeof(name), "object '%s': ", damage.object);
	if (strncmp(damage.what, name, strlen(name)) == 0)
		damage.what += strlen(name);
	if (v->fn != NULL)
		v->fn(v->arg, &damage);
}

void
verify_tell_object(struct verify *v, const char *key, const char *what)
{
	pthread_mutex_lock(&v->lock);
	v->result->damaged_objects++;
	verify_tell(
	    v, (struct store_damage){
		   .object = key, .what = what, .point = "", .disk = "" });
	pthread_mutex_unlock(&v->lock);
}

bool
verify_is_damage(struct verify *v, const struct err *err)
{
	if (err->class == ERR_UNSUPPORTED)
		v->unsupported = true;
	return err->class == ERR_UNSUPPORTED ||
	       unread_is_own(v->store->backend, err);
}

int
verify_tell_or_fail(struct verify *v, const char *key, struct err *err)
{
	if (!verify_is_damage(v, err))
		return -1;
	verify_tell_object(v, key, err->text);
	err_clear(err);
	return 0;
}

/* A prune may have removed it, if no point needs it. */
static int
note_lost(struct verify *v, const struct index_pack *p, struct err *err)
{
	struct verify_lost *grown;
	uint32_t i;

	for (i = 0; i < p->table.blob_count; i++) {
		grown = grow_array(
		    v->lost, v->lost_count, &v->lost_capacity, sizeof(*grown));
		if (grown == NULL)
			return err_no_memory(err);
		v->lost = grown;
		grown += v->lost_count++;
		memcpy(grown->pack, p->id, OBJECT_ID_BYTES);
		memcpy(grown->hash, p->table.blobs[i].hash, DIGEST_BYTES);
		grown->type = p->table.blobs[i].type;
		grown->told = false;
	}
	return 0;
}

static int
check_index(struct verify *v, const uint8_t *id, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	struct index_set *set;
	unsigned int i;
	int rc = 0;

	object_key(key, OBJECT_INDEX, id);
	v->result->objects_checked++;
	if (index_get(&set, v->store->backend, v->store->seal, id, err) == -1) {
		if (err->class == ERR_NOT_FOUND) {
			/* A prune has removed it since it was listed. */
			err_clear(err);
			return 0;
		}
		if (verify_tell_or_fail(v, key, err) == -1)
			return -1;
		return idset_add(&v->bad_indexes, id, err);
	}
	for (i = 0; rc == 0 && i < set->count; i++) {
		/* Another index may name a missing one too. */
		if (idset_has(&v->packs, set->packs[i].id) ||
		    idset_has(&v->damage.packs, set->packs[i].id) ||
		    idset_has(&v->missing, set->packs[i].id))
			continue;
		if ((rc = idset_add(&v->missing, set->packs[i].id, err)) == 0) {
			idset_sort(&v->missing);
			rc = note_lost(v, &set->packs[i], err);
		}
	}
	index_set_free(set);
	return rc;
}

static int
compare_lost(const void *a, const void *b)
{
	const struct verify_lost *x = a, *y = b;

	if (x->type != y->type)
		return x->type < y->type ? -1 : 1;
	return memcmp(x->hash, y->hash, DIGEST_BYTES);
}

struct verify_lost *
verify_find_lost(struct verify *v, enum blob_type type, const uint8_t *hash)
{
	struct verify_lost wanted = { .type = type };

	if (v->lost_count == 0)
		return NULL;
	memcpy(wanted.hash, hash, DIGEST_BYTES);
	return bsearch(
	    &wanted, v->lost, v->lost_count, sizeof(*v->lost), compare_lost);
}

static int
check_indexes(struct verify *v, struct err *err)
{
	size_t i;

	for (i = 0; i < v->indexes.count; i++)
		if (check_index(v, v->indexes.ids[i], err) == -1)
			return -1;
	if (v->lost_count > 1)
		qsort(v->lost, v->lost_count, sizeof(*v->lost), compare_lost);
	return 0;
}

int
verify_find_table(struct verify *v, const uint8_t pack[OBJECT_ID_BYTES],
    struct pack_table *out, struct err *err)
{
	return tables_find(out, v->store, &v->indexes, pack, err);
}

/* The points asked for, or all. */
static int
choose_points(struct verify *v, struct err *err)
{
	uint8_t id[OBJECT_ID_BYTES];
	size_t i;

	if (v->options->points == NULL)
		return idset_list(
		    &v->points, v->store->backend, OBJECT_MANIFEST, err);
	for (i = 0; i < v->options->point_count; i++) {
		if (!hexid_valid(v->options->points[i]) ||
		    hex_decode(id, sizeof(id), v->options->points[i]) == -1)
			return err_set(err, ERR_ARG,
			    "'%.40s' is no id of a "
			    "point",
			    v->options->points[i]);
		if (idset_add(&v->points, id, err) == -1)
			return -1;
	}
	idset_sort(&v->points);
	return 0;
}

static void
tell_bad_marks(struct verify *v)
{
	char key[OBJECT_KEY_SIZE];
	size_t i;

	for (i = 0; v->options->points == NULL && i < v->damage.bad.count; i++)
		verify_tell_object(v,
		    object_key(key, OBJECT_DAMAGE, v->damage.bad.ids[i]),
		    "the mark cannot be read");
}

/* What is there, and what was found to be damaged before. */
static int
look(struct verify *v, struct err *err)
{
	struct backend *b = v->store->backend;

	/* Indexes are listed before packs, so that none seems to name a pack
	 * that is yet to come. */
	if (store_sync(v->store, SYNC_TABLES, true, err) == -1 ||
	    idset_list(&v->indexes, b, OBJECT_INDEX, err) == -1 ||
	    idset_list(&v->packs, b, OBJECT_PACK, err) == -1 ||
	    damage_load(&v->damage, b, v->store->seal, err) == -1)
		return -1;
	v->result->marked_packs = v->packs.count;
	idset_subtract(&v->packs, &v->damage.packs);
	v->result->marked_packs -= v->packs.count;
	v->result->packs = v->packs.count;
	if (marks_init(&v->marks, &v->packs, err) == -1)
		return -1;
	tell_bad_marks(v);
	return choose_points(v, err);
}

int
verify_run(struct verify *v, struct err *err)
{
	if (look(v, err) == -1)
		return -1;
	if ((v->options->points == NULL && verify_small(v, err) == -1) ||
	    check_indexes(v, err) == -1 || verify_mark_points(v, err) == -1 ||
	    verify_packs(v, err) == -1)
		return -1;
	if (!v->hurt && v->bad_count == 0)
		return 0;
	/* A prune may have moved what seems to be missing. */
	if (store_sync(v->store, SYNC_TABLES, true, err) == -1)
		return -1;
	return verify_tell_points(v, err);
}

int
verify_init(struct verify *v, struct store *s,
    const struct store_verify_options *options, store_damage_fn *fn, void *arg,
    struct store_verify_result *result, struct err *err)
{
	memset(v, 0, sizeof(*v));
	memset(result, 0, sizeof(*result));
	if (host_refuse(s, "nothing can be verified", err) == -1)
		return -1;
	v->store = &v->view.store;
	v->options = options;
	v->fn = fn;
	v->arg = arg;
	v->result = result;
	if (options->budget_ms > 0)
		v->deadline_ms =
		    (uint64_t)clock_monotonic_ms() + options->budget_ms;
	/* From nothing: a cache is no witness. */
	if (view_open(&v->view, s, err) == -1)
		return -1;
	if (pthread_mutex_init(&v->lock, NULL) != 0) {
		view_close(&v->view);
		return err_no_memory(err);
	}
	v->store->quiet = true;
	if (copies_new(&v->view.store.copies, err) == 0)
		return 0;
	verify_fini(v);
	return -1;
}

void
verify_fini(struct verify *v)
{
	if (v->marks.packs != NULL)
		marks_fini(&v->marks);
	idset_fini(&v->indexes);
	idset_fini(&v->packs);
	idset_fini(&v->points);
	idset_fini(&v->missing);
	idset_fini(&v->bad_packs);
	idset_fini(&v->bad_indexes);
	idset_fini(&v->bad_points);
	idset_fini(&v->given_up);
	idset_fini(&v->strays);
	free(v->bad_small);
	idset_fini(&v->hurt_points);
	damage_fini(&v->damage);
	free(v->checked_ms);
	free(v->bad);
	free(v->lost);
	pthread_mutex_destroy(&v->lock);
	copies_free(v->view.store.copies);
	view_close(&v->view);
}

int
store_verify(struct store *s, const struct store_verify_options *options,
    store_damage_fn *fn, void *arg, struct store_verify_result *result,
    struct err *err)
{
	struct verify v;
	int rc;

	if (verify_init(&v, s, options, fn, arg, result, err) == -1)
		return -1;
	rc = verify_run(&v, err);
	if (rc == 0 && v.damage.count > 0)
		rc = verify_unmark_points(&v, err);
	verify_fini(&v);
	return rc;
}
