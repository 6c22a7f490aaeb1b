/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sessions and prunes tell one another (docs/prune.md), repaired: nobody
 * waits any more for what cannot be read, and each point is named again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "store/aside.h"
#include "store/numbered.h"
#include "store/points.h"
#include "store/repair_internal.h"
#include "store/strays.h"
#include "store/unread.h"

/* ---- set aside, and left where they are ---- */

/* Nobody is to take the place behind a seal that cannot be read.  An epoch has
 * one if there is the next. */
static int
seal_behind(struct store *s, const char *session, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	const char *rest;
	uint64_t epoch;
	int rc;

	if (!numbered_parse_part(&epoch, &rest, "sessions/", session))
		return 0;
	snprintf(key, sizeof(key), "epochs/%" PRIu64, epoch + 1);
	rc = backend_has(s->backend, key, NULL, err);
	return rc == 1 ? sessions_seal(s, epoch, err) : rc;
}

static int
set_aside(struct repair *r, const char *key, struct err *err)
{
	struct store *s = r->verify.store;

	if (seal_behind(s, key, err) == -1)
		return -1;
	if (aside_put(s->backend, key, err) == -1) {
		if (err->class != ERR_NOT_FOUND)
			return -1;
		err_clear(err); /* It has gone since. */
		return 0;
	}
	log_line(LOG_NOTICE,
	    "'%s' cannot be read: a copy is at 'aside/%s', and from now on all "
	    "go on without it",
	    key, key);
	r->result->objects_aside++;
	return 0;
}

/* ---- the chain of epochs ---- */

/* The newest that a point tells of: for a chain of which nothing is left. */
static int
find_least(uint64_t *least, struct repair *r, struct err *err)
{
	struct verify *v = &r->verify;
	struct manifest *m;
	char id[HEXID_SIZE];
	size_t i;

	*least = 0;
	for (i = 0; i < v->points.count; i++) {
		hex_encode(id, v->points.ids[i], OBJECT_ID_BYTES);
		if (store_manifest_read(&m, v->store, id, err) == -1) {
			if (!verify_is_damage(v, err))
				return -1;
			err_clear(err);
			continue;
		}
		*least = m->epoch > *least ? m->epoch : *least;
		manifest_free(m);
	}
	return 0;
}

/* 1: others can register; 0: they cannot; -1. */
static int
is_open(struct store *s, struct err *err)
{
	struct epoch e;
	int rc;

	if (epochs_newest(&e, s, err) == 0) {
		rc = sessions_open(s, e.number, err);
		epoch_fini(&e);
		if (rc == 0)
			return 1;
	}
	if (!unread_is_damaged(err))
		return -1;
	err_clear(err);
	return 0;
}

static int
mend_chain(struct repair *r, struct err *err)
{
	struct store *s = r->verify.store;
	uint64_t least, number;
	int rc = is_open(s, err);

	if (rc != 0)
		return rc == -1 ? -1 : 0;
	if (find_least(&least, r, err) == -1 ||
	    epochs_mend(&number, s, least, err) == -1)
		return -1;
	log_line(LOG_NOTICE,
	    "epoch %" PRIu64 " begins anew: of the one before something is "
	    "damaged or missing",
	    number);
	r->result->epoch_begun = true;
	return 0;
}

/* Of a chain that is bad: not if all that is wrong is a session of the newest,
 * which is set aside. */
static int
would_begin(struct repair *r, struct err *err)
{
	struct verify *v = &r->verify;
	char prefix[OBJECT_KEY_SIZE];
	struct epoch e;
	size_t i;

	r->result->epoch_begun = true;
	if (epochs_newest(&e, v->store, err) == -1) {
		if (!unread_is_damaged(err))
			return -1;
		err_clear(err);
		return 0;
	}
	snprintf(prefix, sizeof(prefix), "sessions/%" PRIu64 "/", e.number);
	for (i = 0; i < v->bad_small_count; i++) {
		if (strncmp(v->bad_small[i], prefix, strlen(prefix)) == 0)
			r->result->epoch_begun = false;
	}
	epoch_fini(&e);
	return 0;
}

int
repair_ledger(struct repair *r, struct err *err)
{
	struct verify *v = &r->verify;
	size_t i;

	if (r->options->dry_run) {
		r->result->objects_aside += v->bad_small_count;
		return v->bad_chain ? would_begin(r, err) : 0;
	}
	for (i = 0; i < v->bad_small_count; i++) {
		if (set_aside(r, v->bad_small[i], err) == -1)
			return -1;
	}
	return v->bad_chain ? mend_chain(r, err) : 0;
}

/* ---- points that nobody names ---- */

/* As a session that has committed them: whoever comes next finds them by its
 * number. */
static int
enter(struct repair *r, const struct idset *strays, struct err *err)
{
	struct session_object o = { .seal = false };
	struct session_name name;
	struct epoch e;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < strays->count; i++) {
		rc = idset_add(&o.points, strays->ids[i], err);
		if (rc == -1 || (o.points.count < SESSION_POINTS_MAX / 4 &&
				    i + 1 < strays->count))
			continue;
		rc = hexid_random(o.tag, sizeof(o.tag), err);
		if (rc == 0)
			rc = sessions_register(
			    &name, &e, r->verify.store, &o, err);
		if (rc == 0)
			epoch_fini(&e);
		r->result->points_entered += rc == 0 ? o.points.count : 0;
		idset_fini(&o.points);
	}
	idset_fini(&o.points);
	return rc;
}

static int
fill_gaps(struct repair *r, struct err *err)
{
	struct store *s = r->verify.store;
	uint64_t number;
	struct epoch e;
	int rc = 0;

	if (epochs_newest(&e, s, err) == -1)
		return -1;
	for (number = e.decided; rc == 0 && number <= e.number; number++)
		rc = sessions_fill(s, number, err);
	epoch_fini(&e);
	return rc;
}

int
repair_enter_strays(struct repair *r, struct err *err)
{
	struct store *s = r->verify.store;
	struct idset points, strays = { .ids = NULL };
	int rc = -1;

	if (r->options->dry_run) {
		r->result->points_entered = r->verify.strays.count;
		return 0;
	}
	if (idset_list(&points, s->backend, OBJECT_MANIFEST, err) == -1)
		return -1;
	if (fill_gaps(r, err) == 0 &&
	    strays_find(&strays, s, &points, err) == 0)
		rc = enter(r, &strays, err);
	if (rc == 0 && r->result->points_entered > 0)
		log_line(LOG_NOTICE,
		    "points that no session and no epoch named are named "
		    "again: %" PRIu64,
		    r->result->points_entered);
	idset_fini(&points);
	idset_fini(&strays);
	return rc;
}
