/* SPDX-License-Identifier: Apache-2.0 */
/* A writer's process and lines. */
#include "guest-helper/writers/writer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "guest-helper/writers/spawner.h"

#define READ_BYTES 4096
#define READS_A_TURN 4 /* So that a flood leaves time for others. */

/* ---- state ---- */

void
writer_init(struct writer *w, const char *name, bool hook, int epoll)
{
	int i;

	memset(w, 0, sizeof(*w));
	snprintf(w->name, sizeof(w->name), "%s", name);
	w->hook = hook;
	w->epoll = epoll;
	for (i = 0; i < 3; i++) {
		w->sources[i].writer = w;
		w->sources[i].stream = (enum writer_stream)i;
		w->fds[i] = -1;
	}
	writer_set_state(w, MESSAGE_WRITER_STABLE);
}

void
writer_reset(struct writer *w)
{
	w->prepare_ms = w->freeze_ms = w->thaw_ms = 0;
	w->meta_count = w->data_count = 0;
	w->due = w->touched = w->cut = w->shared = w->early = false;
	w->asked_count = 0;
	w->read_bytes = w->logged_bytes = 0;
	w->last_error[0] = '\0';
	writer_set_state(w, MESSAGE_WRITER_STABLE);
}

void
writer_set_state(struct writer *w, enum message_writer_state state)
{
	w->state = state;
	w->state_ms = clock_monotonic_ms();
}

static void
condemn(struct writer *w, enum writer_fate fate)
{
	if (w->fate < fate)
		w->fate = fate;
}

static void
fail_with(struct writer *w, const char *reason)
{
	writer_line_copy(w->reason, sizeof(w->reason), reason);
	writer_line_clean(w->reason);
	w->due = false;
	w->asked_count = 0;
	writer_set_state(w, MESSAGE_WRITER_FAILED);
	w->failure_ms = w->state_ms;
	condemn(w, WRITER_LEAVES);
	log_line(LOG_WARNING, "writer '%s': %s", w->name, w->reason);
}

void
writer_fail(struct writer *w, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fail_with(w, text);
}

/* The process broke the contract.  What it has proved by then stays: after
 * the thaw nothing depends on it until it is asked again. */
static void
broke(struct writer *w, const char *how)
{
	bool needed = w->asked_count > 0 ||
		      w->state == MESSAGE_WRITER_PREPARED ||
		      w->state == MESSAGE_WRITER_FROZEN;

	if (needed)
		fail_with(w, how);
	else
		log_line(LOG_WARNING, "writer '%s': %s", w->name, how);
	condemn(w, WRITER_TO_TERM);
}

static const char *
step_word(enum writers_step step)
{
	switch (step) {
	case WRITERS_PREPARE:
		return "prepare";
	case WRITERS_FREEZE:
		return "freeze";
	case WRITERS_THAW:
		return "thaw";
	case WRITERS_COMMITTED:
		return "committed";
	case WRITERS_ABORT:
		return "abort";
	case WRITERS_NONE:
		break;
	}
	return "nothing";
}

/* ---- descriptors ---- */

static void
drop_fd(struct writer *w, enum writer_stream stream)
{
	int *fd = &w->fds[stream];

	if (*fd == -1)
		return;
	/* By hand: a copy of it in the dead-man would keep it in the set. */
	epoll_ctl(w->epoll, EPOLL_CTL_DEL, *fd, NULL);
	close(*fd);
	*fd = -1;
}

static int
watch(struct writer *w, enum writer_stream stream, uint32_t events, int op)
{
	struct epoll_event e = { .events = events };

	e.data.ptr = &w->sources[stream];
	return epoll_ctl(w->epoll, op, w->fds[stream], &e);
}

int
writer_adopt(
    struct writer *w, const struct spawner_child *child, struct err *err)
{
	w->pid = child->pid;
	w->fds[WRITER_INPUT] = child->input;
	w->fds[WRITER_OUTPUT] = child->output;
	w->fds[WRITER_ERRORS] = child->errors;
	w->finishing = false;
	w->fate = WRITER_KEPT;
	w->ended_output_ms = 0;
	w->line_used = w->error_used = w->send_used = 0;
	w->last_error[0] = '\0';
	if (watch(w, WRITER_OUTPUT, EPOLLIN, EPOLL_CTL_ADD) == -1 ||
	    watch(w, WRITER_ERRORS, EPOLLIN, EPOLL_CTL_ADD) == -1 ||
	    (child->input != -1 &&
		watch(w, WRITER_INPUT, 0, EPOLL_CTL_ADD) == -1))
		return err_errno(err, errno, "cannot watch a writer");
	return 0;
}

pid_t
writer_let_go(struct writer *w)
{
	pid_t pid = w->pid;

	drop_fd(w, WRITER_INPUT);
	drop_fd(w, WRITER_OUTPUT);
	drop_fd(w, WRITER_ERRORS);
	w->pid = 0;
	w->fate = WRITER_KEPT;
	w->shared = w->early = false;
	w->asked_count = 0;
	w->ended_output_ms = 0;
	return pid;
}

/* ---- to it ---- */

/* Whole lines, each of which a pipe takes at once or not at all: the
 * dead-man may say "thaw" between two of them. */
static void
flush(struct writer *w)
{
	char *end;
	size_t n;

	while (w->send_used > 0 && w->fds[WRITER_INPUT] != -1) {
		end = memchr(w->send, '\n', w->send_used);
		n = (size_t)(end - w->send) + 1;
		if (write(w->fds[WRITER_INPUT], w->send, n) == -1) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN) {
				watch(w, WRITER_INPUT, EPOLLOUT, EPOLL_CTL_MOD);
				return;
			}
			/* Its exit will be told, with more to say. */
			n = w->send_used;
		}
		w->send_used -= n;
		memmove(w->send, w->send + n, w->send_used);
	}
	if (w->fds[WRITER_INPUT] == -1)
		return;
	if (w->finishing)
		drop_fd(w, WRITER_INPUT);
	else
		watch(w, WRITER_INPUT, 0, EPOLL_CTL_MOD);
}

void
writer_say(struct writer *w, const char *fmt, ...)
{
	size_t left = sizeof(w->send) - w->send_used;
	va_list args;
	int n;

	if (w->fds[WRITER_INPUT] == -1 || w->finishing)
		return;
	va_start(args, fmt);
	n = vsnprintf(w->send + w->send_used, left, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n + 1 > left) {
		broke(w, "it does not read its input");
		return;
	}
	w->send_used += (size_t)n;
	w->send[w->send_used++] = '\n';
	flush(w);
}

void
writer_finish(struct writer *w)
{
	w->finishing = true;
	flush(w);
}

void
writer_expect(struct writer *w, enum writers_step step, int64_t deadline_ms)
{
	if (w->asked_count == WRITER_ASKED_MAX) {
		broke(w, "it was asked too much");
		return;
	}
	w->asked[w->asked_count].step = step;
	w->asked[w->asked_count++].ms = clock_monotonic_ms();
	w->deadline_ms = deadline_ms;
}

void
writer_timed_out(struct writer *w)
{
	struct writer_question q = w->asked[0];
	int64_t ms = clock_monotonic_ms() - q.ms;

	writer_fail(w, "did not answer '%s' within %lld.%lld s",
	    step_word(q.step), (long long)(ms / 1000),
	    (long long)(ms % 1000 / 100));
	if (!w->hook)
		return;
	/* It has no input whose end would tell it.  If it does not thaw, the
	 * record stays, for the next start to try. */
	condemn(w, WRITER_TO_TERM);
	if (q.step != WRITERS_FREEZE)
		w->touched = w->recorded = false;
}

void
writer_closed_output(struct writer *w)
{
	broke(w, "closed its output");
}

/* ---- its answers ---- */

static void
failed_by_itself(struct writer *w, enum writers_step step, const char *text)
{
	if (text[0] != '\0')
		fail_with(w, text);
	else
		writer_fail(
		    w, "failed at '%s', without a reason", step_word(step));
}

static void
thaw_answered(struct writer *w, bool ok, const char *text)
{
	/* One that was never held may well say that it was not. */
	if (w->state == MESSAGE_WRITER_FROZEN && ok)
		writer_set_state(w, MESSAGE_WRITER_THAWED);
	else if (w->state == MESSAGE_WRITER_FROZEN)
		failed_by_itself(w, WRITERS_THAW, text);
	else if (w->state == MESSAGE_WRITER_FREEZING)
		writer_set_state(w, MESSAGE_WRITER_PREPARED);
	/* Of a hook nothing more is known to try. */
	if (ok || w->hook)
		w->touched = false;
}

static void
abort_answered(struct writer *w, bool ok, const char *text)
{
	if (!ok && w->state != MESSAGE_WRITER_COMMITTED) {
		failed_by_itself(w, WRITERS_ABORT, text);
		return;
	}
	w->touched = false;
	if (w->state != MESSAGE_WRITER_COMMITTED &&
	    w->state != MESSAGE_WRITER_FAILED)
		writer_set_state(w, MESSAGE_WRITER_STABLE);
}

static void
conclude(struct writer *w, enum writers_step step, bool ok, const char *text,
    unsigned int took_ms)
{
	switch (step) {
	case WRITERS_PREPARE:
		w->prepare_ms = took_ms;
		if (ok)
			writer_set_state(w, MESSAGE_WRITER_PREPARED);
		break;
	case WRITERS_FREEZE:
		w->freeze_ms = took_ms;
		if (ok && !w->cut)
			writer_set_state(w, MESSAGE_WRITER_FROZEN);
		break;
	case WRITERS_THAW:
		w->thaw_ms = took_ms;
		thaw_answered(w, ok, text);
		return;
	case WRITERS_COMMITTED:
		if (ok)
			writer_set_state(w, MESSAGE_WRITER_COMMITTED);
		break;
	case WRITERS_ABORT:
		abort_answered(w, ok, text);
		return;
	case WRITERS_NONE:
		return;
	}
	if (!ok)
		failed_by_itself(w, step, text);
}

void
writer_answer(struct writer *w, bool ok, const char *text)
{
	struct writer_question q;

	if (w->asked_count == 0 && w->shared && !w->early &&
	    w->state >= MESSAGE_WRITER_PREPARED &&
	    w->state <= MESSAGE_WRITER_FROZEN) {
		w->early = true;
		w->early_ok = ok;
		writer_line_copy(w->early_text, sizeof(w->early_text), text);
		return;
	}
	if (w->asked_count == 0) {
		broke(w, "answered what nobody had asked");
		return;
	}
	q = w->asked[0];
	w->asked_count--;
	memmove(
	    &w->asked[0], &w->asked[1], w->asked_count * sizeof(w->asked[0]));
	conclude(
	    w, q.step, ok, text, (unsigned int)(clock_monotonic_ms() - q.ms));
}

static void
keep_meta(struct writer *w, const char *key, const char *value)
{
	struct message_meta *m;
	size_t i = 0;

	while (i < w->meta_count && strcmp(w->metas[i].key, key) != 0)
		i++;
	if (i == MESSAGE_META_MAX) {
		broke(w, "said more than 16 meta lines");
		return;
	}
	m = &w->metas[i];
	snprintf(m->key, sizeof(m->key), "%s", key);
	snprintf(m->value, sizeof(m->value), "%s", value);
	if (i == w->meta_count)
		w->meta_count++;
}

static void
keep_data(struct writer *w, const char *path)
{
	size_t i;

	/* It is looked at when all have prepared. */
	if (w->asked_count == 0 || w->asked[0].step != WRITERS_PREPARE) {
		broke(w, "said where its data lies, and not at 'prepare'");
		return;
	}
	for (i = 0; i < w->data_count; i++)
		if (strcmp(w->data[i], path) == 0)
			return;
	if (w->data_count == WRITER_DATA_MAX) {
		broke(w, "said more than 16 data lines");
		return;
	}
	snprintf(w->data[w->data_count++], sizeof(w->data[0]), "%s", path);
}

static void
take_line(struct writer *w)
{
	struct writer_line l;

	w->line[w->line_used] = '\0';
	writer_line_parse(&l, w->line, w->line_used);
	w->line_used = 0;
	switch (l.kind) {
	case WRITER_LINE_OK:
		writer_answer(w, true, "");
		break;
	case WRITER_LINE_FAIL:
		writer_answer(w, false, l.text);
		break;
	case WRITER_LINE_META:
		keep_meta(w, l.key, l.text);
		break;
	case WRITER_LINE_DATA:
		keep_data(w, l.text);
		break;
	case WRITER_LINE_NOTE:
		log_line(LOG_NOTICE, "writer '%s': %s", w->name, l.text);
		break;
	case WRITER_LINE_WRONG:
		broke(w, l.text);
		break;
	}
}

static void
take_output(struct writer *w, const char *bytes, size_t count)
{
	size_t i;

	for (i = 0; i < count && w->fate != WRITER_TO_TERM; i++) {
		if (bytes[i] == '\n')
			take_line(w);
		else if (w->line_used == WRITER_LINE_MAX)
			broke(w, "a line of more than 1024 bytes");
		else
			w->line[w->line_used++] = bytes[i];
	}
}

/* ---- its errors, for people ---- */

static void
log_errors(struct writer *w)
{
	w->error_line[w->error_used] = '\0';
	/* It is text from here on, whatever it was. */
	w->error_used = 0;
	writer_line_clean(w->error_line);
	if (w->error_line[0] == '\0')
		return;
	writer_line_copy(w->last_error, sizeof(w->last_error), w->error_line);
	if (w->logged_bytes >= WRITER_LOGGED_MAX)
		return;
	w->logged_bytes += strlen(w->error_line) + 1;
	log_line(LOG_NOTICE, "writer '%s': %s", w->name, w->error_line);
	if (w->logged_bytes >= WRITER_LOGGED_MAX)
		log_line(
		    LOG_NOTICE, "writer '%s': says more, not logged", w->name);
}

static void
take_errors(struct writer *w, const char *bytes, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (bytes[i] == '\n' ||
		    w->error_used == sizeof(w->error_line) - 1)
			log_errors(w);
		if (bytes[i] != '\n')
			w->error_line[w->error_used++] =
			    bytes[i] == '\0' ? '?' : bytes[i];
	}
}

/* ---- events ---- */

static void
stream_ended(struct writer *w, enum writer_stream stream)
{
	drop_fd(w, stream);
	if (stream == WRITER_OUTPUT)
		w->ended_output_ms = clock_monotonic_ms();
}

/* False: nothing more just now. */
static bool
read_some(struct writer *w, enum writer_stream stream)
{
	char bytes[READ_BYTES];
	ssize_t n = read(w->fds[stream], bytes, sizeof(bytes));

	if (n == -1 && errno == EINTR)
		return true;
	if (n == -1 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		stream_ended(w, stream);
		return false;
	}
	w->read_bytes += (size_t)n;
	if (stream == WRITER_OUTPUT && !w->hook)
		take_output(w, bytes, (size_t)n);
	else
		take_errors(w, bytes, (size_t)n);
	if (w->read_bytes > WRITER_OUTPUT_MAX && w->fate != WRITER_TO_TERM)
		broke(w, "flooded: more than 64 KiB of output");
	return true;
}

static void
drain(struct writer *w, enum writer_stream stream, int reads)
{
	while (reads-- > 0 && w->fds[stream] != -1 &&
	       w->fate != WRITER_TO_TERM && read_some(w, stream))
		;
}

void
writer_event(struct writer *w, enum writer_stream stream)
{
	if (w->fds[stream] == -1)
		return;
	if (stream == WRITER_INPUT && w->send_used == 0)
		/* It has closed its input; that is seen elsewhere. */
		drop_fd(w, stream);
	else if (stream == WRITER_INPUT)
		flush(w);
	else
		drain(w, stream, READS_A_TURN);
}

static void
describe_end(const struct writer *w, int status, char *out, size_t size)
{
	const char *because = w->last_error[0] == '\0' ? "" : ": ";

	if (WIFSIGNALED(status))
		snprintf(out, size, "was killed by signal %d%s%s",
		    WTERMSIG(status), because, w->last_error);
	else
		snprintf(out, size, "ended with status %d%s%s",
		    WEXITSTATUS(status), because, w->last_error);
}

static void
hook_ended(struct writer *w, int status, const char *how)
{
	if (w->asked_count > 0)
		writer_answer(
		    w, WIFEXITED(status) && WEXITSTATUS(status) == 0, how);
}

static void
process_ended(struct writer *w, int status, const char *how)
{
	/* What it held ended with it. */
	w->touched = false;
	if (w->asked_count > 0)
		writer_fail(w, "%s, before it answered '%s'", how,
		    step_word(w->asked[0].step));
	else if (w->state == MESSAGE_WRITER_PREPARED ||
		 w->state == MESSAGE_WRITER_FROZEN)
		writer_fail(w, "%s, while it was %s", how,
		    message_writer_state_name(w->state));
	else if (status != 0 && w->state != MESSAGE_WRITER_FAILED)
		log_line(LOG_NOTICE, "writer '%s': %s", w->name, how);
}

void
writer_ended(struct writer *w, int status)
{
	/* A pipe holds 64 KiB, unless what it left behind goes on. */
	int reads = 2 * (int)(WRITER_OUTPUT_MAX / READ_BYTES);
	char how[256];

	drain(w, WRITER_OUTPUT, reads);
	drain(w, WRITER_ERRORS, reads);
	log_errors(w);
	describe_end(w, status, how, sizeof(how));
	if (w->hook)
		hook_ended(w, status, how);
	else
		process_ended(w, status, how);
	writer_let_go(w);
}
