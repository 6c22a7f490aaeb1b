/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions whose host, writers or mounts do not keep to the plan. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/clock.h"
#include "guest-helper/session_internal.h"
#include "guest_talk.h"
#include "tests/unit/writer_scripts.h"

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

static const struct message *
answer(void)
{
	return client_reply(talk.client);
}

/* prepare_ms 0: the default. */
static void
prepare(unsigned int lease_ms, unsigned int prepare_ms)
{
	talk_hello();
	talk_new_request();
	talk.request.lease_ms = lease_ms;
	talk.request.prepare_ms = prepare_ms;
	talk.request.level = MESSAGE_APPLICATION;
	assert_int_equal(
	    client_prepare(talk.client, &talk.request, &talk.err), 0);
}

/* ---- the host ---- */

/* It hangs with its channel open: what it had prepared does not wait for
 * ever. */
static void
test_guest_lapses_from_prepared_without_a_freeze(void **state)
{
	int64_t begin;

	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	talk_start();
	prepare(10000, 1500);
	begin = clock_monotonic_ms();
	assert_true(writer_scripts_wait(&scripts, "w end"));
	assert_true(clock_monotonic_ms() - begin >= 2900);
	assert_true(clock_monotonic_ms() - begin < 8000);
	assert_string_equal(
	    writer_scripts_log(&scripts), "w prepare,w abort,w end");
	talk_assert_refused(talk_call(MESSAGE_FREEZE), ERR_TIMEOUT);
	assert_non_null(strstr(talk.err.text, "no freeze came within 3000 ms"));
	assert_int_equal(talk_call(MESSAGE_STATUS), 0);
	assert_string_equal(answer()->state, "failed");
	assert_non_null(strstr(answer()->note, "no freeze came"));
	/* The same host may begin anew, once the writer's end is seen. */
	talk_prepare(10000);
	assert_int_equal(talk_call(MESSAGE_FREEZE), 0);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
}

/* ---- writers ---- */

/* The dead-man tells it at the end of the lease, and so does the helper, for
 * the freeze may have come behind the dead-man's word: of that it is not to
 * blame, and it serves on. */
static void
test_guest_lapses_do_not_blame_a_writer_told_twice(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w",
	    "freeze) held=yes; echo ok ;;\n"
	    "thaw) if [ \"$held\" = yes ]; then echo ok; else "
	    "echo fail not held; fi; held=no; note answered ;;");
	writer_scripts_writer(
	    &scripts, "x", "freeze) read -r never </dev/zero ;;");
	talk_start();
	prepare(2000, 0);
	talk.request.freeze_ms = 1900;
	assert_int_equal(client_call(talk.client, MESSAGE_FREEZE, &talk.request,
			     300, false, &talk.err),
	    -1);
	assert_true(writer_scripts_wait(&scripts, "w freeze"));
	kill(talk.fixture.pid, SIGSTOP);
	assert_true(writer_scripts_wait(&scripts, "w answered"));
	kill(talk.fixture.pid, SIGCONT);
	talk_new_request();
	assert_int_equal(client_call(talk.client, MESSAGE_THAW, &talk.request,
			     20000, false, &talk.err),
	    0);
	assert_int_equal(answer()->lease_expired, 1);
	assert_int_equal(answer()->level, MESSAGE_CRASH);
	assert_string_equal(talk_find_writer("w")->reason, "");
	assert_int_equal(talk_find_writer("w")->state, MESSAGE_WRITER_THAWED);
	/* It was not ended either. */
	assert_int_equal(talk_call(MESSAGE_ABORT), 0);
	assert_true(writer_scripts_wait(&scripts, "w end"));
	assert_true(writer_scripts_noted(&scripts, "w abort"));
}

/* The host waits for it, so it has a second; docs/writers.md says so. */
static void
test_guest_lapses_wait_a_second_for_an_abort(void **state)
{
	int64_t begin;

	(void)state;
	writer_scripts_writer(
	    &scripts, "w", "abort) read -r never </dev/zero ;;");
	talk_start();
	prepare(10000, 0);
	begin = clock_monotonic_ms();
	assert_int_equal(talk_call(MESSAGE_ABORT), 0);
	assert_true(clock_monotonic_ms() - begin >= 950);
	assert_true(clock_monotonic_ms() - begin < 2500);
	assert_int_equal(talk_call(MESSAGE_STATUS), 0);
	assert_int_equal(talk_find_writer("w")->state, MESSAGE_WRITER_FAILED);
	assert_non_null(strstr(
	    talk_find_writer("w")->reason, "did not answer 'abort' within "));
}

static bool
commit(void)
{
	talk_new_request();
	strcpy(talk.request.point, FIXTURE_POINT);
	strcpy(message_add_writer(&talk.request)->name, "w");
	assert_int_equal(talk_call(MESSAGE_COMMITTED), 0);
	return answer()->repeated != 0;
}

/* It is in the middle of something else, so it hears nothing now. */
static void
test_guest_lapses_tell_a_busy_writer_later(void **state)
{
	(void)state;
	writer_scripts_writer(&scripts, "w", "");
	talk_start();
	prepare(10000, 0);
	/* Without a freeze it stays prepared. */
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_false(commit());
	assert_int_equal(talk_find_writer("w")->state, MESSAGE_WRITER_PREPARED);
	assert_false(commit());
	assert_int_equal(talk_call(MESSAGE_ABORT), 0);
	assert_true(writer_scripts_wait(&scripts, "w end"));
	assert_false(writer_scripts_noted(&scripts, "w committed"));
	assert_false(commit());
	assert_true(writer_scripts_noted(&scripts, "w committed"));
	assert_int_equal(
	    talk_find_writer("w")->state, MESSAGE_WRITER_COMMITTED);
	assert_true(commit());
}

/* ---- mounts ---- */

/* What is odd about the plan is told with what went wrong since. */
static void
test_guest_lapses_add_to_the_note_of_the_plan(void **state)
{
	const char *note;

	(void)state;
	talk_start_with_ext4();
	talk_hello();
	talk_new_request();
	talk.request.lease_ms = 10000;
	strcpy(message_add_disk(&talk.request)->target, "none");
	assert_int_equal(talk_call(MESSAGE_PREPARE), 0);
	assert_non_null(strstr(answer()->note, "'none' was not recognised"));
	talk_new_request();
	assert_int_equal(talk_call(MESSAGE_FREEZE), 0);
	guest_fixture_mount(&talk.fixture, "late", "ext4", "late.img");
	guest_fixture_show_mounts(&talk.fixture);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	note = strstr(answer()->note, "/late'");
	assert_non_null(note);
	assert_non_null(strstr(note, "; "));
	assert_non_null(strstr(note, "'none' was not recognised"));
}

static struct mounts_filesystem
on_disk(unsigned int minor, enum message_fs_state state)
{
	struct mounts_filesystem fs = {
		.major = 254, .minor = minor, .state = state
	};

	return fs;
}

/* Also one that no freeze could have reached. */
static void
test_guest_lapses_count_what_cannot_be_frozen_as_late(void **state)
{
	struct mounts_filesystem planned[] = { on_disk(1, MESSAGE_FS_PLANNED),
		on_disk(2, MESSAGE_FS_SKIPPED), on_disk(3, MESSAGE_FS_FAILED) };
	struct mounts_filesystem now[] = { on_disk(1, MESSAGE_FS_PLANNED),
		on_disk(2, MESSAGE_FS_SKIPPED), on_disk(3, MESSAGE_FS_FAILED),
		on_disk(4, MESSAGE_FS_SKIPPED), on_disk(5, MESSAGE_FS_FAILED) };
	const struct mounts had = { .items = planned, .count = 3 };
	struct mounts seen = { .items = now, .count = 5 };

	(void)state;
	assert_ptr_equal(session_late_find(&had, &seen), &now[4]);
	now[4].state = MESSAGE_FS_PLANNED;
	assert_ptr_equal(session_late_find(&had, &seen), &now[4]);
	seen.count = 4;
	assert_null(session_late_find(&had, &seen));
	/* It was read-only, or nobody used it. */
	now[1].state = MESSAGE_FS_FAILED;
	assert_ptr_equal(session_late_find(&had, &seen), &now[1]);
}

static void
mount_and_unmount(void)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/brief", talk.fixture.dir);
	assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
	assert_int_equal(mount("none", path, "tmpfs", 0, NULL), 0);
	assert_int_equal(umount(path), 0);
}

static void
hold(bool mount_before, bool mount_within)
{
	prepare(10000, 0);
	if (mount_before)
		mount_and_unmount();
	assert_int_equal(talk_call(MESSAGE_FREEZE), 0);
	if (mount_within)
		mount_and_unmount();
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(answer()->unbroken, 1);
	assert_int_equal(answer()->level, MESSAGE_FILESYSTEM);
}

/* What came and went in the meantime cannot be looked at any more. */
static void
test_guest_lapses_tell_of_mounts_that_came_and_went(void **state)
{
	(void)state;
	talk_start_with_ext4();
	hold(false, true);
	assert_non_null(strstr(answer()->note, "mounts came or went"));
	hold(true, false);
	assert_null(strstr(answer()->note, "mounts came or went"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_guest_lapses_from_prepared_without_a_freeze),
		CASE(test_guest_lapses_do_not_blame_a_writer_told_twice),
		CASE(test_guest_lapses_wait_a_second_for_an_abort),
		CASE(test_guest_lapses_tell_a_busy_writer_later),
		CASE(test_guest_lapses_add_to_the_note_of_the_plan),
		CASE(test_guest_lapses_count_what_cannot_be_frozen_as_late),
		CASE(test_guest_lapses_tell_of_mounts_that_came_and_went),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
