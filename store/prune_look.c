/* SPDX-License-Identifier: Apache-2.0 */
/* Which points there are, and who is at work on others. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cancel.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "store/prune.h"

/* ---- the window of what is forgotten ---- */

/* 1: there is a manifest, damaged or not; 0: nothing, or a tombstone, which
 * stays: a late put of the manifest must find the key taken. */
static int
has_manifest(struct prune *p, const uint8_t *id, struct err *err)
{
	enum point_state state;

	if (points_look(&state, NULL, p->store, id, err) == 0)
		return state == POINT_MANIFEST;
	if (err->class != ERR_CORRUPT && err->class != ERR_UNSUPPORTED)
		return -1;
	err_clear(err);
	return 1;
}

/* 1: its time is not up. */
static int
is_waiting(struct prune *p, const struct forgotten *f)
{
	int64_t until = f->time_ms + p->options->undelete_ms;

	if (p->options->undelete_ms <= 0 || clock_wall_ms() >= until)
		return 0;
	if (p->result->points_waiting++ == 0 ||
	    until < p->result->waiting_until_ms)
		p->result->waiting_until_ms = until;
	return 1;
}

/* Clocks say when the word is put; that it is put once is what counts. */
static int
end_window(struct prune *p, const uint8_t *id, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	struct forgotten f;
	int rc = has_manifest(p, id, err);

	if (rc != 1)
		return rc;
	if (forgotten_get(&f, p->store, id, err) == -1)
		return -1;
	if (f.word == FORGOTTEN_FORGOTTEN) {
		if (is_waiting(p, &f))
			return 0;
		if (!p->options->dry_run && forgotten_say(p->store, id, f.count,
						FORGOTTEN_GONE, err) == -1) {
			if (err->class != ERR_EXISTS)
				return -1;
			err_clear(err); /* Kept, or gone, since we looked. */
			return 0;
		}
	} else if (f.word != FORGOTTEN_GONE) {
		return 0;
	}
	p->result->points_removed++;
	if (p->options->dry_run)
		return idset_add(&p->gone, id, err);
	return backend_remove(
	    p->store->backend, object_key(key, OBJECT_MANIFEST, id), err);
}

int
prune_window(struct prune *p, struct err *err)
{
	struct idset points = { .ids = NULL }, said = { .ids = NULL };
	int rc = -1;
	size_t i;

	if (idset_list(&points, p->store->backend, OBJECT_MANIFEST, err) ==
		-1 ||
	    forgotten_list(&said, p->store, err) == -1)
		goto out;
	for (i = 0; i < points.count; i++) {
		if (idset_has(&said, points.ids[i]) &&
		    end_window(p, points.ids[i], err) == -1)
			goto out;
	}
	idset_sort(&p->gone);
	rc = 0;
out:
	idset_fini(&points);
	idset_fini(&said);
	return rc;
}

/* ---- points ---- */

static int
add_disks(struct prune *p, const uint8_t *id, const struct manifest *m,
    struct err *err)
{
	struct prune_disk *grown;
	size_t i;

	for (i = 0; i < m->disk_count; i++) {
		grown = grow_array(
		    p->disks, p->disk_count, &p->disk_capacity, sizeof(*grown));
		if (grown == NULL)
			return err_no_memory(err);
		p->disks = grown;
		grown += p->disk_count++;
		memset(grown, 0, sizeof(*grown));
		memcpy(grown->point, id, OBJECT_ID_BYTES);
		grown->disk.size_bytes = m->disks[i].size_bytes;
		memcpy(grown->disk.root, m->disks[i].root,
		    sizeof(grown->disk.root));
		grown->hurt = prune_hurt_of(p, id, m->disks[i].target);
	}
	return 0;
}

/* A point that cannot be read might need anything: then nothing goes. */
static int
cannot_read(const uint8_t *id, struct err *err)
{
	char hex[HEXID_SIZE];

	hex_encode(hex, id, OBJECT_ID_BYTES);
	err_prefix(err, "point %s", hex);
	if (err->sys_errno == EIO)
		return err_hint(err,
		    "nothing more was removed; run 'holdstill repair': what a "
		    "disk cannot read it has to leave, so then remove that "
		    "object by hand");
	if (err->class != ERR_CORRUPT)
		return -1;
	return err_hint(err,
	    "nothing more was removed; run 'holdstill repair', "
	    "which sets aside what cannot be read");
}

int
prune_look_at(struct prune *p, enum point_state *state, const uint8_t *id,
    struct err *err)
{
	struct manifest *m;
	int rc;

	if (cancel_check(err) == -1)
		return -1;
	if (points_look(state, &m, p->store, id, err) == -1)
		return cannot_read(id, err);
	if (*state != POINT_MANIFEST)
		return 0;
	rc = idset_has(&p->gone, id) ? 0 : add_disks(p, id, m, err);
	manifest_free(m);
	return rc == -1 ? -1 : idset_add(&p->roll, id, err);
}

static int
look_at_roll(struct prune *p, struct err *err)
{
	enum point_state state;
	size_t i;

	for (i = 0; i < p->epoch.roll.count; i++) {
		prune_tell(p, "points", i, p->epoch.roll.count);
		if (prune_look_at(p, &state, p->epoch.roll.ids[i], err) == -1)
			return -1;
	}
	return 0;
}

/* ---- sessions ---- */

int
prune_add_session(struct prune *p, const struct session_name *name,
    const struct session_object *o, struct idset *open, struct err *err)
{
	struct prune_session *grown;

	grown = grow_array(p->sessions, p->session_count, &p->session_capacity,
	    sizeof(*grown));
	if (grown == NULL)
		return err_no_memory(err);
	p->sessions = grown;
	grown += p->session_count++;
	*grown = (struct prune_session){
		.name = *name, .open = *open, .unknown = o->unread
	};
	memcpy(grown->tag, o->tag, sizeof(grown->tag));
	*open = (struct idset){ .ids = NULL };
	return 0;
}

/*
 * One that was there and is gone has come to its end: nobody waits for its
 * session.  The tombstone keeps a late second put of it out.
 */
static int
settle_gone(struct prune *p, enum point_state *state, const uint8_t *id,
    struct err *err)
{
	struct forgotten f;

	if (forgotten_get(&f, p->store, id, err) == -1)
		return -1;
	if (f.word != FORGOTTEN_GONE)
		return 0;
	*state = POINT_TOMBSTONE;
	if (p->options->dry_run)
		return 0;
	return points_give_up(state, p->store, id, err);
}

static int
look_at_session(void *arg, const struct session_name *name,
    const struct session_object *o, struct err *err)
{
	struct idset open = { .ids = NULL };
	struct prune *p = arg;
	enum point_state state;
	const uint8_t *id;
	int rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < o->points.count; i++) {
		id = o->points.ids[i];
		/* One of the roll is known, there or gone. */
		if (idset_has(&p->epoch.roll, id))
			continue;
		rc = idset_add(&p->named, id, err);
		if (rc == 0)
			rc = prune_look_at(p, &state, id, err);
		if (rc == 0 && state == POINT_NONE)
			rc = settle_gone(p, &state, id, err);
		if (rc == 0 && state == POINT_NONE)
			rc = idset_add(&open, id, err);
	}
	if (rc == 0 && open.count > 0)
		rc = prune_add_session(p, name, o, &open, err);
	idset_fini(&open);
	return rc;
}

/* ---- the dead ---- */

static int
count_beats(struct prune *p, bool first, bool *all_alive, struct err *err)
{
	struct prune_session *k;
	enum point_state state;
	uint64_t beats;
	size_t i, j;

	*all_alive = true;
	for (i = 0; i < p->session_count; i++) {
		k = &p->sessions[i];
		if (k->alive)
			continue;
		if (sessions_beats(&beats, p->store, &k->name,
			first ? 0 : k->beats, err) == -1)
			return -1;
		if (!first && beats != k->beats)
			k->alive = true;
		k->beats = beats;
		/* One that has ended since needs no watching. */
		for (j = 0; !k->alive && !k->unknown && j < k->open.count;
		     j++) {
			if (points_look(&state, NULL, p->store, k->open.ids[j],
				err) == -1)
				return -1;
			if (state == POINT_NONE)
				break;
		}
		if (j == k->open.count && !k->unknown)
			k->alive = true;
		*all_alive = *all_alive && k->alive;
	}
	return 0;
}

/* Looks on until each has shown a sign of life, or was silent for long. */
static int
watch(struct prune *p, struct err *err)
{
	int64_t silence = p->options->silence_ms > 0 ? p->options->silence_ms
						     : STORE_SILENCE_MS;
	int64_t end = clock_monotonic_ms() + silence, left;
	struct timespec wait;
	bool all_alive;

	if (count_beats(p, true, &all_alive, err) == -1)
		return -1;
	if (!all_alive)
		log_line(LOG_NOTICE,
		    "waiting up to %lld s for a sign of life from backups that "
		    "have not ended",
		    (long long)(silence + 999) / 1000);
	while (!all_alive && (left = end - clock_monotonic_ms()) > 0) {
		prune_tell(p, "waiting for a sign of life, seconds",
		    (uint64_t)(silence - left) / 1000,
		    (uint64_t)silence / 1000);
		if (cancel_check(err) == -1)
			return -1;
		left = left > 1000 ? 1000 : left;
		wait.tv_sec = left / 1000;
		wait.tv_nsec = left % 1000 * 1000000;
		nanosleep(&wait, NULL);
		if (count_beats(p, false, &all_alive, err) == -1)
			return -1;
	}
	return 0;
}

/* The put tells whether it came first: then the session has lost. */
static int
give_up(struct prune *p, struct prune_session *k, struct err *err)
{
	enum point_state state;
	struct idset open = k->open;
	int rc = 0;
	size_t i;

	k->open = (struct idset){ .ids = NULL };
	for (i = 0; rc == 0 && !p->options->dry_run && i < open.count; i++) {
		rc = points_give_up(&state, p->store, open.ids[i], err);
		if (rc == 0 && state == POINT_MANIFEST)
			rc = prune_look_at(p, &state, open.ids[i], err);
	}
	idset_fini(&open);
	p->result->sessions_dead++;
	/* By listing: where the first is missing none was counted. */
	if (rc == 0 && !p->options->dry_run)
		sessions_drop_listed_beats(p->store, &k->name);
	return rc;
}

/* Whoever is at work, or may be: a dry run does not wait to see. */
static int
part_dead_from_alive(struct prune *p, struct err *err)
{
	size_t i;

	if (prune_find_unknown(p, err) == -1)
		return -1;
	if (p->session_count > 0 && !p->options->dry_run && watch(p, err) == -1)
		return -1;
	for (i = 0; i < p->session_count; i++) {
		if (p->options->dry_run)
			p->sessions[i].alive = true;
		if (!p->sessions[i].alive &&
		    give_up(p, &p->sessions[i], err) == -1)
			return -1;
		if (p->sessions[i].alive && p->sessions[i].unknown &&
		    p->sessions[i].name.epoch < p->unknown_epoch)
			p->unknown_epoch = p->sessions[i].name.epoch;
	}
	return 0;
}

static void
sum_up(struct prune *p)
{
	size_t i;

	p->first_open = p->unknown_epoch;
	p->result->sessions_alive = p->unknown_epoch != PRUNE_DECIDED;
	for (i = 0; i < p->session_count; i++) {
		if (p->sessions[i].open.count == 0)
			continue;
		p->result->sessions_alive++;
		if (p->sessions[i].name.epoch < p->first_open)
			p->first_open = p->sessions[i].name.epoch;
	}
}

/* What every epoch's sessions have come to. */
static int
look_at_sessions(struct prune *p, struct err *err)
{
	uint64_t epoch;

	for (epoch = p->epoch.decided; epoch <= p->epoch.number; epoch++) {
		if (sessions_each(p->store, epoch, look_at_session, p, err) ==
		    -1)
			return -1;
	}
	if (!p->looked && part_dead_from_alive(p, err) == -1)
		return -1;
	p->looked = true;
	return 0;
}

int
prune_look(struct prune *p, struct err *err)
{
	struct idset listed;
	int rc = -1;

	/* Before the sessions: what is committed meanwhile is theirs. */
	if (idset_list(&listed, p->store->backend, OBJECT_MANIFEST, err) == -1)
		return -1;
	if (look_at_roll(p, err) == 0 && look_at_sessions(p, err) == 0)
		rc = prune_strays(p, &listed, err);
	idset_fini(&listed);
	idset_sort(&p->roll);
	sum_up(p);
	return rc;
}

void
prune_look_fini(struct prune *p)
{
	size_t i;

	for (i = 0; i < p->session_count; i++)
		idset_fini(&p->sessions[i].open);
	free(p->sessions);
	free(p->disks);
	idset_fini(&p->roll);
	idset_fini(&p->named);
	p->sessions = NULL;
	p->disks = NULL;
	p->session_count = p->session_capacity = 0;
	p->disk_count = p->disk_capacity = 0;
}
