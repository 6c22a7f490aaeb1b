/* SPDX-License-Identifier: Apache-2.0 */
/* The set: its events, its clock, and the processes that leave. */
#include "guest-helper/writers/writers_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "guest-helper/conf.h"
#include "guest-helper/writers/hooks.h"

#define EVENTS_A_TURN 64

static int
watch(struct writers *s, int fd, void *what, struct err *err)
{
	struct epoll_event e = { .events = EPOLLIN };

	e.data.ptr = what;
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) == -1)
		return err_errno(err, errno, "cannot watch a descriptor");
	return 0;
}

int
writers_new(struct writers **out, const struct conf *conf,
    struct spawner *spawner, int run_dir, writers_done_fn *done, void *arg,
    struct err *err)
{
	struct writers *s = calloc(1, sizeof(*s));
	int rc = -1;

	*out = NULL;
	if (s == NULL)
		return err_no_memory(err);
	s->conf = conf;
	s->spawner = spawner;
	s->run_dir = run_dir;
	s->done = done;
	s->arg = arg;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->text = calloc(1, WRITERS_TEXT_SIZE);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->text == NULL) {
		err_no_memory(err);
		goto out;
	}
	if (s->epoll == -1 || s->timer == -1) {
		err_errno(err, errno, "cannot make the writers' descriptors");
		goto out;
	}
	if (watch(s, s->timer, &s->timer, err) == -1)
		goto out;
	s->watching = spawner->fd != -1;
	if (s->watching && watch(s, spawner->fd, spawner, err) == -1)
		goto out;
	*out = s;
	s = NULL;
	rc = 0;
out:
	writers_free(s);
	return rc;
}

void
writers_free(struct writers *s)
{
	size_t i;

	if (s == NULL)
		return;
	for (i = 0; i < s->count; i++) {
		writer_let_go(s->items[i]);
		free(s->items[i]);
	}
	if (s->timer != -1)
		close(s->timer);
	if (s->epoll != -1)
		close(s->epoll);
	free(s->text);
	free(s);
}

int
writers_fd(const struct writers *s)
{
	return s->epoll;
}

enum writers_step
writers_step(const struct writers *s)
{
	return s->step;
}

struct writer *
writers_find(const struct writers *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (strcmp(s->items[i]->name, name) == 0)
			return s->items[i];
	return NULL;
}

/* ---- processes that leave ---- */

struct writers_leaving *
writers_follow(struct writers *s, pid_t pid, const char *name, int64_t leave_ms)
{
	struct writers_leaving *l = s->leaving, *free_place = NULL;

	for (; l < s->leaving + WRITERS_LEAVING_MAX; l++)
		if (l->pid == 0)
			free_place = l;
	if (free_place == NULL || s->spawner->gone) {
		spawner_kill(s->spawner, pid, SIGKILL);
		return NULL;
	}
	memset(free_place, 0, sizeof(*free_place));
	free_place->pid = pid;
	snprintf(free_place->name, sizeof(free_place->name), "%s", name);
	free_place->term_ms = clock_monotonic_ms() + leave_ms;
	free_place->kill_ms = free_place->term_ms + WRITERS_TERM_MS;
	return free_place;
}

void
writers_dismiss(struct writers *s, struct writer *w, const char *word)
{
	bool at_once = w->fate == WRITER_TO_TERM;
	struct writers_leaving *l;

	if (w->pid == 0)
		return;
	if (word != NULL)
		writer_say(w, "%s", word);
	l = writers_follow(
	    s, writer_let_go(w), w->name, at_once ? 0 : WRITERS_LEAVE_MS);
	if (l != NULL)
		l->touched = w->touched || w->hook;
	/* A hook's own thaw is still to come. */
	if (!w->hook)
		w->touched = false;
}

static void
leaving_ended(struct writers *s, struct writers_leaving *l, int status)
{
	const char *hook = l->name + strlen(WRITER_HOOK_PREFIX);

	if (l->leftover) {
		log_line(LOG_WARNING,
		    "thawed '%s', which had been left frozen%s", l->name,
		    status == 0 ? "" : ", and it failed");
		hooks_forget(s->run_dir, hook);
	}
	l->pid = 0;
}

/* ---- exits ---- */

static void
process_exited(struct writers *s, pid_t pid, int status)
{
	struct writers_leaving *l;
	size_t i;

	for (i = 0; i < s->count; i++)
		if (s->items[i]->pid == pid) {
			writer_ended(s->items[i], status);
			return;
		}
	for (l = s->leaving; l < s->leaving + WRITERS_LEAVING_MAX; l++)
		if (l->pid == pid)
			leaving_ended(s, l, status);
}

static void
take_exits(struct writers *s)
{
	int status;
	pid_t pid;

	while (spawner_exited(s->spawner, &pid, &status))
		process_exited(s, pid, status);
	if (!s->spawner->gone || !s->watching)
		return;
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->spawner->fd, NULL);
	s->watching = false;
	/* Nothing will be heard of them any more, nor can they be killed;
	 * their input has ended. */
	memset(s->leaving, 0, sizeof(s->leaving));
	log_line(LOG_ERROR, "the process that runs writers has died");
}

/* ---- the clock ---- */

void
writers_arm(struct writers *s)
{
	struct itimerspec spec = { .it_interval = { 0 } };
	int64_t next = writers_next_ms(s);

	if (s->step != WRITERS_NONE && writers_finished(s))
		next = 1; /* Now. */
	if (next != 0) {
		spec.it_value.tv_sec = (time_t)(next / 1000);
		spec.it_value.tv_nsec = (long)(next % 1000) * 1000000;
	}
	timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void
take_timer(struct writers *s)
{
	uint64_t count;

	while (read(s->timer, &count, sizeof(count)) == -1 && errno == EINTR)
		;
}

void
writers_turn(struct writers *s)
{
	struct epoll_event events[EVENTS_A_TURN];
	struct writer_source *source;
	enum writers_step step;
	int n, i;

	n = epoll_wait(s->epoll, events, EVENTS_A_TURN, 0);
	for (i = 0; i < n; i++) {
		if (events[i].data.ptr == &s->timer) {
			take_timer(s);
		} else if (events[i].data.ptr != s->spawner) {
			source = events[i].data.ptr;
			writer_event(source->writer, source->stream);
		}
	}
	/* After what they said: an answer may be among the last words. */
	take_exits(s);
	writers_advance(s);
	step = s->step;
	if (step != WRITERS_NONE && writers_finished(s)) {
		s->step = WRITERS_NONE;
		s->done(s->arg, step);
	}
	writers_arm(s);
}
