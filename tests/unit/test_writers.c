/* SPDX-License-Identifier: Apache-2.0 */
/* The set of writers: steps, order, levels, and writers that misbehave. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "guest-helper/conf.h"
#include "guest-helper/writers/spawner.h"
#include "guest-helper/writers/writers.h"
#include "tests/unit/writer_scripts.h"

#define SESSION "0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210"
#define POINT "00000000000000000000000000000abc"
#define SHORT_MS 300 /* For what is meant to run out. */

static struct writer_scripts scripts;
static struct spawner spawner;
static struct conf conf;
static struct writers *set;
static struct message message, metas;
static struct err err;
static enum writers_step done_step;
static unsigned int done_count;

static void
on_done(void *arg, enum writers_step step)
{
	assert_ptr_equal(arg, &set);
	done_step = step;
	done_count++;
}

static void
be_quiet(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	if (getenv("HOLDSTILL_TEST_VERBOSE") != NULL)
		print_message("%s\n", line);
}

static void
open_set(void)
{
	assert_int_equal(
	    spawner_start(&spawner, scripts.writers, scripts.hooks, &err), 0);
	assert_int_equal(writers_new(&set, &conf, &spawner, scripts.run_dir,
			     on_done, &set, &err),
	    0);
}

static void
close_set(void)
{
	writers_free(set);
	set = NULL;
	close(spawner.fd);
	waitpid(spawner.pid, NULL, 0);
}

static int
set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	log_set_sink(be_quiet, NULL);
	err_clear(&err);
	writer_scripts_init(&scripts);
	conf_init(&conf);
	strcpy(conf.writers_dir, scripts.writers);
	strcpy(conf.hooks_dir, scripts.hooks);
	message_clear(&metas);
	done_count = 0;
	open_set();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	close_set();
	writer_scripts_fini(&scripts);
	return 0;
}

/* ---- driving it ---- */

static void
turn_until(bool (*condition)(void))
{
	int64_t end = clock_monotonic_ms() + WRITER_SCRIPTS_WAIT_MS, left;
	struct pollfd p = { .fd = writers_fd(set), .events = POLLIN };

	while (!condition()) {
		left = end - clock_monotonic_ms();
		if (left <= 0)
			fail_msg("nothing came of it; log: %s",
			    writer_scripts_log(&scripts));
		poll(&p, 1, (int)left < 20 ? (int)left : 20);
		writers_turn(set);
	}
}

static bool
is_done(void)
{
	return done_count > 0;
}

static bool
holds_nothing(void)
{
	return !writers_hold(set);
}

static void
begin(enum writers_step step, unsigned int limit_ms)
{
	struct writers_request r = {
		.step = step,
		.id = step == WRITERS_COMMITTED ? POINT : SESSION,
		.limit_ms = limit_ms,
		.metas = &metas,
	};

	done_count = 0;
	writers_begin(set, &r);
}

static void
finish(enum writers_step step)
{
	turn_until(is_done);
	assert_int_equal(done_count, 1);
	assert_int_equal(done_step, step);
	assert_int_equal(writers_step(set), WRITERS_NONE);
}

static void
do_step(enum writers_step step)
{
	begin(step, 0);
	assert_int_equal(writers_step(set), step);
	finish(step);
}

static const struct message_writer *
find(const char *name)
{
	size_t i;

	message_clear(&message);
	writers_put(set, &message);
	for (i = 0; i < message.writer_count; i++)
		if (strcmp(message.writers[i].name, name) == 0)
			return &message.writers[i];
	return NULL;
}

static void
expect(const char *name, enum message_writer_state state)
{
	const struct message_writer *w = find(name);

	if (w == NULL)
		fail_msg("there is no writer '%s'", name);
	else if (w->state != state)
		fail_msg("'%s' is %s (%s), not %s", name,
		    message_writer_state_name(w->state), w->reason,
		    message_writer_state_name(state));
}

static void
expect_failed(const char *name, const char *reason)
{
	const struct message_writer *w = find(name);

	expect(name, MESSAGE_WRITER_FAILED);
	if (strstr(w->reason, reason) == NULL)
		fail_msg(
		    "'%s' failed for '%s', not '%s'", name, w->reason, reason);
	assert_true(w->failure_age_ms > 0);
}

static void
expect_level(enum message_level level, const char *reason)
{
	const char *why;

	assert_int_equal(writers_level(set, &why), level);
	if (strstr(why, reason) == NULL)
		fail_msg("'%s' does not say '%s'", why, reason);
}

static struct conf_writer *
configure(const char *name)
{
	struct conf_writer *c = &conf.writers[conf.writer_count++];

	*c = conf.defaults;
	snprintf(c->name, sizeof(c->name), "%s", name);
	return c;
}

static void
add_after(struct conf_writer *c, const char *name)
{
	strcpy(c->after.items[c->after.count++], name);
}

/* What the host remembers of them. */
static void
remember(const char *session)
{
	message_clear(&metas);
	writers_put(set, &metas);
	strcpy(metas.session, session);
}

static void
commit(void)
{
	begin(WRITERS_COMMITTED, 0);
	finish(WRITERS_COMMITTED);
}

/* ---- in order ---- */

static void
test_writers_without_any_are_done_at_once(void **state)
{
	(void)state;
	expect_level(MESSAGE_FILESYSTEM, "no writers");
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	do_step(WRITERS_THAW);
	expect_level(MESSAGE_FILESYSTEM, "no writers");
	commit();
	do_step(WRITERS_ABORT);
	assert_false(writers_hold(set));
}

static void
test_writers_go_through_a_session(void **state)
{
	const struct message_writer *w;

	(void)state;
	writer_scripts_writer(&scripts, "w",
	    "prepare) echo \"note as $rest $HOLDSTILL_SESSION\"; echo ok ;;\n"
	    "freeze) echo meta lsn 0/1; echo 'meta lsn 0/16B3748'; "
	    "echo 'meta t.x two words'; echo ok ;;\n"
	    "committed) note \"$rest\"; echo ok ;;\n"
	    "meta) note \"$rest\" ;;");
	do_step(WRITERS_PREPARE);
	expect("w", MESSAGE_WRITER_PREPARED);
	expect_level(MESSAGE_APPLICATION, "");
	assert_false(writers_hold(set));
	do_step(WRITERS_FREEZE);
	expect("w", MESSAGE_WRITER_FROZEN);
	assert_true(writers_hold(set));
	do_step(WRITERS_THAW);
	expect("w", MESSAGE_WRITER_THAWED);
	expect_level(MESSAGE_APPLICATION, "");
	assert_false(writers_hold(set));
	w = find("w");
	assert_int_equal(w->required, 1);
	assert_int_equal(w->meta_count, 2);
	assert_string_equal(w->metas[0].key, "lsn");
	assert_string_equal(w->metas[0].value, "0/16B3748");
	assert_string_equal(w->metas[1].value, "two words");
	assert_string_equal(w->reason, "");
	remember(SESSION);
	commit();
	expect("w", MESSAGE_WRITER_COMMITTED);
	assert_true(writer_scripts_wait(&scripts, "w end"));
	assert_string_equal(writer_scripts_log(&scripts),
	    "w prepare,w freeze,w thaw,w meta,w lsn 0/16B3748,"
	    "w meta,w t.x two words,w committed,w " POINT ",w end");
}

static void
test_writers_are_asked_at_once(void **state)
{
	/* Each waits for the other. */
	static const char *const cases =
	    "freeze) : >\"$dir/froze-$me\"\n"
	    "while [ ! -e \"$dir/froze-a\" ] || [ ! -e \"$dir/froze-b\" ]\n"
	    "do sleep 0.01; done; echo ok ;;";

	(void)state;
	writer_scripts_writer(&scripts, "a", cases);
	writer_scripts_writer(&scripts, "b", cases);
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	expect("a", MESSAGE_WRITER_FROZEN);
	expect("b", MESSAGE_WRITER_FROZEN);
}

static void
test_writers_freeze_after_others(void **state)
{
	static const char *const cases =
	    "freeze) sleep 0.02; note froze; echo ok ;;";

	(void)state;
	writer_scripts_writer(&scripts, "a", cases);
	writer_scripts_writer(&scripts, "b", cases);
	writer_scripts_writer(
	    &scripts, "c", "freeze) sleep 0.02; note froze; echo fail no ;;");
	add_after(configure("a"), "b");
	add_after(configure("b"), "c");
	add_after(&conf.writers[1], "not-installed");
	configure("c");
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	/* One that fails keeps nobody from freezing. */
	expect("a", MESSAGE_WRITER_FROZEN);
	expect("b", MESSAGE_WRITER_FROZEN);
	expect_failed("c", "no");
	assert_non_null(strstr(writer_scripts_log(&scripts), "c freeze,"));
	assert_true(strstr(writer_scripts_log(&scripts), "c froze") <
		    strstr(writer_scripts_log(&scripts), "b freeze"));
	assert_true(strstr(writer_scripts_log(&scripts), "b froze") <
		    strstr(writer_scripts_log(&scripts), "a freeze"));
}

static void
test_writers_refuse_an_order_in_a_circle(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "a", "");
	writer_scripts_writer(&scripts, "b", "");
	writer_scripts_writer(&scripts, "behind", "");
	writer_scripts_writer(&scripts, "self", "");
	writer_scripts_writer(&scripts, "late", "");
	writer_scripts_hook(&scripts, "h", "");
	add_after(configure("a"), "b");
	add_after(configure("b"), "a");
	add_after(configure("behind"), "a");
	add_after(configure("self"), "self");
	add_after(configure("late"), "hook:h");
	do_step(WRITERS_PREPARE);
	expect_failed("a", "leads back to itself");
	expect_failed("b", "leads back to itself");
	expect_failed("self", "leads back to itself");
	expect_failed("late", "hooks come last");
	expect("behind", MESSAGE_WRITER_PREPARED);
	expect_level(MESSAGE_FILESYSTEM, "writer 'a': its 'after' leads");
	do_step(WRITERS_FREEZE);
	expect("behind", MESSAGE_WRITER_FROZEN);
}

static void
test_writers_optional_ones_spoil_nothing(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "good", "");
	writer_scripts_writer(&scripts, "bad", "freeze) echo fail broken ;;");
	configure("bad")->optional = true;
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	expect_failed("bad", "broken");
	expect_level(MESSAGE_APPLICATION, "");
	do_step(WRITERS_THAW);
	expect_level(MESSAGE_APPLICATION, "");
	assert_int_equal(find("bad")->required, 0);
	/* The same one required. */
	conf.writers[0].optional = false;
	do_step(WRITERS_PREPARE);
	expect_level(MESSAGE_APPLICATION, "");
	do_step(WRITERS_FREEZE);
	expect_level(MESSAGE_FILESYSTEM, "writer 'bad': broken");
	do_step(WRITERS_THAW);
	expect_level(MESSAGE_FILESYSTEM, "writer 'bad': broken");
	expect("good", MESSAGE_WRITER_THAWED);
}

static void
test_writers_only_optional_and_failed_prove_nothing(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "bad", "prepare) echo fail asleep ;;");
	configure("bad")->optional = true;
	do_step(WRITERS_PREPARE);
	expect_level(MESSAGE_FILESYSTEM, "writer 'bad': asleep");
}

static void
test_writers_that_lost_their_hold_say_so(void **state)
{
	(void)state;
	writer_scripts_writer(
	    &scripts, "w", "thaw) echo fail the connection was lost ;;");
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	do_step(WRITERS_THAW);
	expect_failed("w", "the connection was lost");
	expect_level(MESSAGE_FILESYSTEM, "connection was lost");
}

static void
test_writers_thaw_without_a_freeze_proves_nothing(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_THAW);
	expect("w", MESSAGE_WRITER_PREPARED);
	expect_level(MESSAGE_FILESYSTEM, "was not held");
	assert_false(writer_scripts_noted(&scripts, "w thaw"));
}

static void
test_writers_are_asked_to_thaw_once(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	do_step(WRITERS_THAW);
	do_step(WRITERS_THAW);
	expect("w", MESSAGE_WRITER_THAWED);
	expect_level(MESSAGE_APPLICATION, "");
}

static void
test_writers_abort_thaws_and_ends_them(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	writer_scripts_hook(&scripts, "h", "");
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	do_step(WRITERS_ABORT);
	expect("w", MESSAGE_WRITER_STABLE);
	expect("hook:h", MESSAGE_WRITER_STABLE);
	assert_false(writers_hold(set));
	assert_true(writer_scripts_wait(&scripts, "w end"));
	assert_string_equal(writer_scripts_log(&scripts),
	    "w prepare,w freeze,h freeze,h thaw,w abort,w end");
	/* Before the freeze there is nothing to thaw. */
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_ABORT);
	expect("hook:h", MESSAGE_WRITER_STABLE);
	assert_null(strstr(writer_scripts_log(&scripts), "w end,h"));
}

static void
test_writers_a_session_that_was_never_ended_is(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	writer_scripts_hook(&scripts, "h", "");
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	do_step(WRITERS_PREPARE);
	expect("w", MESSAGE_WRITER_PREPARED);
	assert_true(writer_scripts_wait(&scripts, "w abort"));
	assert_true(writer_scripts_wait(&scripts, "w end"));
	assert_true(writer_scripts_wait(&scripts, "h thaw"));
	turn_until(holds_nothing);
	assert_false(writer_scripts_exists(&scripts, "run/hooks/h"));
}

/* ---- misbehaviour ---- */

struct misdeed {
	const char *what;   /* Shell, in place of the answer. */
	const char *reason; /* One that ends in ' goes on with the step. */
};

static const char *const step_words[] = {
	[WRITERS_PREPARE] = "prepare",
	[WRITERS_FREEZE] = "freeze",
	[WRITERS_THAW] = "thaw",
	[WRITERS_COMMITTED] = "committed",
};

static bool
ends_open(const char *reason)
{
	return reason[strlen(reason) - 1] == '\'';
}

/* Runs a session in which 'bad' does it at that step; 'good' must not mind. */
static void
misbehave(const struct misdeed *m, enum writers_step at)
{
	char cases[1024], reason[256];
	enum writers_step step;

	snprintf(cases, sizeof(cases), "%s) %s ;;", step_words[at], m->what);
	writer_scripts_writer(&scripts, "bad", cases);
	for (step = WRITERS_PREPARE; step <= WRITERS_COMMITTED; step++) {
		if (step == WRITERS_COMMITTED)
			remember(SESSION);
		do_step(step);
		if (step < at)
			continue;
		snprintf(reason, sizeof(reason), "%s%s", m->reason,
		    ends_open(m->reason) ? step_words[at] : "");
		expect_failed("bad", reason);
		/* What was proved at the thaw is not taken back. */
		expect_level(MESSAGE_FILESYSTEM, "writer 'bad': ");
	}
	expect("good", MESSAGE_WRITER_COMMITTED);
	turn_until(holds_nothing);
}

static void
misbehave_everywhere(const struct misdeed *m)
{
	enum writers_step step;

	writer_scripts_writer(&scripts, "good", "");
	for (step = WRITERS_PREPARE; step <= WRITERS_COMMITTED; step++)
		misbehave(m, step);
}

static void
test_writers_that_hang_run_out_of_time(void **state)
{
	static const struct misdeed m = { "sleep 1000", "did not answer '" };
	struct conf_writer *c = configure("bad");

	(void)state;
	c->prepare_ms = c->freeze_ms = c->thaw_ms = c->committed_ms = SHORT_MS;
	misbehave_everywhere(&m);
}

static void
test_writers_that_crash_fail(void **state)
{
	static const struct misdeed
	    killed = { "kill -9 $$",
		    "was killed by signal 9, before it answered '" },
	    exited = { "echo oh dear >&2; exit 3",
		    "ended with status 3: oh dear, before it answered "
		    "'" };

	(void)state;
	misbehave_everywhere(&killed);
	misbehave_everywhere(&exited);
}

static void
test_writers_that_refuse_give_the_reason(void **state)
{
	static const struct misdeed with = { "echo 'fail out of ink'",
		"out of ink" },
				    without = { "echo fail", "failed at '" };

	(void)state;
	misbehave_everywhere(&with);
	misbehave_everywhere(&without);
}

static void
test_writers_that_flood_are_ended(void **state)
{
	static const struct misdeed
	    out = { "while :; do echo note x; done", "flooded" },
	    errors = { "while :; do echo xxxxxxxxxxxxxxxxxxxx >&2; done",
		    "flooded" };

	(void)state;
	misbehave_everywhere(&out);
	misbehave_everywhere(&errors);
}

static void
test_writers_that_talk_nonsense_are_ended(void **state)
{
	static const struct misdeed deeds[] = {
		{ "echo hello", "a line that is no answer" },
		{ "echo okay", "a line that is no answer" },
		{ "echo ''", "a line that is no answer" },
		{ "printf 'ok\\000\\n'", "a line that is no text" },
		{ "printf 'note \\377\\n'", "a line that is no text" },
		{ "printf 'note \\355\\240\\200\\n'",
		    "a line that is no text" },
		{ "printf 'ok\\r\\n'", "a line that is no text" },
		{ "printf '%02000d' 1; sleep 1000",
		    "a line of more than 1024 bytes" },
		{ "printf ok; exit 0", "ended with status 0, before" },
		{ "echo meta key", "without a value" },
		{ "echo meta KEY value", "wrong key" },
		{ "echo 'meta  value'", "wrong key" },
		{ "echo meta $(printf '%064d' 1) x", "wrong key" },
		{ "echo meta k $(printf '%0256d' 1)", "more than 255 bytes" },
		{ "i=0; while [ $i -lt 17 ]; do i=$((i + 1)); "
		  "echo meta k$i x; done",
		    "more than 16 meta lines" },
		{ "exec >&-; sleep 1000", "closed its output" },
	};
	size_t i;

	(void)state;
	writer_scripts_writer(&scripts, "good", "");
	for (i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++)
		misbehave(&deeds[i], WRITERS_FREEZE);
}

static void
test_writers_may_use_all_they_are_given(void **state)
{
	const struct message_writer *w;

	(void)state;
	writer_scripts_writer(&scripts, "w",
	    "prepare) i=0; while [ $i -lt 16 ]; do i=$((i + 1));\n"
	    "echo meta $i$(printf '%060d' 1) $(printf '%0255d' 7); done\n"
	    "printf 'note %01019d\\n' 1; printf 'note \\303\\251\\n'; echo ok "
	    ";;\n"
	    "freeze) i=0; while [ $i -lt 1000 ]; do i=$((i + 1)); "
	    "echo 0123456789012345678901234567890123456789 >&2; done; echo ok "
	    ";;");
	do_step(WRITERS_PREPARE);
	expect("w", MESSAGE_WRITER_PREPARED);
	w = find("w");
	assert_int_equal(w->meta_count, 16);
	assert_int_equal(strlen(w->metas[15].value), 255);
	do_step(WRITERS_FREEZE);
	expect("w", MESSAGE_WRITER_FROZEN);
}

static bool
nobody_asked(void)
{
	return find("w")->state == MESSAGE_WRITER_FAILED;
}

static void
test_writers_that_speak_unasked_are_ended(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "prepare) echo ok; echo ok ;;");
	do_step(WRITERS_PREPARE);
	turn_until(nobody_asked);
	expect_failed("w", "answered what nobody had asked");
	expect_level(MESSAGE_FILESYSTEM, "nobody had asked");
}

static void
test_writers_that_end_while_they_hold_fail(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "freeze) echo ok; exit 0 ;;");
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	turn_until(nobody_asked);
	expect_failed("w", "ended with status 0, while it was frozen");
	do_step(WRITERS_THAW);
	expect_level(MESSAGE_FILESYSTEM, "while it was frozen");
}

static void
test_writers_leave_nothing_behind(void **state)
{
	(void)state;
	/* What it leaves keeps its output open. */
	writer_scripts_writer(&scripts, "w",
	    "prepare) sleep 1000 & sleep 1000 & echo $! >\"$dir/pid\"; exit 0 "
	    ";;");
	do_step(WRITERS_PREPARE);
	expect_failed("w", "ended with status 0, before");
}

/* ---- those that do not go ---- */

static void
test_writers_stopped_and_deaf_are_killed(void **state)
{
	(void)state;
	writer_scripts_writer(
	    &scripts, "stopped", "freeze) kill -STOP $$; note awake ;;");
	writer_scripts_writer(&scripts, "deaf",
	    "freeze) trap '' TERM; while :; do sleep 0.1; done ;;");
	writer_scripts_writer(&scripts, "good", "");
	configure("stopped")->freeze_ms = SHORT_MS;
	configure("deaf")->freeze_ms = SHORT_MS;
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	expect_failed("stopped", "did not answer 'freeze'");
	expect_failed("deaf", "did not answer 'freeze'");
	expect("good", MESSAGE_WRITER_FROZEN);
	do_step(WRITERS_THAW);
	/* They may hold something still, until they are dead. */
	assert_true(writers_hold(set));
	turn_until(holds_nothing);
	assert_false(writer_scripts_noted(&scripts, "stopped awake"));
}

static void
test_writers_a_limit_ends_what_has_more_time(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "a", "freeze) sleep 1000 ;;");
	writer_scripts_writer(&scripts, "b", "");
	add_after(configure("b"), "a");
	do_step(WRITERS_PREPARE);
	begin(WRITERS_FREEZE, SHORT_MS);
	finish(WRITERS_FREEZE);
	expect_failed("a", "did not answer 'freeze'");
	/* It was the one that had to wait. */
	expect_failed("b", "its turn did not come");
	assert_false(writer_scripts_noted(&scripts, "b freeze"));
}

static void
test_writers_a_thaw_cuts_a_freeze_short(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "slow",
	    "freeze) while [ ! -e \"$dir/go\" ]; do sleep 0.01; done; echo ok "
	    ";;");
	writer_scripts_writer(&scripts, "next", "");
	writer_scripts_hook(&scripts, "h", "");
	add_after(configure("next"), "slow");
	do_step(WRITERS_PREPARE);
	begin(WRITERS_FREEZE, 0);
	assert_true(writer_scripts_wait(&scripts, "slow freeze"));
	writers_turn(set);
	assert_int_equal(done_count, 0);
	begin(WRITERS_THAW, 0);
	writer_scripts_touch(&scripts, "go");
	finish(WRITERS_THAW);
	/* It was asked too early to prove anything. */
	expect("slow", MESSAGE_WRITER_PREPARED);
	assert_false(writer_scripts_noted(&scripts, "next freeze"));
	assert_false(writer_scripts_noted(&scripts, "h freeze"));
	expect_level(MESSAGE_FILESYSTEM, "was not held");
	assert_false(writers_hold(set));
	do_step(WRITERS_ABORT);
	expect("slow", MESSAGE_WRITER_STABLE);
}

/* ---- the dead-man ---- */

static void
tell_thaw(void)
{
	int fds[MESSAGE_WRITERS_MAX];
	size_t n = writers_inputs(set, fds, MESSAGE_WRITERS_MAX), i;

	for (i = 0; i < n; i++)
		assert_int_equal(write(fds[i], "thaw\n", 5), 5);
}

static void
begin_told_thaw(void)
{
	struct writers_request r = { .step = WRITERS_THAW, .told = true };

	done_count = 0;
	writers_begin(set, &r);
	finish(WRITERS_THAW);
}

static void
test_writers_told_by_the_dead_man_answer_once(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	tell_thaw();
	begin_told_thaw();
	expect("w", MESSAGE_WRITER_THAWED);
	assert_string_equal(
	    writer_scripts_log(&scripts), "w prepare,w freeze,w thaw");
	assert_false(writers_hold(set));
}

static bool
heard_thaw(void)
{
	return writer_scripts_noted(&scripts, "w answered");
}

static void
test_writers_may_answer_before_the_dead_man_reports(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "thaw) echo ok; note answered ;;");
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	tell_thaw();
	turn_until(heard_thaw);
	writers_turn(set);
	expect("w", MESSAGE_WRITER_FROZEN);
	begin_told_thaw();
	expect("w", MESSAGE_WRITER_THAWED);
	/* The next one is not mistaken. */
	do_step(WRITERS_ABORT);
	expect("w", MESSAGE_WRITER_STABLE);
}

static void
test_writers_told_in_the_middle_of_a_freeze(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w",
	    "freeze) while [ ! -e \"$dir/go\" ]; do sleep 0.01; done; echo ok "
	    ";;");
	writer_scripts_writer(&scripts, "waiting", "");
	add_after(configure("waiting"), "w");
	do_step(WRITERS_PREPARE);
	begin(WRITERS_FREEZE, 0);
	tell_thaw();
	writer_scripts_touch(&scripts, "go");
	begin_told_thaw();
	/* Both answers of the first, and one of the second, came. */
	do_step(WRITERS_ABORT);
	expect("w", MESSAGE_WRITER_STABLE);
	expect("waiting", MESSAGE_WRITER_STABLE);
	assert_true(writer_scripts_wait(&scripts, "waiting end"));
	assert_false(writer_scripts_noted(&scripts, "waiting freeze"));
}

static void
test_writers_thaw_when_the_helper_is_killed(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	writer_scripts_hook(&scripts, "h", "");
	close_set();
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		open_set();
		do_step(WRITERS_PREPARE);
		do_step(WRITERS_FREEZE);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_true(writer_scripts_wait(&scripts, "w end"));
	assert_true(writer_scripts_wait(&scripts, "h thaw"));
	/* The next one thaws it again, for all it knows. */
	open_set();
	assert_true(writer_scripts_exists(&scripts, "run/hooks/h"));
	writers_thaw_leftovers(set);
	assert_true(writers_hold(set));
	turn_until(holds_nothing);
	assert_false(writer_scripts_exists(&scripts, "run/hooks/h"));
	assert_non_null(strstr(writer_scripts_log(&scripts), "h thaw"));
}

/* ---- hooks ---- */

static void
test_writers_hooks_come_last_and_thaw_first(void **state)
{
	(void)state;
	writer_scripts_writer(
	    &scripts, "w", "freeze) sleep 0.05; note froze; echo ok ;;");
	writer_scripts_hook(&scripts, "20-b", "");
	writer_scripts_hook(&scripts, "10-a",
	    "freeze) sleep 0.05; [ -e \"$dir/run/hooks/10-a\" ] && note kept "
	    ";;\n"
	    "thaw) sleep 0.05; note thawed ;;");
	do_step(WRITERS_PREPARE);
	expect("hook:10-a", MESSAGE_WRITER_PREPARED);
	do_step(WRITERS_FREEZE);
	expect("hook:10-a", MESSAGE_WRITER_FROZEN);
	expect("hook:20-b", MESSAGE_WRITER_FROZEN);
	assert_true(writer_scripts_exists(&scripts, "run/hooks/20-b"));
	do_step(WRITERS_THAW);
	expect("hook:10-a", MESSAGE_WRITER_THAWED);
	expect("hook:20-b", MESSAGE_WRITER_THAWED);
	assert_false(writer_scripts_exists(&scripts, "run/hooks/20-b"));
	assert_false(writer_scripts_exists(&scripts, "run/hooks/10-a"));
	expect_level(MESSAGE_APPLICATION, "");
	assert_string_equal(writer_scripts_log(&scripts),
	    "w prepare,w freeze,w froze,10-a freeze,10-a kept,20-b freeze,"
	    "10-a thaw,10-a thawed,20-b thaw,w thaw");
	remember(SESSION);
	commit();
	expect("hook:10-a", MESSAGE_WRITER_STABLE);
	expect("w", MESSAGE_WRITER_COMMITTED);
}

static void
test_writers_hooks_exit_statuses_count(void **state)
{
	(void)state;
	writer_scripts_hook(
	    &scripts, "f", "freeze) echo no space >&2; exit 7 ;;");
	writer_scripts_hook(&scripts, "t", "thaw) echo oops; exit 1 ;;");
	writer_scripts_hook(&scripts, "s", "thaw) sleep 1000 ;;");
	configure("hook:s")->thaw_ms = SHORT_MS;
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	expect_failed("hook:f", "ended with status 7: no space");
	expect_level(MESSAGE_FILESYSTEM, "no space");
	do_step(WRITERS_THAW);
	/* It was asked to freeze, so it thaws, too. */
	assert_true(writer_scripts_noted(&scripts, "f thaw"));
	expect_failed("hook:t", "ended with status 1: oops");
	expect_failed("hook:s", "did not answer 'thaw'");
	turn_until(holds_nothing);
	/* To be tried again by the next start. */
	assert_true(writer_scripts_exists(&scripts, "run/hooks/s"));
	assert_false(writer_scripts_exists(&scripts, "run/hooks/t"));
}

static void
test_writers_hooks_that_hang_are_thawed(void **state)
{
	(void)state;
	writer_scripts_hook(&scripts, "h", "freeze) sleep 1000 ;;");
	writer_scripts_writer(&scripts, "w", "");
	configure("hook:h")->freeze_ms = SHORT_MS;
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	expect_failed("hook:h", "did not answer 'freeze'");
	do_step(WRITERS_THAW);
	assert_true(writer_scripts_noted(&scripts, "h thaw"));
	expect("w", MESSAGE_WRITER_THAWED);
	turn_until(holds_nothing);
}

static void
test_writers_do_not_wait_for_ever_for_hooks(void **state)
{
	(void)state;
	writer_scripts_hook(&scripts, "a", "thaw) sleep 1000 ;;");
	writer_scripts_hook(&scripts, "b", "");
	writer_scripts_writer(&scripts, "w", "");
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	begin(WRITERS_THAW, 2 * SHORT_MS);
	finish(WRITERS_THAW);
	expect("w", MESSAGE_WRITER_THAWED);
	expect_failed("hook:a", "did not answer 'thaw'");
	expect_failed("hook:b", "its turn did not come");
	/* It is thawed nevertheless. */
	assert_true(writer_scripts_wait(&scripts, "b thaw"));
	turn_until(holds_nothing);
}

/* ---- committed ---- */

static struct message_writer *
add_said(const char *name, enum message_writer_state state)
{
	struct message_writer *w = message_add_writer(&metas);

	strcpy(w->name, name);
	w->state = state;
	strcpy(metas.session, OTHER);
	return w;
}

static void
add_meta(struct message_writer *w, const char *key, const char *value)
{
	struct message_meta *m = message_add_meta(w);

	strcpy(m->key, key);
	strcpy(m->value, value);
}

static void
test_writers_committed_starts_those_that_are_gone(void **state)
{
	struct message_writer *said;

	(void)state;
	writer_scripts_writer(&scripts, "w",
	    "committed) note \"$rest $HOLDSTILL_SESSION\"; echo ok ;;\n"
	    "meta) note \"$rest\" ;;");
	writer_scripts_writer(&scripts, "failed", "");
	said = add_said("w", MESSAGE_WRITER_THAWED);
	add_meta(said, "lsn", "0/1");
	/* Nothing that a host says becomes a line of its own. */
	add_meta(said, "x", "1\ncommitted 2");
	add_meta(said, "y 1\nthaw", "1");
	add_meta(said, "z", "last one");
	add_said("failed", MESSAGE_WRITER_FAILED);
	add_said("removed", MESSAGE_WRITER_THAWED);
	add_said("../../bin/sh", MESSAGE_WRITER_THAWED);
	add_said("hook:h", MESSAGE_WRITER_THAWED);
	commit();
	expect("w", MESSAGE_WRITER_COMMITTED);
	expect_failed("removed", "no such writer any more");
	assert_null(find("../../bin/sh"));
	assert_null(find("hook:h"));
	assert_true(writer_scripts_wait(&scripts, "w end"));
	assert_string_equal(writer_scripts_log(&scripts),
	    "w meta,w lsn 0/1,w meta,w z last one,"
	    "w committed,w " POINT " " OTHER ",w end");
	/* Told again, it hears it again. */
	commit();
	expect("w", MESSAGE_WRITER_COMMITTED);
	do_step(WRITERS_PREPARE);
	assert_null(find("removed"));
}

static void
test_writers_committed_leaves_another_session_alone(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	add_said("w", MESSAGE_WRITER_THAWED);
	commit();
	expect("w", MESSAGE_WRITER_FROZEN);
	do_step(WRITERS_THAW);
	expect("w", MESSAGE_WRITER_THAWED);
	commit();
	expect("w", MESSAGE_WRITER_THAWED);
	assert_false(writer_scripts_noted(&scripts, "w committed"));
}

static bool
is_gone(void)
{
	int fd;

	/* Of one that has ended there is no input. */
	return writers_inputs(set, &fd, 1) == 0;
}

static void
test_writers_that_ended_after_the_thaw_are_started_again(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "thaw) echo ok; exit 0 ;;");
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	do_step(WRITERS_THAW);
	turn_until(is_gone);
	expect("w", MESSAGE_WRITER_THAWED);
	expect_level(MESSAGE_APPLICATION, "");
	remember(SESSION);
	commit();
	expect("w", MESSAGE_WRITER_COMMITTED);
}

static void
test_writers_slow_readers_get_every_line(void **state)
{
	struct message_writer *said;
	char key[16], value[MESSAGE_VALUE_SIZE];
	int fd, i;

	(void)state;
	writer_scripts_writer(&scripts, "w",
	    "thaw) echo ok; while [ ! -e \"$dir/go\" ]; do sleep 0.01; done "
	    ";;\n"
	    "meta) note \"${rest%% *} ${#rest}\" ;;");
	do_step(WRITERS_PREPARE);
	assert_int_equal(writers_inputs(set, &fd, 1), 1);
	assert_int_equal(fcntl(fd, F_SETPIPE_SZ, 4096), 4096);
	do_step(WRITERS_FREEZE);
	do_step(WRITERS_THAW);
	said = add_said("w", MESSAGE_WRITER_THAWED);
	strcpy(metas.session, SESSION);
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (i = 0; i < MESSAGE_META_MAX; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		add_meta(said, key, value);
	}
	begin(WRITERS_COMMITTED, 0);
	writers_turn(set);
	assert_int_equal(done_count, 0);
	writer_scripts_touch(&scripts, "go");
	finish(WRITERS_COMMITTED);
	expect("w", MESSAGE_WRITER_COMMITTED);
	assert_true(writer_scripts_noted(&scripts, "w k0 258"));
	assert_true(writer_scripts_noted(&scripts, "w k15 259"));
}

/* ---- which there are ---- */

static void
test_writers_scan_starts_none(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	writer_scripts_writer(&scripts, "off", "");
	writer_scripts_writer(&scripts, "README.sample", "");
	writer_scripts_hook(&scripts, "h", "");
	configure("off")->disabled = true;
	configure("missing");
	assert_int_equal(writers_scan(set, &err), 0);
	expect("w", MESSAGE_WRITER_STABLE);
	expect("hook:h", MESSAGE_WRITER_STABLE);
	expect_failed("missing", "no such executable");
	assert_null(find("off"));
	assert_null(find("README.sample"));
	assert_string_equal(writer_scripts_log(&scripts), "");
	/* A session is not disturbed by a look. */
	do_step(WRITERS_PREPARE);
	assert_int_equal(writers_scan(set, &err), 0);
	expect("w", MESSAGE_WRITER_PREPARED);
	conf.no_writers = true;
	do_step(WRITERS_PREPARE);
	assert_null(find("w"));
	expect_level(MESSAGE_FILESYSTEM, "turned off");
}

static void
test_writers_unsafe_ones_are_not_run(void **state)
{
	char path[128];

	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	writer_scripts_writer(&scripts, "good", "");
	snprintf(path, sizeof(path), "%s/w", scripts.writers);
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(writers_scan(set, &err), 0);
	expect_failed("w", "written to by others");
	do_step(WRITERS_PREPARE);
	expect_failed("w", "written to by others");
	expect("good", MESSAGE_WRITER_PREPARED);
	expect_level(MESSAGE_FILESYSTEM, "written to by others");
	assert_false(writer_scripts_noted(&scripts, "w prepare"));
	/* It is mended. */
	assert_int_equal(chmod(path, 0755), 0);
	do_step(WRITERS_PREPARE);
	expect("w", MESSAGE_WRITER_PREPARED);
	expect_level(MESSAGE_APPLICATION, "");
	/* The last failure is remembered. */
	assert_non_null(strstr(find("w")->reason, "written to by others"));
}

static void
test_writers_too_many_are_no_claim(void **state)
{
	char name[16];
	int i;

	(void)state;
	for (i = 0; i <= MESSAGE_WRITERS_MAX; i++) {
		snprintf(name, sizeof(name), "w%d", i);
		writer_scripts_writer(&scripts, name, "");
	}
	do_step(WRITERS_PREPARE);
	expect_level(MESSAGE_FILESYSTEM, "more than 32");
	find("w0");
	assert_int_equal(message.writer_count, MESSAGE_WRITERS_MAX);
}

static void
test_writers_without_a_spawner_fail(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	do_step(WRITERS_PREPARE);
	do_step(WRITERS_FREEZE);
	kill(spawner.pid, SIGKILL);
	waitpid(spawner.pid, NULL, 0);
	/* Those that run go on. */
	do_step(WRITERS_THAW);
	expect("w", MESSAGE_WRITER_THAWED);
	do_step(WRITERS_ABORT);
	assert_true(writer_scripts_wait(&scripts, "w end"));
	do_step(WRITERS_PREPARE);
	expect_failed("w", "the process that runs writers is gone");
	expect_level(MESSAGE_FILESYSTEM, "is gone");
	assert_false(writers_hold(set));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_writers_without_any_are_done_at_once),
		T(test_writers_go_through_a_session),
		T(test_writers_are_asked_at_once),
		T(test_writers_freeze_after_others),
		T(test_writers_refuse_an_order_in_a_circle),
		T(test_writers_optional_ones_spoil_nothing),
		T(test_writers_only_optional_and_failed_prove_nothing),
		T(test_writers_that_lost_their_hold_say_so),
		T(test_writers_thaw_without_a_freeze_proves_nothing),
		T(test_writers_are_asked_to_thaw_once),
		T(test_writers_abort_thaws_and_ends_them),
		T(test_writers_a_session_that_was_never_ended_is),
		T(test_writers_that_hang_run_out_of_time),
		T(test_writers_that_crash_fail),
		T(test_writers_that_refuse_give_the_reason),
		T(test_writers_that_flood_are_ended),
		T(test_writers_that_talk_nonsense_are_ended),
		T(test_writers_may_use_all_they_are_given),
		T(test_writers_that_speak_unasked_are_ended),
		T(test_writers_that_end_while_they_hold_fail),
		T(test_writers_leave_nothing_behind),
		T(test_writers_stopped_and_deaf_are_killed),
		T(test_writers_a_limit_ends_what_has_more_time),
		T(test_writers_a_thaw_cuts_a_freeze_short),
		T(test_writers_told_by_the_dead_man_answer_once),
		T(test_writers_may_answer_before_the_dead_man_reports),
		T(test_writers_told_in_the_middle_of_a_freeze),
		T(test_writers_thaw_when_the_helper_is_killed),
		T(test_writers_hooks_come_last_and_thaw_first),
		T(test_writers_hooks_exit_statuses_count),
		T(test_writers_hooks_that_hang_are_thawed),
		T(test_writers_do_not_wait_for_ever_for_hooks),
		T(test_writers_committed_starts_those_that_are_gone),
		T(test_writers_committed_leaves_another_session_alone),
		T(test_writers_that_ended_after_the_thaw_are_started_again),
		T(test_writers_slow_readers_get_every_line),
		T(test_writers_scan_starts_none),
		T(test_writers_unsafe_ones_are_not_run),
		T(test_writers_too_many_are_no_claim),
		T(test_writers_without_a_spawner_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
