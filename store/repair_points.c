/* SPDX-License-Identifier: Apache-2.0 */
/* Which points are marked, after all was saved that could be. */
#include <string.h>

#include "store/repair_internal.h"

static size_t
count_hurt(const struct hurt_disk *disks, size_t count)
{
	size_t i, hurt = 0;

	for (i = 0; i < count; i++)
		hurt += disks[i].bytes > 0;
	return hurt;
}

/* Does the mark say just this? */
static bool
says_it(
    const struct damage_mark *mark, const struct hurt_disk *disks, size_t count)
{
	size_t i, next = 0;

	if (mark->disk_count != count_hurt(disks, count))
		return false;
	for (i = 0; i < count; i++)
		if (disks[i].bytes > 0 &&
		    !hurt_same(&mark->disks[next++], &disks[i]))
			return false;
	return true;
}

static bool
is_of(const struct damage_mark *mark, const uint8_t *point)
{
	return mark->of_point &&
	       memcmp(mark->subject, point, OBJECT_ID_BYTES) == 0;
}

/* A mark that says what is true of the point, or NULL. */
static const struct damage_mark *
find_true(const struct repair *r, const uint8_t *point,
    const struct hurt_disk *disks, size_t count)
{
	const struct damage *d = &r->verify.damage;
	size_t i;

	for (i = 0; i < d->count; i++)
		if (is_of(&d->marks[i], point) &&
		    says_it(&d->marks[i], disks, count))
			return &d->marks[i];
	return NULL;
}

static int
remove_others(struct repair *r, const uint8_t *point,
    const struct damage_mark *kept, bool whole, struct err *err)
{
	const struct damage *d = &r->verify.damage;
	size_t i;

	for (i = 0; i < d->count; i++) {
		if (!is_of(&d->marks[i], point) || &d->marks[i] == kept)
			continue;
		if (damage_remove(
			r->verify.store->backend, &d->marks[i], err) == -1)
			return -1;
		r->result->marks_removed += whole;
	}
	return 0;
}

/* What a point lacks; 0 as well if it is gone.  A prune may have moved what
 * seems to be missing, so that is looked for once more. */
static int
hurt_after_all(struct hurt_disk **out, struct repair *r,
    const struct manifest *m, struct err *err)
{
	struct store *s = r->verify.store;
	int hurt = verify_hurt_of(out, s, m, err);

	if (hurt != 1)
		return hurt;
	hurt_free_all(*out, m->disk_count);
	if (store_sync(s, SYNC_TABLES, false, err) == -1)
		return -1;
	hurt = verify_hurt_of(out, s, m, err);
	return hurt == 1 && store_point_gone(s, m->id) ? 0 : hurt;
}

/* The new mark is there before an old one goes. */
static int
mark_point(struct repair *r, const uint8_t *point, const struct manifest *m,
    struct err *err)
{
	const struct store *s = r->verify.store;
	const struct damage_mark *kept = NULL;
	struct hurt_disk *disks;
	int hurt = hurt_after_all(&disks, r, m, err), rc = 0;

	if (hurt == -1)
		return -1;
	r->any_hurt = r->any_hurt || hurt == 1;
	if (hurt == 1)
		kept = find_true(r, point, disks, m->disk_count);
	if (hurt == 1 && kept == NULL) {
		rc = damage_put_point(
		    s->backend, s->seal, point, disks, m->disk_count, err);
		r->result->points_marked += rc == 0;
	}
	if (rc == 0)
		rc = remove_others(r, point, kept, hurt == 0, err);
	hurt_free_all(disks, m->disk_count);
	return rc;
}

/* Marks of points that were forgotten since. */
static int
drop_marks_of_gone(
    struct repair *r, const struct idset *points, struct err *err)
{
	struct verify *v = &r->verify;
	const struct damage_mark *mark;
	size_t i;

	for (i = 0; i < v->damage.count; i++) {
		mark = &v->damage.marks[i];
		if (!mark->of_point || idset_has(points, mark->subject))
			continue;
		if (damage_remove(v->store->backend, mark, err) == -1)
			return -1;
		r->result->marks_of_gone++;
	}
	return 0;
}

static int
mark_each(struct repair *r, const struct idset *points, struct err *err)
{
	char id[HEXID_SIZE];
	struct manifest *m;
	size_t i;
	int rc;

	for (i = 0; i < points->count; i++) {
		hex_encode(id, points->ids[i], OBJECT_ID_BYTES);
		if (store_manifest_read(&m, r->verify.store, id, err) == -1) {
			/* Forgotten meanwhile, or it could not be set aside. */
			if (!verify_is_damage(&r->verify, err))
				return -1;
			err_clear(err);
			continue;
		}
		rc = mark_point(r, points->ids[i], m, err);
		manifest_free(m);
		if (rc == -1)
			return -1;
	}
	return drop_marks_of_gone(r, points, err);
}

int
repair_mark_points(struct repair *r, struct err *err)
{
	struct idset points;
	int rc;

	if (idset_list(
		&points, r->verify.store->backend, OBJECT_MANIFEST, err) == -1)
		return -1;
	rc = mark_each(r, &points, err);
	idset_fini(&points);
	return rc;
}
