/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the host, in their order, and what else happens. */
#include "guest-helper/session_internal.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "guest-helper/record.h"

/* ---- requests that are answered at once ---- */

int
session_need(const struct session *s, struct err *err)
{
	if (!hexid_valid(s->request.session))
		return err_set(err, ERR_ARG, "no valid session id");
	if (strcmp(s->request.session, s->stale_id) == 0)
		return err_set(err, ERR_TIMEOUT,
		    "the session was ended: no freeze came within %u ms",
		    (unsigned int)session_prepared_ms(s));
	if (strcmp(s->request.session, s->id) != 0)
		return err_set(err, ERR_NOT_FOUND, "no such session");
	return 0;
}

static int
on_hello(struct session *s, uint32_t id, struct err *err)
{
	struct message *m;

	if (s->request.version_min > MESSAGE_VERSION_MAX ||
	    s->request.version_max < MESSAGE_VERSION_MIN)
		return err_set(err, ERR_UNSUPPORTED,
		    "this helper speaks versions %d to %d of the protocol",
		    MESSAGE_VERSION_MIN, MESSAGE_VERSION_MAX);
	/* Another host process: the one before is dead. */
	session_forget(s);
	s->greeted = true;
	m = session_reply_begin(s);
	m->version_min = MESSAGE_VERSION_MIN;
	m->version_max = MESSAGE_VERSION_MAX;
	strcpy(m->instance, s->instance);
	strcpy(m->boot_id, s->boot_id);
	strcpy(m->program, HOLDSTILL_VERSION);
	session_reply_send(s, MESSAGE_HELLO, id);
	return 0;
}

static int
on_ping(struct session *s, uint32_t id)
{
	session_reply_begin(s);
	session_reply_send(s, MESSAGE_PING, id);
	return 0;
}

/* Of a session what it has; else what the next one would have. */
static int
put_status(struct session *s, struct message *m, struct err *err)
{
	struct err ignored = ERR_INIT;
	struct mounts seen;

	if (s->report.kind >= DEADMAN_FROZEN && s->mounts.items != NULL) {
		session_put_results(s, m);
	} else if (s->mounts.items != NULL) {
		session_put_filesystems(m, &s->mounts);
	} else {
		if (mounts_scan(&seen, s->o.paths, s->o.conf, NULL, 0, err) ==
		    -1)
			return -1;
		session_put_filesystems(m, &seen);
		mounts_fini(&seen);
	}
	/* Those that are known are told even if a folder cannot be read. */
	if (!s->engaged)
		writers_scan(s->writers, &ignored);
	writers_put(s->writers, m);
	return 0;
}

static int
on_status(struct session *s, uint32_t id, struct err *err)
{
	struct message *m = session_reply_begin(s);
	int64_t left;

	strcpy(m->program, HOLDSTILL_VERSION);
	strcpy(m->instance, s->instance);
	strcpy(m->boot_id, s->boot_id);
	if (put_status(s, m, err) == -1)
		return -1;
	if (s->held) {
		left = s->hold_begin_ms + s->lease_ms - clock_monotonic_ms();
		m->lease_left_ms = left > 0 ? (uint64_t)left : 0;
	}
	m->forecast_ms = timing_forecast_ms(&s->timing, true);
	if (s->failure[0] != '\0')
		strcpy(m->note, s->failure);
	session_reply_send(s, MESSAGE_STATUS, id);
	return 0;
}

/* ---- dispatch ---- */

static int
dispatch_work(
    struct session *s, const struct wire_frame *frame, struct err *err)
{
	if (s->held)
		return err_set(
		    err, ERR_BUSY, "not while the guest is held still");
	switch (frame->type) {
	case MESSAGE_PREPARE:
		return session_on_prepare(s, frame->request_id, err);
	case MESSAGE_FREEZE:
		return session_on_freeze(s, frame->request_id, err);
	case MESSAGE_COMMITTED:
		return session_on_committed(s, frame->request_id, err);
	default:
		return err_set(err, ERR_UNSUPPORTED,
		    "requests of type %u are unknown here", frame->type);
	}
}

static int
dispatch(struct session *s, const struct wire_frame *frame, struct err *err)
{
	switch (frame->type) {
	case MESSAGE_HELLO:
		return on_hello(s, frame->request_id, err);
	case MESSAGE_PING:
		return on_ping(s, frame->request_id);
	case MESSAGE_STATUS:
		return on_status(s, frame->request_id, err);
	case MESSAGE_THAW:
		return session_on_thaw(s, frame->request_id, err);
	case MESSAGE_ABORT:
		return session_on_abort(s, frame->request_id, err);
	default:
		return dispatch_work(s, frame, err);
	}
}

/* A status reads every mount table; the others start processes, unless they
 * are refused. */
static int
cost(uint8_t type, bool refused)
{
	if (type == MESSAGE_STATUS)
		return LIMITS_COSTLY;
	if ((type == MESSAGE_PREPARE || type == MESSAGE_COMMITTED) && !refused)
		return LIMITS_COSTLY;
	return 1;
}

bool
session_ready(struct session *s)
{
	return s->held || limits_allow(&s->limits, clock_monotonic_ms());
}

void
session_request(struct session *s, const struct wire_frame *frame)
{
	struct err err = ERR_INIT;
	bool refused;

	/* An answer is nothing to us: an echo, perhaps. */
	if (frame->flags & WIRE_REPLY) {
		limits_took(&s->limits, 1);
		return;
	}
	refused = message_decode(&s->request, frame->body, frame->body_bytes,
		      &err) == -1 ||
		  dispatch(s, frame, &err) == -1;
	limits_took(&s->limits, cost(frame->type, refused));
	if (refused)
		session_reply_error(s, frame->request_id, &err);
}

/* ---- events ---- */

static void
on_report(struct session *s)
{
	switch (s->report.kind) {
	case DEADMAN_SYNCED:
		session_synced(s);
		break;
	case DEADMAN_ARMED:
		session_armed(s);
		break;
	case DEADMAN_FROZEN:
		session_frozen(s);
		break;
	case DEADMAN_THAWING:
		session_thawing(s);
		break;
	case DEADMAN_THAWED:
		session_thawed(s);
		break;
	default:
		break;
	}
}

void
session_report(struct session *s)
{
	int rc;

	while ((rc = deadman_read(&s->deadman, &s->report)) == 1)
		on_report(s);
	if (rc == 0 || s->deadman.fd == -1)
		return;
	if (!s->fs_over)
		session_lost(s);
	deadman_close(&s->deadman, true);
	session_settle(s);
}

static void
on_writers(void *arg, enum writers_step step)
{
	struct session *s = arg;

	s->step = WRITERS_NONE;
	switch (step) {
	case WRITERS_PREPARE:
		session_writers_prepared(s);
		break;
	case WRITERS_FREEZE:
		session_writers_frozen(s);
		break;
	case WRITERS_THAW:
		session_writers_thawed(s);
		break;
	case WRITERS_COMMITTED:
		session_writers_committed(s);
		break;
	case WRITERS_ABORT:
		s->engaged = false;
		if (s->prepare.waiting)
			session_prepare_next(s);
		else if (s->commit.waiting)
			session_begin_commit(s);
		else
			session_settle(s);
		break;
	case WRITERS_NONE:
		break;
	}
}

int64_t
session_deadline_ms(const struct session *s)
{
	if (s->deadline_ms == 0 ||
	    (s->overdue_ms != 0 && s->overdue_ms < s->deadline_ms))
		return s->overdue_ms;
	return s->deadline_ms;
}

void
session_tick(struct session *s)
{
	int64_t now_ms = clock_monotonic_ms();

	if (s->overdue_ms != 0 && now_ms >= s->overdue_ms)
		session_overdue(s);
	if (s->deadline_ms == 0 || now_ms < s->deadline_ms)
		return;
	s->deadline_ms = 0;
	if (s->state == SESSION_PREPARING)
		session_prepare_late(s);
	else if (s->state == SESSION_PREPARED)
		session_prepared_late(s);
	else if (s->state == SESSION_FREEZING)
		session_freeze_late(s);
	else if (s->state == SESSION_THAWING)
		session_thaw_late(s);
}

/* ---- life ---- */

int
session_init(
    struct session *s, const struct session_options *options, struct err *err)
{
	memset(s, 0, offsetof(struct session, request));
	message_clear(&s->request);
	message_clear(&s->reply);
	message_clear(&s->metas);
	s->o = *options;
	s->deadman.fd = -1;
	s->deadman.pid = -1;
	s->expedite.fd = -1;
	s->run_fd = s->table = -1;
	limits_init(&s->limits, clock_monotonic_ms());
	if (hexid_new(s->instance, err) == -1)
		return -1;
	record_boot_id(s->boot_id, sizeof(s->boot_id));
	session_late_init(s);
	s->run_fd = record_open_dir(s->o.run_dir);
	timing_load(&s->timing, s->o.run_dir, s->boot_id);
	if (writers_new(&s->writers, s->o.conf, s->o.spawner, s->run_fd,
		on_writers, s, err) == -1) {
		session_fini(s);
		return -1;
	}
	writers_thaw_leftovers(s->writers);
	return 0;
}

void
session_fini(struct session *s)
{
	deadman_close(&s->deadman, false);
	writers_free(s->writers);
	s->writers = NULL;
	mounts_fini(&s->mounts);
	expedite_close(&s->expedite);
	marks_close(&s->marks);
	if (s->run_fd != -1)
		close(s->run_fd);
	if (s->table != -1)
		close(s->table);
	s->run_fd = s->table = -1;
}

void
session_hang_up(struct session *s)
{
	s->abort.waiting = false;
	s->greeted = false;
	session_forget(s);
}

bool
session_idle(const struct session *s)
{
	return !session_busy(s) && !writers_hold(s->writers);
}
