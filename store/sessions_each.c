/* SPDX-License-Identifier: Apache-2.0 */
/* All sessions of an epoch, also where some are missing. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/json/json.h"
#include "store/grow.h"
#include "store/numbered.h"
#include "store/sessions.h"
#include "store/store_internal.h"

/* A key of a higher number is nobody's who counts from 0. */
#define GAPS_MAX 4096u

struct names {
	const char *prefix; /* "sessions/" or "beats/". */
	uint64_t from;      /* Epochs below this do not matter. */
	struct session_name *name;
	size_t count, capacity;
	bool failed;
};

static int
note_name(void *arg, const char *key, uint64_t size_bytes)
{
	struct names *n = arg;
	struct session_name name, *grown;
	const char *rest;

	(void)size_bytes;
	if (!numbered_parse_part(&name.epoch, &rest, n->prefix, key) ||
	    *rest != '/' || name.epoch < n->from ||
	    !numbered_parse_part(&name.number, &rest, "/", rest) ||
	    (*rest != '\0' && *rest != '/'))
		return 0;
	grown = grow_array(n->name, n->count, &n->capacity, sizeof(*n->name));
	if (grown == NULL) {
		n->failed = true;
		return 1;
	}
	n->name = grown;
	n->name[n->count++] = name;
	return 0;
}

static int
compare(const void *a, const void *b)
{
	const struct session_name *x = a, *y = b;

	if (x->epoch != y->epoch)
		return x->epoch < y->epoch ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

/* Rising, the names that a listing of `where` shows. */
static int
list_names(struct names *n, struct store *s, const char *where, struct err *err)
{
	if (backend_list(s->backend, where, note_name, n, err) == -1)
		return -1;
	if (n->failed)
		return err_no_memory(err);
	if (n->count > 1)
		qsort(n->name, n->count, sizeof(*n->name), compare);
	return 0;
}

static int
list_epoch(struct names *n, struct store *s, uint64_t epoch, struct err *err)
{
	char where[OBJECT_KEY_SIZE];

	*n = (struct names){ .prefix = "sessions/", .from = epoch };
	snprintf(where, sizeof(where), "sessions/%" PRIu64 "/", epoch);
	return list_names(n, s, where, err);
}

/* 1: it is there, of *seal; 0: it is not; -1. */
static int
visit(struct store *s, const struct session_name *name, bool *seal,
    session_fn *fn, void *arg, struct err *err)
{
	struct session_object o;
	int rc = 0;

	*seal = false;
	if (sessions_get(&o, s, name, err) == -1) {
		if (err->class != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		return 0;
	}
	*seal = o.seal;
	if (!o.seal)
		rc = fn(arg, name, &o, err);
	session_object_fini(&o);
	return rc == 0 ? 1 : -1;
}

int
sessions_each(
    struct store *s, uint64_t epoch, session_fn *fn, void *arg, struct err *err)
{
	struct session_name name = { .epoch = epoch };
	struct names n;
	bool seal = false;
	int rc = 1;
	size_t i;

	if (list_epoch(&n, s, epoch, err) == -1) {
		free(n.name);
		return -1;
	}
	for (; rc == 1 && !seal; name.number++)
		rc = visit(s, &name, &seal, fn, arg, err);
	for (i = 0; rc != -1 && i < n.count; i++) {
		if (n.name[i].number >= name.number)
			rc = visit(s, &n.name[i], &seal, fn, arg, err);
	}
	free(n.name);
	return rc == -1 ? -1 : 0;
}

int
sessions_fill(struct store *s, uint64_t epoch, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	uint64_t k = 0;
	struct names n;
	int rc = list_epoch(&n, s, epoch, err);
	size_t i;

	for (i = 0; rc == 0 && i < n.count; i++, k++) {
		if (n.name[i].number - k > GAPS_MAX)
			break;
		for (; rc == 0 && k < n.name[i].number; k++) {
			snprintf(key, sizeof(key),
			    "sessions/%" PRIu64 "/%" PRIu64, epoch, k);
			rc = numbered_put(s->backend, s->seal, key,
			    OBJECT_SESSION,
			    json_pack("{s:s, s:s, s:[]}", "kind", "session",
				"tag", "000000000000", "points"),
			    err);
			if (rc == -1 && err->class == ERR_EXISTS) {
				err_clear(err); /* The listing is late. */
				rc = 0;
			}
		}
	}
	free(n.name);
	return rc;
}

/* 1: nobody can say whose it is. */
static int
is_unknown(struct store *s, const struct session_name *name, struct err *err)
{
	struct session_object o;
	int unread;

	if (sessions_get(&o, s, name, err) == -1) {
		if (err->class != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		return 1;
	}
	unread = o.unread;
	session_object_fini(&o);
	return unread;
}

int
sessions_still_named(
    struct store *s, const struct session_name *name, struct err *err)
{
	struct err own = ERR_INIT;

	if (is_unknown(s, name, &own) != 1)
		return 0;
	err_set(err, ERR_NOT_FOUND,
	    "'sessions/%" PRIu64 "/%" PRIu64
	    "' is missing or damaged: a prune may have removed what this "
	    "backup builds on",
	    name->epoch, name->number);
	return err_hint(err, "what it stored is kept: run the backup again");
}

int
sessions_unknown(struct store *s, uint64_t epoch, session_name_fn *fn,
    void *arg, struct err *err)
{
	struct names n = { .prefix = "beats/", .from = epoch };
	int rc = list_names(&n, s, "beats/", err);
	size_t i;

	for (i = 0; rc == 0 && i < n.count; i++) {
		if (i > 0 && compare(&n.name[i - 1], &n.name[i]) == 0)
			continue;
		rc = is_unknown(s, &n.name[i], err);
		if (rc == 1)
			rc = fn(arg, &n.name[i], err);
	}
	free(n.name);
	return rc;
}
