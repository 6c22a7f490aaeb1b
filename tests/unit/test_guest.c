/* SPDX-License-Identifier: Apache-2.0 */
/* The helper from outside: sequences, dirt on the channel, real freezes. */
#include <errno.h>
#include <linux/fs.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/proto/wire.h"
#include "guest_talk.h"

#define BLOCKED_MS 150 /* A write that takes longer is blocked. */

/* A freeze whose write is waiting. */
static pid_t
freeze_and_write(unsigned int lease_ms)
{
	pid_t writer;

	talk_freeze(lease_ms);
	assert_int_equal(talk_find("a")->state, MESSAGE_FS_FROZEN);
	writer = guest_fixture_write(&talk.fixture, "a");
	assert_false(guest_fixture_ends(writer, BLOCKED_MS));
	return writer;
}

/* ---- without file systems ---- */

static void
test_guest_says_hello(void **state)
{
	char first[HEXID_SIZE];

	(void)state;
	talk_start();
	talk_hello();
	strcpy(first, client_reply(talk.client)->instance);
	assert_true(hexid_valid(first));
	assert_int_equal(strlen(client_reply(talk.client)->boot_id), 36);
	talk_close_client();
	guest_fixture_stop(&talk.fixture, SIGTERM);
	talk_start();
	talk_hello();
	assert_string_not_equal(client_reply(talk.client)->instance, first);
}

static void
test_guest_refuses_other_versions(void **state)
{
	(void)state;
	talk_start();
	message_clear(&talk.request);
	talk.request.version_min = talk.request.version_max =
	    MESSAGE_VERSION_MAX + 1;
	talk_assert_refused(talk_call(MESSAGE_HELLO), ERR_UNSUPPORTED);
}

static void
test_guest_answers_wrong_order_with_errors(void **state)
{
	(void)state;
	talk_start();
	talk_new_request();
	talk.request.lease_ms = 1000;
	talk_assert_refused(
	    talk_call(MESSAGE_PREPARE), ERR_ARG); /* No hello. */
	talk_hello();
	talk_assert_refused(talk_call(MESSAGE_FREEZE), ERR_NOT_FOUND);
	talk_assert_refused(talk_call(MESSAGE_THAW), ERR_NOT_FOUND);
	talk_assert_refused(talk_call(MESSAGE_ABORT), ERR_NOT_FOUND);
	talk_assert_refused(
	    talk_call(MESSAGE_COMMITTED), ERR_ARG); /* No point. */
	talk_assert_refused(talk_call(77), ERR_UNSUPPORTED);
	talk.request.lease_ms = 0;
	talk_assert_refused(talk_call(MESSAGE_PREPARE), ERR_ARG);
	talk.request.lease_ms = 1000;
	strcpy(talk.request.session, "../etc");
	talk_assert_refused(talk_call(MESSAGE_PREPARE), ERR_ARG);
	talk_prepare(1000);
	talk_assert_refused(talk_call(MESSAGE_PREPARE), ERR_BUSY);
	talk_assert_refused(talk_call(MESSAGE_COMMITTED), ERR_ARG);
	assert_int_equal(talk_call(MESSAGE_ABORT), 0);
	assert_int_equal(talk_call(MESSAGE_PING), 0);
	assert_string_equal(client_reply(talk.client)->state, "stable");
}

static void
test_guest_caps_the_lease(void **state)
{
	(void)state;
	talk_start();
	talk_hello();
	talk_prepare(10 * MESSAGE_LEASE_MAX_MS);
	assert_int_equal(
	    client_reply(talk.client)->lease_ms, MESSAGE_LEASE_MAX_MS);
}

static void
test_guest_proves_nothing_without_file_systems(void **state)
{
	(void)state;
	talk_start();
	talk_hello();
	talk_prepare(1000);
	assert_int_equal(client_reply(talk.client)->level, MESSAGE_CRASH);
	assert_int_equal(talk_call(MESSAGE_FREEZE), 0);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 0);
}

static void
test_guest_takes_committed_twice(void **state)
{
	(void)state;
	talk_start();
	talk_hello();
	talk_new_request();
	strcpy(talk.request.point, FIXTURE_POINT);
	assert_int_equal(talk_call(MESSAGE_COMMITTED), 0);
	assert_int_equal(client_reply(talk.client)->repeated, 0);
	talk_close_client();
	talk_open_client();
	talk_hello();
	assert_int_equal(talk_call(MESSAGE_COMMITTED), 0);
	assert_int_equal(client_reply(talk.client)->repeated, 1);
	assert_string_equal(client_reply(talk.client)->state, "committed");
}

/* Writes bytes on a connection of its own, then says hello on it. */
static void
hello_behind(const void *bytes, size_t size)
{
	int fd = guest_fixture_connect(&talk.fixture);

	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	assert_int_equal(client_new(&talk.client, fd, &talk.err), 0);
	talk_hello();
	assert_int_equal(talk_call(MESSAGE_PING), 0);
	talk_close_client();
}

static void
test_guest_survives_dirt(void **state)
{
	static uint8_t dirt[40000], frame[WIRE_MAX];
	size_t i, size;

	(void)state;
	guest_fixture_start(&talk.fixture);
	for (i = 0; i < sizeof(dirt); i++)
		dirt[i] = (uint8_t)(i * 2654435761u >> 13);
	hello_behind(dirt, sizeof(dirt));
	/* Half a frame of a host that died. */
	memset(frame, 0, sizeof(frame));
	size = wire_seal(frame, MESSAGE_PREPARE, 0, 1, 30000);
	hello_behind(frame, size / 2);
	hello_behind(frame, WIRE_HEAD_BYTES - 3);
	/* A whole one whose body was hurt on its way. */
	frame[WIRE_HEAD_BYTES + 5] ^= 1;
	hello_behind(frame, size);
	/* One that says it is larger than any may be. */
	wire_seal(frame, MESSAGE_PREPARE, 0, 1, 0);
	frame[12] = 0xff;
	hello_behind(frame, WIRE_HEAD_BYTES);
	/* A body that is no fields. */
	memset(frame + WIRE_HEAD_BYTES, 0xff, 100);
	size = wire_seal(frame, MESSAGE_PREPARE, 0, 1, 100);
	hello_behind(frame, size);
}

/* ---- with file systems ---- */

static void
test_guest_freezes_and_proves(void **state)
{
	const struct message *m;
	pid_t writer;

	(void)state;
	talk_start_with_ext4();
	writer = freeze_and_write(10000);
	talk_new_request();
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	m = client_reply(talk.client);
	assert_int_equal(m->unbroken, 1);
	assert_int_equal(m->lease_expired, 0);
	assert_int_equal(talk_find("a")->thawed, 1);
	assert_true(m->held_ms >= BLOCKED_MS && m->held_ms < 5000);
	assert_true(m->freeze_begin_ns < m->freeze_end_ns &&
		    m->freeze_end_ns < m->thaw_ns);
	assert_true(guest_fixture_ends(writer, 1000));
	/* The same proof again: the first answer may have been lost. */
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 1);
	strcpy(talk.request.point, FIXTURE_POINT);
	assert_int_equal(talk_call(MESSAGE_COMMITTED), 0);
}

/* What came up after prepare was not frozen, so nothing is proved. */
static void
test_guest_sees_what_was_mounted_late(void **state)
{
	(void)state;
	talk_need_file_systems();
	guest_fixture_mount(&talk.fixture, "a", "ext4", "a.img");
	talk_start();
	talk_freeze(10000);
	guest_fixture_mount(&talk.fixture, "late", "ext4", "late.img");
	guest_fixture_show_mounts(&talk.fixture);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 0);
	assert_non_null(strstr(client_reply(talk.client)->note, "/late"));
}

static void
test_guest_freezes_loops_before_their_holders(void **state)
{
	const struct message *m;

	(void)state;
	talk_need_file_systems();
	guest_fixture_mount(&talk.fixture, "a", "ext4", "a.img");
	guest_fixture_mount(&talk.fixture, "b", "ext4", "a/b.img");
	if (system("command -v mkfs.xfs >/dev/null") == 0)
		guest_fixture_mount(&talk.fixture, "x", "xfs", "x.img");
	talk_start();
	talk_freeze(10000);
	m = client_reply(talk.client);
	assert_int_equal(m->filesystem_count, talk.fixture.mount_count);
	assert_ptr_equal(talk_find("b"), &m->filesystems[0]);
	/* Both lie on the disk that holds the outer one. */
	assert_string_equal(talk_find("b")->disk, talk_find("a")->disk);
	assert_int_equal(talk_find("b")->state, MESSAGE_FS_FROZEN);
	assert_int_equal(talk_find("a")->state, MESSAGE_FS_FROZEN);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 1);
}

static void
test_guest_thaws_at_lease_end(void **state)
{
	int64_t begin = clock_monotonic_ms();
	pid_t writer;

	(void)state;
	talk_start_with_ext4();
	talk_hello();
	talk_prepare(800);
	begin = clock_monotonic_ms();
	assert_int_equal(talk_call(MESSAGE_FREEZE), 0);
	writer = guest_fixture_write(&talk.fixture, "a");
	assert_true(guest_fixture_ends(writer, 1800));
	assert_true(clock_monotonic_ms() - begin >= 750);
	assert_true(clock_monotonic_ms() - begin < 1800);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 0);
	assert_int_equal(client_reply(talk.client)->lease_expired, 1);
	assert_int_equal(talk_call(MESSAGE_STATUS), 0);
	assert_string_equal(client_reply(talk.client)->state, "failed");
}

static void
test_guest_thaws_when_killed(void **state)
{
	int64_t end;
	pid_t writer;

	(void)state;
	talk_start_with_ext4();
	writer = freeze_and_write(30000);
	assert_int_equal(guest_fixture_records(&talk.fixture), 1);
	guest_fixture_stop(&talk.fixture, SIGKILL);
	assert_true(guest_fixture_ends(writer, 1000));
	end = clock_monotonic_ms() + 2000;
	while (guest_fixture_records(&talk.fixture) > 0 &&
	       clock_monotonic_ms() < end)
		poll(NULL, 0, 5);
	assert_int_equal(guest_fixture_records(&talk.fixture), 0);
}

static void
test_guest_thaws_when_the_deadman_is_killed(void **state)
{
	pid_t writer;

	(void)state;
	talk_start_with_ext4();
	writer = freeze_and_write(30000);
	kill(guest_fixture_deadman(&talk.fixture), SIGKILL);
	assert_true(guest_fixture_ends(writer, 1000));
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 0);
	assert_string_equal(client_reply(talk.client)->state, "failed");
}

/* The helper's child that is no dead-man: there is no session. */
static pid_t
find_spawner(void)
{
	char path[64];
	int pid = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
	    (int)talk.fixture.pid, (int)talk.fixture.pid);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &pid), 1);
	fclose(file);
	/* Nobody shall ever signal -1. */
	assert_true(pid > 1);
	return pid;
}

/* Its unit starts it anew, with another one. */
static void
test_guest_ends_when_the_spawner_died(void **state)
{
	(void)state;
	talk_start_with_ext4();
	kill(find_spawner(), SIGKILL);
	assert_true(guest_fixture_ends(talk.fixture.pid, 10000));
	talk.fixture.pid = -1;
}

static void
test_guest_thaws_what_a_predecessor_left(void **state)
{
	pid_t writer;

	(void)state;
	talk_start_with_ext4();
	writer = freeze_and_write(30000);
	guest_fixture_kill_all(&talk.fixture);
	assert_false(guest_fixture_ends(writer, BLOCKED_MS));
	guest_fixture_start(&talk.fixture);
	assert_true(guest_fixture_ends(writer, 1000));
}

/* What is mounted over its place since is left alone, and it is found. */
static void
test_guest_thaws_what_is_covered_meanwhile(void **state)
{
	char command[512];
	const char *dir = talk.fixture.dir;
	pid_t writer;

	(void)state;
	talk_need_file_systems();
	guest_fixture_mount(&talk.fixture, "a", "ext4", "a.img");
	snprintf(command, sizeof(command),
	    "mkdir %s/o && mount --bind %s/a %s/o", dir, dir, dir);
	assert_int_equal(system(command), 0);
	talk_start();
	writer = freeze_and_write(30000);
	guest_fixture_kill_all(&talk.fixture);
	snprintf(command, sizeof(command), "mount -t tmpfs none %s/a", dir);
	assert_int_equal(system(command), 0);
	guest_fixture_start(&talk.fixture);
	assert_true(guest_fixture_ends(writer, 1000));
	snprintf(command, sizeof(command), "umount %s/a %s/o", dir, dir);
	assert_int_equal(system(command), 0);
}

static void
test_guest_leaves_what_is_not_recorded(void **state)
{
	(void)state;
	talk_need_file_systems();
	guest_fixture_mount(&talk.fixture, "a", "ext4", "a.img");
	assert_int_equal(guest_fixture_ioctl(&talk.fixture, "a", FIFREEZE), 0);
	talk_start();
	talk_hello();
	assert_int_equal(guest_fixture_ioctl(&talk.fixture, "a", FITHAW), 0);
}

static void
test_guest_thaws_when_the_host_goes(void **state)
{
	pid_t writer;

	(void)state;
	talk_start_with_ext4();
	writer = freeze_and_write(30000);
	talk_close_client();
	assert_true(guest_fixture_ends(writer, 1000));
	/* Another host can work at once. */
	talk_open_client();
	talk_freeze(10000);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 1);
}

static void
test_guest_thaws_at_a_second_hello(void **state)
{
	pid_t writer;

	(void)state;
	talk_start_with_ext4();
	writer = freeze_and_write(30000);
	talk_hello();
	assert_true(guest_fixture_ends(writer, 1000));
	talk_new_request();
	talk_assert_refused(talk_call(MESSAGE_THAW), ERR_NOT_FOUND);
}

static void
test_guest_thaws_at_sigterm(void **state)
{
	pid_t writer;

	(void)state;
	talk_start_with_ext4();
	writer = freeze_and_write(30000);
	assert_int_equal(guest_fixture_stop(&talk.fixture, SIGTERM), 0);
	assert_true(guest_fixture_ends(writer, 1000));
}

static void
test_guest_thaws_at_abort(void **state)
{
	pid_t writer;

	(void)state;
	talk_start_with_ext4();
	writer = freeze_and_write(30000);
	talk_new_request();
	assert_int_equal(talk_call(MESSAGE_ABORT), 0);
	assert_true(guest_fixture_ends(writer, 1000));
}

static void
test_guest_refuses_work_while_frozen(void **state)
{
	(void)state;
	talk_start_with_ext4();
	talk_freeze(20000);
	talk_new_request();
	talk.request.lease_ms = 1000;
	strcpy(talk.request.point, FIXTURE_POINT);
	talk_assert_refused(talk_call(MESSAGE_PREPARE), ERR_BUSY);
	talk_assert_refused(talk_call(MESSAGE_FREEZE), ERR_BUSY);
	talk_assert_refused(talk_call(MESSAGE_COMMITTED), ERR_BUSY);
	assert_int_equal(talk_call(MESSAGE_PING), 0);
	assert_int_equal(talk_call(MESSAGE_STATUS), 0);
	assert_string_equal(client_reply(talk.client)->state, "frozen");
	assert_true(client_reply(talk.client)->lease_left_ms > 0);
	assert_true(client_reply(talk.client)->lease_left_ms <= 20000);
	assert_int_equal(talk_find("a")->state, MESSAGE_FS_FROZEN);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 1);
}

static void
test_guest_sees_that_somebody_thawed(void **state)
{
	(void)state;
	talk_start_with_ext4();
	talk_freeze(10000);
	assert_int_equal(guest_fixture_ioctl(&talk.fixture, "a", FITHAW), 0);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 0);
	assert_int_equal(talk_find("a")->thawed, 0);
}

static void
test_guest_leaves_what_somebody_froze(void **state)
{
	(void)state;
	talk_start_with_ext4();
	talk_hello();
	talk_prepare(10000);
	assert_int_equal(guest_fixture_ioctl(&talk.fixture, "a", FIFREEZE), 0);
	assert_int_equal(talk_call(MESSAGE_FREEZE), 0);
	assert_int_equal(talk_find("a")->state, MESSAGE_FS_FAILED);
	assert_non_null(strstr(talk_find("a")->reason, "somebody else"));
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 0);
	/* Still frozen, by us. */
	assert_int_equal(guest_fixture_ioctl(&talk.fixture, "a", FITHAW), 0);
}

/*
 * The freeze of b hangs, for its image lies on a file system that somebody
 * froze.  c was frozen before, and must not wait for it; the request must
 * not either.
 */
static void
test_guest_thaws_beside_a_hung_freeze(void **state)
{
	int64_t begin;

	(void)state;
	talk_need_file_systems();
	guest_fixture_mount(&talk.fixture, "a", "ext4", "a.img");
	guest_fixture_mount(&talk.fixture, "b", "ext4", "a/b.img");
	guest_fixture_mount(&talk.fixture, "d", "ext4", "d.img");
	guest_fixture_mount(&talk.fixture, "c", "ext4", "d/c.img");
	talk_start();
	talk_hello();
	talk_prepare(5000);
	assert_true(
	    guest_fixture_ends(guest_fixture_write(&talk.fixture, "b"), 1000));
	assert_int_equal(guest_fixture_ioctl(&talk.fixture, "a", FIFREEZE), 0);
	begin = clock_monotonic_ms();
	talk.request.freeze_ms = 500;
	talk_assert_refused(talk_call(MESSAGE_FREEZE), ERR_TIMEOUT);
	assert_true(clock_monotonic_ms() - begin < 1500);
	assert_non_null(strstr(talk.err.text, "/b' did not come back"));
	assert_true(
	    guest_fixture_ends(guest_fixture_write(&talk.fixture, "c"), 1000));
	/* The helper is not stuck, and does not claim to be done. */
	assert_int_equal(talk_call(MESSAGE_PING), 0);
	assert_string_equal(client_reply(talk.client)->state, "thawing");
	assert_int_equal(guest_fixture_ioctl(&talk.fixture, "a", FITHAW), 0);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 0);
	assert_int_equal(client_reply(talk.client)->level, MESSAGE_CRASH);
	assert_true(
	    guest_fixture_ends(guest_fixture_write(&talk.fixture, "b"), 1000));
}

#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, talk_set_up, talk_tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_guest_says_hello),
		CASE(test_guest_refuses_other_versions),
		CASE(test_guest_answers_wrong_order_with_errors),
		CASE(test_guest_caps_the_lease),
		CASE(test_guest_proves_nothing_without_file_systems),
		CASE(test_guest_takes_committed_twice),
		CASE(test_guest_survives_dirt),
		CASE(test_guest_freezes_and_proves),
		CASE(test_guest_sees_what_was_mounted_late),
		CASE(test_guest_freezes_loops_before_their_holders),
		CASE(test_guest_thaws_at_lease_end),
		CASE(test_guest_thaws_when_killed),
		CASE(test_guest_thaws_when_the_deadman_is_killed),
		CASE(test_guest_ends_when_the_spawner_died),
		CASE(test_guest_thaws_what_a_predecessor_left),
		CASE(test_guest_thaws_what_is_covered_meanwhile),
		CASE(test_guest_leaves_what_is_not_recorded),
		CASE(test_guest_thaws_when_the_host_goes),
		CASE(test_guest_thaws_at_a_second_hello),
		CASE(test_guest_thaws_at_sigterm),
		CASE(test_guest_thaws_at_abort),
		CASE(test_guest_refuses_work_while_frozen),
		CASE(test_guest_sees_that_somebody_thawed),
		CASE(test_guest_leaves_what_somebody_froze),
		CASE(test_guest_thaws_beside_a_hung_freeze),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
