/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the host, in their order. */
#include "guest-helper/session_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "guest-helper/freeze_linux.h"
#include "guest-helper/quietlog.h"
#include "guest-helper/record.h"

/* ---- states ---- */

static bool
is_held(const struct session *s)
{
	return s->state == SESSION_FREEZING || s->state == SESSION_FROZEN;
}

static void
fail(struct session *s, const char *reason)
{
	s->state = SESSION_FAILED;
	snprintf(s->failure, sizeof(s->failure), "%s", reason);
	log_line(LOG_WARNING, "session %.8s: %s", s->id, reason);
}

/* Tells the dead-man to thaw; what it says then is no proof. */
static void
give_up(struct session *s)
{
	struct err err = ERR_INIT;

	if (s->deadman.fd == -1 || s->ending)
		return;
	s->ending = true;
	/* If it is gone, its socket says so next. */
	deadman_thaw(&s->deadman, false, &err);
}

/* No session any more, but for a dead-man that may still be thawing. */
static void
forget(struct session *s)
{
	give_up(s);
	session_pending_error(
	    s, &s->prepare, ERR_CANCELLED, "the session was ended");
	session_pending_error(
	    s, &s->freeze, ERR_CANCELLED, "the session was ended");
	session_pending_error(
	    s, &s->thaw, ERR_CANCELLED, "the session was ended");
	/* How the last one ended can still be asked for. */
	if (s->state != SESSION_COMMITTED && s->state != SESSION_FAILED)
		s->state = SESSION_STABLE;
	s->have_proof = false;
	s->id[0] = '\0';
	if (s->deadman.fd == -1)
		mounts_fini(&s->mounts);
}

/* ---- requests ---- */

static int
need_session(const struct session *s, struct err *err)
{
	if (!hexid_valid(s->request.session))
		return err_set(err, ERR_ARG, "no valid session id");
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
	forget(s);
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
on_ping(struct session *s, uint32_t id, struct err *err)
{
	(void)err;
	session_reply_begin(s);
	session_reply_send(s, MESSAGE_PING, id);
	return 0;
}

static int
on_status(struct session *s, uint32_t id, struct err *err)
{
	struct message *m = session_reply_begin(s);
	struct mounts seen;
	int64_t left;

	strcpy(m->program, HOLDSTILL_VERSION);
	strcpy(m->instance, s->instance);
	strcpy(m->boot_id, s->boot_id);
	if (s->report.kind >= DEADMAN_FROZEN && s->mounts.items != NULL) {
		session_put_results(s, m);
	} else if (s->mounts.items != NULL) {
		session_put_filesystems(m, &s->mounts);
	} else {
		if (mounts_scan(&seen, s->paths, NULL, NULL, 0, err) == -1)
			return -1;
		session_put_filesystems(m, &seen);
		mounts_fini(&seen);
	}
	if (is_held(s)) {
		left = s->lease_end_ms - clock_monotonic_ms();
		m->lease_left_ms = left > 0 ? (uint64_t)left : 0;
	}
	if (s->failure[0] != '\0')
		strcpy(m->note, s->failure);
	session_reply_send(s, MESSAGE_STATUS, id);
	return 0;
}

static int
start_deadman(struct session *s, struct err *err)
{
	struct deadman_target targets[MESSAGE_FILESYSTEMS_MAX];
	size_t i;

	s->planned_count = 0;
	for (i = 0; i < s->mounts.count; i++) {
		if (s->mounts.items[i].fd == -1)
			continue;
		targets[s->planned_count].fd = s->mounts.items[i].fd;
		targets[s->planned_count].rank = s->mounts.items[i].rank;
		s->planned[s->planned_count++] = i;
	}
	memset(&s->report, 0, sizeof(s->report));
	s->have_proof = false;
	s->ending = false;
	return deadman_start(
	    &s->deadman, s->run_fd, targets, s->planned_count, err);
}

static int
check_prepare(const struct session *s, struct err *err)
{
	if (!s->greeted)
		return err_set(err, ERR_ARG, "hello comes first");
	if (s->deadman.fd != -1)
		return err_set(err, ERR_BUSY,
		    s->ending ? "an earlier session is still being thawed"
			      : "a session is under way");
	if (!hexid_valid(s->request.session))
		return err_set(err, ERR_ARG, "no valid session id");
	if (s->request.lease_ms == 0)
		return err_set(err, ERR_ARG, "a freeze needs a lease");
	return 0;
}

static int
on_prepare(struct session *s, uint32_t id, struct err *err)
{
	if (check_prepare(s, err) == -1)
		return -1;
	forget(s);
	memcpy(s->disks, s->request.disks, sizeof(s->disks));
	s->disk_count = s->request.disk_count;
	s->mounted_late = false;
	if (mounts_scan(&s->mounts, s->paths, NULL, s->request.disks,
		s->request.disk_count, err) == -1)
		return -1;
	mounts_open(&s->mounts, s->paths);
	if (start_deadman(s, err) == -1) {
		mounts_fini(&s->mounts);
		return -1;
	}
	strcpy(s->id, s->request.session);
	s->failure[0] = '\0';
	s->lease_ms = s->request.lease_ms > MESSAGE_LEASE_MAX_MS
			  ? MESSAGE_LEASE_MAX_MS
			  : (uint32_t)s->request.lease_ms;
	s->state = SESSION_PREPARING;
	session_pending_set(&s->prepare, id);
	return 0;
}

static int
on_freeze(struct session *s, uint32_t id, struct err *err)
{
	struct err warning = ERR_INIT;

	if (need_session(s, err) == -1)
		return -1;
	if (s->state != SESSION_PREPARED)
		return err_set(err, ERR_ARG,
		    "cannot freeze a session that "
		    "is %s",
		    session_state_name(s->state));
	if (s->run_fd != -1 &&
	    record_write(s->run_dir, s->boot_id, &s->mounts, &warning) == -1)
		log_line(LOG_WARNING, "%s", warning.text);
	quietlog_hold();
	if (deadman_freeze(&s->deadman, s->lease_ms, err) == -1) {
		quietlog_release();
		return -1;
	}
	s->held = true;
	s->state = SESSION_FREEZING;
	s->lease_end_ms = clock_monotonic_ms() + s->lease_ms;
	session_pending_set(&s->freeze, id);
	return 0;
}

static int
on_thaw(struct session *s, uint32_t id, struct err *err)
{
	if (need_session(s, err) == -1)
		return -1;
	if (s->have_proof) {
		session_reply_proof(s, MESSAGE_THAW, id);
		return 0;
	}
	if (s->thaw.waiting)
		return err_set(err, ERR_BUSY, "a thaw is under way");
	if (s->deadman.fd == -1)
		return err_set(err, ERR_ARG, "nothing was prepared");
	if (deadman_thaw(&s->deadman, true, err) == -1)
		return -1;
	s->ending = true;
	session_pending_set(&s->thaw, id);
	return 0;
}

static int
on_committed(struct session *s, uint32_t id, struct err *err)
{
	struct message *m;
	bool again;

	if (!s->greeted)
		return err_set(err, ERR_ARG, "hello comes first");
	if (!hexid_valid(s->request.session) || !hexid_valid(s->request.point))
		return err_set(err, ERR_ARG, "no valid session and point id");
	if (s->deadman.fd != -1 && !s->have_proof)
		return err_set(err, ERR_BUSY,
		    "cannot commit a session that is %s",
		    session_state_name(s->state));
	/* Also of a session this process never saw: the host tells it again
	 * after a reconnect or a restart of the helper. */
	if (strcmp(s->id, s->request.session) != 0)
		s->have_proof = false;
	again = strcmp(s->last_point, s->request.point) == 0;
	strcpy(s->last_point, s->request.point);
	strcpy(s->id, s->request.session);
	s->state = SESSION_COMMITTED;
	m = session_reply_begin(s);
	strcpy(m->point, s->last_point);
	m->repeated = again;
	session_reply_send(s, MESSAGE_COMMITTED, id);
	return 0;
}

static int
on_abort(struct session *s, uint32_t id, struct err *err)
{
	/* Without a session id: whatever there is. */
	if (s->request.session[0] != '\0' && need_session(s, err) == -1)
		return -1;
	forget(s);
	if (s->deadman.fd != -1) {
		session_pending_set(&s->abort, id);
		return 0;
	}
	session_reply_begin(s);
	session_reply_send(s, MESSAGE_ABORT, id);
	return 0;
}

static int
dispatch(struct session *s, const struct wire_frame *frame, struct err *err)
{
	switch (frame->type) {
	case MESSAGE_HELLO:
		return on_hello(s, frame->request_id, err);
	case MESSAGE_PING:
		return on_ping(s, frame->request_id, err);
	case MESSAGE_STATUS:
		return on_status(s, frame->request_id, err);
	case MESSAGE_THAW:
		return on_thaw(s, frame->request_id, err);
	case MESSAGE_ABORT:
		return on_abort(s, frame->request_id, err);
	default:
		break;
	}
	if (is_held(s))
		return err_set(err, ERR_BUSY,
		    "not while file systems are "
		    "frozen");
	switch (frame->type) {
	case MESSAGE_PREPARE:
		return on_prepare(s, frame->request_id, err);
	case MESSAGE_FREEZE:
		return on_freeze(s, frame->request_id, err);
	case MESSAGE_COMMITTED:
		return on_committed(s, frame->request_id, err);
	default:
		return err_set(err, ERR_UNSUPPORTED,
		    "requests of type %u are unknown here", frame->type);
	}
}

void
session_request(struct session *s, const struct wire_frame *frame)
{
	struct err err = ERR_INIT;

	/* An answer is nothing to us: an echo, perhaps. */
	if (frame->flags & WIRE_REPLY)
		return;
	if (message_decode(&s->request, frame->body, frame->body_bytes, &err) ==
		-1 ||
	    dispatch(s, frame, &err) == -1)
		session_reply_error(s, frame->request_id, &err);
}

/* ---- reports of the dead-man ---- */

static void
on_synced(struct session *s)
{
	struct message *m;
	size_t i;

	if (s->state != SESSION_PREPARING)
		return;
	s->state = SESSION_PREPARED;
	m = session_reply_begin(s);
	session_put_filesystems(m, &s->mounts);
	m->lease_ms = s->lease_ms;
	m->sync_ms = s->report.sync_ms;
	/* There are no writers: nothing better can be promised. */
	m->level = s->planned_count > 0 ? MESSAGE_FILESYSTEM : MESSAGE_CRASH;
	for (i = 0; i < s->mounts.count; i++)
		if (s->mounts.items[i].state == MESSAGE_FS_FAILED)
			m->level = MESSAGE_CRASH;
	s->prepare.waiting = false;
	session_reply_send(s, MESSAGE_PREPARE, s->prepare.id);
}

static void
on_frozen(struct session *s)
{
	struct message *m;

	if (s->state != SESSION_FREEZING)
		return;
	s->state = SESSION_FROZEN;
	m = session_reply_begin(s);
	session_put_results(s, m);
	m->lease_ms = s->lease_ms;
	m->freeze_begin_ns = s->report.begin_ns;
	m->freeze_end_ns = s->report.end_ns;
	s->freeze.waiting = false;
	session_reply_send(s, MESSAGE_FREEZE, s->freeze.id);
}

static bool
was_planned(const struct session *s, const struct mounts_filesystem *fs)
{
	const struct mounts_filesystem *had;
	size_t i;

	for (i = 0; i < s->mounts.count; i++) {
		had = &s->mounts.items[i];
		if (had->major == fs->major && had->minor == fs->minor)
			return had->state != MESSAGE_FS_SKIPPED;
	}
	return false;
}

/* A file system that was mounted, or became writable, since the plan was
 * made was not frozen with the others: then nothing is proved.  Looked at
 * after the thaw, so that nobody waits for it. */
static void
find_late_mounts(struct session *s)
{
	struct err err = ERR_INIT;
	struct mounts seen;
	size_t i;

	if (mounts_scan(&seen, s->paths, NULL, s->disks, s->disk_count, &err) ==
	    -1) {
		s->mounted_late = true;
		fail(s, "what is mounted cannot be read again");
		return;
	}
	for (i = 0; i < seen.count; i++) {
		if (seen.items[i].state != MESSAGE_FS_PLANNED ||
		    was_planned(s, &seen.items[i]))
			continue;
		s->mounted_late = true;
		snprintf(s->failure, sizeof(s->failure),
		    "mounted since the plan: '%.100s'",
		    seen.items[i].mount_point);
	}
	mounts_fini(&seen);
}

/* Everything is thawed, whoever wanted it. */
static void
on_thawed(struct session *s)
{
	s->held = false;
	quietlog_release();
	if (s->report.lease_expired)
		fail(s, "the lease ended before the thaw");
	else if (is_held(s) && !s->report.asked)
		fail(s, "thawed before the host asked for it");
	else if (s->state != SESSION_STABLE)
		s->state = SESSION_THAWED;
	s->have_proof = s->state != SESSION_STABLE;
	if (s->state == SESSION_THAWED)
		find_late_mounts(s);
	mounts_close(&s->mounts);
	session_pending_error(
	    s, &s->prepare, ERR_CANCELLED, "thawed meanwhile");
	session_pending_error(s, &s->freeze,
	    s->report.lease_expired ? ERR_TIMEOUT : ERR_CANCELLED,
	    "thawed before everything was frozen");
	if (s->thaw.waiting)
		session_reply_proof(s, MESSAGE_THAW, s->thaw.id);
	s->thaw.waiting = false;
}

/*
 * The dead-man died without a last report: somebody killed it.  Its timer
 * is gone, so this process thaws, at the risk of being blocked.
 */
static void
on_lost(struct session *s)
{
	const struct mounts_filesystem *fs;
	size_t i;

	for (i = 0; s->held && i < s->planned_count; i++) {
		fs = &s->mounts.items[s->planned[i]];
		/* Where a report names what is frozen, only that. */
		if (s->report.kind != DEADMAN_FROZEN ||
		    s->report.results[i].frozen)
			freeze_thaw(fs->fd);
	}
	record_remove(s->run_dir);
	s->report.asked = false;
	on_thawed(s);
	if (s->state != SESSION_STABLE)
		fail(s, "the dead-man process was killed");
}

void
session_report(struct session *s)
{
	int rc;

	while ((rc = deadman_read(&s->deadman, &s->report)) == 1) {
		if (s->report.kind == DEADMAN_SYNCED)
			on_synced(s);
		else if (s->report.kind == DEADMAN_FROZEN)
			on_frozen(s);
		else
			on_thawed(s);
	}
	if (rc == 0)
		return;
	if (s->report.kind != DEADMAN_THAWED)
		on_lost(s);
	deadman_close(&s->deadman, true);
	s->ending = false;
	if (s->state == SESSION_STABLE)
		mounts_fini(&s->mounts);
	if (s->abort.waiting) {
		session_reply_begin(s);
		session_reply_send(s, MESSAGE_ABORT, s->abort.id);
		s->abort.waiting = false;
	}
}

/* ---- life ---- */

static void
read_boot_id(char *out, size_t size)
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	*out = '\0';
	if (file == NULL)
		return;
	if (fgets(out, (int)size, file) == NULL)
		*out = '\0';
	out[strcspn(out, "\n")] = '\0';
	fclose(file);
}

int
session_init(struct session *s, struct channel *channel,
    const struct mounts_paths *paths, const char *run_dir, struct err *err)
{
	memset(s, 0, sizeof(*s));
	s->channel = channel;
	s->paths = paths;
	s->run_dir = run_dir;
	s->deadman.fd = -1;
	s->deadman.pid = -1;
	s->run_fd = -1;
	if (hexid_new(s->instance, err) == -1)
		return -1;
	read_boot_id(s->boot_id, sizeof(s->boot_id));
	record_thaw_leftovers(run_dir, s->boot_id);
	s->run_fd = record_open_dir(run_dir);
	return 0;
}

void
session_fini(struct session *s)
{
	deadman_close(&s->deadman, false);
	mounts_fini(&s->mounts);
	if (s->run_fd != -1)
		close(s->run_fd);
}

void
session_hang_up(struct session *s)
{
	s->abort.waiting = false;
	s->greeted = false;
	forget(s);
}

bool
session_idle(const struct session *s)
{
	return s->deadman.fd == -1;
}
