/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks as writers. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/writers_rig.h"

static struct writers_rig rig;

/* ---- hooks ---- */

static void
test_writers_hooks_come_last_and_thaw_first(void **state)
{
	(void)state;
	writer_scripts_writer(
	    &rig.scripts, "w", "freeze) sleep 0.05; note froze; echo ok ;;");
	writer_scripts_hook(&rig.scripts, "20-b", "");
	writer_scripts_hook(&rig.scripts, "10-a",
	    "freeze) sleep 0.05; [ -e \"$dir/run/hooks/10-a\" ] && note kept "
	    ";;\n"
	    "thaw) sleep 0.05; note thawed ;;");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_expect(&rig, "hook:10-a", MESSAGE_WRITER_PREPARED);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_expect(&rig, "hook:10-a", MESSAGE_WRITER_FROZEN);
	writers_rig_expect(&rig, "hook:20-b", MESSAGE_WRITER_FROZEN);
	assert_true(writer_scripts_exists(&rig.scripts, "run/hooks/20-b"));
	writers_rig_step(&rig, WRITERS_THAW);
	writers_rig_expect(&rig, "hook:10-a", MESSAGE_WRITER_THAWED);
	writers_rig_expect(&rig, "hook:20-b", MESSAGE_WRITER_THAWED);
	assert_false(writer_scripts_exists(&rig.scripts, "run/hooks/20-b"));
	assert_false(writer_scripts_exists(&rig.scripts, "run/hooks/10-a"));
	writers_rig_expect_level(&rig, MESSAGE_APPLICATION, "");
	assert_string_equal(writer_scripts_log(&rig.scripts),
	    "w prepare,w freeze,w froze,10-a freeze,10-a kept,20-b freeze,"
	    "10-a thaw,10-a thawed,20-b thaw,w thaw");
	writers_rig_remember(&rig, SESSION);
	writers_rig_commit(&rig);
	writers_rig_expect(&rig, "hook:10-a", MESSAGE_WRITER_STABLE);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_COMMITTED);
}

static void
test_writers_hooks_exit_statuses_count(void **state)
{
	(void)state;
	writer_scripts_hook(
	    &rig.scripts, "f", "freeze) echo no space >&2; exit 7 ;;");
	writer_scripts_hook(&rig.scripts, "t", "thaw) echo oops; exit 1 ;;");
	writer_scripts_hook(&rig.scripts, "s", "thaw) sleep 1000 ;;");
	writers_rig_configure(&rig, "hook:s")->thaw_ms = SHORT_MS;
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_expect_failed(
	    &rig, "hook:f", "ended with status 7: no space");
	writers_rig_expect_level(&rig, MESSAGE_FILESYSTEM, "no space");
	writers_rig_step(&rig, WRITERS_THAW);
	/* It was asked to freeze, so it thaws, too. */
	assert_true(writer_scripts_noted(&rig.scripts, "f thaw"));
	writers_rig_expect_failed(&rig, "hook:t", "ended with status 1: oops");
	writers_rig_expect_failed(&rig, "hook:s", "did not answer 'thaw'");
	writers_rig_until(&rig, writers_rig_holds_nothing);
	/* To be tried again by the next start. */
	assert_true(writer_scripts_exists(&rig.scripts, "run/hooks/s"));
	assert_false(writer_scripts_exists(&rig.scripts, "run/hooks/t"));
}

static void
test_writers_hooks_that_hang_are_thawed(void **state)
{
	(void)state;
	writer_scripts_hook(&rig.scripts, "h", "freeze) sleep 1000 ;;");
	writer_scripts_writer(&rig.scripts, "w", "");
	writers_rig_configure(&rig, "hook:h")->freeze_ms = SHORT_MS;
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_expect_failed(&rig, "hook:h", "did not answer 'freeze'");
	writers_rig_step(&rig, WRITERS_THAW);
	assert_true(writer_scripts_noted(&rig.scripts, "h thaw"));
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_THAWED);
	writers_rig_until(&rig, writers_rig_holds_nothing);
}

static void
test_writers_do_not_wait_for_ever_for_hooks(void **state)
{
	(void)state;
	writer_scripts_hook(&rig.scripts, "a", "thaw) sleep 1000 ;;");
	writer_scripts_hook(&rig.scripts, "b", "");
	writer_scripts_writer(&rig.scripts, "w", "");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_begin(&rig, WRITERS_THAW, 2 * SHORT_MS);
	writers_rig_finish(&rig, WRITERS_THAW);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_THAWED);
	writers_rig_expect_failed(&rig, "hook:a", "did not answer 'thaw'");
	writers_rig_expect_failed(&rig, "hook:b", "its turn did not come");
	/* It is thawed nevertheless. */
	assert_true(writer_scripts_wait(&rig.scripts, "b thaw"));
	writers_rig_until(&rig, writers_rig_holds_nothing);
}

/* Late is not refused: it may be half frozen by then. */
static void
test_writers_hooks_that_start_late_are_thawed(void **state)
{
	(void)state;
	writer_scripts_hook(&rig.scripts, "h", "");
	writers_rig_step(&rig, WRITERS_PREPARE);
	kill(rig.spawner.pid, SIGSTOP);
	writers_rig_step(&rig, WRITERS_FREEZE);
	kill(rig.spawner.pid, SIGCONT);
	writers_rig_expect_failed(&rig, "hook:h", "does not answer");
	assert_true(writers_hold(rig.set));
	assert_true(writer_scripts_exists(&rig.scripts, "run/hooks/h"));
	writers_rig_step(&rig, WRITERS_THAW);
	assert_true(writer_scripts_noted(&rig.scripts, "h thaw"));
	assert_false(writer_scripts_exists(&rig.scripts, "run/hooks/h"));
	writers_rig_until(&rig, writers_rig_holds_nothing);
}

static void
test_writers_hooks_that_are_refused_are_not_thawed(void **state)
{
	char path[128];

	(void)state;
	writer_scripts_hook(&rig.scripts, "h", "");
	writers_rig_step(&rig, WRITERS_PREPARE);
	snprintf(path, sizeof(path), "%s/h", rig.scripts.hooks);
	chmod(path, 0777);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_expect_failed(&rig, "hook:h", "written to by others");
	assert_false(writers_hold(rig.set));
	assert_false(writer_scripts_exists(&rig.scripts, "run/hooks/h"));
	writers_rig_step(&rig, WRITERS_THAW);
	assert_string_equal(writer_scripts_log(&rig.scripts), "");
}

static bool
is_forgotten(struct writers_rig *r)
{
	return !writer_scripts_exists(&r->scripts, "run/hooks/h");
}

static void
test_writers_hooks_left_frozen_are_thawed_at_the_next_prepare(void **state)
{
	(void)state;
	writer_scripts_hook(&rig.scripts, "h",
	    "thaw) [ -e \"$dir/again\" ] && exit 0\n"
	    "touch \"$dir/again\"; sleep 1000 ;;");
	writers_rig_configure(&rig, "hook:h")->thaw_ms = SHORT_MS;
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_step(&rig, WRITERS_THAW);
	writers_rig_expect_failed(&rig, "hook:h", "did not answer 'thaw'");
	writers_rig_until(&rig, writers_rig_holds_nothing);
	assert_true(writer_scripts_exists(&rig.scripts, "run/hooks/h"));
	rig.conf.writers[0].thaw_ms = WRITER_SCRIPTS_WAIT_MS;
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_until(&rig, is_forgotten);
	assert_string_equal(
	    writer_scripts_log(&rig.scripts), "h freeze,h thaw,h thaw");
	/* And once only. */
	writers_rig_step(&rig, WRITERS_PREPARE);
	assert_string_equal(
	    writer_scripts_log(&rig.scripts), "h freeze,h thaw,h thaw");
}

int
main(void)
{
#define T(name) WRITERS_RIG_CASE(name, &rig)
	const struct CMUnitTest tests[] = {
		T(test_writers_hooks_come_last_and_thaw_first),
		T(test_writers_hooks_exit_statuses_count),
		T(test_writers_hooks_that_hang_are_thawed),
		T(test_writers_do_not_wait_for_ever_for_hooks),
		T(test_writers_hooks_that_start_late_are_thawed),
		T(test_writers_hooks_left_frozen_are_thawed_at_the_next_prepare),
		T(test_writers_hooks_that_are_refused_are_not_thawed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
