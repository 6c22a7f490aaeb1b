/* SPDX-License-Identifier: Apache-2.0 */
/* What is answered, and the proof. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "guest-helper/session_internal.h"

static const char *const state_names[SESSION_STATES] = {
	[SESSION_STABLE] = "stable",
	[SESSION_PREPARING] = "preparing",
	[SESSION_PREPARED] = "prepared",
	[SESSION_FREEZING] = "freezing",
	[SESSION_FROZEN] = "frozen",
	[SESSION_THAWING] = "thawing",
	[SESSION_THAWED] = "thawed",
	[SESSION_COMMITTED] = "committed",
	[SESSION_FAILED] = "failed",
};

const char *
session_state_name(enum session_state state)
{
	return state_names[state];
}

struct message *
session_reply_begin(struct session *s)
{
	message_clear(&s->reply);
	strcpy(s->reply.session, s->id);
	strcpy(s->reply.state, session_state_name(s->state));
	return &s->reply;
}

void
session_reply_send(struct session *s, uint8_t type, uint32_t id)
{
	channel_reply(s->o.channel, type, id, &s->reply);
}

void
session_reply_error(struct session *s, uint32_t id, const struct err *err)
{
	struct message *m = session_reply_begin(s);

	snprintf(m->error_class, sizeof(m->error_class), "%s",
	    err_class_name(err->class));
	snprintf(m->error_text, sizeof(m->error_text), "%s", err->text);
	session_reply_send(s, MESSAGE_ERROR, id);
}

void
session_pending_error(struct session *s, struct session_pending *p,
    enum err_class class, const char *text)
{
	struct err err = ERR_INIT;

	if (!p->waiting)
		return;
	p->waiting = false;
	err_set(&err, class, "%s", text);
	session_reply_error(s, p->id, &err);
}

void
session_pending_set(struct session_pending *p, uint32_t id)
{
	p->waiting = true;
	p->id = id;
}

void
session_put_filesystems(struct message *m, const struct mounts *mounts)
{
	const struct mounts_filesystem *from;
	struct message_filesystem *to;
	size_t i;

	for (i = 0; i < mounts->count; i++) {
		from = &mounts->items[i];
		if ((to = message_add_filesystem(m)) == NULL)
			break;
		snprintf(to->mount_point, sizeof(to->mount_point), "%s",
		    from->mount_point);
		strcpy(to->type, from->type);
		strcpy(to->disk, from->disk);
		strcpy(to->reason, from->reason);
		to->state = from->state;
	}
	strcpy(m->note, mounts->note);
}

static void
explain(struct message_filesystem *to, const struct deadman_result *result)
{
	const char *reason = "not frozen before the thaw";

	to->thawed = result->thawed;
	to->state = result->frozen ? MESSAGE_FS_FROZEN : MESSAGE_FS_FAILED;
	if (result->frozen)
		return;
	switch (result->freeze_errno) {
	case 0:
		break;
	case EOPNOTSUPP:
	case ENOTTY:
		to->state = MESSAGE_FS_SKIPPED;
		reason = "this file system knows no freeze";
		break;
	case EBUSY:
		reason = "already frozen by somebody else";
		break;
	default:
		reason = strerror(result->freeze_errno);
		break;
	}
	snprintf(to->reason, sizeof(to->reason), "%s", reason);
}

/* What the dead-man knows, put over what was planned. */
void
session_put_results(const struct session *s, struct message *m)
{
	const struct deadman_result *result;
	struct message_filesystem *to;
	size_t i;

	session_put_filesystems(m, &s->mounts);
	for (i = 0; i < s->planned_count; i++) {
		result = &s->report.results[i];
		to = &m->filesystems[s->planned[i]];
		explain(to, result);
	}
}

/* ---- levels ---- */

static void
add_note(struct message *m, const char *text)
{
	size_t used = strlen(m->note);

	if (text != NULL && text[0] != '\0')
		snprintf(m->note + used, sizeof(m->note) - used, "%s%s",
		    used > 0 ? "; " : "", text);
}

/* Another one behind it: each has half of the room if both are long. */
static void
join_note(struct message *m, const char *text)
{
	size_t half = sizeof(m->note) / 2 - sizeof("; ");
	size_t length = strlen(text);
	size_t left =
	    sizeof(m->note) - sizeof("; ") - (length < half ? length : half);

	if (length > 0 && strlen(m->note) > left)
		m->note[left] = '\0';
	add_note(m, text);
}

/* Why the writers' part is not reached; NULL: it is. */
static const char *
blame_writers(const struct session *s)
{
	const char *reason;

	if (writers_level(s->writers, &reason) == MESSAGE_APPLICATION)
		return NULL;
	return reason;
}

/* The writers' part, on top of what the file systems reach. */
static void
put_level(const struct session *s, struct message *m, bool filesystems)
{
	const char *reason;

	m->level = filesystems ? MESSAGE_FILESYSTEM : MESSAGE_CRASH;
	if (!s->writers_wanted)
		return;
	reason = blame_writers(s);
	add_note(m, reason);
	if (reason == NULL && filesystems)
		m->level = MESSAGE_APPLICATION;
	writers_put(s->writers, m);
}

/* At least one counts, and none has failed. */
static bool
are_fine(const struct message *m, enum message_fs_state state)
{
	bool any = false;
	size_t i;

	for (i = 0; i < m->filesystem_count; i++) {
		if (m->filesystems[i].state == MESSAGE_FS_FAILED)
			return false;
		any |= m->filesystems[i].state == state;
	}
	return any;
}

/* ---- answers ---- */

void
session_reply_plan(struct session *s)
{
	struct message *m = session_reply_begin(s);

	session_put_filesystems(m, &s->mounts);
	m->lease_ms = s->lease_ms;
	m->freeze_ms = s->freeze_ms;
	m->sync_ms = s->report.sync_ms;
	m->forecast_ms = timing_forecast_ms(&s->timing, s->writers_wanted);
	put_level(s, m, are_fine(m, MESSAGE_FS_PLANNED));
	s->prepare.waiting = false;
	session_reply_send(s, MESSAGE_PREPARE, s->prepare.id);
}

void
session_reply_frozen(struct session *s)
{
	struct message *m = session_reply_begin(s);

	session_put_results(s, m);
	m->lease_ms = s->lease_ms;
	m->freeze_begin_ns = s->report.begin_ns;
	m->freeze_end_ns = s->report.end_ns;
	put_level(s, m, are_fine(m, MESSAGE_FS_FROZEN));
	s->freeze.waiting = false;
	session_reply_send(s, MESSAGE_FREEZE, s->freeze.id);
}

static bool
is_unbroken(const struct session *s)
{
	const struct deadman_report *r = &s->report;
	size_t frozen = 0, i;

	if (!r->asked || r->lease_expired || !r->complete || s->mounted_late)
		return false;
	for (i = 0; i < r->count; i++) {
		if (r->results[i].frozen && !r->results[i].thawed)
			return false;
		frozen += r->results[i].frozen;
	}
	return frozen > 0;
}

void
session_reply_proof(struct session *s, uint32_t id)
{
	const struct deadman_report *r = &s->report;
	struct message *m = session_reply_begin(s);

	session_put_results(s, m);
	m->freeze_begin_ns = r->begin_ns;
	m->freeze_end_ns = r->end_ns;
	m->thaw_ns = r->thaw_ns;
	if (r->begin_ns != 0 && r->done_ns > r->begin_ns)
		m->held_ms = (r->done_ns - r->begin_ns) / 1000000;
	m->lease_expired = r->lease_expired;
	m->unbroken = is_unbroken(s);
	snprintf(m->note, sizeof(m->note), "%s", s->failure);
	if (s->table_changed)
		add_note(m, "mounts came or went during the freeze");
	put_level(s, m, m->unbroken && are_fine(m, MESSAGE_FS_FROZEN));
	/* What was odd about the plan is odd about the proof. */
	join_note(m, s->mounts.note);
	session_reply_send(s, MESSAGE_THAW, id);
}
