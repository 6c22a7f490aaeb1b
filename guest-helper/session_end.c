/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thaw, and every other way in which a session ends.  Asked for by the host:
 * file systems, then writers, then the proof.  The writers are not kept
 * waiting for a file system that hangs: not long if it was asked for, and not
 * at all in any other case.
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "guest-helper/quietlog.h"
#include "guest-helper/record.h"
#include "guest-helper/rescue.h"
#include "guest-helper/session_internal.h"
#include "guest-helper/writers/spawner.h"

/* The wait between them is doubled so often: to 25 minutes. */
#define RESCUES_MAX 10

/* ---- pieces ---- */

bool
session_busy(const struct session *s)
{
	return s->deadman.fd != -1 || s->step != WRITERS_NONE;
}

void
session_fail(struct session *s, const char *reason)
{
	snprintf(s->failure, sizeof(s->failure), "%s", reason);
	log_line(LOG_WARNING, "session %.8s: %s", s->id, reason);
}

/* Where no lease runs.  A sync that hangs keeps it from its end, but not from
 * the beginning. */
static void
expect_thaw(struct session *s)
{
	if (s->overdue_ms == 0)
		s->overdue_ms = clock_monotonic_ms() + SESSION_OVERDUE_MS;
}

void
session_give_up(struct session *s)
{
	struct err ignored = ERR_INIT;

	if (s->deadman.fd == -1 || s->ending)
		return;
	s->ending = true;
	expect_thaw(s);
	/* If it is gone, its socket says so next. */
	deadman_thaw(&s->deadman, false, &ignored);
}

static bool
is_forgotten(const struct session *s)
{
	return s->id[0] == '\0';
}

static void
free_filesystems(struct session *s)
{
	expedite_close(&s->expedite);
	marks_close(&s->marks);
	mounts_fini(&s->mounts);
}

/* ---- writers ---- */

void
session_ask_writers(struct session *s, const struct writers_request *request)
{
	s->engaged = true;
	s->step = request->step;
	writers_begin(s->writers, request);
}

/* The dead-man may have said "thaw" when their "freeze" was still on its way,
 * unless all had answered that: then it was asked for the file systems. */
static void
thaw_writers(struct session *s)
{
	struct writers_request request = {
		.step = WRITERS_THAW,
		.limit_ms =
		    is_forgotten(s) ? SESSION_ABORT_THAW_MS : SESSION_THAW_MS,
		.told = s->report.told_writers,
		.again = s->report.begin_ns == 0,
	};

	session_ask_writers(s, &request);
}

/* Once: one that did not is being ended by then, and holds until it has. */
static bool
writers_have_to_thaw(const struct session *s)
{
	return s->engaged && s->step != WRITERS_THAW && !s->writers_thawed &&
	       writers_hold(s->writers);
}

void
session_end_writers(struct session *s)
{
	struct writers_request request = {
		.step = WRITERS_ABORT,
		.limit_ms = SESSION_ABORT_MS,
	};

	/* These are let come to their end, which calls this again.  A commit
	 * is true whoever still listens. */
	if (!s->engaged || s->step == WRITERS_THAW ||
	    s->step == WRITERS_ABORT || s->step == WRITERS_COMMITTED)
		return;
	if (writers_have_to_thaw(s))
		thaw_writers(s);
	else
		session_ask_writers(s, &request);
}

/* ---- the end of a session ---- */

void
session_forget(struct session *s)
{
	static const char text[] = "the session was ended";
	bool ending = s->ending;

	session_give_up(s);
	session_pending_error(s, &s->prepare, ERR_CANCELLED, text);
	session_pending_error(s, &s->freeze, ERR_CANCELLED, text);
	session_pending_error(s, &s->thaw, ERR_CANCELLED, text);
	session_pending_error(s, &s->commit, ERR_CANCELLED, text);
	s->deadline_ms = 0;
	s->have_proof = false;
	s->id[0] = '\0';
	/* How the last one ended can still be asked for. */
	if (s->held)
		s->state = SESSION_THAWING;
	else if (s->state != SESSION_COMMITTED && s->state != SESSION_FAILED)
		s->state = SESSION_STABLE;
	/* Nothing is proved any more.  If it was not yet ending, the
	 * dead-man says next that the thaw has begun. */
	if (ending && s->held && writers_have_to_thaw(s))
		thaw_writers(s);
	session_settle(s);
}

void
session_settle(struct session *s)
{
	if (is_forgotten(s) && s->deadman.fd == -1) {
		free_filesystems(s);
		session_end_writers(s);
	}
	if (session_busy(s) || !s->abort.waiting)
		return;
	s->abort.waiting = false;
	session_reply_begin(s);
	session_reply_send(s, MESSAGE_ABORT, s->abort.id);
}

int
session_on_abort(struct session *s, uint32_t id, struct err *err)
{
	/* Without a session id: whatever there is. */
	if (s->request.session[0] != '\0' && session_need(s, err) == -1)
		return -1;
	if (s->abort.waiting)
		return err_set(err, ERR_BUSY, "an abort is under way");
	session_pending_set(&s->abort, id);
	session_forget(s);
	return 0;
}

int
session_on_thaw(struct session *s, uint32_t id, struct err *err)
{
	if (session_need(s, err) == -1)
		return -1;
	if (s->have_proof) {
		session_reply_proof(s, id);
		return 0;
	}
	if (s->thaw.waiting)
		return err_set(err, ERR_BUSY, "a thaw is under way");
	/* The writers may be an earlier session's, whose end this one waits
	 * for. */
	if (s->deadman.fd == -1 && (!s->ending || s->step != WRITERS_THAW))
		return err_set(err, ERR_ARG, "nothing was prepared");
	if (!s->ending && deadman_thaw(&s->deadman, true, err) == -1)
		return -1;
	if (!s->ending)
		expect_thaw(s);
	s->ending = true;
	session_pending_set(&s->thaw, id);
	return 0;
}

/* ---- reports ---- */

/* The first file system whose freeze was begun or waited for. */
static const char *
find_hung(const struct session *s)
{
	size_t i;

	for (i = 0; s->report.begin_ns != 0 && i < s->planned_count; i++)
		if (!s->report.results[i].tried)
			return s->mounts.items[s->planned[i]].mount_point;
	return NULL;
}

/* The freeze did not come to its end in time. */
static void
say_late(struct session *s)
{
	uint32_t ms = s->report.lease_expired ? s->lease_ms : s->freeze_ms;
	const char *hung = find_hung(s);
	char text[MESSAGE_REASON_SIZE];
	uint32_t took_ms = (uint32_t)(clock_monotonic_ms() - s->hold_begin_ms);

	if (hung != NULL)
		snprintf(text, sizeof(text),
		    "the freeze of '%.90s' did not come back within %u ms",
		    hung, (unsigned int)ms);
	else
		snprintf(text, sizeof(text),
		    "the freeze did not finish within %u ms", (unsigned int)ms);
	session_fail(s, text);
	if (s->report.begin_ns == 0)
		s->measure.writers_ms = took_ms;
	else
		s->measure.filesystems_ms = took_ms - s->measure.writers_ms;
	s->measured = true;
	s->timed_out = true;
}

static void
say_why(struct session *s)
{
	if (s->failure[0] != '\0')
		return;
	if (s->state == SESSION_FREEZING &&
	    (s->timed_out || s->report.lease_expired))
		say_late(s);
	else if (s->report.lease_expired)
		session_fail(s, "the lease ended before the thaw");
	else if (s->held && !s->ending)
		session_fail(s, "thawed before the host asked for it");
}

/* The file systems are to be thawed first, and then the writers; but a file
 * system may hang. */
static void
wait_for_filesystems(struct session *s)
{
	int64_t lease_end_ms = s->hold_begin_ms + s->lease_ms;

	if (!s->held)
		return;
	s->deadline_ms = clock_monotonic_ms() + SESSION_FILESYSTEMS_MS;
	if (s->deadline_ms > lease_end_ms)
		s->deadline_ms = lease_end_ms;
}

void
session_thaw_late(struct session *s)
{
	if (writers_have_to_thaw(s))
		thaw_writers(s);
}

/* So that all is thawed half a second after the end of the lease, but not
 * sooner than a dead-man alone would do it. */
static int64_t
thawed_by_ms(const struct session *s)
{
	int64_t now_ms = clock_monotonic_ms(), by_ms, lease_by_ms;

	by_ms = now_ms + SESSION_OVERDUE_MS;
	lease_by_ms = s->hold_begin_ms + s->lease_ms + SESSION_OVERDUE_MS;
	if (!s->held)
		return 0;
	if (!s->report.asked || lease_by_ms < by_ms)
		return by_ms;
	by_ms = now_ms + SESSION_FILESYSTEMS_MS;
	return by_ms < lease_by_ms ? by_ms : lease_by_ms;
}

void
session_thawing(struct session *s)
{
	if (!is_forgotten(s))
		say_why(s);
	s->ending = true;
	s->deadline_ms = 0;
	s->overdue_ms = thawed_by_ms(s);
	if (s->held)
		s->state = SESSION_THAWING;
	session_pending_error(
	    s, &s->prepare, ERR_CANCELLED, "thawed meanwhile");
	session_pending_error(s, &s->freeze,
	    s->timed_out ? ERR_TIMEOUT : ERR_CANCELLED,
	    s->failure[0] != '\0' ? s->failure
				  : "thawed before everything was frozen");
	if (s->report.asked && !is_forgotten(s)) {
		wait_for_filesystems(s);
		return;
	}
	if (writers_have_to_thaw(s))
		thaw_writers(s);
	else if (is_forgotten(s))
		session_end_writers(s);
}

static void
keep_measure(struct session *s)
{
	if (!s->measured)
		return;
	s->measured = false;
	timing_add(&s->timing, s->measure);
	timing_save(&s->timing, s->o.run_dir, s->boot_id);
}

/* File systems and writers are thawed. */
static void
finish(struct session *s)
{
	if (s->held)
		limits_held(&s->limits, s->hold_begin_ms, clock_monotonic_ms());
	s->held = false;
	keep_measure(s);
	if (is_forgotten(s)) {
		if (s->state == SESSION_THAWING)
			s->state = SESSION_STABLE;
		session_settle(s);
		return;
	}
	s->state = s->failure[0] != '\0' ? SESSION_FAILED : SESSION_THAWED;
	if (s->state == SESSION_THAWED)
		session_late_look(s);
	mounts_close(&s->mounts);
	s->have_proof = true;
	if (s->thaw.waiting)
		session_reply_proof(s, s->thaw.id);
	s->thaw.waiting = false;
}

/* Its record stays, for the next helper. */
static void
say_what_is_left(struct session *s)
{
	char text[MESSAGE_REASON_SIZE];
	size_t i;

	for (i = 0; i < s->planned_count; i++) {
		if (!marks_is_ours(marks_get(&s->marks, MARKS_FS(i))))
			continue;
		snprintf(text, sizeof(text), "'%.128s' may still be frozen",
		    s->mounts.items[s->planned[i]].mount_point);
		if (is_forgotten(s) || s->failure[0] != '\0')
			log_line(LOG_ERROR, "%s", text);
		else
			session_fail(s, text);
	}
}

void
session_thawed(struct session *s)
{
	s->fs_over = true;
	s->deadline_ms = s->overdue_ms = 0;
	session_late_end(s);
	quietlog_release();
	if (s->report.lease_expired && !is_forgotten(s))
		say_why(s);
	say_what_is_left(s);
	if (writers_have_to_thaw(s))
		thaw_writers(s);
	else if (s->step != WRITERS_THAW)
		finish(s);
}

void
session_writers_thawed(struct session *s)
{
	s->writers_thawed = true;
	/* Else the file systems' thaw comes last. */
	if (s->fs_over)
		finish(s);
	else if (is_forgotten(s))
		session_end_writers(s);
}

static void
put_fds(const struct session *s, int *fds)
{
	size_t i;

	for (i = 0; i < s->planned_count; i++)
		fds[i] = s->mounts.items[s->planned[i]].fd;
}

/*
 * Somebody killed the dead-man.  Its timer is gone, so this process thaws, and
 * may wait for it; the writers before, who may not.
 */
void
session_lost(struct session *s)
{
	int fds[MESSAGE_FILESYSTEMS_MAX];

	s->report.asked = false;
	s->report.told_writers = false;
	s->report.complete = false;
	if (!is_forgotten(s) && s->failure[0] == '\0')
		session_fail(s, "the dead-man process was killed");
	session_thawing(s);
	put_fds(s, fds);
	rescue_thaw(&s->marks, fds, s->planned_count);
	s->expedite.begun =
	    marks_is_ours(marks_get(&s->marks, MARKS_EXPEDITED));
	expedite_end(&s->expedite);
	if (marks_left(&s->marks, s->planned_count) == 0)
		record_remove(s->run_fd, s->record_id);
	session_thawed(s);
}

/* Only its end tells that it is gone. */
static void
kill_deadman(struct session *s)
{
	s->overdue_ms = clock_monotonic_ms() + SESSION_LOST_MS;
	spawner_kill_sibling(s->o.spawner, s->deadman.pid);
}

static void
say_overdue(struct session *s)
{
	if (!is_forgotten(s) && s->failure[0] == '\0')
		session_fail(s, "the dead-man process did not thaw in time");
}

static int
thaw_beside(struct session *s)
{
	int fds[MESSAGE_FILESYSTEMS_MAX];

	put_fds(s, fds);
	return rescue_thaw_beside(&s->marks, fds, s->planned_count);
}

/*
 * The dead-man began its thaw, and has not ended it: a thaw hangs, or it was
 * stopped.  Others try, again and again, but more and more seldom, since each
 * may hang as well.  It is not killed for a thaw that hangs: only when all is
 * thawed, and it does not say so.
 */
static void
watch_thaw(struct session *s)
{
	int64_t wait_ms = SESSION_LOST_MS;

	if (marks_left(&s->marks, s->planned_count) > 0) {
		s->settled = false;
		thaw_beside(s);
		wait_ms <<= s->rescues;
		if (s->rescues < RESCUES_MAX)
			s->rescues++;
	} else if (!s->settled) {
		s->settled = true;
		wait_ms = SESSION_OVERDUE_MS;
	} else {
		say_overdue(s);
		kill_deadman(s);
		return;
	}
	s->overdue_ms = clock_monotonic_ms() + wait_ms;
}

/*
 * The dead-man said nothing: it is stopped, or was killed with a thread in a
 * freeze that hangs, which keeps their socket open.  What it froze is thawed
 * without waiting; the one that hangs when the last of the dead-man is gone,
 * which session_lost() sees to.
 */
void
session_overdue(struct session *s)
{
	int64_t lease_end_ms = s->hold_begin_ms + s->lease_ms;

	if (s->report.kind == DEADMAN_THAWING) {
		watch_thaw(s);
		return;
	}
	if (s->rescued) {
		kill_deadman(s);
		return;
	}
	s->report.asked = s->report.told_writers = false;
	s->report.lease_expired =
	    s->held && clock_monotonic_ms() >= lease_end_ms;
	say_overdue(s);
	/* Should it only have slept: what it freezes from now on is thawed. */
	session_give_up(s);
	session_thawing(s);
	s->rescued = thaw_beside(s) == 0;
	s->overdue_ms = clock_monotonic_ms() +
			(s->rescued ? SESSION_LOST_MS : SESSION_OVERDUE_MS);
}
