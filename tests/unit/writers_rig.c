/* SPDX-License-Identifier: Apache-2.0 */
/* A set of writers, driven. */
#include "tests/unit/writers_rig.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/log.h"

static void
on_done(void *arg, enum writers_step step)
{
	struct writers_rig *r = arg;

	r->done_step = step;
	r->done_count++;
}

static void
log_quietly(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	if (getenv("HOLDSTILL_TEST_VERBOSE") != NULL)
		print_message("%s\n", line);
}

void
writers_rig_open(struct writers_rig *r)
{
	assert_int_equal(spawner_start(&r->spawner, r->scripts.writers,
			     r->scripts.hooks, &r->err),
	    0);
	assert_int_equal(writers_new(&r->set, &r->conf, &r->spawner,
			     r->scripts.run_dir, on_done, r, &r->err),
	    0);
}

void
writers_rig_close(struct writers_rig *r)
{
	writers_free(r->set);
	r->set = NULL;
	close(r->spawner.fd);
	waitpid(r->spawner.pid, NULL, 0);
}

int
writers_rig_set_up(void **state)
{
	struct writers_rig *r = *state;

	signal(SIGPIPE, SIG_IGN);
	log_set_sink(log_quietly, NULL);
	memset(r, 0, sizeof(*r));
	writer_scripts_init(&r->scripts);
	conf_init(&r->conf);
	writer_scripts_configure(&r->scripts, &r->conf);
	writers_rig_open(r);
	return 0;
}

int
writers_rig_tear_down(void **state)
{
	struct writers_rig *r = *state;

	writers_rig_close(r);
	writer_scripts_fini(&r->scripts);
	return 0;
}

/* ---- steps ---- */

void
writers_rig_until(struct writers_rig *r, writers_rig_condition_fn *condition)
{
	int64_t end = clock_monotonic_ms() + WRITER_SCRIPTS_WAIT_MS, left;
	struct pollfd p = { .fd = writers_fd(r->set), .events = POLLIN };

	while (!condition(r)) {
		left = end - clock_monotonic_ms();
		if (left <= 0)
			fail_msg("nothing came of it; log: %s",
			    writer_scripts_log(&r->scripts));
		/* Some conditions are files. */
		poll(&p, 1, (int)left < 20 ? (int)left : 20);
		writers_turn(r->set);
	}
}

static bool
is_done(struct writers_rig *r)
{
	return r->done_count > 0;
}

bool
writers_rig_holds_nothing(struct writers_rig *r)
{
	return !writers_hold(r->set);
}

void
writers_rig_begin(
    struct writers_rig *r, enum writers_step step, unsigned int limit_ms)
{
	struct writers_request request = {
		.step = step,
		.id = step == WRITERS_COMMITTED ? POINT : SESSION,
		.limit_ms = limit_ms,
		.metas = &r->metas,
	};

	r->done_count = 0;
	writers_begin(r->set, &request);
}

void
writers_rig_finish(struct writers_rig *r, enum writers_step step)
{
	writers_rig_until(r, is_done);
	assert_int_equal(r->done_count, 1);
	assert_int_equal(r->done_step, step);
	assert_int_equal(writers_step(r->set), WRITERS_NONE);
}

void
writers_rig_step(struct writers_rig *r, enum writers_step step)
{
	writers_rig_begin(r, step, 0);
	assert_int_equal(writers_step(r->set), step);
	writers_rig_finish(r, step);
}

void
writers_rig_commit(struct writers_rig *r)
{
	writers_rig_begin(r, WRITERS_COMMITTED, 0);
	writers_rig_finish(r, WRITERS_COMMITTED);
}

/* ---- what came of them ---- */

const struct message_writer *
writers_rig_find(struct writers_rig *r, const char *name)
{
	size_t i;

	message_clear(&r->message);
	writers_put(r->set, &r->message);
	for (i = 0; i < r->message.writer_count; i++)
		if (strcmp(r->message.writers[i].name, name) == 0)
			return &r->message.writers[i];
	return NULL;
}

void
writers_rig_expect(
    struct writers_rig *r, const char *name, enum message_writer_state state)
{
	const struct message_writer *w = writers_rig_find(r, name);

	if (w == NULL)
		fail_msg("there is no writer '%s'", name);
	else if (w->state != state)
		fail_msg("'%s' is %s (%s), not %s", name,
		    message_writer_state_name(w->state), w->reason,
		    message_writer_state_name(state));
}

void
writers_rig_expect_failed(
    struct writers_rig *r, const char *name, const char *reason)
{
	const struct message_writer *w;

	writers_rig_expect(r, name, MESSAGE_WRITER_FAILED);
	w = writers_rig_find(r, name);
	if (strstr(w->reason, reason) == NULL)
		fail_msg(
		    "'%s' failed for '%s', not '%s'", name, w->reason, reason);
	assert_true(w->failure_age_ms > 0);
}

void
writers_rig_expect_level(
    struct writers_rig *r, enum message_level level, const char *reason)
{
	const char *why;

	assert_int_equal(writers_level(r->set, &why), level);
	if (strstr(why, reason) == NULL)
		fail_msg("'%s' does not say '%s'", why, reason);
}

/* ---- what they are made of ---- */

struct conf_writer *
writers_rig_configure(struct writers_rig *r, const char *name)
{
	struct conf_writer *c = &r->conf.writers[r->conf.writer_count++];

	*c = r->conf.defaults;
	snprintf(c->name, sizeof(c->name), "%s", name);
	return c;
}

void
writers_rig_after(struct conf_writer *c, const char *name)
{
	strcpy(c->after.items[c->after.count++], name);
}

void
writers_rig_remember(struct writers_rig *r, const char *session)
{
	message_clear(&r->metas);
	writers_put(r->set, &r->metas);
	strcpy(r->metas.session, session);
}
