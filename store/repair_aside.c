/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes and manifests that cannot be read: kept where nobody reads them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "store/aside.h"
#include "store/points.h"
#include "store/repair_internal.h"
#include "store/unread.h"

/* Of words that others say at the same time. */
#define WORD_TRIES 16
struct copy {
	const char *key; /* Of what is set aside. */
	void *bytes;
	size_t size;
};

/* 1: these bytes are under the name, to stay; 0: other bytes are. */
static int
is_copy(
    struct backend *b, const char *name, const struct copy *c, struct err *err)
{
	void *bytes;
	size_t size;
	int same;

	if (backend_settle(b, name, err) == -1)
		return -1;
	if (backend_get_all(b, name, BACKEND_OBJECT_MAX, &bytes, &size, err) ==
	    -1) {
		if (!unread_is_own(b, err))
			return -1;
		err_clear(err);
		return 0;
	}
	same = size == c->size && memcmp(bytes, c->bytes, size) == 0;
	free(bytes);
	return same;
}

/*
 * A copy that is there already, of a repair that was killed after it, serves
 * if it is one; else there is a further name, by chance: whoever may add could
 * take those that can be guessed.
 */
static int
put_copy(struct backend *b, const struct copy *c, struct err *err)
{
	char first[ASIDE_KEY_SIZE], id[HEXID_SIZE];
	char name[ASIDE_KEY_SIZE + HEXID_SIZE];
	int rc;

	aside_key(first, c->key);
	if (backend_put(b, first, c->bytes, c->size, err) == 0)
		return 0;
	if (err->class != ERR_EXISTS)
		return -1;
	err_clear(err);
	if ((rc = is_copy(b, first, c, err)) != 0)
		return rc == 1 ? 0 : -1;
	if (hexid_new(id, err) == -1)
		return -1;
	snprintf(name, sizeof(name), "%s.%s", first, id);
	log_line(LOG_NOTICE,
	    "'%s' is something else: '%s' is set aside as '%s'", first, c->key,
	    name);
	return backend_put(b, name, c->bytes, c->size, err);
}

/* 1: the copy is there; 0: the object is gone, or a disk cannot read it. */
static int
copy_aside(struct repair *r, const char *key, struct err *err)
{
	struct backend *b = r->verify.store->backend;
	struct copy c = { .key = key };
	int rc;

	if (backend_get_all(
		b, key, BACKEND_OBJECT_MAX, &c.bytes, &c.size, err) == -1) {
		if (!unread_is_own(b, err))
			return -1;
		log_line(LOG_WARNING, "left where it is: %s", err->text);
		err_clear(err);
		return 0;
	}
	rc = put_copy(b, &c, err);
	free(c.bytes);
	return rc == -1 ? -1 : 1;
}

/* What could not be copied: is it there still? */
static bool
count_left(struct repair *r, const char *key)
{
	struct err err = ERR_INIT;

	if (backend_has(r->verify.store->backend, key, NULL, &err) == 0)
		return false;
	r->result->objects_left++;
	return true;
}

static int
take_away(struct repair *r, const char *key, struct err *err)
{
	if (backend_remove(r->verify.store->backend, key, err) == -1)
		return -1;
	r->result->objects_aside++;
	return 0;
}

/* ---- indexes ---- */

/* Whatever packs the unreadable indexes named get new ones first. */
int
repair_aside_indexes(struct repair *r, struct err *err)
{
	const struct idset *ids = &r->verify.bad_indexes;
	struct store *s = r->verify.store;
	char key[OBJECT_KEY_SIZE];
	struct idset read;
	size_t i;
	int rc = 0;

	if (r->options->dry_run)
		r->result->objects_aside += ids->count;
	if (r->options->dry_run || ids->count == 0)
		return 0;
	if (store_sync_session(s, &r->session->epoch, err) == -1 ||
	    localindex_indexes(&read, s->index, err) == -1)
		return -1;
	for (i = 0; rc != -1 && i < ids->count; i++) {
		/* It can be read after all, and names its packs for good. */
		if (idset_has(&read, ids->ids[i]))
			continue;
		object_key(key, OBJECT_INDEX, ids->ids[i]);
		if ((rc = copy_aside(r, key, err)) == 0)
			count_left(r, key);
		else if (rc == 1)
			rc = take_away(r, key, err);
	}
	idset_fini(&read);
	return rc == -1 ? -1 : 0;
}

/* ---- points ---- */

/* The last word: who asks whether the point was ever there has to find one
 * (docs/prune.md), and a prune that finds no manifest waits for nobody. */
static int
say_gone(struct repair *r, const uint8_t *id, struct err *err)
{
	struct store *s = r->verify.store;
	struct forgotten f;
	int tries;

	for (tries = 0; tries < WORD_TRIES; tries++) {
		err_clear(err);
		if (forgotten_get(&f, s, id, err) == -1)
			return -1;
		if (f.word == FORGOTTEN_GONE ||
		    forgotten_say(s, id, f.count, FORGOTTEN_GONE, err) == 0)
			return 0;
		if (err->class != ERR_EXISTS)
			return -1;
	}
	return -1;
}

struct unread {
	const uint8_t *id;
	bool forgotten; /* And so nobody's loss. */
	char why[sizeof(((struct err *)NULL)->text)];
};

static void
tell_lost(struct repair *r, const struct unread *u, bool aside)
{
	char hex[HEXID_SIZE];

	if (u->forgotten)
		return;
	hex_encode(hex, u->id, OBJECT_ID_BYTES);
	r->result->points_lost++;
	if (r->options->lost != NULL)
		r->options->lost(r->arg, hex, u->why, aside);
}

/* 1: it still cannot be read: *u says why; 2: a disk cannot read it; 0: it
 * can, or is gone.  It goes for good, so it is read once more. */
static int
look_again(
    struct unread *u, struct repair *r, const uint8_t *id, struct err *err)
{
	struct store *s = r->verify.store;
	enum point_state state;
	struct forgotten f;
	int rc;

	if (points_look(&state, NULL, s, id, err) == 0)
		return 0;
	rc = err->class == ERR_CORRUPT ? 1 : 2;
	if (rc == 2 && err->sys_errno != EIO)
		return -1;
	*u = (struct unread){ .id = id };
	snprintf(u->why, sizeof(u->why), "%s", err->text);
	err_clear(err);
	if (forgotten_get(&f, s, id, err) == 0)
		u->forgotten = f.word == FORGOTTEN_FORGOTTEN;
	else if (!verify_is_damage(&r->verify, err))
		return -1;
	err_clear(err);
	return rc;
}

static int
aside_point(struct repair *r, const uint8_t *id, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	struct unread u;
	int rc = look_again(&u, r, id, err);

	if (rc <= 0)
		return rc;
	object_key(key, OBJECT_MANIFEST, id);
	if (rc == 2)
		log_line(LOG_WARNING, "left where it is: %s", u.why);
	else if ((rc = copy_aside(r, key, err)) == -1)
		return -1;
	if (rc != 1) {
		if (count_left(r, key))
			tell_lost(r, &u, false);
		return 0;
	}
	if (say_gone(r, id, err) == -1 || take_away(r, key, err) == -1)
		return -1;
	tell_lost(r, &u, true);
	return 0;
}

/* What would be done. */
static int
tell_points(struct repair *r, struct err *err)
{
	const struct idset *ids = &r->verify.bad_points;
	struct unread u;
	size_t i;
	int rc;

	for (i = 0; i < ids->count; i++) {
		if ((rc = look_again(&u, r, ids->ids[i], err)) == -1)
			return -1;
		if (rc == 0)
			continue;
		tell_lost(r, &u, rc == 1);
		r->result->objects_aside += rc == 1;
		r->result->objects_left += rc == 2;
	}
	return 0;
}

int
repair_aside_points(struct repair *r, struct err *err)
{
	const struct idset *ids = &r->verify.bad_points;
	size_t i;

	if (r->options->dry_run)
		return tell_points(r, err);
	for (i = 0; i < ids->count; i++)
		if (aside_point(r, ids->ids[i], err) == -1)
			return -1;
	return 0;
}

/* ---- marks ---- */

/* What they said is found again, and was. */
int
repair_aside_marks(struct repair *r, struct err *err)
{
	const struct idset *ids = &r->verify.damage.bad;
	char key[OBJECT_KEY_SIZE];
	size_t i;
	int rc;

	if (r->options->dry_run)
		r->result->objects_aside += ids->count;
	for (i = 0; !r->options->dry_run && i < ids->count; i++) {
		object_key(key, OBJECT_DAMAGE, ids->ids[i]);
		rc = copy_aside(r, key, err);
		if (rc == 0)
			count_left(r, key);
		if (rc == -1 || (rc == 1 && take_away(r, key, err) == -1))
			return -1;
	}
	return 0;
}
