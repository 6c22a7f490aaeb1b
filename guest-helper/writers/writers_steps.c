/* SPDX-License-Identifier: Apache-2.0 */
/* The steps: whom they ask, in which order, and for how long. */
#include "guest-helper/writers/writers_internal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "guest-helper/conf.h"
#include "guest-helper/writers/hooks.h"

/* From the end of its output to the news of its exit. */
#define EXIT_WAIT_MS 500

static const char *
hook_file(const char *name)
{
	return name + strlen(WRITER_HOOK_PREFIX);
}

static bool
is_busy(const struct writer *w)
{
	return w->due || w->asked_count > 0;
}

static bool
is_leaving(const struct writers *s, const struct writer *w)
{
	size_t i;

	for (i = 0; i < WRITERS_LEAVING_MAX; i++)
		if (s->leaving[i].pid != 0 &&
		    strcmp(s->leaving[i].name, w->name) == 0)
			return true;
	return false;
}

bool
writers_finished(const struct writers *s)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (is_busy(s->items[i]))
			return false;
	return true;
}

/* ---- asking ---- */

static int64_t
deadline(const struct writers *s, const struct writer *w)
{
	int64_t ms = 0, end;

	switch (s->step) {
	case WRITERS_PREPARE:
		ms = w->conf->prepare_ms;
		break;
	case WRITERS_FREEZE:
		ms = w->conf->freeze_ms;
		break;
	case WRITERS_COMMITTED:
		ms = w->conf->committed_ms;
		break;
	case WRITERS_THAW:
	case WRITERS_ABORT:
		ms = w->conf->thaw_ms;
		break;
	case WRITERS_NONE:
		break;
	}
	end = clock_monotonic_ms() + ms;
	if (s->limit_ms != 0 && end > s->limit_ms)
		end = s->limit_ms;
	return end;
}

void
writers_expect(const struct writers *s, struct writer *w)
{
	writer_expect(w, s->step, deadline(s, w));
}

int
writers_start(struct writers *s, struct writer *w, const char *argument,
    const char *session)
{
	struct spawner_child child;
	struct err err = ERR_INIT;
	int rc = -1;

	if (s->stuck)
		err_set(&err, ERR_TIMEOUT,
		    "the process that runs writers does not answer");
	else
		rc = spawner_run(s->spawner,
		    w->hook ? SPAWNER_HOOKS : SPAWNER_WRITERS,
		    w->hook ? hook_file(w->name) : w->name, argument, session,
		    &child, &err);
	s->unsure = !s->stuck && !s->spawner->refused;
	if (s->unsure && rc == -1 && err.class == ERR_TIMEOUT)
		s->stuck = true;
	if (rc == 0)
		rc = writer_adopt(w, &child, &err);
	if (rc == -1)
		writer_fail(w, "cannot be run: %s", err.text);
	return rc;
}

static void
ask_prepare(struct writers *s, struct writer *w)
{
	if (writers_start(s, w, NULL, s->session) == -1)
		return;
	writers_expect(s, w);
	writer_say(w, "prepare %s", s->session);
}

static void
ask_freeze(struct writers *s, struct writer *w)
{
	writer_set_state(w, MESSAGE_WRITER_FREEZING);
	w->touched = true;
	if (!w->hook) {
		writers_expect(s, w);
		writer_say(w, "freeze");
		return;
	}
	/* Before it runs, for whoever comes after us. */
	hooks_remember(s->run_dir, hook_file(w->name));
	w->recorded = true;
	if (writers_start(s, w, "freeze", s->session) == 0)
		writers_expect(s, w);
	else /* One that may have begun is thawed. */
		w->touched = s->unsure;
}

static void
thaw_hook(struct writers *s, struct writer *w)
{
	if (writers_start(s, w, "thaw", s->session) == 0)
		writers_expect(s, w);
	else /* The record stays. */
		w->touched = w->recorded = false;
}

static void
say_thaw(const struct writers *s, struct writer *w)
{
	writers_expect(s, w);
	writer_say(w, "thaw");
}

/* What the dead-man told it; it may have answered already. */
static void
expect_told(const struct writers *s, struct writer *w, bool early)
{
	bool touched = w->touched;

	writers_expect(s, w);
	if (early)
		writer_answer(w, w->early_ok, w->early_text);
	if (s->again && touched && w->state != MESSAGE_WRITER_FAILED)
		say_thaw(s, w);
}

static void
ask_thaw(struct writers *s, struct writer *w)
{
	bool early = w->early;

	w->early = false;
	if (w->hook) {
		thaw_hook(s, w);
	} else if (s->told && w->shared) {
		expect_told(s, w, early);
	} else if (early) {
		writer_fail(w, "answered what nobody had asked");
	} else {
		say_thaw(s, w);
	}
}

static void
ask_abort(struct writers *s, struct writer *w)
{
	if (w->hook) {
		thaw_hook(s, w);
		return;
	}
	w->early = false;
	writers_expect(s, w);
	writer_say(w, "abort");
	writer_finish(w);
}

static void
ask(struct writers *s, struct writer *w)
{
	w->due = false;
	if (s->step == WRITERS_PREPARE)
		ask_prepare(s, w);
	else if (s->step == WRITERS_FREEZE)
		ask_freeze(s, w);
	else if (s->step == WRITERS_THAW)
		ask_thaw(s, w);
	else
		ask_abort(s, w);
}

/* ---- whose turn it is ---- */

static bool
any_busy(const struct writers *s, size_t count, bool hooks_only)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (is_busy(s->items[i]) && (s->items[i]->hook || !hooks_only))
			return true;
	return false;
}

static bool
may_freeze(const struct writers *s, size_t i)
{
	const struct writer *w = s->items[i], *other;
	size_t j;

	/* Those before it are all the writers, and the hooks by name: the
	 * order of QEMU's fsfreeze-hook. */
	if (w->hook)
		return !any_busy(s, i, false) && !is_leaving(s, w);
	for (j = 0; j < w->conf->after.count; j++) {
		other = writers_find(s, w->conf->after.items[j]);
		if (other != NULL && is_busy(other))
			return false;
	}
	return true;
}

/* Hooks that hang leave the writers half of the time. */
static int64_t
writers_thaw_ms(const struct writers *s)
{
	return s->limit_ms == 0 ? INT64_MAX : (s->begin_ms + s->limit_ms) / 2;
}

static bool
may_thaw(const struct writers *s, size_t i)
{
	const struct writer *w = s->items[i];

	if (w->hook)
		return !any_busy(s, i, true) && !is_leaving(s, w);
	return !any_busy(s, s->count, true) ||
	       clock_monotonic_ms() >= writers_thaw_ms(s);
}

static bool
may_ask(const struct writers *s, size_t i)
{
	if (s->step == WRITERS_FREEZE)
		return may_freeze(s, i);
	if (s->step == WRITERS_THAW || s->step == WRITERS_ABORT)
		return may_thaw(s, i);
	return true;
}

/* Again from the start after each: one that could not even be asked is out
 * of the way of others. */
static void
ask_next(struct writers *s)
{
	size_t i = 0;

	while (i < s->count) {
		if (s->items[i]->due && may_ask(s, i)) {
			ask(s, s->items[i]);
			i = 0;
		} else {
			i++;
		}
	}
}

/* ---- time ---- */

static void
turn_missed(struct writers *s, struct writer *w)
{
	bool thaw = s->step == WRITERS_THAW || s->step == WRITERS_ABORT;

	writer_fail(w, "its turn did not come in time");
	if (!thaw || !w->hook || !w->touched)
		return;
	writers_thaw_loose(s, hook_file(w->name));
	w->touched = w->recorded = false;
}

static void
look_at_clock(struct writers *s, int64_t now)
{
	struct writer *w;
	size_t i;

	for (i = 0; i < s->count; i++) {
		w = s->items[i];
		if (w->asked_count > 0 && now >= w->deadline_ms)
			writer_timed_out(w);
		else if (w->due && s->limit_ms != 0 && now >= s->limit_ms)
			turn_missed(s, w);
		if (w->pid != 0 && !w->hook && w->ended_output_ms != 0 &&
		    now >= w->ended_output_ms + EXIT_WAIT_MS)
			writer_closed_output(w);
	}
}

static void
look_at_leaving(struct writers *s, int64_t now)
{
	struct writers_leaving *l = s->leaving;

	for (; l < s->leaving + WRITERS_LEAVING_MAX; l++) {
		if (l->pid == 0)
			continue;
		if (l->term_ms != 0 && now >= l->term_ms) {
			spawner_kill(s->spawner, l->pid, SIGTERM);
			l->term_ms = 0;
		}
		if (l->kill_ms != 0 && now >= l->kill_ms) {
			spawner_kill(s->spawner, l->pid, SIGKILL);
			l->kill_ms = 0;
		}
	}
}

static bool
is_through(const struct writer *w)
{
	return w->state == MESSAGE_WRITER_COMMITTED ||
	       w->state == MESSAGE_WRITER_STABLE;
}

static void
sweep(struct writers *s)
{
	struct writer *w;
	size_t i;

	for (i = 0; i < s->count; i++) {
		w = s->items[i];
		if (w->recorded && !w->touched) {
			hooks_forget(s->run_dir, hook_file(w->name));
			w->recorded = false;
		}
		if (w->pid == 0 || is_busy(w))
			continue;
		if (w->fate != WRITER_KEPT || w->state == MESSAGE_WRITER_FAILED)
			writers_dismiss(s, w, "abort");
		else if (is_through(w))
			writers_dismiss(s, w, NULL);
	}
}

void
writers_advance(struct writers *s)
{
	int64_t now = clock_monotonic_ms();

	look_at_clock(s, now);
	sweep(s);
	ask_next(s);
	/* Of those that could not be asked. */
	sweep(s);
	look_at_leaving(s, now);
}

static void
sooner(int64_t *next, int64_t ms)
{
	if (ms != 0 && (*next == 0 || ms < *next))
		*next = ms;
}

int64_t
writers_next_ms(const struct writers *s)
{
	const struct writers_leaving *l = s->leaving;
	int64_t next = 0, now = clock_monotonic_ms();
	const struct writer *w;
	size_t i;

	for (i = 0; i < s->count; i++) {
		w = s->items[i];
		if (w->asked_count > 0)
			sooner(&next, w->deadline_ms);
		if (w->due)
			sooner(&next, s->limit_ms);
		if (w->due && now < writers_thaw_ms(s) && s->limit_ms != 0)
			sooner(&next, writers_thaw_ms(s));
		if (w->pid != 0 && !w->hook && w->ended_output_ms != 0)
			sooner(&next, w->ended_output_ms + EXIT_WAIT_MS);
	}
	for (; l < s->leaving + WRITERS_LEAVING_MAX; l++) {
		if (l->pid != 0) {
			sooner(&next, l->term_ms);
			sooner(&next, l->kill_ms);
		}
	}
	return next;
}
