/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions with writers: the order, the proof, and everything that breaks. */
#include <linux/fs.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "guest_talk.h"
#include "tests/unit/writer_scripts.h"

#define HANG "read -r never </dev/zero" /* Reads without an end. */

static struct writer_scripts scripts;

static int
set_up(void **state)
{
	talk_set_up(state);
	writer_scripts_init(&scripts);
	writer_scripts_configure(&scripts, &talk.fixture.conf);
	return 0;
}

static int
tear_down(void **state)
{
	talk_tear_down(state);
	writer_scripts_fini(&scripts);
	return 0;
}

static void
ask(unsigned int lease_ms)
{
	talk_hello();
	talk_new_request();
	talk.request.lease_ms = lease_ms;
	talk.request.level = MESSAGE_APPLICATION;
}

static void
prepare(unsigned int lease_ms)
{
	ask(lease_ms);
	assert_int_equal(
	    client_prepare(talk.client, &talk.request, &talk.err), 0);
}

static void
freeze(unsigned int lease_ms)
{
	prepare(lease_ms);
	assert_int_equal(talk_call(MESSAGE_FREEZE), 0);
}

static void
assert_log(const char *expected)
{
	assert_string_equal(writer_scripts_log(&scripts), expected);
}

static const struct message *
answer(void)
{
	return client_reply(talk.client);
}

static bool
can_write(const char *name)
{
	return guest_fixture_ends(
	    guest_fixture_write(&talk.fixture, name), 2000);
}

/* ---- the usual way ---- */

static void
test_guest_writers_prove_the_application(void **state)
{
	const struct message_writer *w;

	(void)state;
	writer_scripts_writer(
	    &scripts, "w", "freeze) echo 'meta position 42'; echo ok ;;");
	talk_start_with_ext4();
	prepare(20000);
	assert_int_equal(answer()->level, MESSAGE_APPLICATION);
	assert_log("w prepare");
	assert_int_equal(talk_call(MESSAGE_FREEZE), 0);
	assert_int_equal(answer()->level, MESSAGE_APPLICATION);
	assert_int_equal(talk_find_writer("w")->state, MESSAGE_WRITER_FROZEN);
	assert_log("w prepare,w freeze");
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(answer()->level, MESSAGE_APPLICATION);
	assert_int_equal(answer()->unbroken, 1);
	w = talk_find_writer("w");
	assert_int_equal(w->state, MESSAGE_WRITER_THAWED);
	assert_int_equal(w->meta_count, 1);
	assert_string_equal(w->metas[0].value, "42");
	assert_log("w prepare,w freeze,w thaw");
	/* Asked again, the same. */
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(answer()->level, MESSAGE_APPLICATION);
}

static void
test_guest_writers_are_left_alone_below_application(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	talk_start_with_ext4();
	ask(20000);
	talk.request.level = MESSAGE_FILESYSTEM;
	assert_int_equal(
	    client_prepare(talk.client, &talk.request, &talk.err), 0);
	assert_int_equal(answer()->level, MESSAGE_FILESYSTEM);
	assert_int_equal(talk_call(MESSAGE_FREEZE), 0);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(answer()->level, MESSAGE_FILESYSTEM);
	assert_int_equal(answer()->writer_count, 0);
	assert_log("");
}

static void
test_guest_writers_are_in_the_status(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	talk_start();
	assert_int_equal(talk_call(MESSAGE_STATUS), 0);
	assert_int_equal(talk_find_writer("w")->state, MESSAGE_WRITER_STABLE);
	assert_log("");
	prepare(20000);
	assert_int_equal(talk_call(MESSAGE_STATUS), 0);
	assert_int_equal(talk_find_writer("w")->state, MESSAGE_WRITER_PREPARED);
}

static void
test_guest_writers_that_fail_lower_the_level(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "freeze) echo fail too busy ;;");
	writer_scripts_writer(&scripts, "x", "");
	talk_start_with_ext4();
	freeze(20000);
	assert_int_equal(answer()->level, MESSAGE_FILESYSTEM);
	assert_non_null(strstr(answer()->note, "too busy"));
	assert_int_equal(talk_find("a")->state, MESSAGE_FS_FROZEN);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(answer()->level, MESSAGE_FILESYSTEM);
	assert_int_equal(answer()->unbroken, 1);
	assert_int_equal(talk_find_writer("w")->state, MESSAGE_WRITER_FAILED);
	assert_int_equal(talk_find_writer("x")->state, MESSAGE_WRITER_THAWED);
}

/* It lost its hold and does not know it before it is asked. */
static void
test_guest_writers_prove_nothing_they_did_not_hold(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "thaw) echo fail lost it ;;");
	talk_start_with_ext4();
	freeze(20000);
	assert_int_equal(answer()->level, MESSAGE_APPLICATION);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(answer()->level, MESSAGE_FILESYSTEM);
	assert_non_null(strstr(answer()->note, "lost it"));
}

/* ---- where its data lies ---- */

/* A guest with a disk more than the backup, and no way to tell which. */
static void
leave_out_a_disk(void)
{
	static char sysfs[96];
	char command[512];

	snprintf(sysfs, sizeof(sysfs), "%s/sys", talk.fixture.dir);
	snprintf(command, sizeof(command),
	    "mkdir -p %s/block/vdy %s/block/vdz && ln -s /sys/class /sys/dev "
	    "/sys/devices /sys/fs %s",
	    sysfs, sysfs, sysfs);
	assert_int_equal(system(command), 0);
	talk.fixture.paths.sysfs = sysfs;
}

/* Writer in_a says where, mute does not. */
static void
start_with_data(void)
{
	char cases[160];

	talk_need_file_systems();
	snprintf(cases, sizeof(cases), "prepare) echo 'data %s/a'; echo ok ;;",
	    talk.fixture.dir);
	writer_scripts_writer(&scripts, "in_a", cases);
	writer_scripts_writer(&scripts, "mute", "");
	guest_fixture_mount(&talk.fixture, "a", "ext4", "a.img");
	talk.fixture.show_others = true;
}

static void
test_guest_writers_data_is_in_the_backup(void **state)
{
	(void)state;
	start_with_data();
	talk_start();
	prepare(20000);
	assert_string_equal(talk_find_writer("in_a")->reason, "");
	assert_int_equal(answer()->level, MESSAGE_APPLICATION);
}

static void
test_guest_writers_data_on_no_disk_is_not_in_the_backup(void **state)
{
	(void)state;
	start_with_data();
	writer_scripts_writer(
	    &scripts, "x", "prepare) echo data /tmp; echo ok ;;");
	talk_start();
	prepare(20000);
	assert_int_equal(answer()->level, MESSAGE_FILESYSTEM);
	assert_string_equal(talk_find_writer("x")->reason,
	    "its data in '/tmp' lies on a file system that is not in the "
	    "backup");
	assert_int_equal(
	    talk_find_writer("in_a")->state, MESSAGE_WRITER_PREPARED);
	assert_int_equal(
	    talk_find_writer("mute")->state, MESSAGE_WRITER_PREPARED);
}

static void
test_guest_writers_data_that_is_left_out_is_not_claimed(void **state)
{
	struct message_disk *disk;

	(void)state;
	start_with_data();
	leave_out_a_disk();
	talk_start();
	ask(20000);
	disk = message_add_disk(&talk.request);
	strcpy(disk->target, "vdz");
	assert_int_equal(
	    client_prepare(talk.client, &talk.request, &talk.err), 0);
	assert_int_equal(answer()->level, MESSAGE_FILESYSTEM);
	assert_non_null(strstr(talk_find_writer("in_a")->reason,
	    "lies on a file system that is not in the backup"));
	assert_non_null(strstr(talk_find_writer("mute")->reason,
	    "does not say where its data lies, and '"));
	assert_true(writer_scripts_wait(&scripts, "in_a abort"));
	assert_int_equal(talk_call(MESSAGE_FREEZE), 0);
	assert_int_equal(talk_find("a")->state, MESSAGE_FS_FROZEN);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(answer()->level, MESSAGE_FILESYSTEM);
	assert_int_equal(answer()->unbroken, 1);
	assert_false(writer_scripts_noted(&scripts, "in_a freeze"));
	assert_false(writer_scripts_noted(&scripts, "mute freeze"));
}

/* ---- deadlines ---- */

static void
test_guest_writers_that_hang_end_in_time(void **state)
{
	int64_t begin = clock_monotonic_ms();

	(void)state;
	writer_scripts_writer(&scripts, "w", "prepare) " HANG " ;;");
	writer_scripts_writer(&scripts, "x", "freeze) " HANG " ;;");
	talk_start_with_ext4();
	ask(20000);
	talk.request.prepare_ms = 3000;
	assert_int_equal(
	    client_prepare(talk.client, &talk.request, &talk.err), 0);
	assert_true(clock_monotonic_ms() - begin < 4000);
	assert_int_equal(answer()->level, MESSAGE_FILESYSTEM);
	assert_int_equal(talk_find_writer("w")->state, MESSAGE_WRITER_FAILED);
	begin = clock_monotonic_ms();
	talk.request.freeze_ms = 3000;
	assert_int_equal(talk_call(MESSAGE_FREEZE), 0);
	assert_true(clock_monotonic_ms() - begin < 4000);
	assert_int_equal(talk_find("a")->state, MESSAGE_FS_FROZEN);
	assert_int_equal(talk_find_writer("x")->state, MESSAGE_WRITER_FAILED);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(answer()->unbroken, 1);
}

/* b's image lies on a. */
static void
start_layered(void)
{
	talk_need_file_systems();
	writer_scripts_writer(&scripts, "w", "");
	guest_fixture_mount(&talk.fixture, "a", "ext4", "a.img");
	guest_fixture_mount(&talk.fixture, "b", "ext4", "a/b.img");
	talk_start();
}

static void
test_guest_writers_thaw_beside_a_hung_freeze(void **state)
{
	(void)state;
	start_layered();
	prepare(20000);
	assert_true(can_write("b"));
	assert_int_equal(guest_fixture_ioctl(&talk.fixture, "a", FIFREEZE), 0);
	talk.request.freeze_ms = 500;
	talk_assert_refused(talk_call(MESSAGE_FREEZE), ERR_TIMEOUT);
	assert_non_null(strstr(talk.err.text, "/b' did not come back"));
	assert_true(writer_scripts_wait(&scripts, "w thaw"));
	assert_int_equal(guest_fixture_ioctl(&talk.fixture, "a", FITHAW), 0);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(answer()->level, MESSAGE_CRASH);
	assert_int_equal(answer()->unbroken, 0);
}

/* Layered, and somebody else has frozen a: b's freeze hangs. */
static void
hang_in_freeze(unsigned int lease_ms)
{
	prepare(lease_ms);
	assert_true(can_write("b"));
	assert_int_equal(guest_fixture_ioctl(&talk.fixture, "a", FIFREEZE), 0);
	talk.request.freeze_ms = lease_ms - 100;
	assert_int_equal(client_call(talk.client, MESSAGE_FREEZE, &talk.request,
			     1000, false, &talk.err),
	    -1);
}

/* The host asks for the thaw, for which the writers would wait. */
static void
ask_in_vain(void)
{
	talk_new_request();
	assert_int_equal(client_call(talk.client, MESSAGE_THAW, &talk.request,
			     500, false, &talk.err),
	    -1);
}

static void
test_guest_writers_do_not_wait_for_a_hung_thaw(void **state)
{
	int64_t begin = clock_monotonic_ms();

	(void)state;
	start_layered();
	hang_in_freeze(30000);
	ask_in_vain();
	assert_false(writer_scripts_noted(&scripts, "w thaw"));
	assert_true(writer_scripts_wait(&scripts, "w thaw"));
	assert_true(clock_monotonic_ms() - begin < 15000);
	assert_int_equal(guest_fixture_ioctl(&talk.fixture, "a", FITHAW), 0);
}

static void
test_guest_writers_do_not_wait_once_the_host_has_gone(void **state)
{
	int64_t begin;

	(void)state;
	start_layered();
	hang_in_freeze(30000);
	ask_in_vain();
	begin = clock_monotonic_ms();
	talk_close_client();
	assert_true(writer_scripts_wait(&scripts, "w thaw"));
	assert_true(clock_monotonic_ms() - begin < 1000);
	assert_int_equal(guest_fixture_ioctl(&talk.fixture, "a", FITHAW), 0);
}

/* ---- the lease, and deaths ---- */

static void
test_guest_writers_thaw_at_lease_end(void **state)
{
	int64_t begin;

	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	talk_start_with_ext4();
	prepare(1000);
	begin = clock_monotonic_ms();
	assert_int_equal(talk_call(MESSAGE_FREEZE), 0);
	assert_true(writer_scripts_wait(&scripts, "w thaw"));
	assert_true(clock_monotonic_ms() - begin >= 950);
	assert_true(clock_monotonic_ms() - begin < 2000);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(answer()->lease_expired, 1);
	assert_int_equal(answer()->level, MESSAGE_CRASH);
	assert_log("w prepare,w freeze,w thaw");
}

/* Writers hold, file systems do not yet, and the helper sleeps: it is the
 * dead-man that speaks to them. */
static void
test_guest_writers_are_told_by_the_deadman(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	writer_scripts_writer(&scripts, "x", "freeze) " HANG " ;;");
	talk_start_with_ext4();
	prepare(3000);
	talk.request.freeze_ms = 2900;
	assert_int_equal(client_call(talk.client, MESSAGE_FREEZE, &talk.request,
			     300, false, &talk.err),
	    -1);
	assert_true(writer_scripts_wait(&scripts, "w freeze"));
	kill(talk.fixture.pid, SIGSTOP);
	assert_true(writer_scripts_wait(&scripts, "w thaw"));
	assert_true(can_write("a"));
	kill(talk.fixture.pid, SIGCONT);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(answer()->lease_expired, 1);
	assert_int_equal(answer()->level, MESSAGE_CRASH);
	assert_int_equal(answer()->unbroken, 0);
}

static void
test_guest_writers_thaw_when_the_helper_is_killed(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	writer_scripts_hook(&scripts, "h", "");
	talk_start_with_ext4();
	freeze(30000);
	guest_fixture_stop(&talk.fixture, SIGKILL);
	assert_true(writer_scripts_wait(&scripts, "w end"));
	assert_true(writer_scripts_noted(&scripts, "w thaw"));
	assert_true(writer_scripts_wait(&scripts, "h thaw"));
	assert_true(can_write("a"));
}

static void
test_guest_writers_thaw_when_the_deadman_is_killed(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	talk_start_with_ext4();
	freeze(30000);
	kill(guest_fixture_deadman(&talk.fixture), SIGKILL);
	assert_true(writer_scripts_wait(&scripts, "w thaw"));
	assert_true(can_write("a"));
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_string_equal(answer()->state, "failed");
	assert_int_equal(answer()->level, MESSAGE_CRASH);
}

/* What is left of the dead-man is a thread in a hung freeze, which keeps its
 * socket open: then the lease is the helper's. */
static void
test_guest_writers_thaw_when_a_hung_deadman_is_killed(void **state)
{
	(void)state;
	talk_need_file_systems();
	writer_scripts_writer(&scripts, "w", "");
	guest_fixture_mount(&talk.fixture, "a", "ext4", "a.img");
	guest_fixture_mount(&talk.fixture, "b", "ext4", "a/b.img");
	guest_fixture_mount(&talk.fixture, "d", "ext4", "d.img");
	guest_fixture_mount(&talk.fixture, "c", "ext4", "d/c.img");
	talk_start();
	hang_in_freeze(2500);
	kill(guest_fixture_deadman(&talk.fixture), SIGKILL);
	assert_true(writer_scripts_wait(&scripts, "w thaw"));
	assert_true(can_write("c"));
	/* Nobody knows who froze it, so the helper may have thawed it. */
	guest_fixture_ioctl(&talk.fixture, "a", FITHAW);
	assert_true(can_write("b"));
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_string_equal(answer()->state, "failed");
	assert_int_equal(answer()->unbroken, 0);
}

static void
test_guest_writers_thaw_when_the_deadman_is_stopped(void **state)
{
	pid_t deadman;

	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	talk_start_with_ext4();
	freeze(1000);
	deadman = guest_fixture_deadman(&talk.fixture);
	kill(deadman, SIGSTOP);
	assert_true(writer_scripts_wait(&scripts, "w thaw"));
	assert_true(can_write("a"));
	kill(deadman, SIGCONT);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_string_equal(answer()->state, "failed");
	assert_int_equal(answer()->unbroken, 0);
}

static void
test_guest_writers_thaw_and_end_when_the_host_goes(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	talk_start_with_ext4();
	freeze(30000);
	talk_close_client();
	assert_true(writer_scripts_wait(&scripts, "w end"));
	assert_log("w prepare,w freeze,w thaw,w abort,w end");
	assert_true(can_write("a"));
}

static void
test_guest_writers_thaw_at_abort_in_mid_freeze(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	writer_scripts_writer(&scripts, "x", "freeze) " HANG " ;;");
	talk_start_with_ext4();
	prepare(30000);
	assert_int_equal(client_call(talk.client, MESSAGE_FREEZE, &talk.request,
			     300, false, &talk.err),
	    -1);
	assert_true(writer_scripts_wait(&scripts, "w freeze"));
	assert_int_equal(talk_call(MESSAGE_ABORT), 0);
	assert_true(writer_scripts_noted(&scripts, "w thaw"));
	assert_true(writer_scripts_noted(&scripts, "w abort"));
	assert_string_equal(answer()->state, "stable");
}

static void
test_guest_writers_end_before_the_next_session(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	talk_start_with_ext4();
	freeze(20000);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	prepare(20000);
	assert_int_equal(answer()->level, MESSAGE_APPLICATION);
	/* The two processes need not have noted their ends in this order. */
	assert_true(writer_scripts_wait(&scripts, "w end"));
	assert_true(writer_scripts_noted(&scripts, "w abort"));
}

/* ---- committed ---- */

static void
commit(bool *out_repeated)
{
	struct message_writer *w;
	struct message_meta *meta;

	talk_new_request();
	strcpy(talk.request.point, FIXTURE_POINT);
	w = message_add_writer(&talk.request);
	strcpy(w->name, "w");
	meta = message_add_meta(w);
	strcpy(meta->key, "position");
	strcpy(meta->value, "42");
	assert_int_equal(talk_call(MESSAGE_COMMITTED), 0);
	*out_repeated = answer()->repeated != 0;
}

static void
test_guest_writers_hear_of_the_commit_once(void **state)
{
	bool repeated;

	(void)state;
	writer_scripts_writer(&scripts, "w",
	    "meta) note \"$word $rest\" ;; "
	    "committed) note \"$word $rest\"; echo ok ;;");
	talk_start_with_ext4();
	freeze(20000);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	commit(&repeated);
	assert_false(repeated);
	assert_int_equal(
	    talk_find_writer("w")->state, MESSAGE_WRITER_COMMITTED);
	assert_string_equal(answer()->state, "committed");
	assert_true(writer_scripts_wait(&scripts, "w end"));
	assert_log("w prepare,w freeze,w thaw,w meta,w meta position 42,"
		   "w committed,w committed " FIXTURE_POINT ",w end");
	commit(&repeated);
	assert_true(repeated);
	assert_log("w prepare,w freeze,w thaw,w meta,w meta position 42,"
		   "w committed,w committed " FIXTURE_POINT ",w end");
}

/* Of a session that this helper never saw. */
static void
test_guest_writers_hear_of_a_commit_after_a_restart(void **state)
{
	bool repeated;

	(void)state;
	writer_scripts_writer(&scripts, "w",
	    "meta) note \"$word $rest\" ;; "
	    "committed) note \"$word $rest\"; echo ok ;;");
	talk_start();
	talk_hello();
	commit(&repeated);
	assert_false(repeated);
	assert_true(writer_scripts_wait(&scripts, "w end"));
	assert_log("w meta,w meta position 42,"
		   "w committed,w committed " FIXTURE_POINT ",w end");
}

static void
test_guest_writers_that_fail_a_commit_hear_it_again(void **state)
{
	bool repeated;

	(void)state;
	writer_scripts_writer(&scripts, "w",
	    "committed) if [ -e $dir/good ]; then echo ok; "
	    "else echo fail not now; fi ;;");
	talk_start();
	talk_hello();
	commit(&repeated);
	assert_false(repeated);
	assert_int_equal(talk_find_writer("w")->state, MESSAGE_WRITER_FAILED);
	writer_scripts_touch(&scripts, "good");
	commit(&repeated);
	assert_false(repeated);
	assert_int_equal(
	    talk_find_writer("w")->state, MESSAGE_WRITER_COMMITTED);
	commit(&repeated);
	assert_true(repeated);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_guest_writers_prove_the_application),
		CASE(test_guest_writers_are_left_alone_below_application),
		CASE(test_guest_writers_are_in_the_status),
		CASE(test_guest_writers_that_fail_lower_the_level),
		CASE(test_guest_writers_prove_nothing_they_did_not_hold),
		CASE(test_guest_writers_data_is_in_the_backup),
		CASE(test_guest_writers_data_on_no_disk_is_not_in_the_backup),
		CASE(test_guest_writers_data_that_is_left_out_is_not_claimed),
		CASE(test_guest_writers_that_hang_end_in_time),
		CASE(test_guest_writers_thaw_beside_a_hung_freeze),
		CASE(test_guest_writers_do_not_wait_for_a_hung_thaw),
		CASE(test_guest_writers_do_not_wait_once_the_host_has_gone),
		CASE(test_guest_writers_thaw_at_lease_end),
		CASE(test_guest_writers_are_told_by_the_deadman),
		CASE(test_guest_writers_thaw_when_the_helper_is_killed),
		CASE(test_guest_writers_thaw_when_the_deadman_is_killed),
		CASE(test_guest_writers_thaw_when_a_hung_deadman_is_killed),
		CASE(test_guest_writers_thaw_when_the_deadman_is_stopped),
		CASE(test_guest_writers_thaw_and_end_when_the_host_goes),
		CASE(test_guest_writers_thaw_at_abort_in_mid_freeze),
		CASE(test_guest_writers_end_before_the_next_session),
		CASE(test_guest_writers_hear_of_the_commit_once),
		CASE(test_guest_writers_hear_of_a_commit_after_a_restart),
		CASE(test_guest_writers_that_fail_a_commit_hear_it_again),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
