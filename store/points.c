/* SPDX-License-Identifier: Apache-2.0 */
/* Points: committed, given up, listed, read, forgotten and kept after all. */
#include "store/points.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/json/json.h"
#include "store/host.h"
#include "store/hostmemory.h"
#include "store/numbered.h"

#define MANIFEST_BODY_MAX (16u << 20)
#define COMMIT_TRIES 3

/* Key and binary id of a point; ERR_ARG if the text is no id. */
static int
point_key(char key[OBJECT_KEY_SIZE], uint8_t id[OBJECT_ID_BYTES],
    const char *text, struct err *err)
{
	if (!hexid_valid(text) || hex_decode(id, OBJECT_ID_BYTES, text) == -1)
		return err_set(
		    err, ERR_ARG, "'%.40s' is no id of a point", text);
	object_key(key, OBJECT_MANIFEST, id);
	return 0;
}

/* ---- reading ---- */

static int
parse(struct manifest **out, const char *text, size_t size, const char *id,
    struct err *err)
{
	struct manifest *m = NULL;
	json_t *json = NULL;
	int rc = -1;

	if (json_parse(&json, text, size, err) == -1 ||
	    manifest_from_json(&m, json, err) == -1)
		goto out;
	if (strcmp(m->id, id) != 0) {
		err_set(err, ERR_CORRUPT, "it bears another point's id");
		goto out;
	}
	*out = m;
	m = NULL;
	rc = 0;
out:
	json_decref(json);
	manifest_free(m);
	return rc;
}

/* Asked of what is no manifest.  False leaves *err, or says why it cannot be
 * told. */
static bool
is_tombstone(struct store *s, const char *key, struct err *err)
{
	struct err own = ERR_INIT;
	json_t *json;

	if (numbered_get(&json, s->backend, s->seal, key, OBJECT_TOMBSTONE,
		&own) == -1) {
		/* What could not be looked at is not therefore damaged. */
		if (own.class != ERR_CORRUPT && own.class != ERR_NOT_FOUND &&
		    own.class != ERR_UNSUPPORTED)
			*err = own;
		return false;
	}
	json_decref(json);
	return true;
}

/* A host opens no manifest.  It remembers its own: *text is NULL where it
 * does not. */
static int
get_on_host(char **text, size_t *size, struct store *s, const char *key,
    const uint8_t *id, struct err *err)
{
	struct hostmemory_point known = { .text = NULL };
	uint8_t hash[DIGEST_BYTES];

	if (hostmemory_point(&known, s->index, id, err) == -1)
		return -1;
	if (envelope_look(s->backend, s->seal, key, OBJECT_MANIFEST, id,
		MANIFEST_BODY_MAX, hash, err) == -1)
		goto fail;
	if (known.text != NULL && memcmp(hash, known.hash, sizeof(hash)) != 0) {
		err_set(err, ERR_CORRUPT,
		    "object '%s': it is not what this host has put there: "
		    "somebody has replaced it",
		    key);
		goto fail;
	}
	*text = known.text;
	*size = known.size;
	return 0;
fail:
	free(known.text);
	return -1;
}

static int
get_manifest(char **text, size_t *size, struct store *s, const char *key,
    const uint8_t *id, struct err *err)
{
	const struct envelope_marks marks = host_marks(s);

	if (store_is_host(s))
		return get_on_host(text, size, s, key, id, err);
	return envelope_get_marked(s->backend, s->seal, &marks, key,
	    OBJECT_MANIFEST, id, MANIFEST_BODY_MAX, text, size, err);
}

static int
not_ours(const char *id, struct err *err)
{
	err_set(err, ERR_AUTH,
	    "point %s is none of the newest of this host, and a host key opens "
	    "nothing",
	    id);
	return err_hint(err,
	    "give the owner's key, where that is kept: --passphrase-file or "
	    "--key-file");
}

int
points_look(enum point_state *out, struct manifest **m, struct store *s,
    const uint8_t id[OBJECT_ID_BYTES], struct err *err)
{
	char key[OBJECT_KEY_SIZE], hex[HEXID_SIZE], *text;
	struct manifest *own = NULL;
	size_t size;
	int rc;

	object_key(key, OBJECT_MANIFEST, id);
	hex_encode(hex, id, OBJECT_ID_BYTES);
	*out = POINT_NONE;
	if (get_manifest(&text, &size, s, key, id, err) == -1) {
		if (err->class == ERR_NOT_FOUND) {
			err_clear(err);
			return 0;
		}
		if (err->class != ERR_CORRUPT || !is_tombstone(s, key, err))
			return -1;
		err_clear(err);
		*out = POINT_TOMBSTONE;
		return 0;
	}
	*out = POINT_MANIFEST;
	if (text == NULL)
		return m == NULL ? 0 : not_ours(hex, err);
	rc = parse(&own, text, size, hex, err);
	free(text);
	if (rc == -1)
		return err_prefix(err, "object '%s'", key);
	if (m != NULL)
		*m = own;
	else
		manifest_free(own);
	return 0;
}

static int
is_remembered(struct store *s, const uint8_t *id, struct err *err)
{
	struct hostmemory_point known = { .text = NULL };
	int rc = hostmemory_point(&known, s->index, id, err);

	free(known.text);
	return rc;
}

int
store_manifest_read(
    struct manifest **out, struct store *s, const char *id, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	uint8_t binary[OBJECT_ID_BYTES];
	enum point_state state;
	int known;

	if (point_key(key, binary, id, err) == -1)
		return -1;
	/* Without a look at what could not be read. */
	if (store_is_host(s)) {
		if ((known = is_remembered(s, binary, err)) == -1)
			return -1;
		if (!known)
			return not_ours(id, err);
	}
	if (points_look(&state, out, s, binary, err) == -1)
		return -1;
	switch (state) {
	case POINT_MANIFEST:
		return 0;
	case POINT_TOMBSTONE:
		return err_set(err, ERR_NOT_FOUND,
		    "point %s was given up before it was finished", id);
	case POINT_NONE:
		break;
	}
	return err_set(err, ERR_NOT_FOUND, "there is no point %s", id);
}

bool
store_point_gone(struct store *s, const char *id)
{
	struct err err = ERR_INIT;
	struct manifest *m;

	if (store_manifest_read(&m, s, id, &err) == -1)
		return err.class == ERR_NOT_FOUND;
	manifest_free(m);
	return false;
}

/* ---- the commit ---- */

int
points_give_up(enum point_state *out, struct store *s,
    const uint8_t id[OBJECT_ID_BYTES], struct err *err)
{
	char key[OBJECT_KEY_SIZE];

	object_key(key, OBJECT_MANIFEST, id);
	*out = POINT_TOMBSTONE;
	if (numbered_put(s->backend, s->seal, key, OBJECT_TOMBSTONE,
		json_object(), err) == 0)
		return 0;
	if (err->class != ERR_EXISTS)
		return -1;
	err_clear(err);
	return points_look(out, NULL, s, id, err);
}

static void
given_up(struct err *err)
{
	err_set(err, ERR_TIMEOUT,
	    "the backup was given up: a prune saw no sign of life from it");
	err_hint(err, "what it stored is kept: run the backup again");
}

enum answer { MADE, NOT_YET, NEVER, UNKNOWN };

/* It can be seen; is it there to stay? */
static int
settle_point(struct store *s, const uint8_t *id, struct err *err)
{
	char key[OBJECT_KEY_SIZE];

	return backend_settle(
	    s->backend, object_key(key, OBJECT_MANIFEST, id), err);
}

/* Whoever put the manifest without an answer: is it there, may it be put
 * again, will it never be?  The last two with err. */
static enum answer
ask(struct store *s, const uint8_t *id, struct err *err)
{
	enum point_state state;
	struct forgotten f;

	if (points_look(&state, NULL, s, id, err) == -1)
		return UNKNOWN;
	if (state == POINT_MANIFEST)
		return settle_point(s, id, err) == 0 ? MADE : UNKNOWN;
	if (state == POINT_TOMBSTONE) {
		given_up(err);
		return NEVER;
	}
	/* It may have been there, and be gone already. */
	if (forgotten_get(&f, s, id, err) == -1)
		return UNKNOWN;
	if (f.count == 0)
		return NOT_YET;
	err_set(err, ERR_NOT_FOUND,
	    "the point was made, and has been forgotten and removed since");
	return NEVER;
}

/* No answer: the tombstone tells, for one put of the two has won. */
static int
settle(struct store *s, const uint8_t *id, struct err *err)
{
	struct err why = *err;
	enum point_state state;

	err_clear(err);
	if (points_give_up(&state, s, id, err) == -1 ||
	    (state == POINT_MANIFEST && settle_point(s, id, err) == -1)) {
		*err = why;
		return err_prefix(
		    err, "it is not known whether the point was made");
	}
	if (state == POINT_MANIFEST)
		return 0;
	*err = why;
	return -1;
}

/* A host cannot read what it has put: it remembers it before. */
static int
remember(struct store *s, const uint8_t *id, const char *text,
    const uint8_t *object, size_t size, struct err *err)
{
	struct hostmemory_point point = { .text = (char *)(uintptr_t)text,
		.size = strlen(text) };

	if (!store_is_host(s))
		return 0;
	memcpy(point.hash, object + size - DIGEST_BYTES, DIGEST_BYTES);
	return hostmemory_keep_point(s->index, id, &point, err);
}

/* The same bytes each time: a mark is made but once. */
static int
put_object(struct store *s, const char *key, const uint8_t *id,
    const uint8_t *object, size_t size, struct err *err)
{
	enum answer answer = NOT_YET;
	struct err why;
	int tries;

	for (tries = 0; answer == NOT_YET && tries < COMMIT_TRIES; tries++) {
		if (backend_put(s->backend, key, object, size, err) == 0)
			return 0;
		why = *err;
		err_clear(err);
		answer = ask(s, id, err);
	}
	if (answer == MADE)
		return 0;
	if (answer == NEVER)
		return -1;
	*err = why;
	return settle(s, id, err);
}

static int
put_manifest(struct store *s, const char *key, const uint8_t *id,
    const char *text, struct err *err)
{
	const struct envelope_body body = { text, strlen(text), true };
	const struct envelope_marks marks = host_marks(s);
	uint8_t *object;
	size_t size;
	int rc = -1;

	if (envelope_make(&object, &size, s->seal, &marks, key, OBJECT_MANIFEST,
		id, &body, err) == -1)
		return -1;
	if (remember(s, id, text, object, size, err) == 0)
		rc = put_object(s, key, id, object, size, err);
	free(object);
	return rc;
}

int
points_commit(struct store *s, const struct manifest *m, struct err *err)
{
	char key[OBJECT_KEY_SIZE], *text = NULL;
	uint8_t id[OBJECT_ID_BYTES];
	json_t *json;
	int rc = -1;

	if (point_key(key, id, m->id, err) == -1)
		return -1;
	json = manifest_to_json(m, true);
	if (json == NULL || (text = json_text(json, false)) == NULL)
		err_no_memory(err);
	else if (strlen(text) > MANIFEST_BODY_MAX)
		err_set(err, ERR_ARG, "the point's manifest is too large");
	else
		rc = put_manifest(s, key, id, text, err);
	free(text);
	json_decref(json);
	return rc;
}

int
store_point_was_forgotten(struct store *s, const char *id, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	uint8_t binary[OBJECT_ID_BYTES];
	struct forgotten f;

	if (point_key(key, binary, id, err) == -1 ||
	    forgotten_get(&f, s, binary, err) == -1)
		return -1;
	return f.word == FORGOTTEN_FORGOTTEN || f.word == FORGOTTEN_GONE;
}

/* ---- all points ---- */

/* Is the point forgotten, for now or for ever? */
static int
is_forgotten(bool *out, struct forgotten *f, struct store *s,
    const struct idset *said, const uint8_t *id, struct err *err)
{
	*out = false;
	if (!idset_has(said, id))
		return 0;
	if (forgotten_get(f, s, id, err) == -1)
		return -1;
	*out = f->word == FORGOTTEN_FORGOTTEN || f->word == FORGOTTEN_GONE;
	return 0;
}

/* kept is called for those that are not forgotten, lost for those that are;
 * either may be NULL. */
static int
each_point(struct store *s, store_point_fn *kept, store_forgotten_fn *lost,
    void *arg, struct err *err)
{
	struct idset points = { .ids = NULL }, said = { .ids = NULL };
	char hex[HEXID_SIZE];
	struct forgotten f;
	bool forgotten;
	int rc = -1, end = 0;
	size_t i;

	if (idset_list(&points, s->backend, OBJECT_MANIFEST, err) == -1 ||
	    forgotten_list(&said, s, err) == -1)
		goto out;
	for (i = 0; end == 0 && i < points.count; i++) {
		if (is_forgotten(
			&forgotten, &f, s, &said, points.ids[i], err) == -1)
			goto out;
		hex_encode(hex, points.ids[i], OBJECT_ID_BYTES);
		if (!forgotten && kept != NULL)
			end = kept(arg, hex);
		else if (forgotten && lost != NULL && f.word != FORGOTTEN_GONE)
			end = lost(arg, hex, f.time_ms);
	}
	rc = 0;
out:
	idset_fini(&points);
	idset_fini(&said);
	return rc;
}

int
store_points(struct store *s, store_point_fn *fn, void *arg, struct err *err)
{
	return each_point(s, fn, NULL, arg, err);
}

int
store_forgotten(
    struct store *s, store_forgotten_fn *fn, void *arg, struct err *err)
{
	return each_point(s, NULL, fn, arg, err);
}

/* ---- forget, and keep after all ---- */

/* Makes the last word on a point that is there `word`. */
static int
say(struct store *s, const char *text, enum forgotten_word word,
    struct err *err)
{
	uint8_t id[OBJECT_ID_BYTES];
	char key[OBJECT_KEY_SIZE];
	enum point_state state;
	struct forgotten f;
	uint64_t size;

	if (host_refuse(s, "no point can be forgotten or kept", err) == -1 ||
	    point_key(key, id, text, err) == -1 ||
	    backend_stat(s->backend, key, &size, err) == -1)
		return -1;
	/* A damaged manifest can be forgotten, a tombstone cannot. */
	if (points_look(&state, NULL, s, id, err) == 0) {
		if (state != POINT_MANIFEST)
			return err_set(
			    err, ERR_NOT_FOUND, "there is no point %s", text);
	} else if (err->class == ERR_NO_MEMORY) {
		return -1;
	}
	err_clear(err);
	for (;; err_clear(err)) {
		if (forgotten_get(&f, s, id, err) == -1)
			return -1;
		if (f.word == FORGOTTEN_GONE)
			return err_set(err, ERR_NOT_FOUND,
			    "point %s is gone: a prune has removed it", text);
		if (f.word == word ||
		    (word == FORGOTTEN_KEPT && f.word == FORGOTTEN_NONE))
			return 0;
		if (forgotten_say(s, id, f.count, word, err) == 0)
			return 0;
		if (err->class != ERR_EXISTS)
			return -1;
	}
}

int
store_point_forget(struct store *s, const char *id, struct err *err)
{
	return say(s, id, FORGOTTEN_FORGOTTEN, err);
}

int
store_point_unforget(struct store *s, const char *id, struct err *err)
{
	return say(s, id, FORGOTTEN_KEPT, err);
}
