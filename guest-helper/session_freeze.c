/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freeze: the lease is armed, the writers freeze, then the file systems.  It
 * has a deadline of its own, and the lease behind that.
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "guest-helper/quietlog.h"
#include "guest-helper/record.h"
#include "guest-helper/session_internal.h"

static void
keep_record(struct session *s)
{
	struct err warning = ERR_INIT;

	if (record_arm(s->run_fd, s->record_id, &warning) == -1)
		log_line(LOG_WARNING, "%s", warning.text);
}

int
session_on_freeze(struct session *s, uint32_t id, struct err *err)
{
	if (session_need(s, err) == -1)
		return -1;
	if (s->state != SESSION_PREPARED || s->ending)
		return err_set(err, ERR_ARG,
		    "cannot freeze a session that is %s",
		    s->ending ? "being ended" : session_state_name(s->state));
	if (s->request.freeze_ms != 0 && s->request.freeze_ms < s->lease_ms)
		s->freeze_ms = (uint32_t)s->request.freeze_ms;
	keep_record(s);
	quietlog_hold();
	if (deadman_arm(&s->deadman, s->lease_ms, err) == -1) {
		quietlog_release();
		return -1;
	}
	s->held = true;
	s->state = SESSION_FREEZING;
	s->hold_begin_ms = clock_monotonic_ms();
	s->deadline_ms = s->hold_begin_ms + s->freeze_ms;
	s->overdue_ms = s->hold_begin_ms + s->lease_ms + SESSION_OVERDUE_MS;
	session_pending_set(&s->freeze, id);
	return 0;
}

static void
freeze_filesystems(struct session *s)
{
	struct err ignored = ERR_INIT;

	session_late_begin(s);
	/* If it is gone, its socket says so next. */
	deadman_freeze(&s->deadman, &ignored);
}

void
session_armed(struct session *s)
{
	struct writers_request request = {
		.step = WRITERS_FREEZE,
		.limit_ms = SESSION_WRITERS_SHARE(s->freeze_ms),
	};

	if (s->state != SESSION_FREEZING || s->ending)
		return;
	if (s->writers_wanted)
		session_ask_writers(s, &request);
	else
		freeze_filesystems(s);
}

void
session_writers_frozen(struct session *s)
{
	if (s->state != SESSION_FREEZING || s->ending)
		return;
	s->measure.writers_ms =
	    (uint32_t)(clock_monotonic_ms() - s->hold_begin_ms);
	freeze_filesystems(s);
}

void
session_frozen(struct session *s)
{
	const struct deadman_report *r = &s->report;

	if (s->state != SESSION_FREEZING)
		return;
	s->state = SESSION_FROZEN;
	s->deadline_ms = 0;
	s->measure.filesystems_ms =
	    (uint32_t)((r->end_ns - r->begin_ns + 999999) / 1000000);
	s->measured = true;
	session_reply_frozen(s);
}

void
session_freeze_late(struct session *s)
{
	/* Its next report tells which file systems have not come back. */
	s->timed_out = true;
	session_give_up(s);
}
