/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Committed: the point is durable, and the writers hear it.  At any time that
 * nothing is held, also of a session that this process never saw: the host
 * tells it again after a reconnect, or when it had died.
 */
#include <stdio.h>
#include <string.h>

#include "guest-helper/session_internal.h"

static void
reply(struct session *s, uint32_t id, bool again)
{
	struct message *m = session_reply_begin(s);

	strcpy(m->point, s->request.point);
	m->repeated = again;
	writers_put(s->writers, m);
	session_reply_send(s, MESSAGE_COMMITTED, id);
}

/* Have all done their part whom it was meant for?  One that was busy with
 * something else was not told. */
static bool
all_heard(struct session *s)
{
	const struct message_writer *said = s->metas.writers;
	size_t i;

	message_clear(&s->reply);
	writers_put(s->writers, &s->reply);
	for (i = 0; i < s->metas.writer_count; i++)
		if (said[i].state != MESSAGE_WRITER_FAILED &&
		    !message_writer_heard(&s->reply, said[i].name))
			return false;
	return true;
}

static void
done(struct session *s)
{
	/* Else it is told again, and they are asked again. */
	if (all_heard(s))
		strcpy(s->last_point, s->metas.point);
	s->state = SESSION_COMMITTED;
	if (!s->commit.waiting)
		return;
	s->commit.waiting = false;
	strcpy(s->request.point, s->metas.point);
	reply(s, s->commit.id, false);
}

void
session_begin_commit(struct session *s)
{
	struct writers_request request = {
		.step = WRITERS_COMMITTED,
		.id = s->metas.point,
		.limit_ms = SESSION_COMMITTED_MS,
		.metas = &s->metas,
	};

	strcpy(s->id, s->metas.session);
	if (s->metas.writer_count > 0)
		session_ask_writers(s, &request);
	else
		done(s);
}

void
session_writers_committed(struct session *s)
{
	done(s);
	/* The host has gone meanwhile. */
	if (s->id[0] == '\0')
		session_settle(s);
}

static int
check(const struct session *s, struct err *err)
{
	if (!s->greeted)
		return err_set(err, ERR_ARG, "hello comes first");
	if (!hexid_valid(s->request.session) || !hexid_valid(s->request.point))
		return err_set(err, ERR_ARG, "no valid session and point id");
	if ((s->deadman.fd != -1 && !s->have_proof) || s->prepare.waiting)
		return err_set(err, ERR_BUSY,
		    "cannot commit a session that is %s",
		    session_state_name(s->state));
	if (s->commit.waiting || s->step == WRITERS_COMMITTED)
		return err_set(err, ERR_BUSY, "a commit is under way");
	return 0;
}

static void
keep_metas(struct session *s)
{
	const struct message *from = &s->request;
	struct message *to = &s->metas;

	message_clear(to);
	strcpy(to->session, from->session);
	strcpy(to->point, from->point);
	to->writer_count = from->writer_count;
	memcpy(to->writers, from->writers,
	    from->writer_count * sizeof(to->writers[0]));
}

int
session_on_committed(struct session *s, uint32_t id, struct err *err)
{
	if (check(s, err) == -1)
		return -1;
	if (strcmp(s->id, s->request.session) != 0)
		session_forget(s);
	if (strcmp(s->last_point, s->request.point) == 0) {
		strcpy(s->id, s->request.session);
		s->state = SESSION_COMMITTED;
		reply(s, id, true);
		return 0;
	}
	keep_metas(s);
	session_pending_set(&s->commit, id);
	/* Writers of another session end first. */
	if (s->step == WRITERS_NONE)
		session_begin_commit(s);
	return 0;
}
