/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sessions should have told of: points that none of them names, and
 * beats of sessions that cannot be read.
 */
#include "common/err.h"
#include "store/prune.h"

/* ---- points ---- */

static int
look_at(
    struct prune *p, const uint8_t *id, struct idset *buried, struct err *err)
{
	enum point_state state;
	struct forgotten f;

	/* Most are tombstones, which stay, so each is looked at once. */
	if (points_look(&state, NULL, p->store, id, err) == 0 &&
	    state != POINT_MANIFEST)
		return state == POINT_TOMBSTONE ? idset_add(buried, id, err)
						: 0;
	err_clear(err);
	/* What an earlier prune has left of one that is gone. */
	if (forgotten_get(&f, p->store, id, err) == -1)
		return -1;
	if (f.word == FORGOTTEN_GONE)
		return 0;
	if (prune_look_at(p, &state, id, err) == -1)
		return -1;
	p->result->points_stray += state == POINT_MANIFEST;
	return 0;
}

int
prune_strays(struct prune *p, const struct idset *listed, struct err *err)
{
	struct idset buried = { .ids = NULL };
	const uint8_t *id;
	size_t i;
	int rc = 0;

	p->result->points_stray = 0;
	idset_sort(&p->named);
	for (i = 0; rc == 0 && i < listed->count; i++) {
		id = listed->ids[i];
		if (!idset_has(&p->epoch.roll, id) &&
		    !idset_has(&p->named, id) && !idset_has(&p->buried, id))
			rc = look_at(p, id, &buried, err);
	}
	for (i = 0; rc == 0 && i < buried.count; i++)
		rc = idset_add(&p->buried, buried.ids[i], err);
	idset_fini(&buried);
	idset_sort(&p->buried);
	return rc;
}

/* ---- sessions ---- */

static int
add_unknown(void *arg, const struct session_name *name, struct err *err)
{
	const struct session_object o = { .unread = true };
	struct idset none = { .ids = NULL };
	struct prune *p = arg;

	if (name->epoch > p->epoch.number)
		return 0;
	return prune_add_session(p, name, &o, &none, err);
}

int
prune_find_unknown(struct prune *p, struct err *err)
{
	return sessions_unknown(
	    p->store, p->epoch.decided, add_unknown, p, err);
}
