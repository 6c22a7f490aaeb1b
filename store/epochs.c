/* SPDX-License-Identifier: Apache-2.0 */
/* Epochs put, read, found. */
#include "store/epochs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ckd.h"
#include "common/endian.h"
#include "common/err.h"
#include "common/json/json.h"
#include "store/host.h"
#include "store/numbered.h"
#include "store/store_internal.h"

/* So many epochs a listing may miss, or somebody may have lost. */
#define GAPS_MAX 4096u
#define ROLL_HEAD_BYTES 24u
#define ROLL_ENTRY_BYTES 32u
#define ROLL_BODY_MAX (128u << 20)

void
epoch_fini(struct epoch *e)
{
	idset_fini(&e->roll);
	free(e->list);
	*e = (struct epoch){ .list = NULL };
}

static int
compare_entries(const void *a, const void *b)
{
	const struct epoch_entry *x = a, *y = b;

	return memcmp(x->pack, y->pack, OBJECT_ID_BYTES);
}

const struct epoch_entry *
epoch_find(const struct epoch *e, const uint8_t pack[OBJECT_ID_BYTES])
{
	struct epoch_entry wanted;

	if (e->list_count == 0)
		return NULL;
	memcpy(wanted.pack, pack, OBJECT_ID_BYTES);
	return bsearch(
	    &wanted, e->list, e->list_count, sizeof(*e->list), compare_entries);
}

static char *
epoch_key(char out[OBJECT_KEY_SIZE], uint64_t number)
{
	snprintf(out, OBJECT_KEY_SIZE, "epochs/%" PRIu64, number);
	return out;
}

static char *
roll_key(char out[OBJECT_KEY_SIZE], uint64_t number, const uint8_t *id)
{
	char hex[HEXID_SIZE];

	hex_encode(hex, id, OBJECT_ID_BYTES);
	snprintf(out, OBJECT_KEY_SIZE, "rolls/%" PRIu64 "/%s", number, hex);
	return out;
}

static int
put_head(struct backend *b, const struct seal *seal, uint64_t number,
    uint64_t decided, const char *roll, struct err *err)
{
	char key[OBJECT_KEY_SIZE];

	return numbered_put(b, seal, epoch_key(key, number), OBJECT_EPOCH,
	    json_pack("{s:I, s:I, s:s}", "epoch", (json_int_t)number, "decided",
		(json_int_t)decided, "roll", roll),
	    err);
}

int
epochs_init(struct backend *b, const struct seal *seal, struct err *err)
{
	if (put_head(b, seal, 0, 0, "", err) == 0)
		return 0;
	if (err->class != ERR_EXISTS)
		return -1;
	err_clear(err); /* Somebody else has seen to it. */
	return 0;
}

/* ---- the roll and the list ---- */

static int
decode_roll(struct epoch *e, const uint8_t *in, size_t size, struct err *err)
{
	uint64_t points, entries, i, need, more;

	if (size < ROLL_HEAD_BYTES)
		return err_set(err, ERR_CORRUPT, "it is cut short");
	points = be64_get(in + 8);
	entries = be64_get(in + 16);
	if (ckd_mul(&need, points, (uint64_t)OBJECT_ID_BYTES) ||
	    ckd_mul(&more, entries, (uint64_t)ROLL_ENTRY_BYTES) ||
	    ckd_add(&need, need, more) || need != size - ROLL_HEAD_BYTES ||
	    be64_get(in) != e->number)
		return err_set(err, ERR_CORRUPT, "its numbers are wrong");
	in += ROLL_HEAD_BYTES;
	for (i = 0; i < points; i++, in += OBJECT_ID_BYTES) {
		if (idset_add(&e->roll, in, err) == -1)
			return -1;
	}
	idset_sort(&e->roll);
	if ((e->list = calloc(entries + 1, sizeof(*e->list))) == NULL)
		return err_no_memory(err);
	for (i = 0; i < entries; i++, in += ROLL_ENTRY_BYTES) {
		memcpy(e->list[i].pack, in, OBJECT_ID_BYTES);
		e->list[i].since = be64_get(in + 16);
		e->list[i].doomed = in[24] == 1;
		if (in[24] > 1 || e->list[i].since > e->number)
			return err_set(
			    err, ERR_CORRUPT, "an entry of its list is wrong");
	}
	e->list_count = entries;
	qsort(e->list, entries, sizeof(*e->list), compare_entries);
	return 0;
}

static int
fetch_roll(struct epoch *e, struct store *s, const uint8_t *id, struct err *err)
{
	char key[OBJECT_KEY_SIZE], *body;
	size_t size;
	int rc;

	roll_key(key, e->number, id);
	if (envelope_get(s->backend, s->seal, key, OBJECT_ROLL, id, NULL,
		ROLL_BODY_MAX, &body, &size, err) == -1)
		return -1;
	rc = decode_roll(e, (const uint8_t *)body, size, err);
	free(body);
	return rc == -1 ? err_prefix(err, "object '%s'", key) : 0;
}

static int
get_roll(struct epoch *e, struct store *s, const char *hex, struct err *err)
{
	uint8_t id[OBJECT_ID_BYTES];

	if (hex[0] == '\0')
		return 0; /* Epoch 0. */
	if (!hexid_valid(hex) || hex_decode(id, sizeof(id), hex) == -1)
		return err_set(err, ERR_CORRUPT, "its roll is no id");
	return fetch_roll(e, s, id, err);
}

int
epochs_get_roll(struct epoch *out, struct store *s, uint64_t number,
    const uint8_t id[OBJECT_ID_BYTES], struct err *err)
{
	*out = (struct epoch){ .number = number };
	if (fetch_roll(out, s, id, err) == 0)
		return 0;
	epoch_fini(out);
	return -1;
}

int
epochs_get(struct epoch *out, struct store *s, uint64_t number, struct err *err)
{
	char key[OBJECT_KEY_SIZE], *roll = NULL;
	json_t *json;
	uint64_t own;
	int rc = -1;

	*out = (struct epoch){ .number = number };
	epoch_key(key, number);
	if (numbered_get(&json, s->backend, s->seal, key, OBJECT_EPOCH, err) ==
	    -1)
		return -1;
	if (json_get_u64(&own, json, "epoch", err) == 0 &&
	    json_get_u64(&out->decided, json, "decided", err) == 0 &&
	    json_get_string(&roll, json, "roll", HEXID_LENGTH, err) == 0) {
		if (own != number || out->decided > number)
			err_set(err, ERR_CORRUPT, "it contradicts itself");
		else
			rc = get_roll(out, s, roll, err);
	}
	free(roll);
	json_decref(json);
	if (rc == -1) {
		epoch_fini(out);
		return err_prefix(err, "object '%s'", key);
	}
	return 0;
}

/* ---- the newest ---- */

struct highest {
	uint64_t number, count;
	uint64_t bound; /* What lies beyond is none of a chain without gaps. */
};

static int
note_highest(void *arg, const char *key, uint64_t size_bytes)
{
	struct highest *h = arg;
	uint64_t number;

	(void)size_bytes;
	if (!numbered_parse(&number, "epochs/", key))
		return 0;
	h->count++;
	if (number > h->number && number <= h->bound)
		h->number = number;
	return 0;
}

/* Any number that is not above the newest will do. */
static int
find_start(uint64_t *out, struct store *s, struct err *err)
{
	struct highest h = { .number = atomic_load(&s->epoch_seen),
		.bound = UINT64_MAX };

	if (h.number == 0 &&
	    backend_list(s->backend, "epochs/", note_highest, &h, err) == -1)
		return -1;
	if (h.count > 0 && h.number > h.count + GAPS_MAX) {
		h = (struct highest){ .bound = h.count + GAPS_MAX };
		if (backend_list(
			s->backend, "epochs/", note_highest, &h, err) == -1)
			return -1;
	}
	*out = h.number;
	return 0;
}

/*
 * Epoch 0 is put right after the settings, by which a repository exists: an
 * init that was killed in between has left one without.  Nobody has worked in
 * it yet, or there would be a session.
 */
static int
begin(struct store *s, struct err *err)
{
	static const char *const work[] = { "epochs/", "sessions/", "points/",
		"index/", "packs/" };
	bool any = false;
	size_t i;
	int rc;

	for (i = 0; i < sizeof(work) / sizeof(work[0]); i++) {
		if ((rc = backend_has_any(s->backend, work[i], err)) == -1)
			return -1;
		any = any || rc == 1;
	}
	if (!any)
		return epochs_init(s->backend, s->seal, err);
	err_set(err, ERR_CORRUPT,
	    "the repository has no epoch: all of 'epochs/' is missing");
	return err_hint(err,
	    "if it cannot be brought back, run 'holdstill repair', which begins "
	    "with a new one; points can be restored as they are");
}

/* What is there is walked up, object by object. */
int
epochs_count(uint64_t *out, struct store *s, struct err *err)
{
	uint64_t start;

	if (find_start(&start, s, err) == -1 ||
	    numbered_free(out, s->backend, "epochs/", start, err) == -1)
		return -1;
	if (*out == start && start > 0)
		/* Rolled back, or not ours. */
		return numbered_free(out, s->backend, "epochs/", 0, err);
	return 0;
}

/* The number of the newest. */
static int
find_newest(uint64_t *out, struct store *s, struct err *err)
{
	uint64_t next;

	if (epochs_count(&next, s, err) == -1)
		return -1;
	if (next == 0) {
		if (begin(s, err) == -1)
			return -1;
		next = 1;
	}
	*out = next - 1;
	return 0;
}

static int
damaged(struct err *err)
{
	if (err->class != ERR_CORRUPT)
		return -1;
	return err_hint(
	    err, "run 'holdstill repair', which puts a new epoch behind it");
}

int
epochs_newest(struct epoch *out, struct store *s, struct err *err)
{
	uint64_t number = 0, last = UINT64_MAX;

	for (;; last = number) {
		if (find_newest(&number, s, err) == -1 ||
		    host_check_epoch(s, number, err) == -1)
			return -1;
		if (epochs_get(out, s, number, err) == 0)
			break;
		/* Its roll may have gone while others went on. */
		if (err->class != ERR_NOT_FOUND)
			return damaged(err);
		if (number == last) {
			err->class = ERR_CORRUPT;
			return damaged(err);
		}
		err_clear(err);
	}
	atomic_store(&s->epoch_seen, number);
	return 0;
}

int
epochs_settle(struct store *s, const struct epoch *e, struct err *err)
{
	char key[OBJECT_KEY_SIZE];

	if (backend_settle(s->backend, epoch_key(key, e->number), err) == -1)
		return -1;
	/* Not before: what a power cut could take nobody has seen. */
	return host_saw_epoch(s, e->number, err);
}

/* ---- a new one ---- */

static int
put_roll(struct store *s, const struct epoch *e,
    const uint8_t id[OBJECT_ID_BYTES], struct err *err)
{
	size_t i, size = ROLL_HEAD_BYTES + e->roll.count * OBJECT_ID_BYTES +
			 e->list_count * ROLL_ENTRY_BYTES;
	uint8_t *body, *at;
	char key[OBJECT_KEY_SIZE];
	int rc;

	if (size > ROLL_BODY_MAX)
		return err_set(err, ERR_UNSUPPORTED, "too many points");
	if ((body = calloc(1, size)) == NULL)
		return err_no_memory(err);
	be64_put(body, e->number);
	be64_put(body + 8, e->roll.count);
	be64_put(body + 16, e->list_count);
	at = body + ROLL_HEAD_BYTES;
	for (i = 0; i < e->roll.count; i++, at += OBJECT_ID_BYTES)
		memcpy(at, e->roll.ids[i], OBJECT_ID_BYTES);
	for (i = 0; i < e->list_count; i++, at += ROLL_ENTRY_BYTES) {
		memcpy(at, e->list[i].pack, OBJECT_ID_BYTES);
		be64_put(at + 16, e->list[i].since);
		at[24] = e->list[i].doomed;
	}
	rc = envelope_put(s->backend, s->seal, roll_key(key, e->number, id),
	    OBJECT_ROLL, id, body, size, true, err);
	free(body);
	return rc;
}

int
epochs_put(struct store *s, struct epoch *e, struct err *err)
{
	uint8_t id[OBJECT_ID_BYTES];
	char hex[HEXID_SIZE];

	idset_sort(&e->roll);
	if (e->list_count > 1)
		qsort(
		    e->list, e->list_count, sizeof(*e->list), compare_entries);
	if (hexid_random(id, sizeof(id), err) == -1 ||
	    put_roll(s, e, id, err) == -1)
		return -1;
	hex_encode(hex, id, sizeof(id));
	return put_head(s->backend, s->seal, e->number, e->decided, hex, err);
}

int
epochs_put_lost(struct store *s, uint64_t number, struct err *err)
{
	uint8_t id[OBJECT_ID_BYTES];
	char hex[HEXID_SIZE];

	if (hexid_random(id, sizeof(id), err) == -1)
		return -1;
	hex_encode(hex, id, sizeof(id));
	if (put_head(s->backend, s->seal, number, 0, hex, err) == 0)
		return 0;
	if (err->class != ERR_EXISTS)
		return -1;
	err_clear(err);
	return 0;
}

/* ---- old rolls ---- */

void
epochs_tidy(struct store *s, uint64_t newest)
{
	/* The epoch of each number is there: a roll that it does not name will
	 * never be named. */
	if (newest > EPOCH_ROLLS_KEPT)
		numbered_sweep(s->backend, "rolls/", newest - EPOCH_ROLLS_KEPT);
}
