/* SPDX-License-Identifier: Apache-2.0 */
/* Which points a damaged or missing object hurts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/host.h"
#include "store/verify_internal.h"

#define TOLD_MAX 32u

/* One disk of one point; objects that were told of for it. */
struct teller {
	struct verify *verify;
	const char *point;
	const char *disk;
	const struct walk *walk;
	struct hurt_disk lost;
	uint8_t told[TOLD_MAX][OBJECT_ID_BYTES];
	unsigned int told_count;
	bool hurt;
};

typedef int point_fn(
    struct verify *v, const char *id, struct manifest *m, struct err *err);

/* Reads each manifest; one that is damaged is told of as object and point. */
static int
each_point(struct verify *v, bool tell, point_fn *fn, struct err *err)
{
	char key[OBJECT_KEY_SIZE], id[HEXID_SIZE];
	struct store_damage damage = { .object = key, .disk = "" };
	struct manifest *m;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < v->points.count; i++) {
		hex_encode(id, v->points.ids[i], OBJECT_ID_BYTES);
		if (store_manifest_read(&m, v->store, id, err) == 0) {
			rc = fn(v, id, m, err);
			manifest_free(m);
			continue;
		}
		if (!verify_is_damage(v, err))
			return -1;
		/* Given up, or removed since it was listed. */
		if (err->class == ERR_NOT_FOUND && v->options->points == NULL) {
			err_clear(err);
			if (tell && idset_add(&v->given_up, v->points.ids[i],
					err) == -1)
				return -1;
			continue;
		}
		object_key(key, OBJECT_MANIFEST, v->points.ids[i]);
		damage.what = err->text;
		damage.point = id;
		if (tell &&
		    idset_add(&v->bad_points, v->points.ids[i], err) == -1)
			return -1;
		if (tell) {
			v->result->damaged_objects++;
			v->result->damaged_points++;
			verify_tell(v, damage);
		}
		err_clear(err);
	}
	return rc;
}

static int
note_hurt(void *arg, enum blob_type type, const uint8_t hash[DIGEST_BYTES],
    const struct blob_place *place, const struct err *why, struct err *err)
{
	(void)type;
	(void)hash;
	(void)err;
	if (place == NULL || why != NULL)
		((struct verify *)arg)->hurt = true;
	return 0;
}

static int
mark_point(
    struct verify *v, const char *id, struct manifest *m, struct err *err)
{
	struct walk w = {
		.store = v->store, .marks = &v->marks, .fn = note_hurt, .arg = v
	};
	size_t i;

	(void)id;
	v->result->points_checked++;
	v->result->objects_checked++;
	for (i = 0; i < m->disk_count; i++) {
		if (walk_disk(&w, &m->disks[i], err) == -1)
			return -1;
	}
	return 0;
}

int
verify_mark_points(struct verify *v, struct err *err)
{
	struct host_links links = { .link = NULL };
	int rc;

	host_take_down(v->store, &links);
	rc = each_point(v, true, mark_point, err);
	host_take_down(v->store, NULL);
	if (rc == 0)
		rc = verify_chains(v, &links, err);
	free(links.link);
	return rc;
}

static void
tell(struct teller *t, const uint8_t *pack, const char *what)
{
	static const uint8_t unknown[OBJECT_ID_BYTES];
	const uint8_t *id = pack == NULL ? unknown : pack;
	struct store_damage damage = { .point = t->point, .disk = t->disk };
	char key[OBJECT_KEY_SIZE];
	unsigned int i;

	t->hurt = true;
	for (i = 0; i < t->told_count; i++) {
		if (memcmp(t->told[i], id, OBJECT_ID_BYTES) == 0)
			return;
	}
	if (t->told_count == TOLD_MAX)
		return;
	memcpy(t->told[t->told_count++], id, OBJECT_ID_BYTES);
	damage.object =
	    pack == NULL ? "packs/" : object_key(key, OBJECT_PACK, pack);
	damage.what = what;
	verify_tell(t->verify, damage);
}

/* An object is damage by itself only if some point needs it. */
static void
tell_lost(struct verify *v, const struct verify_lost *lost)
{
	char key[OBJECT_KEY_SIZE];
	size_t i;

	if (lost->told)
		return;
	for (i = 0; i < v->lost_count; i++) {
		if (memcmp(v->lost[i].pack, lost->pack, OBJECT_ID_BYTES) == 0)
			v->lost[i].told = true;
	}
	verify_tell_object(
	    v, object_key(key, OBJECT_PACK, lost->pack), "it is missing");
}

static void
tell_missing(struct teller *t, enum blob_type type, const uint8_t *hash)
{
	struct verify *v = t->verify;
	struct verify_lost *lost = verify_find_lost(v, type, hash);

	if (lost == NULL) {
		tell(t, NULL, "no readable pack holds a block of the disk");
		return;
	}
	tell_lost(v, lost);
	tell(t, lost->pack, "the pack is missing");
}

/* Is it damaged where the index has it, and in all packs else? */
static int
is_lost(struct verify *v, enum blob_type type, const uint8_t *hash,
    const struct blob_place *place, struct err *err)
{
	struct copies_walk others;
	struct blob_place copy;
	int rc;

	if (!verify_is_bad(v, place))
		return 0;
	copies_begin(&others, v->store, type, hash, place);
	while ((rc = copies_next(&others, &copy, err)) == 1) {
		if (!verify_is_bad(v, &copy))
			return 0;
	}
	return rc == -1 ? -1 : 1;
}

static int
tell_blob(void *arg, enum blob_type type, const uint8_t hash[DIGEST_BYTES],
    const struct blob_place *place, const struct err *why, struct err *err)
{
	struct teller *t = arg;
	int rc;

	if (place != NULL && why == NULL &&
	    (rc = is_lost(t->verify, type, hash, place, err)) != 1)
		return rc;
	/* Forgotten, and removed by a prune under our hands, is no damage. */
	if ((place == NULL || why != NULL) &&
	    store_point_gone(t->verify->store, t->point))
		return 0;
	if (place == NULL)
		tell_missing(t, type, hash);
	else if (why != NULL)
		tell(t, place->pack, why->text);
	else
		tell(t, place->pack,
		    type == BLOB_MAP ? "a piece of the disk's map is damaged"
				     : "blocks of the disk are damaged");
	return hurt_add(
	    &t->lost, t->walk->first_block, t->walk->block_count, err);
}

static int
tell_disk(struct teller *t, const struct manifest_disk *disk, struct err *err)
{
	struct verify *v = t->verify;
	struct walk w = { .store = v->store, .fn = tell_blob, .arg = t };
	struct store_hurt hurt;
	int rc;

	t->disk = disk->target;
	t->told_count = 0;
	t->walk = &w;
	if (hurt_init(&t->lost, disk, err) == -1)
		return -1;
	rc = walk_disk(&w, disk, err);
	if (rc == 0 && t->lost.bytes > 0 && v->options->hurt != NULL) {
		hurt_view(&hurt, t->point, &t->lost);
		v->options->hurt(v->arg, &hurt);
	}
	hurt_fini(&t->lost);
	return rc;
}

static int
tell_point(
    struct verify *v, const char *id, struct manifest *m, struct err *err)
{
	struct teller t = { .verify = v, .point = id };
	uint8_t binary[OBJECT_ID_BYTES];
	size_t i;

	for (i = 0; i < m->disk_count; i++)
		if (tell_disk(&t, &m->disks[i], err) == -1)
			return -1;
	if (!t.hurt)
		return 0;
	v->result->damaged_points++;
	hex_decode(binary, sizeof(binary), id);
	return idset_add(&v->hurt_points, binary, err);
}

int
verify_tell_points(struct verify *v, struct err *err)
{
	int rc = each_point(v, false, tell_point, err);

	idset_sort(&v->hurt_points);
	return rc;
}
