/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads back and checks: small objects, packs, and whether all that points
 * need is there.  Damage is told object by object, then point by point.
 */
#include <stdlib.h>
#include <string.h>

#include "common/ckd.h"
#include "store/seal/slot.h"
#include "store/verify_internal.h"

void
verify_tell_object(struct verify *v, const char *key, const char *what)
{
	struct store_damage damage = {
		.object = key, .what = what, .point = "", .disk = ""
	};

	pthread_mutex_lock(&v->lock);
	v->result->damaged_objects++;
	if (v->fn != NULL)
		v->fn(v->arg, &damage);
	pthread_mutex_unlock(&v->lock);
}

void *
verify_grow(void *array, size_t count, size_t *capacity, size_t each)
{
	size_t wanted = *capacity > 0 ? *capacity * 2 : 64, bytes;
	void *grown;

	if (count < *capacity)
		return array;
	if (ckd_mul(&bytes, wanted, each) ||
	    (grown = realloc(array, bytes)) == NULL)
		return NULL;
	*capacity = wanted;
	return grown;
}

int
verify_tell_or_fail(struct verify *v, const char *key, struct err *err)
{
	if (!store_worth_resync(err) && err->class != ERR_UNSUPPORTED)
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
		grown = verify_grow(
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

/* missing: packs told of already; another index may name them too. */
static int
check_index(
    struct verify *v, const uint8_t *id, struct idset *missing, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	struct index_set *set;
	unsigned int i;
	int rc = 0;

	object_key(key, OBJECT_INDEX, id);
	v->result->objects_checked++;
	if (index_get(&set, v->store->backend, v->store->seal, id, err) == -1)
		return verify_tell_or_fail(v, key, err);
	for (i = 0; rc == 0 && i < set->count; i++) {
		if (idset_has(&v->packs, set->packs[i].id) ||
		    idset_has(missing, set->packs[i].id))
			continue;
		if ((rc = idset_add(missing, set->packs[i].id, err)) == 0) {
			idset_sort(missing);
			rc = note_lost(v, &set->packs[i], err);
		}
	}
	index_set_free(set);
	return rc;
}

static int
check_indexes(struct verify *v, const struct idset *indexes, struct err *err)
{
	struct idset missing = { .ids = NULL };
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < indexes->count; i++)
		rc = check_index(v, indexes->ids[i], &missing, err);
	idset_fini(&missing);
	return rc;
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

static int
run(struct verify *v, struct err *err)
{
	struct idset indexes = { .ids = NULL };
	int rc = -1;

	/* From nothing: a cache is no witness.  Indexes are listed before
	 * packs, so that none seems to name a pack that is yet to come. */
	if (store_sync(v->store, SYNC_TABLES, true, err) == -1 ||
	    idset_list(&indexes, v->store->backend, OBJECT_INDEX, err) == -1 ||
	    idset_list(&v->packs, v->store->backend, OBJECT_PACK, err) == -1 ||
	    marks_init(&v->marks, &v->packs, err) == -1 ||
	    choose_points(v, err) == -1)
		goto out;
	if ((v->options->points == NULL && verify_small(v, err) == -1) ||
	    check_indexes(v, &indexes, err) == -1 ||
	    verify_mark_points(v, err) == -1 || verify_packs(v, err) == -1)
		goto out;
	rc = 0;
	if (v->hurt || v->bad_count > 0) {
		/* A prune may have moved what seems to be missing. */
		rc = store_sync(v->store, SYNC_TABLES, true, err);
		if (rc == 0)
			rc = verify_tell_points(v, err);
	}
out:
	idset_fini(&indexes);
	return rc;
}

int
store_verify(struct store *s, const struct store_verify_options *options,
    store_damage_fn *fn, void *arg, struct store_verify_result *result,
    struct err *err)
{
	struct verify v = { .store = s,
		.options = options,
		.fn = fn,
		.arg = arg,
		.result = result };
	int rc;

	memset(result, 0, sizeof(*result));
	pthread_mutex_init(&v.lock, NULL);
	rc = run(&v, err);
	if (v.marks.packs != NULL)
		marks_fini(&v.marks);
	idset_fini(&v.packs);
	idset_fini(&v.points);
	free(v.bad);
	free(v.lost);
	pthread_mutex_destroy(&v.lock);
	return rc;
}
