/* SPDX-License-Identifier: Apache-2.0 */
/* Writers that hang, crash, flood, lie, or do not go, and a helper that does. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/writers_rig.h"

static struct writers_rig rig;

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
	writer_scripts_writer(&rig.scripts, "bad", cases);
	for (step = WRITERS_PREPARE; step <= WRITERS_COMMITTED; step++) {
		if (step == WRITERS_COMMITTED)
			writers_rig_remember(&rig, SESSION);
		writers_rig_step(&rig, step);
		if (step < at)
			continue;
		snprintf(reason, sizeof(reason), "%s%s", m->reason,
		    ends_open(m->reason) ? step_words[at] : "");
		writers_rig_expect_failed(&rig, "bad", reason);
		/* What was proved at the thaw is not taken back. */
		writers_rig_expect_level(
		    &rig, MESSAGE_FILESYSTEM, "writer 'bad': ");
	}
	writers_rig_expect(&rig, "good", MESSAGE_WRITER_COMMITTED);
	writers_rig_until(&rig, writers_rig_holds_nothing);
}

static void
misbehave_everywhere(const struct misdeed *m)
{
	enum writers_step step;

	writer_scripts_writer(&rig.scripts, "good", "");
	for (step = WRITERS_PREPARE; step <= WRITERS_COMMITTED; step++)
		misbehave(m, step);
}

static void
test_writers_that_hang_run_out_of_time(void **state)
{
	static const struct misdeed m = { "sleep 1000", "did not answer '" };
	struct conf_writer *c = writers_rig_configure(&rig, "bad");

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
		{ "printf 'note \\340\\202\\251\\n'",
		    "a line that is no text" },
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
		{ "echo data srv", "without an absolute path" },
		{ "echo data", "without an absolute path" },
		{ "echo data /$(printf '%0255d' 1)", "more than 255 bytes" },
		{ "exec >&-; sleep 1000", "closed its output" },
	};
	size_t i;

	(void)state;
	writer_scripts_writer(&rig.scripts, "good", "");
	for (i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++)
		misbehave(&deeds[i], WRITERS_FREEZE);
}

static void
test_writers_that_say_too_many_places_are_ended(void **state)
{
	(void)state;
	writer_scripts_writer(&rig.scripts, "w",
	    "prepare) i=0; while [ $i -lt 17 ]; do i=$((i + 1)); "
	    "echo data /srv/$i; done; echo ok ;;");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_expect_failed(&rig, "w", "more than 16 data lines");
	/* Nobody looks at it any more. */
	writer_scripts_writer(
	    &rig.scripts, "w", "freeze) echo data /srv; echo ok ;;");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_expect_failed(&rig, "w", "and not at 'prepare'");
}

static void
test_writers_may_use_all_they_are_given(void **state)
{
	const struct message_writer *w;

	(void)state;
	writer_scripts_writer(&rig.scripts, "w",
	    "prepare) i=0; while [ $i -lt 16 ]; do i=$((i + 1));\n"
	    "echo meta $i$(printf '%060d' 1) $(printf '%0255d' 7);\n"
	    "echo data /$i; echo data /$(printf '%0252d' 1)$i;\n"
	    "[ $i = 8 ] || continue; break; done\n"
	    "while [ $i -lt 16 ]; do i=$((i + 1));\n"
	    "echo meta $i$(printf '%060d' 1) $(printf '%0255d' 7);\n"
	    "echo data /1; done\n"
	    "printf 'note %01019d\\n' 1; printf 'note \\303\\251\\n'; echo ok "
	    ";;\n"
	    "freeze) i=0; while [ $i -lt 1000 ]; do i=$((i + 1)); "
	    "echo 0123456789012345678901234567890123456789 >&2; done; echo ok "
	    ";;");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_PREPARED);
	w = writers_rig_find(&rig, "w");
	assert_int_equal(w->meta_count, 16);
	assert_int_equal(strlen(w->metas[15].value), 255);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_FROZEN);
}

static bool
nobody_asked(struct writers_rig *r)
{
	return writers_rig_find(r, "w")->state == MESSAGE_WRITER_FAILED;
}

static void
test_writers_that_speak_unasked_are_ended(void **state)
{
	(void)state;
	writer_scripts_writer(
	    &rig.scripts, "w", "prepare) echo ok; echo ok ;;");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_until(&rig, nobody_asked);
	writers_rig_expect_failed(&rig, "w", "answered what nobody had asked");
	writers_rig_expect_level(&rig, MESSAGE_FILESYSTEM, "nobody had asked");
}

static void
test_writers_that_end_while_they_hold_fail(void **state)
{
	(void)state;
	writer_scripts_writer(&rig.scripts, "w", "freeze) echo ok; exit 0 ;;");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_until(&rig, nobody_asked);
	writers_rig_expect_failed(
	    &rig, "w", "ended with status 0, while it was frozen");
	writers_rig_step(&rig, WRITERS_THAW);
	writers_rig_expect_level(
	    &rig, MESSAGE_FILESYSTEM, "while it was frozen");
}

static void
test_writers_leave_nothing_behind(void **state)
{
	(void)state;
	/* What it leaves keeps its output open. */
	writer_scripts_writer(&rig.scripts, "w",
	    "prepare) sleep 1000 & sleep 1000 & echo $! >\"$dir/pid\"; exit 0 "
	    ";;");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_expect_failed(&rig, "w", "ended with status 0, before");
}

/* ---- those that do not go ---- */

static void
test_writers_stopped_and_deaf_are_killed(void **state)
{
	(void)state;
	writer_scripts_writer(
	    &rig.scripts, "stopped", "freeze) kill -STOP $$; note awake ;;");
	writer_scripts_writer(&rig.scripts, "deaf",
	    "freeze) trap '' TERM; while :; do sleep 0.1; done ;;");
	writer_scripts_writer(&rig.scripts, "good", "");
	writers_rig_configure(&rig, "stopped")->freeze_ms = SHORT_MS;
	writers_rig_configure(&rig, "deaf")->freeze_ms = SHORT_MS;
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_expect_failed(&rig, "stopped", "did not answer 'freeze'");
	writers_rig_expect_failed(&rig, "deaf", "did not answer 'freeze'");
	writers_rig_expect(&rig, "good", MESSAGE_WRITER_FROZEN);
	writers_rig_step(&rig, WRITERS_THAW);
	/* They may hold something still, until they are dead. */
	assert_true(writers_hold(rig.set));
	writers_rig_until(&rig, writers_rig_holds_nothing);
	assert_false(writer_scripts_noted(&rig.scripts, "stopped awake"));
}

static void
test_writers_a_limit_ends_what_has_more_time(void **state)
{
	(void)state;
	writer_scripts_writer(&rig.scripts, "a", "freeze) sleep 1000 ;;");
	writer_scripts_writer(&rig.scripts, "b", "");
	writers_rig_after(writers_rig_configure(&rig, "b"), "a");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_begin(&rig, WRITERS_FREEZE, SHORT_MS);
	writers_rig_finish(&rig, WRITERS_FREEZE);
	writers_rig_expect_failed(&rig, "a", "did not answer 'freeze'");
	/* It was the one that had to wait. */
	writers_rig_expect_failed(&rig, "b", "its turn did not come");
	assert_false(writer_scripts_noted(&rig.scripts, "b freeze"));
}

static void
test_writers_a_thaw_cuts_a_freeze_short(void **state)
{
	(void)state;
	writer_scripts_writer(&rig.scripts, "slow",
	    "freeze) while [ ! -e \"$dir/go\" ]; do sleep 0.01; done; echo ok "
	    ";;");
	writer_scripts_writer(&rig.scripts, "next", "");
	writer_scripts_hook(&rig.scripts, "h", "");
	writers_rig_after(writers_rig_configure(&rig, "next"), "slow");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_begin(&rig, WRITERS_FREEZE, 0);
	assert_true(writer_scripts_wait(&rig.scripts, "slow freeze"));
	writers_turn(rig.set);
	assert_int_equal(rig.done_count, 0);
	writers_rig_begin(&rig, WRITERS_THAW, 0);
	writer_scripts_touch(&rig.scripts, "go");
	writers_rig_finish(&rig, WRITERS_THAW);
	/* It was asked too early to prove anything. */
	writers_rig_expect(&rig, "slow", MESSAGE_WRITER_PREPARED);
	assert_false(writer_scripts_noted(&rig.scripts, "next freeze"));
	assert_false(writer_scripts_noted(&rig.scripts, "h freeze"));
	writers_rig_expect_level(&rig, MESSAGE_FILESYSTEM, "was not held");
	assert_false(writers_hold(rig.set));
	writers_rig_step(&rig, WRITERS_ABORT);
	writers_rig_expect(&rig, "slow", MESSAGE_WRITER_STABLE);
}

/* ---- the dead man ---- */

static void
tell_thaw(void)
{
	int fds[MESSAGE_WRITERS_MAX];
	size_t n = writers_inputs(rig.set, fds, MESSAGE_WRITERS_MAX), i;

	for (i = 0; i < n; i++)
		assert_int_equal(write(fds[i], "thaw\n", 5), 5);
}

static void
begin_told_thaw(void)
{
	struct writers_request r = { .step = WRITERS_THAW, .told = true };

	rig.done_count = 0;
	writers_begin(rig.set, &r);
	writers_rig_finish(&rig, WRITERS_THAW);
}

static void
test_writers_told_by_the_dead_man_answer_once(void **state)
{
	(void)state;
	writer_scripts_writer(&rig.scripts, "w", "");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	tell_thaw();
	begin_told_thaw();
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_THAWED);
	assert_string_equal(
	    writer_scripts_log(&rig.scripts), "w prepare,w freeze,w thaw");
	assert_false(writers_hold(rig.set));
}

static bool
heard_thaw(struct writers_rig *r)
{
	return writer_scripts_noted(&r->scripts, "w answered");
}

static void
test_writers_may_answer_before_the_dead_man_reports(void **state)
{
	(void)state;
	writer_scripts_writer(
	    &rig.scripts, "w", "thaw) echo ok; note answered ;;");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	tell_thaw();
	writers_rig_until(&rig, heard_thaw);
	writers_turn(rig.set);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_FROZEN);
	begin_told_thaw();
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_THAWED);
	/* The next one is not mistaken. */
	writers_rig_step(&rig, WRITERS_ABORT);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_STABLE);
}

static void
test_writers_told_in_the_middle_of_a_freeze(void **state)
{
	(void)state;
	writer_scripts_writer(&rig.scripts, "w",
	    "freeze) while [ ! -e \"$dir/go\" ]; do sleep 0.01; done; echo ok "
	    ";;");
	writer_scripts_writer(&rig.scripts, "waiting", "");
	writers_rig_after(writers_rig_configure(&rig, "waiting"), "w");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_begin(&rig, WRITERS_FREEZE, 0);
	tell_thaw();
	writer_scripts_touch(&rig.scripts, "go");
	begin_told_thaw();
	/* Both answers of the first, and one of the second, came. */
	writers_rig_step(&rig, WRITERS_ABORT);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_STABLE);
	writers_rig_expect(&rig, "waiting", MESSAGE_WRITER_STABLE);
	assert_true(writer_scripts_wait(&rig.scripts, "waiting end"));
	assert_false(writer_scripts_noted(&rig.scripts, "waiting freeze"));
}

/* It notes an answer when it has given it. */
static bool
noted_both_answers(struct writers_rig *r)
{
	return strstr(writer_scripts_log(&r->scripts),
		   "w answered,w thaw,w answered") != NULL;
}

/* Once by the dead-man, which it has answered, and once by the helper. */
static void
test_writers_told_twice_answer_twice(void **state)
{
	struct writers_request r = {
		.step = WRITERS_THAW, .told = true, .again = true
	};

	(void)state;
	writer_scripts_writer(&rig.scripts, "w",
	    "thaw) if [ -z \"$once\" ]; then echo ok; "
	    "else echo fail not held; fi; once=yes; note answered ;;");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	tell_thaw();
	writers_rig_until(&rig, heard_thaw);
	writers_turn(rig.set);
	rig.done_count = 0;
	writers_begin(rig.set, &r);
	writers_rig_finish(&rig, WRITERS_THAW);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_THAWED);
	assert_string_equal(writers_rig_find(&rig, "w")->reason, "");
	writers_rig_until(&rig, noted_both_answers);
	assert_string_equal(writer_scripts_log(&rig.scripts),
	    "w prepare,w freeze,w thaw,w answered,w thaw,w answered");
	assert_false(writers_hold(rig.set));
	writers_rig_step(&rig, WRITERS_ABORT);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_STABLE);
}

static void
test_writers_thaw_when_the_helper_is_killed(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	writer_scripts_writer(&rig.scripts, "w", "");
	writer_scripts_hook(&rig.scripts, "h", "");
	writers_rig_close(&rig);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		writers_rig_open(&rig);
		writers_rig_step(&rig, WRITERS_PREPARE);
		writers_rig_step(&rig, WRITERS_FREEZE);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_true(writer_scripts_wait(&rig.scripts, "w end"));
	assert_true(writer_scripts_wait(&rig.scripts, "h thaw"));
	/* The next one thaws it again, for all it knows. */
	writers_rig_open(&rig);
	assert_true(writer_scripts_exists(&rig.scripts, "run/hooks/h"));
	writers_thaw_leftovers(rig.set);
	assert_true(writers_hold(rig.set));
	writers_rig_until(&rig, writers_rig_holds_nothing);
	assert_false(writer_scripts_exists(&rig.scripts, "run/hooks/h"));
	assert_non_null(strstr(writer_scripts_log(&rig.scripts), "h thaw"));
}

int
main(void)
{
#define T(name) WRITERS_RIG_CASE(name, &rig)
	const struct CMUnitTest tests[] = {
		T(test_writers_that_hang_run_out_of_time),
		T(test_writers_that_crash_fail),
		T(test_writers_that_refuse_give_the_reason),
		T(test_writers_that_flood_are_ended),
		T(test_writers_that_talk_nonsense_are_ended),
		T(test_writers_that_say_too_many_places_are_ended),
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
		T(test_writers_told_twice_answer_twice),
		T(test_writers_thaw_when_the_helper_is_killed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
