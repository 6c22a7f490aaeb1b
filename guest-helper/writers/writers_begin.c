/* SPDX-License-Identifier: Apache-2.0 */
/* How each step begins: who takes part in it. */
#include "guest-helper/writers/writers_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "guest-helper/conf.h"
#include "guest-helper/writers/hooks.h"

void
writers_thaw_loose(struct writers *s, const char *hook)
{
	char name[MESSAGE_NAME_SIZE];
	struct writers_leaving *l;
	struct spawner_child child;
	struct err err = ERR_INIT;

	snprintf(name, sizeof(name), WRITER_HOOK_PREFIX "%.*s",
	    (int)(sizeof(name) - sizeof(WRITER_HOOK_PREFIX)), hook);
	if (s->stuck)
		return;
	if (spawner_run(s->spawner, SPAWNER_HOOKS, hook, "thaw", NULL, &child,
		&err) == -1) {
		s->stuck = err.class == ERR_TIMEOUT;
		log_line(
		    LOG_WARNING, "'%s' may be left frozen: %s", name, err.text);
		/* It will not get better by another try. */
		if (err.class == ERR_NOT_FOUND || err.class == ERR_AUTH)
			hooks_forget(s->run_dir, hook);
		return;
	}
	close(child.output);
	close(child.errors);
	l = writers_follow(
	    s, child.pid, name, conf_writer(s->conf, name)->thaw_ms);
	if (l != NULL)
		l->leftover = l->touched = true;
}

static bool
is_thawing(const struct writers *s, const char *hook)
{
	const struct writers_leaving *l = s->leaving;

	for (; l < s->leaving + WRITERS_LEAVING_MAX; l++)
		if (l->pid != 0 && l->leftover &&
		    strcmp(l->name + strlen(WRITER_HOOK_PREFIX), hook) == 0)
			return true;
	return false;
}

static void
thaw_leftover(void *arg, const char *name)
{
	if (spawner_name_valid(name) && !is_thawing(arg, name))
		writers_thaw_loose(arg, name);
}

void
writers_thaw_leftovers(struct writers *s)
{
	hooks_each(s->run_dir, thaw_leftover, s);
	writers_arm(s);
}

/* Of a session that was never ended. */
static void
clear_away(struct writers *s)
{
	struct writer *w;
	size_t i;

	for (i = 0; i < s->count; i++) {
		w = s->items[i];
		writers_dismiss(s, w, "abort");
		if (w->hook && w->touched)
			writers_thaw_loose(
			    s, w->name + strlen(WRITER_HOOK_PREFIX));
		w->recorded = false;
		writer_reset(w);
	}
}

static void
begin_prepare(struct writers *s, const char *session)
{
	struct writer *w;
	size_t i;

	clear_away(s);
	/* Those whose thaw went wrong, of whatever session. */
	hooks_each(s->run_dir, thaw_leftover, s);
	s->thawing = false;
	snprintf(s->session, sizeof(s->session), "%s", session);
	writers_scan_now(s);
	for (i = 0; i < s->count; i++) {
		w = s->items[i];
		if (w->unfit[0] != '\0') {
			writer_fail(w, "%s", w->unfit);
		} else if (w->hook) {
			writer_set_state(w, MESSAGE_WRITER_PREPARED);
		} else {
			writer_set_state(w, MESSAGE_WRITER_PREPARING);
			w->due = true;
		}
	}
}

static void
check_data(struct writer *w, writers_covers_fn *covers, void *arg)
{
	char reason[MESSAGE_REASON_SIZE] = "";
	bool covered = true;
	size_t i;

	if (w->data_count == 0)
		covered = covers(arg, NULL, reason);
	for (i = 0; i < w->data_count && covered; i++)
		covered = covers(arg, w->data[i], reason);
	if (!covered)
		writer_fail(w, "%s", reason);
}

void
writers_check_data(struct writers *s, writers_covers_fn *covers, void *arg)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (s->items[i]->state == MESSAGE_WRITER_PREPARED)
			check_data(s->items[i], covers, arg);
	writers_advance(s);
	writers_arm(s);
}

static void
begin_freeze(struct writers *s)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		s->items[i]->due =
		    s->items[i]->state == MESSAGE_WRITER_PREPARED;
}

/* Of THAW and ABORT, which may come in the middle of a freeze. */
static void
cut_freeze(struct writers *s, struct writer *w)
{
	if (w->state != MESSAGE_WRITER_FREEZING)
		return;
	w->cut = true;
	if (w->hook && w->pid != 0) {
		w->fate = WRITER_TO_TERM;
		writers_dismiss(s, w, NULL);
	}
}

static void
begin_thaw(struct writers *s)
{
	struct writer *w;
	size_t i;

	s->thawing = true;
	for (i = 0; i < s->count; i++) {
		w = s->items[i];
		cut_freeze(s, w);
		w->due = w->touched || (s->told && w->shared && w->pid != 0);
	}
}

static void
begin_abort(struct writers *s)
{
	struct writer *w;
	size_t i;

	for (i = 0; i < s->count; i++) {
		w = s->items[i];
		cut_freeze(s, w);
		w->due = w->hook ? w->touched : w->pid != 0;
		/* Nobody was asked anything yet. */
		if (!w->due && (w->state == MESSAGE_WRITER_PREPARED ||
				   w->state == MESSAGE_WRITER_PREPARING))
			writer_set_state(w, MESSAGE_WRITER_STABLE);
	}
}

/* ---- committed ---- */

static void
say_meta(struct writer *w, const struct message_meta *m)
{
	char line[WRITER_LINE_MAX + 1];
	struct writer_line l;
	int n = snprintf(line, sizeof(line), "meta %s %s", m->key, m->value);

	/* The host says it: nothing that would be more than one line. */
	writer_line_parse(&l, line, (size_t)n);
	if (l.kind == WRITER_LINE_META && strcmp(l.key, m->key) == 0)
		writer_say(w, "meta %s %s", m->key, m->value);
}

static void
ask_committed(struct writers *s, struct writer *w, const char *session,
    const struct message_writer *said)
{
	size_t i;

	/* One that ended after its thaw, or is about to. */
	if (w->fds[WRITER_INPUT] == -1)
		writers_dismiss(s, w, NULL);
	if (w->pid == 0) {
		w->read_bytes = w->logged_bytes = 0;
		if (w->state != MESSAGE_WRITER_THAWED)
			writer_set_state(w, MESSAGE_WRITER_STABLE);
		if (w->unfit[0] != '\0') {
			writer_fail(w, "%s", w->unfit);
			return;
		}
		if (writers_start(s, w, NULL, session) == -1)
			return;
	}
	writers_expect(s, w);
	for (i = 0; i < said->meta_count && i < MESSAGE_META_MAX; i++)
		say_meta(w, &said->metas[i]);
	writer_say(w, "committed %s", s->point);
}

/* It may be no name at all: what is logged is clean. */
static void
log_not_told(const char *name)
{
	char text[MESSAGE_NAME_SIZE];

	snprintf(text, sizeof(text), "%s", name);
	writer_line_clean(text);
	log_line(LOG_WARNING, "writer '%s': was not told of the backup", text);
}

/* One of those that the host names. */
static void
commit_one(
    struct writers *s, const char *session, const struct message_writer *said)
{
	bool ours = session != NULL && strcmp(session, s->session) == 0;
	struct writer *w = writers_find(s, said->name);
	bool hook = strncmp(said->name, WRITER_HOOK_PREFIX,
			strlen(WRITER_HOOK_PREFIX)) == 0;

	if (said->state == MESSAGE_WRITER_FAILED || hook) {
		if (hook && w != NULL && w->state == MESSAGE_WRITER_THAWED)
			writer_set_state(w, MESSAGE_WRITER_STABLE);
		return;
	}
	if (w == NULL && spawner_name_valid(said->name))
		w = writers_add(s, said->name, false);
	else if (w != NULL && w->pid == 0 && w->touched)
		w = NULL;
	if (w == NULL || (w->pid != 0 && !ours) ||
	    (w->pid != 0 && w->state != MESSAGE_WRITER_THAWED)) {
		log_not_told(said->name);
		return;
	}
	if (!w->seen)
		writer_fail(w, "there is no such writer any more");
	else
		ask_committed(s, w, session, said);
}

static void
begin_committed(struct writers *s, const struct message *metas)
{
	const char *session = NULL;
	size_t i;

	if (metas == NULL)
		return;
	if (hexid_valid(metas->session))
		session = metas->session;
	if (writers_idle(s))
		writers_scan_now(s);
	for (i = 0; i < metas->writer_count && i < MESSAGE_WRITERS_MAX; i++)
		commit_one(s, session, &metas->writers[i]);
}

void
writers_begin(struct writers *s, const struct writers_request *r)
{
	int64_t now = clock_monotonic_ms();
	size_t i;

	s->step = r->step;
	s->begin_ms = now;
	s->limit_ms = r->limit_ms == 0 ? 0 : now + r->limit_ms;
	s->stuck = false;
	s->told = r->told;
	s->again = r->told && r->again;
	for (i = 0; i < s->count; i++)
		s->items[i]->due = false;
	if (r->step == WRITERS_PREPARE && hexid_valid(r->id)) {
		begin_prepare(s, r->id);
	} else if (r->step == WRITERS_FREEZE) {
		begin_freeze(s);
	} else if (r->step == WRITERS_THAW) {
		begin_thaw(s);
	} else if (r->step == WRITERS_ABORT) {
		begin_abort(s);
	} else if (r->step == WRITERS_COMMITTED && hexid_valid(r->id)) {
		snprintf(s->point, sizeof(s->point), "%s", r->id);
		begin_committed(s, r->metas);
	}
	writers_advance(s);
	writers_arm(s);
}
