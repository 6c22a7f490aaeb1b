/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prepare: the writers get ready, then the file systems are mapped, opened
 * and synced by the dead-man that will own the freeze.
 */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "guest-helper/conf.h"
#include "guest-helper/coverage.h"
#include "guest-helper/record.h"
#include "guest-helper/session_internal.h"

static uint32_t
at_most(uint64_t value, uint32_t most)
{
	return value > most ? most : (uint32_t)value;
}

static uint32_t
granted_lease(const struct conf *conf, uint32_t asked_ms)
{
	uint32_t most = MESSAGE_LEASE_MAX_MS;

	if (conf->lease_max_ms != 0 && conf->lease_max_ms < most)
		most = conf->lease_max_ms;
	return at_most(asked_ms, most);
}

/* The time that a freeze may take, which leaves some to hold, also where less
 * of a lease is granted than the host reckoned with. */
static uint32_t
granted_freeze(uint32_t asked_ms, uint32_t asked_lease_ms, uint32_t lease_ms)
{
	if (asked_ms == 0)
		return lease_ms / 2;
	return at_most(
	    asked_ms, lease_ms < asked_lease_ms ? lease_ms / 2 : lease_ms);
}

void
session_usual_times(struct session_times *out, const struct conf *conf)
{
	out->lease_ms = granted_lease(conf, MESSAGE_LEASE_USUAL_MS);
	out->prepare_ms = SESSION_WRITERS_SHARE(MESSAGE_PREPARE_USUAL_MS);
	out->freeze_ms = SESSION_WRITERS_SHARE(granted_freeze(
	    MESSAGE_LEASE_USUAL_MS / 2, MESSAGE_LEASE_USUAL_MS, out->lease_ms));
	out->thaw_ms = SESSION_THAW_MS;
	out->committed_ms = SESSION_COMMITTED_MS;
}

static bool
wants_writers(const struct message *request)
{
	return request->level >= MESSAGE_APPLICATION;
}

/* Would the freeze outlive its time, as the last ones went? */
static int
check_forecast(struct session *s, struct err *err)
{
	uint32_t lease_ms = granted_lease(s->o.conf, s->request.lease_ms);
	uint32_t freeze_ms =
	    granted_freeze(s->request.freeze_ms, s->request.lease_ms, lease_ms);
	uint32_t forecast_ms =
	    timing_forecast_ms(&s->timing, wants_writers(&s->request));

	if (forecast_ms < freeze_ms || forecast_ms == 0)
		return 0;
	timing_age(&s->timing);
	timing_save(&s->timing, s->o.run_dir, s->boot_id);
	return err_set(err, ERR_TIMEOUT,
	    "a freeze lately took %u ms, and a lease of %u ms leaves it %u: "
	    "use a longer --lease",
	    (unsigned int)forecast_ms, (unsigned int)lease_ms,
	    (unsigned int)freeze_ms);
}

static int
check_prepare(struct session *s, struct err *err)
{
	int64_t rest_ms = limits_rest_ms(&s->limits, clock_monotonic_ms());

	if (!s->greeted)
		return err_set(err, ERR_ARG, "hello comes first");
	/* Before the other reason, which may be over any moment. */
	if (rest_ms > 0)
		return err_set(err, ERR_BUSY,
		    "the guest was held still and rests for %lld ms more",
		    (long long)rest_ms);
	if (session_busy(s))
		return err_set(err, ERR_BUSY,
		    s->id[0] == '\0' || s->ending
			? "an earlier session is still being ended"
			: "a session is under way");
	if (!hexid_valid(s->request.session))
		return err_set(err, ERR_ARG, "no valid session id");
	if (s->request.lease_ms == 0)
		return err_set(err, ERR_ARG, "a freeze needs a lease");
	return check_forecast(s, err);
}

static void
begin_session(struct session *s)
{
	const struct message *m = &s->request;

	strcpy(s->id, m->session);
	memcpy(s->disks, m->disks, m->disk_count * sizeof(s->disks[0]));
	s->disk_count = m->disk_count;
	s->lease_ms = granted_lease(s->o.conf, m->lease_ms);
	s->freeze_ms = granted_freeze(m->freeze_ms, m->lease_ms, s->lease_ms);
	s->prepare_ms = SESSION_PREPARE_DEFAULT_MS;
	if (m->prepare_ms != 0)
		s->prepare_ms = at_most(m->prepare_ms, SESSION_PREPARE_MAX_MS);
	s->deadline_ms = clock_monotonic_ms() + s->prepare_ms;
	s->failure[0] = s->stale_id[0] = '\0';
	s->table_changed = false;
	s->writers_wanted = wants_writers(m);
	s->planned_count = 0;
	s->have_proof = s->mounted_late = s->writers_thawed = false;
	s->timed_out = s->measured = s->fs_over = s->ending = s->rescued =
	    s->settled = false;
	s->rescues = 0;
	memset(&s->measure, 0, sizeof(s->measure));
	memset(&s->report, 0, sizeof(s->report));
	s->state = SESSION_PREPARING;
}

/* ---- file systems ---- */

static void
prepare_record(struct session *s)
{
	struct err warning = ERR_INIT;

	s->record_id[0] = '\0';
	if (s->run_fd != -1 &&
	    record_prepare(s->record_id, &s->marks, s->o.run_dir, s->boot_id,
		&s->mounts, s->expedite.fd != -1, &warning) == -1)
		log_line(LOG_WARNING, "no record: %s", warning.text);
}

static int
start_deadman(struct session *s, struct err *err)
{
	static struct deadman_target targets[MESSAGE_FILESYSTEMS_MAX];
	int inputs[DEADMAN_INPUTS_MAX];
	struct deadman_setup setup = {
		.record_dir = s->run_fd,
		.targets = targets,
		.inputs = inputs,
	};
	size_t i;

	for (i = 0; i < s->mounts.count; i++) {
		if (s->mounts.items[i].fd == -1)
			continue;
		targets[s->planned_count].fd = s->mounts.items[i].fd;
		targets[s->planned_count].rank = s->mounts.items[i].rank;
		s->planned[s->planned_count++] = i;
	}
	setup.count = s->planned_count;
	if (s->engaged)
		setup.input_count =
		    writers_inputs(s->writers, inputs, DEADMAN_INPUTS_MAX);
	expedite_open(&s->expedite, s->o.expedite_path);
	if (marks_open(&s->marks, err) == -1)
		return -1;
	prepare_record(s);
	setup.expedite = s->expedite;
	setup.record_id = s->record_id;
	setup.marks = s->marks;
	if (deadman_start(&s->deadman, &setup, err) == 0)
		return 0;
	record_remove(s->run_fd, s->record_id);
	return -1;
}

/* Before the dead-man gets the inputs of those that go on. */
static void
check_coverage(struct session *s)
{
	struct coverage c;

	if (!s->engaged || !s->writers_wanted)
		return;
	coverage_init(&c, &s->mounts, s->o.paths);
	writers_check_data(s->writers, coverage_holds, &c);
	coverage_fini(&c);
}

static int
open_filesystems(struct session *s, struct err *err)
{
	if (mounts_scan(&s->mounts, s->o.paths, s->o.conf, s->disks,
		s->disk_count, err) == -1)
		return -1;
	mounts_open(&s->mounts, s->o.paths);
	check_coverage(s);
	return start_deadman(s, err);
}

/* Ends a session that never came to hold anything. */
static void
fail_prepare(struct session *s, enum err_class class, const char *text)
{
	session_fail(s, text);
	s->state = SESSION_FAILED;
	session_pending_error(s, &s->prepare, class, text);
	session_forget(s);
}

static void
prepare_filesystems(struct session *s)
{
	struct err err = ERR_INIT;

	if (open_filesystems(s, &err) == -1)
		fail_prepare(s, err.class, err.text);
}

/* ---- steps ---- */

/* Nothing of an earlier session is left. */
void
session_prepare_next(struct session *s)
{
	struct writers_request request = {
		.step = WRITERS_PREPARE,
		.id = s->id,
		.limit_ms = SESSION_WRITERS_SHARE(s->prepare_ms),
	};

	if (s->writers_wanted)
		session_ask_writers(s, &request);
	else
		prepare_filesystems(s);
}

int
session_on_prepare(struct session *s, uint32_t id, struct err *err)
{
	if (check_prepare(s, err) == -1)
		return -1;
	session_forget(s);
	begin_session(s);
	session_pending_set(&s->prepare, id);
	/* Writers of an earlier session end first. */
	if (!session_busy(s))
		session_prepare_next(s);
	return 0;
}

void
session_writers_prepared(struct session *s)
{
	if (s->state == SESSION_PREPARING && s->deadman.fd == -1)
		prepare_filesystems(s);
}

void
session_synced(struct session *s)
{
	/* One that was stopped meanwhile says so too late. */
	if (s->state != SESSION_PREPARING || !s->prepare.waiting)
		return;
	s->state = SESSION_PREPARED;
	s->deadline_ms = clock_monotonic_ms() + session_prepared_ms(s);
	session_reply_plan(s);
}

void
session_prepare_late(struct session *s)
{
	char text[MESSAGE_REASON_SIZE];

	snprintf(text, sizeof(text), "%s did not finish within %u ms",
	    s->deadman.fd == -1 ? "the writers' prepare"
				: "the sync of the file systems",
	    (unsigned int)s->prepare_ms);
	fail_prepare(s, ERR_TIMEOUT, text);
}

uint32_t
session_prepared_ms(const struct session *s)
{
	return SESSION_PREPARED_TIMES * s->prepare_ms;
}

/* A host that hangs keeps its channel open: nothing else would end this. */
void
session_prepared_late(struct session *s)
{
	char text[MESSAGE_REASON_SIZE];

	snprintf(text, sizeof(text),
	    "prepared, and no freeze came within %u ms",
	    (unsigned int)session_prepared_ms(s));
	strcpy(s->stale_id, s->id);
	session_fail(s, text);
	s->state = SESSION_FAILED;
	session_forget(s);
}
