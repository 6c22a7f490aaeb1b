/* SPDX-License-Identifier: Apache-2.0 */
/* The set of writers: steps, order, levels, and what is committed. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/log.h"
#include "tests/unit/writers_rig.h"

static struct writers_rig rig;

/* ---- in order ---- */

static void
test_writers_without_any_are_done_at_once(void **state)
{
	(void)state;
	writers_rig_expect_level(&rig, MESSAGE_FILESYSTEM, "no writers");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_step(&rig, WRITERS_THAW);
	writers_rig_expect_level(&rig, MESSAGE_FILESYSTEM, "no writers");
	writers_rig_commit(&rig);
	writers_rig_step(&rig, WRITERS_ABORT);
	assert_false(writers_hold(rig.set));
}

static void
test_writers_go_through_a_session(void **state)
{
	const struct message_writer *w;

	(void)state;
	writer_scripts_writer(&rig.scripts, "w",
	    "prepare) echo \"note as $rest $HOLDSTILL_SESSION\"; echo ok ;;\n"
	    "freeze) echo meta lsn 0/1; echo 'meta lsn 0/16B3748'; "
	    "echo 'meta t.x two words'; echo ok ;;\n"
	    "committed) note \"$rest\"; echo ok ;;\n"
	    "meta) note \"$rest\" ;;");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_PREPARED);
	writers_rig_expect_level(&rig, MESSAGE_APPLICATION, "");
	assert_false(writers_hold(rig.set));
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_FROZEN);
	assert_true(writers_hold(rig.set));
	writers_rig_step(&rig, WRITERS_THAW);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_THAWED);
	writers_rig_expect_level(&rig, MESSAGE_APPLICATION, "");
	assert_false(writers_hold(rig.set));
	w = writers_rig_find(&rig, "w");
	assert_int_equal(w->required, 1);
	assert_int_equal(w->meta_count, 2);
	assert_string_equal(w->metas[0].key, "lsn");
	assert_string_equal(w->metas[0].value, "0/16B3748");
	assert_string_equal(w->metas[1].value, "two words");
	assert_string_equal(w->reason, "");
	writers_rig_remember(&rig, SESSION);
	writers_rig_commit(&rig);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_COMMITTED);
	assert_true(writer_scripts_wait(&rig.scripts, "w end"));
	assert_string_equal(writer_scripts_log(&rig.scripts),
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
	writer_scripts_writer(&rig.scripts, "a", cases);
	writer_scripts_writer(&rig.scripts, "b", cases);
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_expect(&rig, "a", MESSAGE_WRITER_FROZEN);
	writers_rig_expect(&rig, "b", MESSAGE_WRITER_FROZEN);
}

static void
test_writers_freeze_after_others(void **state)
{
	static const char *const cases =
	    "freeze) sleep 0.02; note froze; echo ok ;;";

	(void)state;
	writer_scripts_writer(&rig.scripts, "a", cases);
	writer_scripts_writer(&rig.scripts, "b", cases);
	writer_scripts_writer(&rig.scripts, "c",
	    "freeze) sleep 0.02; note froze; echo fail no ;;");
	writers_rig_after(writers_rig_configure(&rig, "a"), "b");
	writers_rig_after(writers_rig_configure(&rig, "b"), "c");
	writers_rig_after(&rig.conf.writers[1], "not-installed");
	writers_rig_configure(&rig, "c");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	/* One that fails keeps nobody from freezing. */
	writers_rig_expect(&rig, "a", MESSAGE_WRITER_FROZEN);
	writers_rig_expect(&rig, "b", MESSAGE_WRITER_FROZEN);
	writers_rig_expect_failed(&rig, "c", "no");
	assert_non_null(strstr(writer_scripts_log(&rig.scripts), "c freeze,"));
	assert_true(strstr(writer_scripts_log(&rig.scripts), "c froze") <
		    strstr(writer_scripts_log(&rig.scripts), "b freeze"));
	assert_true(strstr(writer_scripts_log(&rig.scripts), "b froze") <
		    strstr(writer_scripts_log(&rig.scripts), "a freeze"));
}

static void
test_writers_refuse_an_order_in_a_circle(void **state)
{
	(void)state;
	writer_scripts_writer(&rig.scripts, "a", "");
	writer_scripts_writer(&rig.scripts, "b", "");
	writer_scripts_writer(&rig.scripts, "behind", "");
	writer_scripts_writer(&rig.scripts, "self", "");
	writer_scripts_writer(&rig.scripts, "late", "");
	writer_scripts_hook(&rig.scripts, "h", "");
	writers_rig_after(writers_rig_configure(&rig, "a"), "b");
	writers_rig_after(writers_rig_configure(&rig, "b"), "a");
	writers_rig_after(writers_rig_configure(&rig, "behind"), "a");
	writers_rig_after(writers_rig_configure(&rig, "self"), "self");
	writers_rig_after(writers_rig_configure(&rig, "late"), "hook:h");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_expect_failed(&rig, "a", "leads back to itself");
	writers_rig_expect_failed(&rig, "b", "leads back to itself");
	writers_rig_expect_failed(&rig, "self", "leads back to itself");
	writers_rig_expect_failed(&rig, "late", "hooks come last");
	writers_rig_expect(&rig, "behind", MESSAGE_WRITER_PREPARED);
	writers_rig_expect_level(
	    &rig, MESSAGE_FILESYSTEM, "writer 'a': its 'after' leads");
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_expect(&rig, "behind", MESSAGE_WRITER_FROZEN);
}

static void
test_writers_optional_ones_spoil_nothing(void **state)
{
	(void)state;
	writer_scripts_writer(&rig.scripts, "good", "");
	writer_scripts_writer(
	    &rig.scripts, "bad", "freeze) echo fail broken ;;");
	writers_rig_configure(&rig, "bad")->optional = true;
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_expect_failed(&rig, "bad", "broken");
	writers_rig_expect_level(&rig, MESSAGE_APPLICATION, "");
	writers_rig_step(&rig, WRITERS_THAW);
	writers_rig_expect_level(&rig, MESSAGE_APPLICATION, "");
	assert_int_equal(writers_rig_find(&rig, "bad")->required, 0);
	/* The same one required. */
	rig.conf.writers[0].optional = false;
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_expect_level(&rig, MESSAGE_APPLICATION, "");
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_expect_level(
	    &rig, MESSAGE_FILESYSTEM, "writer 'bad': broken");
	writers_rig_step(&rig, WRITERS_THAW);
	writers_rig_expect_level(
	    &rig, MESSAGE_FILESYSTEM, "writer 'bad': broken");
	writers_rig_expect(&rig, "good", MESSAGE_WRITER_THAWED);
}

/* Only /good is there, and what is said nowhere is not. */
static bool
covers(void *arg, const char *path, char reason[MESSAGE_REASON_SIZE])
{
	(void)arg;
	if (path != NULL && strncmp(path, "/good", 5) == 0)
		return true;
	snprintf(reason, MESSAGE_REASON_SIZE, "no '%.40s'",
	    path == NULL ? "place" : path);
	return false;
}

static void
test_writers_without_their_data_serve_no_backup(void **state)
{
	(void)state;
	writer_scripts_writer(&rig.scripts, "in",
	    "prepare) echo data /good; echo 'data /good/a b'; echo ok ;;");
	writer_scripts_writer(&rig.scripts, "out",
	    "prepare) echo data /good; echo data /bad; echo ok ;;");
	writer_scripts_writer(&rig.scripts, "mute", "");
	writers_rig_configure(&rig, "out")->optional = true;
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_expect_level(&rig, MESSAGE_APPLICATION, "");
	writers_check_data(rig.set, covers, NULL);
	writers_rig_expect(&rig, "in", MESSAGE_WRITER_PREPARED);
	writers_rig_expect_failed(&rig, "out", "no '/bad'");
	writers_rig_expect_failed(&rig, "mute", "no 'place'");
	writers_rig_expect_level(
	    &rig, MESSAGE_FILESYSTEM, "writer 'mute': no 'place'");
	assert_true(writer_scripts_wait(&rig.scripts, "out abort"));
	assert_true(writer_scripts_wait(&rig.scripts, "mute abort"));
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_step(&rig, WRITERS_THAW);
	assert_false(writer_scripts_noted(&rig.scripts, "out freeze"));
	writers_rig_expect_level(
	    &rig, MESSAGE_FILESYSTEM, "writer 'mute': no 'place'");
	/* They are not told of the backup either. */
	writers_rig_remember(&rig, SESSION);
	writers_rig_commit(&rig);
	writers_rig_expect(&rig, "in", MESSAGE_WRITER_COMMITTED);
	assert_false(writer_scripts_noted(&rig.scripts, "out committed"));
	assert_false(writer_scripts_noted(&rig.scripts, "mute committed"));
	/* What was said is of that session only. */
	writer_scripts_writer(&rig.scripts, "in", "");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_check_data(rig.set, covers, NULL);
	writers_rig_expect_failed(&rig, "in", "no 'place'");
}

static void
test_writers_only_optional_and_failed_prove_nothing(void **state)
{
	(void)state;
	writer_scripts_writer(
	    &rig.scripts, "bad", "prepare) echo fail asleep ;;");
	writers_rig_configure(&rig, "bad")->optional = true;
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_expect_level(
	    &rig, MESSAGE_FILESYSTEM, "writer 'bad': asleep");
}

static void
test_writers_that_lost_their_hold_say_so(void **state)
{
	(void)state;
	writer_scripts_writer(
	    &rig.scripts, "w", "thaw) echo fail the connection was lost ;;");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_step(&rig, WRITERS_THAW);
	writers_rig_expect_failed(&rig, "w", "the connection was lost");
	writers_rig_expect_level(
	    &rig, MESSAGE_FILESYSTEM, "connection was lost");
}

static void
test_writers_thaw_without_a_freeze_proves_nothing(void **state)
{
	(void)state;
	writer_scripts_writer(&rig.scripts, "w", "");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_THAW);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_PREPARED);
	writers_rig_expect_level(&rig, MESSAGE_FILESYSTEM, "was not held");
	assert_false(writer_scripts_noted(&rig.scripts, "w thaw"));
}

static void
test_writers_are_asked_to_thaw_once(void **state)
{
	(void)state;
	writer_scripts_writer(&rig.scripts, "w", "");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_step(&rig, WRITERS_THAW);
	writers_rig_step(&rig, WRITERS_THAW);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_THAWED);
	writers_rig_expect_level(&rig, MESSAGE_APPLICATION, "");
}

static void
test_writers_abort_thaws_and_ends_them(void **state)
{
	(void)state;
	writer_scripts_writer(&rig.scripts, "w", "");
	writer_scripts_hook(&rig.scripts, "h", "");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_step(&rig, WRITERS_ABORT);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_STABLE);
	writers_rig_expect(&rig, "hook:h", MESSAGE_WRITER_STABLE);
	assert_false(writers_hold(rig.set));
	assert_true(writer_scripts_wait(&rig.scripts, "w end"));
	assert_string_equal(writer_scripts_log(&rig.scripts),
	    "w prepare,w freeze,h freeze,h thaw,w abort,w end");
	/* Before the freeze there is nothing to thaw. */
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_ABORT);
	writers_rig_expect(&rig, "hook:h", MESSAGE_WRITER_STABLE);
	assert_null(strstr(writer_scripts_log(&rig.scripts), "w end,h"));
}

static void
test_writers_a_session_that_was_never_ended_is(void **state)
{
	(void)state;
	writer_scripts_writer(&rig.scripts, "w", "");
	writer_scripts_hook(&rig.scripts, "h", "");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_PREPARED);
	assert_true(writer_scripts_wait(&rig.scripts, "w abort"));
	assert_true(writer_scripts_wait(&rig.scripts, "w end"));
	assert_true(writer_scripts_wait(&rig.scripts, "h thaw"));
	writers_rig_until(&rig, writers_rig_holds_nothing);
	assert_false(writer_scripts_exists(&rig.scripts, "run/hooks/h"));
}

/* ---- committed ---- */

static char logged[256];

static void
keep_line(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	snprintf(logged, sizeof(logged), "%s", line);
}

static struct message_writer *
add_said(const char *name, enum message_writer_state state)
{
	struct message_writer *w = message_add_writer(&rig.metas);

	strcpy(w->name, name);
	w->state = state;
	strcpy(rig.metas.session, OTHER);
	return w;
}

static void
add_meta(struct message_writer *w, const char *key, const char *value)
{
	struct message_meta *m = message_add_meta(w);

	strcpy(m->key, key);
	strcpy(m->value, value);
}

/* A log is read on a terminal. */
static void
test_writers_committed_logs_no_bytes_of_the_host(void **state)
{
	struct message_writer *said;

	(void)state;
	said = message_add_writer(&rig.metas);
	strcpy(said->name, "a\033[2Jb\nc\xff");
	said->state = MESSAGE_WRITER_THAWED;
	strcpy(rig.metas.session, OTHER);
	log_set_sink(keep_line, NULL);
	writers_rig_commit(&rig);
	log_set_sink(NULL, NULL);
	assert_non_null(strstr(logged, "'a?[2Jb?c?'"));
}

static void
test_writers_committed_starts_those_that_are_gone(void **state)
{
	struct message_writer *said;

	(void)state;
	writer_scripts_writer(&rig.scripts, "w",
	    "committed) note \"$rest $HOLDSTILL_SESSION\"; echo ok ;;\n"
	    "meta) note \"$rest\" ;;");
	writer_scripts_writer(&rig.scripts, "failed", "");
	said = add_said("w", MESSAGE_WRITER_THAWED);
	add_meta(said, "lsn", "0/1");
	/* Nothing that a host says becomes a line of its own. */
	add_meta(said, "x", "1\ncommitted 2");
	add_meta(said, "y 1\nthaw", "1");
	add_meta(said, "y 1", "2");
	add_meta(said, "z", "last one");
	add_said("failed", MESSAGE_WRITER_FAILED);
	add_said("removed", MESSAGE_WRITER_THAWED);
	add_said("../../bin/sh", MESSAGE_WRITER_THAWED);
	add_said("hook:h", MESSAGE_WRITER_THAWED);
	writers_rig_commit(&rig);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_COMMITTED);
	writers_rig_expect_failed(&rig, "removed", "no such writer any more");
	assert_null(writers_rig_find(&rig, "../../bin/sh"));
	assert_null(writers_rig_find(&rig, "hook:h"));
	assert_true(writer_scripts_wait(&rig.scripts, "w end"));
	assert_string_equal(writer_scripts_log(&rig.scripts),
	    "w meta,w lsn 0/1,w meta,w z last one,"
	    "w committed,w " POINT " " OTHER ",w end");
	/* Told again, it hears it again. */
	writers_rig_commit(&rig);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_COMMITTED);
	writers_rig_step(&rig, WRITERS_PREPARE);
	assert_null(writers_rig_find(&rig, "removed"));
}

static void
test_writers_committed_leaves_another_session_alone(void **state)
{
	(void)state;
	writer_scripts_writer(&rig.scripts, "w", "");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	add_said("w", MESSAGE_WRITER_THAWED);
	writers_rig_commit(&rig);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_FROZEN);
	writers_rig_step(&rig, WRITERS_THAW);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_THAWED);
	writers_rig_commit(&rig);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_THAWED);
	assert_false(writer_scripts_noted(&rig.scripts, "w committed"));
}

static bool
is_gone(struct writers_rig *r)
{
	int fd;

	/* Of one that has ended there is no input. */
	return writers_inputs(r->set, &fd, 1) == 0;
}

static void
test_writers_that_ended_after_the_thaw_are_started_again(void **state)
{
	(void)state;
	writer_scripts_writer(&rig.scripts, "w", "thaw) echo ok; exit 0 ;;");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_step(&rig, WRITERS_THAW);
	writers_rig_until(&rig, is_gone);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_THAWED);
	writers_rig_expect_level(&rig, MESSAGE_APPLICATION, "");
	writers_rig_remember(&rig, SESSION);
	writers_rig_commit(&rig);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_COMMITTED);
}

static void
test_writers_slow_readers_get_every_line(void **state)
{
	struct message_writer *said;
	char key[16], value[MESSAGE_VALUE_SIZE];
	int fd, i;

	(void)state;
	writer_scripts_writer(&rig.scripts, "w",
	    "thaw) echo ok; while [ ! -e \"$dir/go\" ]; do sleep 0.01; done "
	    ";;\n"
	    "meta) note \"${rest%% *} ${#rest}\" ;;");
	writers_rig_step(&rig, WRITERS_PREPARE);
	assert_int_equal(writers_inputs(rig.set, &fd, 1), 1);
	assert_int_equal(fcntl(fd, F_SETPIPE_SZ, 4096), 4096);
	writers_rig_step(&rig, WRITERS_FREEZE);
	writers_rig_step(&rig, WRITERS_THAW);
	said = add_said("w", MESSAGE_WRITER_THAWED);
	strcpy(rig.metas.session, SESSION);
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (i = 0; i < MESSAGE_META_MAX; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		add_meta(said, key, value);
	}
	writers_rig_begin(&rig, WRITERS_COMMITTED, 0);
	writers_turn(rig.set);
	assert_int_equal(rig.done_count, 0);
	writer_scripts_touch(&rig.scripts, "go");
	writers_rig_finish(&rig, WRITERS_COMMITTED);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_COMMITTED);
	assert_true(writer_scripts_noted(&rig.scripts, "w k0 258"));
	assert_true(writer_scripts_noted(&rig.scripts, "w k15 259"));
}

/* ---- which there are ---- */

static void
test_writers_scan_starts_none(void **state)
{
	(void)state;
	writer_scripts_writer(&rig.scripts, "w", "");
	writer_scripts_writer(&rig.scripts, "off", "");
	writer_scripts_writer(&rig.scripts, "README.sample", "");
	writer_scripts_hook(&rig.scripts, "h", "");
	writers_rig_configure(&rig, "off")->disabled = true;
	writers_rig_configure(&rig, "missing");
	assert_int_equal(writers_scan(rig.set, &rig.err), 0);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_STABLE);
	writers_rig_expect(&rig, "hook:h", MESSAGE_WRITER_STABLE);
	writers_rig_expect_failed(&rig, "missing", "no such executable");
	assert_null(writers_rig_find(&rig, "off"));
	assert_null(writers_rig_find(&rig, "README.sample"));
	assert_string_equal(writer_scripts_log(&rig.scripts), "");
	/* A session is not disturbed by a look. */
	writers_rig_step(&rig, WRITERS_PREPARE);
	assert_int_equal(writers_scan(rig.set, &rig.err), 0);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_PREPARED);
	rig.conf.no_writers = true;
	writers_rig_step(&rig, WRITERS_PREPARE);
	assert_null(writers_rig_find(&rig, "w"));
	writers_rig_expect_level(&rig, MESSAGE_FILESYSTEM, "turned off");
}

static void
test_writers_unsafe_ones_are_not_run(void **state)
{
	char path[128];

	(void)state;
	writer_scripts_writer(&rig.scripts, "w", "");
	writer_scripts_writer(&rig.scripts, "good", "");
	snprintf(path, sizeof(path), "%s/w", rig.scripts.writers);
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(writers_scan(rig.set, &rig.err), 0);
	writers_rig_expect_failed(&rig, "w", "written to by others");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_expect_failed(&rig, "w", "written to by others");
	writers_rig_expect(&rig, "good", MESSAGE_WRITER_PREPARED);
	writers_rig_expect_level(
	    &rig, MESSAGE_FILESYSTEM, "written to by others");
	assert_false(writer_scripts_noted(&rig.scripts, "w prepare"));
	/* It is mended. */
	assert_int_equal(chmod(path, 0755), 0);
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_PREPARED);
	writers_rig_expect_level(&rig, MESSAGE_APPLICATION, "");
	/* The last failure is remembered. */
	assert_non_null(strstr(
	    writers_rig_find(&rig, "w")->reason, "written to by others"));
}

static void
test_writers_too_many_are_no_claim(void **state)
{
	char name[16];
	int i;

	(void)state;
	for (i = 0; i <= MESSAGE_WRITERS_MAX; i++) {
		snprintf(name, sizeof(name), "w%d", i);
		writer_scripts_writer(&rig.scripts, name, "");
	}
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_expect_level(&rig, MESSAGE_FILESYSTEM, "more than 32");
	writers_rig_find(&rig, "w0");
	assert_int_equal(rig.message.writer_count, MESSAGE_WRITERS_MAX);
}

static void
test_writers_without_a_spawner_fail(void **state)
{
	(void)state;
	writer_scripts_writer(&rig.scripts, "w", "");
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_step(&rig, WRITERS_FREEZE);
	kill(rig.spawner.pid, SIGKILL);
	waitpid(rig.spawner.pid, NULL, 0);
	/* Those that run go on. */
	writers_rig_step(&rig, WRITERS_THAW);
	writers_rig_expect(&rig, "w", MESSAGE_WRITER_THAWED);
	writers_rig_step(&rig, WRITERS_ABORT);
	assert_true(writer_scripts_wait(&rig.scripts, "w end"));
	writers_rig_step(&rig, WRITERS_PREPARE);
	writers_rig_expect_failed(
	    &rig, "w", "the process that runs writers is gone");
	writers_rig_expect_level(&rig, MESSAGE_FILESYSTEM, "is gone");
	assert_false(writers_hold(rig.set));
}

int
main(void)
{
#define T(name) WRITERS_RIG_CASE(name, &rig)
	const struct CMUnitTest tests[] = {
		T(test_writers_without_any_are_done_at_once),
		T(test_writers_go_through_a_session),
		T(test_writers_are_asked_at_once),
		T(test_writers_freeze_after_others),
		T(test_writers_refuse_an_order_in_a_circle),
		T(test_writers_optional_ones_spoil_nothing),
		T(test_writers_without_their_data_serve_no_backup),
		T(test_writers_only_optional_and_failed_prove_nothing),
		T(test_writers_that_lost_their_hold_say_so),
		T(test_writers_thaw_without_a_freeze_proves_nothing),
		T(test_writers_are_asked_to_thaw_once),
		T(test_writers_abort_thaws_and_ends_them),
		T(test_writers_a_session_that_was_never_ended_is),
		T(test_writers_committed_logs_no_bytes_of_the_host),
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
