/* SPDX-License-Identifier: Apache-2.0 */
/* Points that nobody names. */
#include "store/strays.h"

#include "common/err.h"
#include "store/points.h"
#include "store/sessions.h"
#include "store/unread.h"

static int
note_points(void *arg, const struct session_name *name,
    const struct session_object *o, struct err *err)
{
	size_t i;

	(void)name;
	for (i = 0; i < o->points.count; i++) {
		if (idset_add(arg, o->points.ids[i], err) == -1)
			return -1;
	}
	return 0;
}

/* What the newest epoch and the sessions since tell of. */
static int
find_named(struct idset *out, struct store *s, struct err *err)
{
	uint64_t number;
	struct epoch e;
	int rc = 0;

	if (epochs_newest(&e, s, err) == -1)
		return -1;
	for (number = e.decided; rc == 0 && number <= e.number; number++)
		rc = sessions_each(s, number, note_points, out, err);
	for (number = 0; rc == 0 && number < e.roll.count; number++)
		rc = idset_add(out, e.roll.ids[number], err);
	epoch_fini(&e);
	idset_sort(out);
	return rc;
}

/* 1, 0, -1.  One that cannot be read is told of as damage. */
static int
is_there(struct store *s, const uint8_t *id, struct err *err)
{
	enum point_state state;
	struct forgotten f;

	if (points_look(&state, NULL, s, id, err) == -1) {
		if (!unread_is_damaged(err) && err->class != ERR_UNSUPPORTED)
			return -1;
		err_clear(err);
		return 0;
	}
	if (state != POINT_MANIFEST)
		return 0;
	if (forgotten_get(&f, s, id, err) == -1)
		return -1;
	return f.word != FORGOTTEN_GONE;
}

int
strays_find(struct idset *out, struct store *s, const struct idset *listed,
    struct err *err)
{
	struct idset named = { .ids = NULL };
	int rc = find_named(&named, s, err);
	size_t i;

	*out = (struct idset){ .ids = NULL };
	for (i = 0; rc != -1 && i < listed->count; i++) {
		if (idset_has(&named, listed->ids[i]))
			continue;
		if ((rc = is_there(s, listed->ids[i], err)) == 1)
			rc = idset_add(out, listed->ids[i], err);
	}
	idset_fini(&named);
	if (rc == -1)
		idset_fini(out);
	return rc == -1 ? -1 : 0;
}
