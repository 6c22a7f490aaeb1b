/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions registered, sealed, read; their beats. */
#include "store/sessions.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cancel.h"
#include "common/err.h"
#include "common/json/json.h"
#include "store/aside.h"
#include "store/numbered.h"
#include "store/store_internal.h"
#include "store/unread.h"

void
session_object_fini(struct session_object *o)
{
	idset_fini(&o->points);
}

static char *
prefix_of(char out[OBJECT_KEY_SIZE], uint64_t epoch)
{
	snprintf(out, OBJECT_KEY_SIZE, "sessions/%" PRIu64 "/", epoch);
	return out;
}

static char *
key_of(char out[OBJECT_KEY_SIZE], const struct session_name *name)
{
	snprintf(out, OBJECT_KEY_SIZE, "sessions/%" PRIu64 "/%" PRIu64,
	    name->epoch, name->number);
	return out;
}

/* ---- the object ---- */

static json_t *
to_json(const struct session_object *o)
{
	char hex[HEXID_SIZE], tag[2 * SESSION_TAG_BYTES + 1];
	json_t *points;
	size_t i;

	if (o->seal)
		return json_pack("{s:s}", "kind", "seal");
	if ((points = json_array()) == NULL)
		return NULL;
	for (i = 0; i < o->points.count; i++) {
		hex_encode(hex, o->points.ids[i], OBJECT_ID_BYTES);
		if (json_array_append_new(points, json_string(hex)) == -1) {
			json_decref(points);
			return NULL;
		}
	}
	hex_encode(tag, o->tag, sizeof(o->tag));
	return json_pack(
	    "{s:s, s:s, s:o}", "kind", "session", "tag", tag, "points", points);
}

static int
parse_points(struct session_object *o, const json_t *json, struct err *err)
{
	uint8_t id[OBJECT_ID_BYTES];
	const json_t *array;
	const char *text;
	size_t i;

	if (json_get_array(&array, json, "points", SESSION_POINTS_MAX, err) ==
	    -1)
		return -1;
	for (i = 0; i < json_array_size(array); i++) {
		text = json_string_value(json_array_get(array, i));
		if (text == NULL || !hexid_valid(text) ||
		    hex_decode(id, sizeof(id), text) == -1)
			return err_set(
			    err, ERR_CORRUPT, "a point's id is wrong");
		if (idset_add(&o->points, id, err) == -1)
			return -1;
	}
	return 0;
}

static int
parse(struct session_object *o, const json_t *json, struct err *err)
{
	char *kind = NULL, *tag = NULL;
	int rc = -1;

	if (json_get_string(&kind, json, "kind", 16, err) == -1)
		return -1;
	o->seal = strcmp(kind, "seal") == 0;
	if (o->seal) {
		rc = 0;
	} else if (strcmp(kind, "session") != 0) {
		err_set(err, ERR_CORRUPT, "its kind is wrong");
	} else if (json_get_string(
		       &tag, json, "tag", 2 * SESSION_TAG_BYTES, err) == 0) {
		if (strlen(tag) != 2 * SESSION_TAG_BYTES ||
		    hex_decode(o->tag, sizeof(o->tag), tag) == -1)
			err_set(err, ERR_CORRUPT, "its tag is wrong");
		else
			rc = parse_points(o, json, err);
	}
	free(kind);
	free(tag);
	return rc;
}

int
sessions_get(struct session_object *out, struct store *s,
    const struct session_name *name, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	json_t *json;
	int rc;

	*out = (struct session_object){ .seal = false };
	rc = numbered_get(
	    &json, s->backend, s->seal, key_of(key, name), OBJECT_SESSION, err);
	if (rc == 0) {
		if ((rc = parse(out, json, err)) == -1)
			err_prefix(err, "object '%s'", key);
		json_decref(json);
	}
	if (rc == 0)
		return 0;
	session_object_fini(out);
	*out = (struct session_object){ .unread = true };
	return aside_passes(s->backend, key, err) == 1 ? 0 : -1;
}

/* ---- registering and sealing ---- */

static int
is_seal(bool *out, struct store *s, const struct session_name *name,
    bool passing, struct err *err)
{
	struct session_object o;

	if (sessions_get(&o, s, name, err) == -1) {
		/* Behind what is damaged another seal does no harm. */
		if (!passing || !unread_is_damaged(err))
			return -1;
		err_clear(err);
		*out = false;
		return 0;
	}
	*out = o.seal;
	session_object_fini(&o);
	return 0;
}

/*
 * Puts o at the first free number of an epoch.  1: done; 0: the epoch is
 * sealed.  Nothing follows a seal, so the object before a free number tells.
 */
static int
put_last(struct session_name *name, struct store *s, uint64_t epoch,
    const struct session_object *o, struct err *err)
{
	char prefix[OBJECT_KEY_SIZE], key[OBJECT_KEY_SIZE];
	bool sealed = false;

	*name = (struct session_name){ .epoch = epoch };
	if (numbered_free(&name->number, s->backend, prefix_of(prefix, epoch),
		0, err) == -1)
		return -1;
	if (name->number > 0) {
		name->number--;
		if (is_seal(&sealed, s, name, o->seal, err) == -1)
			return -1;
		name->number++;
	}
	for (; !sealed; name->number++) {
		if (numbered_put(s->backend, s->seal, key_of(key, name),
			OBJECT_SESSION, to_json(o), err) == 0)
			return 1;
		if (err->class != ERR_EXISTS)
			return -1;
		err_clear(err);
		if (is_seal(&sealed, s, name, o->seal, err) == -1)
			return -1;
	}
	return 0;
}

/* The seal of an epoch is put once there is the next: who meets it finds that
 * one, or something is missing. */
static int
sealed_too_soon(uint64_t epoch, struct err *err)
{
	err_set(err, ERR_CORRUPT,
	    "epoch %" PRIu64
	    " is sealed, and there is no next one: 'epochs/%" PRIu64
	    "' is missing, or the seal is not a prune's",
	    epoch, epoch + 1);
	return err_hint(err,
	    "run 'holdstill repair', which puts an epoch that is not sealed");
}

int
sessions_register(struct session_name *out, struct epoch *epoch,
    struct store *s, const struct session_object *o, struct err *err)
{
	uint64_t sealed = UINT64_MAX;
	int rc;

	for (;;) {
		if (cancel_check(err) == -1 ||
		    epochs_newest(epoch, s, err) == -1)
			return -1;
		rc = epochs_settle(s, epoch, err);
		if (rc == 0 && epoch->number == sealed)
			rc = sealed_too_soon(sealed, err);
		if (rc == 0)
			rc = put_last(out, s, epoch->number, o, err);
		if (rc == 1)
			return 0;
		sealed = epoch->number;
		epoch_fini(epoch);
		if (rc == -1)
			return -1;
	}
}

int
sessions_open(struct store *s, uint64_t newest, struct err *err)
{
	char prefix[OBJECT_KEY_SIZE];
	struct session_name name = { .epoch = newest };
	bool sealed = false;
	struct epoch e;

	if (numbered_free(&name.number, s->backend, prefix_of(prefix, newest),
		0, err) == -1)
		return -1;
	if (name.number-- == 0)
		return 0;
	if (is_seal(&sealed, s, &name, false, err) == -1)
		return -1;
	if (!sealed)
		return 0;
	/* A prune may have put the next one since. */
	if (epochs_newest(&e, s, err) == -1)
		return -1;
	sealed = e.number == newest;
	epoch_fini(&e);
	return sealed ? sealed_too_soon(newest, err) : 0;
}

int
sessions_seal(struct store *s, uint64_t epoch, struct err *err)
{
	const struct session_object seal = { .seal = true };
	struct session_name name;

	return put_last(&name, s, epoch, &seal, err) == -1 ? -1 : 0;
}

/* ---- beats ---- */

static char *
beats_prefix(char out[OBJECT_KEY_SIZE], const struct session_name *name)
{
	snprintf(out, OBJECT_KEY_SIZE, "beats/%" PRIu64 "/%" PRIu64 "/",
	    name->epoch, name->number);
	return out;
}

static char *
beat_key(
    char out[OBJECT_KEY_SIZE], const struct session_name *name, uint64_t beat)
{
	char prefix[OBJECT_KEY_SIZE];

	snprintf(out, OBJECT_KEY_SIZE, "%.70s%" PRIu64,
	    beats_prefix(prefix, name), beat);
	return out;
}

int
sessions_beat(struct store *s, const struct session_name *name, uint64_t beat,
    struct err *err)
{
	char key[OBJECT_KEY_SIZE];

	return numbered_put(s->backend, s->seal, beat_key(key, name, beat),
	    OBJECT_BEAT, json_object(), err);
}

int
sessions_beats(uint64_t *out, struct store *s, const struct session_name *name,
    uint64_t from, struct err *err)
{
	char prefix[OBJECT_KEY_SIZE];

	return numbered_free(
	    out, s->backend, beats_prefix(prefix, name), from, err);
}

void
sessions_drop_beats(
    struct store *s, const struct session_name *name, uint64_t count)
{
	struct err ignored = ERR_INIT;
	char key[OBJECT_KEY_SIZE];

	while (count-- > 0)
		backend_remove(
		    s->backend, beat_key(key, name, count), &ignored);
}

static int
remove_shown(void *arg, const char *key, uint64_t size_bytes)
{
	struct err ignored = ERR_INIT;

	(void)size_bytes;
	backend_remove(arg, key, &ignored);
	return 0;
}

void
sessions_drop_listed_beats(struct store *s, const struct session_name *name)
{
	struct err ignored = ERR_INIT;
	char prefix[OBJECT_KEY_SIZE];

	backend_list(s->backend, beats_prefix(prefix, name), remove_shown,
	    s->backend, &ignored);
}

void
sessions_tidy(struct store *s, uint64_t decided)
{
	numbered_sweep(s->backend, "beats/", decided);
}
