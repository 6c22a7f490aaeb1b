/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new end for a chain of epochs that nobody can go on from (docs/prune.md):
 * the newest is missing, damaged, or sealed too soon.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/json/json.h"
#include "common/log.h"
#include "store/epochs.h"
#include "store/grow.h"
#include "store/numbered.h"
#include "store/store_internal.h"
#include "store/unread.h"

/* Numbers so far beyond the chain are nobody's who counts. */
#define BEYOND_MAX 16384u

/* ---- what the lists were ---- */

struct rolls {
	const char *prefix;
	uint64_t from; /* Those of lower epochs do not matter. */
	uint64_t top;  /* The highest epoch that anything is of. */
	struct {
		uint64_t epoch;
		uint8_t id[OBJECT_ID_BYTES];
	} * roll;
	size_t count, capacity;
	bool failed;
};

static int
note_epoch(void *arg, const char *key, uint64_t size_bytes)
{
	struct rolls *r = arg;
	uint64_t number;
	const char *rest;

	(void)size_bytes;
	if (numbered_parse_part(&number, &rest, r->prefix, key) &&
	    number > r->top && number <= r->from + BEYOND_MAX)
		r->top = number;
	return 0;
}

static int
note_roll(void *arg, const char *key, uint64_t size_bytes)
{
	struct rolls *r = arg;
	uint8_t id[OBJECT_ID_BYTES];
	uint64_t number;
	const char *rest;
	void *grown;

	(void)size_bytes;
	if (!numbered_parse_part(&number, &rest, "rolls/", key) ||
	    number < r->from || *rest != '/' || !hexid_valid(rest + 1) ||
	    hex_decode(id, sizeof(id), rest + 1) == -1)
		return 0;
	grown = grow_array(r->roll, r->count, &r->capacity, sizeof(*r->roll));
	if (grown == NULL) {
		r->failed = true;
		return 1;
	}
	r->roll = grown;
	r->roll[r->count].epoch = number;
	memcpy(r->roll[r->count++].id, id, sizeof(id));
	return 0;
}

/* Nobody may begin to use these, and nobody removes them on this word alone. */
static int
condemn(struct epoch *e, struct idset *packs, struct err *err)
{
	struct epoch_entry *grown;
	size_t i, had = e->list_count;

	grown = reallocarray(e->list, had + packs->count + 1, sizeof(*e->list));
	if (grown == NULL)
		return err_no_memory(err);
	e->list = grown;
	idset_sort(packs);
	for (i = 0; i < packs->count; i++) {
		if (i > 0 && memcmp(packs->ids[i], packs->ids[i - 1],
				 OBJECT_ID_BYTES) == 0)
			continue;
		/* The list is sorted as far as it was read. */
		if (epoch_find(
			&(struct epoch){ .list = e->list, .list_count = had },
			packs->ids[i]) != NULL)
			continue;
		grown = &e->list[e->list_count++];
		*grown = (struct epoch_entry){ .since = e->number };
		memcpy(grown->pack, packs->ids[i], OBJECT_ID_BYTES);
	}
	/* No more is it known that the roll's points need nothing of these. */
	if (e->list_count > had)
		idset_fini(&e->roll);
	return 0;
}

static int
note_list(struct idset *packs, const struct epoch *old, struct err *err)
{
	size_t i;

	for (i = 0; i < old->list_count; i++) {
		if (idset_add(packs, old->list[i].pack, err) == -1)
			return -1;
	}
	return 0;
}

/* Packs on the lists that can be read of epoch `from` and later; *read: how
 * many those are. */
static int
find_listed(struct idset *packs, struct store *s, uint64_t from, size_t *read,
    struct err *err)
{
	struct rolls r = { .from = from };
	struct epoch old;
	size_t i;
	int rc;

	*read = 0;
	rc = backend_list(s->backend, "rolls/", note_roll, &r, err);
	if (rc == 0 && r.failed)
		rc = err_no_memory(err);
	for (i = 0; rc == 0 && i < r.count; i++) {
		if (epochs_get_roll(
			&old, s, r.roll[i].epoch, r.roll[i].id, err) == -1) {
			if (!unread_is_useless(err))
				rc = -1;
			else
				err_clear(err);
			continue;
		}
		++*read;
		rc = note_list(packs, &old, err);
		epoch_fini(&old);
	}
	free(r.roll);
	return rc;
}

/* Something is doomed, and nobody knows what: then nothing is used. */
static int
find_everything(struct idset *packs, struct store *s, struct err *err)
{
	log_line(LOG_WARNING,
	    "run 'holdstill prune' before the next backup, which stores "
	    "everything anew else");
	idset_fini(packs);
	return idset_list(packs, s->backend, OBJECT_PACK, err);
}

/* ---- the numbers ---- */

/* The highest that anything is of, so that what is there is not taken for
 * what is new. */
static int
find_top(uint64_t *top, struct store *s, uint64_t least, struct err *err)
{
	static const char *const of[] = { "rolls/", "sessions/" };
	struct rolls r = { .prefix = NULL };
	uint64_t count;
	size_t i;

	if (epochs_count(&count, s, err) == -1)
		return -1;
	r.top = count > least + 1 ? count - 1 : least;
	r.from = r.top;
	for (i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
		r.prefix = of[i];
		if (backend_list(s->backend, of[i], note_epoch, &r, err) == -1)
			return -1;
	}
	*top = r.top;
	return 0;
}

/* A chain has no gaps.  What stood there nobody knows: it names a roll that
 * is not there, like one that is old. */
static int
fill_below(struct store *s, uint64_t number, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	int rc;

	while (number-- > 0) {
		snprintf(key, sizeof(key), "epochs/%" PRIu64, number);
		rc = backend_has(s->backend, key, NULL, err);
		if (rc == -1 ||
		    (rc == 0 && epochs_put_lost(s, number, err) == -1))
			return -1;
	}
	return 0;
}

/* ---- the new end ---- */

/* What is known of the newest goes on to be true; *from: lists from there on
 * are asked besides. */
static int
begin_with(struct epoch *next, uint64_t *from, struct store *s, uint64_t top,
    struct err *err)
{
	*from = top > 0 ? top - 1 : 0;
	if (epochs_get(next, s, top, err) == 0) {
		*from = top + 1;
	} else {
		if (!unread_is_useless(err))
			return -1;
		err_clear(err);
		*next = (struct epoch){ .decided = 0 };
	}
	next->number = top + 1;
	return 0;
}

int
epochs_mend(uint64_t *number, struct store *s, uint64_t least, struct err *err)
{
	struct epoch next = { .decided = 0 };
	struct idset packs = { .ids = NULL };
	uint64_t top, from;
	size_t read;
	int rc = -1;

	if (find_top(&top, s, least, err) == -1 ||
	    begin_with(&next, &from, s, top, err) == -1 ||
	    find_listed(&packs, s, from, &read, err) == -1)
		goto out;
	/* Epoch 1 is the first that condemns, and 2 the first that dooms. */
	if (from < top && top > 1 && read == 0 &&
	    find_everything(&packs, s, err) == -1)
		goto out;
	if (condemn(&next, &packs, err) == -1)
		goto out;
	*number = next.number;
	if (epochs_put(s, &next, err) == -1) {
		if (err->class != ERR_EXISTS)
			goto out;
		err_clear(err); /* Another repair. */
	}
	rc = fill_below(s, next.number, err);
out:
	idset_fini(&packs);
	epoch_fini(&next);
	return rc;
}
