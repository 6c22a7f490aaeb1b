/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session among others (docs/prune.md): it registers before it uses
 * anything, beats while it works, and says the last word on each of its
 * points.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "store/points.h"
#include "store/session_internal.h"
#include "store/walk.h"

/* ---- the beats ---- */

static void
deadline_in(struct timespec *out, int64_t ms)
{
	clock_gettime(CLOCK_MONOTONIC, out);
	out->tv_sec += ms / 1000;
	out->tv_nsec += ms % 1000 * 1000000;
	if (out->tv_nsec >= 1000000000) {
		out->tv_sec++;
		out->tv_nsec -= 1000000000;
	}
}

/* A beat that cannot be put is missed; the next says as much. */
static void *
live(void *arg)
{
	struct store_session *s = arg;
	struct err err = ERR_INIT;
	struct timespec deadline;
	bool stop;
	int rc;

	do {
		deadline_in(&deadline, s->beat_ms);
		pthread_mutex_lock(&s->life_lock);
		for (rc = 0; !s->life_stop && rc == 0;)
			rc = pthread_cond_timedwait(
			    &s->life_wake, &s->life_lock, &deadline);
		stop = s->life_stop;
		pthread_mutex_unlock(&s->life_lock);
		if (!stop &&
		    sessions_beat(s->store, &s->name, s->beats, &err) == 0)
			s->beats++;
		else
			err_clear(&err);
	} while (!stop);
	return NULL;
}

static int
start_life(struct store_session *s, struct err *err)
{
	pthread_condattr_t attr;
	int code;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->life_wake, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&s->life_lock, NULL);
	if ((code = pthread_create(&s->life, NULL, live, s)) != 0) {
		pthread_mutex_destroy(&s->life_lock);
		pthread_cond_destroy(&s->life_wake);
		return err_errno(err, code, "cannot start a thread");
	}
	s->life_started = true;
	return 0;
}

static void
stop_life(struct store_session *s)
{
	if (!s->life_started)
		return;
	pthread_mutex_lock(&s->life_lock);
	s->life_stop = true;
	pthread_cond_signal(&s->life_wake);
	pthread_mutex_unlock(&s->life_lock);
	pthread_join(s->life, NULL);
	pthread_mutex_destroy(&s->life_lock);
	pthread_cond_destroy(&s->life_wake);
	s->life_started = false;
}

/* ---- registering ---- */

static int
draw_points(struct store_session *s, unsigned int count, struct err *err)
{
	uint8_t id[OBJECT_ID_BYTES];

	if (count == 0)
		count = 1;
	if (count > SESSION_POINTS_MAX)
		return err_set(err, ERR_ARG, "too many points at once");
	if ((s->used = calloc(count, sizeof(*s->used))) == NULL)
		return err_no_memory(err);
	while (s->self.points.count < count) {
		if (hexid_random(id, sizeof(id), err) == -1 ||
		    idset_add(&s->self.points, id, err) == -1)
			return -1;
	}
	return hexid_random(s->self.tag, sizeof(s->self.tag), err);
}

int
session_register(struct store_session *session,
    const struct store_session_options *options, struct err *err)
{
	session->beat_ms =
	    options->beat_ms > 0 ? options->beat_ms : STORE_BEAT_MS;
	if (draw_points(session, options->points, err) == -1 ||
	    sessions_register(&session->name, &session->epoch, session->store,
		&session->self, err) == -1)
		return -1;
	session->registered = true;
	return start_life(session, err);
}

void
session_unregister(struct store_session *session)
{
	struct err ignored = ERR_INIT;
	enum point_state state;
	bool decided = true;
	size_t i;

	stop_life(session);
	for (i = 0; session->registered && i < session->self.points.count;
	     i++) {
		if (session->used[i])
			continue;
		if (points_give_up(&state, session->store,
			session->self.points.ids[i], &ignored) == -1)
			decided = false; /* A prune will do it. */
	}
	if (session->registered && decided)
		sessions_drop_beats(
		    session->store, &session->name, session->beats);
	session_object_fini(&session->self);
	free(session->used);
	session->used = NULL;
	session->registered = false;
}

void
session_tag_pack(const struct store_session *session, struct pack *pack)
{
	memcpy(pack->id + OBJECT_ID_BYTES - SESSION_TAG_BYTES,
	    session->self.tag, SESSION_TAG_BYTES);
}

/* ---- its points ---- */

void
store_session_point(
    const struct store_session *session, unsigned int n, char *out)
{
	out[0] = '\0';
	if (n < session->self.points.count)
		hex_encode(out, session->self.points.ids[n], OBJECT_ID_BYTES);
}

int
session_point(
    const struct store_session *session, struct manifest *m, struct err *err)
{
	char id[HEXID_SIZE];
	size_t i;

	for (i = 0; i < session->self.points.count; i++) {
		if (session->used[i])
			continue;
		store_session_point(session, (unsigned int)i, id);
		if (m->id[0] == '\0')
			memcpy(m->id, id, sizeof(id));
		if (strcmp(m->id, id) == 0)
			return (int)i;
	}
	return err_set(err, ERR_BUG, "the point is none of its session's");
}

/* ---- what it may build on ---- */

struct base_check {
	struct store_session *session;
	bool known;
};

static int
check_blob(void *arg, enum blob_type type, const uint8_t hash[DIGEST_BYTES],
    const struct blob_place *place, const struct err *why, struct err *err)
{
	struct base_check *c = arg;
	struct localindex_view v;
	int rc = 0;

	if (place != NULL && why == NULL) {
		if (localindex_view_begin(&v, c->session->store->index, err) ==
		    -1)
			return -1;
		rc = usable_blob(c->session->usable, &v, type, hash, err);
		localindex_view_end(&v);
	}
	if (rc == 0) {
		c->known = false; /* And that is the end of the walk. */
		return err_set(err, ERR_CANCELLED, "a blob is not known");
	}
	return rc == -1 ? -1 : 0;
}

/* 1: each blob of the point is known by the rule for any other block. */
static int
walk_base(struct store_session *s, const struct manifest *m, struct err *err)
{
	struct base_check c = { .session = s, .known = true };
	struct walk w = { .store = s->store, .fn = check_blob, .arg = &c };
	size_t i;

	for (i = 0; c.known && i < m->disk_count; i++) {
		if (walk_disk(&w, &m->disks[i], err) == -1 && c.known)
			return -1;
	}
	if (!c.known)
		err_clear(err);
	return c.known;
}

static int
remember_roots(
    struct store_session *s, const struct manifest *m, struct err *err)
{
	void *grown = reallocarray(
	    s->bases, s->base_count + m->disk_count + 1, sizeof(*s->bases));
	size_t i;

	if (grown == NULL)
		return err_no_memory(err);
	s->bases = grown;
	for (i = 0; i < m->disk_count; i++)
		memcpy(
		    s->bases[s->base_count++], m->disks[i].root, DIGEST_BYTES);
	return 1;
}

bool
session_base_known(const struct store_session *session, const uint8_t *root)
{
	size_t i;

	for (i = 0; i < session->base_count; i++) {
		if (memcmp(session->bases[i], root, DIGEST_BYTES) == 0)
			return true;
	}
	return false;
}

/*
 * Parts of a disk that are not written anew keep what the base has, without a
 * look at each block.  All of that is in packs that are there and off the
 * list of our epoch if
 *  - the point is on that epoch's roll: whoever put it saw to that; or
 *  - the point is there, and no list since its own session's epoch has
 *    anything: all that it uses was off the lists then.
 * Else its blobs are looked up one by one.
 */
int
store_session_base(
    struct store_session *session, const struct manifest *m, struct err *err)
{
	uint8_t id[OBJECT_ID_BYTES];
	enum point_state state;
	int rc = 1;

	if (!hexid_valid(m->id) || hex_decode(id, sizeof(id), m->id) == -1)
		return err_set(err, ERR_BUG, "the base is no point");
	if (!idset_has(&session->epoch.roll, id)) {
		if (points_look(&state, NULL, session->store, id, err) == -1)
			return -1;
		if (state != POINT_MANIFEST)
			return 0;
		if (m->epoch <= session->epoch.number)
			rc =
			    usable_listed_since(session->usable, m->epoch, err);
		if (rc == 1)
			rc = walk_base(session, m, err);
		else if (rc == 0)
			rc = 1;
	}
	return rc == 1 ? remember_roots(session, m, err) : rc;
}
