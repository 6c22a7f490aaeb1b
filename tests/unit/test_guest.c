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

#include "agent/quiesce/client.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/proto/wire.h"
#include "guest_fixture.h"

#define BLOCKED_MS 150 /* A write that takes longer is blocked. */

static struct guest_fixture fixture;
static struct client *client;
static struct message request;
static struct err err;

static void
open_client(void)
{
	assert_int_equal(
	    client_new(&client, guest_fixture_connect(&fixture), &err), 0);
}

static void
close_client(void)
{
	client_free(client);
	client = NULL;
}

static int
set_up(void **state)
{
	(void)state;
	guest_fixture_init(&fixture);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	close_client();
	guest_fixture_fini(&fixture);
	return 0;
}

static void
need_file_systems(void)
{
	const char *obstacle = guest_fixture_obstacle();

	if (obstacle == NULL)
		return;
	print_message("skipped: %s\n", obstacle);
	skip();
}

static void
start(void)
{
	guest_fixture_start(&fixture);
	open_client();
}

static void
start_with_ext4(void)
{
	need_file_systems();
	guest_fixture_mount(&fixture, "a", "ext4", "a.img");
	start();
}

static int
call(uint8_t type)
{
	return client_call(client, type, &request, 5000, false, &err);
}

static void
new_request(void)
{
	message_clear(&request);
	strcpy(request.session, FIXTURE_SESSION);
}

static void
hello(void)
{
	assert_int_equal(client_hello(client, false, &err), 0);
}

/* No disk is named, so all there is is planned. */
static void
prepare(unsigned int lease_ms)
{
	new_request();
	request.lease_ms = lease_ms;
	assert_int_equal(client_prepare(client, &request, &err), 0);
}

static void
freeze(unsigned int lease_ms)
{
	hello();
	prepare(lease_ms);
	assert_int_equal(call(MESSAGE_FREEZE), 0);
}

static const struct message_filesystem *
find(const char *name)
{
	const struct message *m = client_reply(client);
	size_t i;

	for (i = 0; i < m->filesystem_count; i++)
		if (strcmp(strrchr(m->filesystems[i].mount_point, '/') + 1,
			name) == 0)
			return &m->filesystems[i];
	fail_msg("no file system '%s'", name);
	return NULL;
}

static void
assert_refused(int rc, enum err_class class)
{
	assert_int_equal(rc, -1);
	assert_string_equal(err_class_name(err.class), err_class_name(class));
}

/* A freeze whose write is waiting. */
static pid_t
freeze_and_write(unsigned int lease_ms)
{
	pid_t writer;

	freeze(lease_ms);
	assert_int_equal(find("a")->state, MESSAGE_FS_FROZEN);
	writer = guest_fixture_write(&fixture, "a");
	assert_false(guest_fixture_ends(writer, BLOCKED_MS));
	return writer;
}

/* ---- without file systems ---- */

static void
test_guest_says_hello(void **state)
{
	char first[HEXID_SIZE];

	(void)state;
	start();
	hello();
	strcpy(first, client_reply(client)->instance);
	assert_true(hexid_valid(first));
	assert_int_equal(strlen(client_reply(client)->boot_id), 36);
	close_client();
	guest_fixture_stop(&fixture, SIGTERM);
	start();
	hello();
	assert_string_not_equal(client_reply(client)->instance, first);
}

static void
test_guest_refuses_other_versions(void **state)
{
	(void)state;
	start();
	message_clear(&request);
	request.version_min = request.version_max = MESSAGE_VERSION_MAX + 1;
	assert_refused(call(MESSAGE_HELLO), ERR_UNSUPPORTED);
}

static void
test_guest_answers_wrong_order_with_errors(void **state)
{
	(void)state;
	start();
	new_request();
	request.lease_ms = 1000;
	assert_refused(call(MESSAGE_PREPARE), ERR_ARG); /* No hello. */
	hello();
	assert_refused(call(MESSAGE_FREEZE), ERR_NOT_FOUND);
	assert_refused(call(MESSAGE_THAW), ERR_NOT_FOUND);
	assert_refused(call(MESSAGE_ABORT), ERR_NOT_FOUND);
	assert_refused(call(MESSAGE_COMMITTED), ERR_ARG); /* No point. */
	assert_refused(call(77), ERR_UNSUPPORTED);
	request.lease_ms = 0;
	assert_refused(call(MESSAGE_PREPARE), ERR_ARG);
	request.lease_ms = 1000;
	strcpy(request.session, "../etc");
	assert_refused(call(MESSAGE_PREPARE), ERR_ARG);
	prepare(1000);
	assert_refused(call(MESSAGE_PREPARE), ERR_BUSY);
	assert_refused(call(MESSAGE_COMMITTED), ERR_ARG);
	assert_int_equal(call(MESSAGE_ABORT), 0);
	assert_int_equal(call(MESSAGE_PING), 0);
	assert_string_equal(client_reply(client)->state, "stable");
}

static void
test_guest_caps_the_lease(void **state)
{
	(void)state;
	start();
	hello();
	prepare(10 * MESSAGE_LEASE_MAX_MS);
	assert_int_equal(client_reply(client)->lease_ms, MESSAGE_LEASE_MAX_MS);
}

static void
test_guest_proves_nothing_without_file_systems(void **state)
{
	(void)state;
	start();
	hello();
	prepare(1000);
	assert_int_equal(client_reply(client)->level, MESSAGE_CRASH);
	assert_int_equal(call(MESSAGE_FREEZE), 0);
	assert_int_equal(call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(client)->unbroken, 0);
}

static void
test_guest_takes_committed_twice(void **state)
{
	(void)state;
	start();
	hello();
	new_request();
	strcpy(request.point, FIXTURE_POINT);
	assert_int_equal(call(MESSAGE_COMMITTED), 0);
	assert_int_equal(client_reply(client)->repeated, 0);
	close_client();
	open_client();
	hello();
	assert_int_equal(call(MESSAGE_COMMITTED), 0);
	assert_int_equal(client_reply(client)->repeated, 1);
	assert_string_equal(client_reply(client)->state, "committed");
}

/* Writes bytes on a connection of its own, then says hello on it. */
static void
hello_behind(const void *bytes, size_t size)
{
	int fd = guest_fixture_connect(&fixture);

	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	assert_int_equal(client_new(&client, fd, &err), 0);
	hello();
	assert_int_equal(call(MESSAGE_PING), 0);
	close_client();
}

static void
test_guest_survives_dirt(void **state)
{
	static uint8_t dirt[40000], frame[WIRE_MAX];
	size_t i, size;

	(void)state;
	guest_fixture_start(&fixture);
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
	start_with_ext4();
	writer = freeze_and_write(10000);
	new_request();
	assert_int_equal(call(MESSAGE_THAW), 0);
	m = client_reply(client);
	assert_int_equal(m->unbroken, 1);
	assert_int_equal(m->lease_expired, 0);
	assert_int_equal(find("a")->thawed, 1);
	assert_true(m->held_ms >= BLOCKED_MS && m->held_ms < 5000);
	assert_true(m->freeze_begin_ns < m->freeze_end_ns &&
		    m->freeze_end_ns < m->thaw_ns);
	assert_true(guest_fixture_ends(writer, 1000));
	/* The same proof again: the first answer may have been lost. */
	assert_int_equal(call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(client)->unbroken, 1);
	strcpy(request.point, FIXTURE_POINT);
	assert_int_equal(call(MESSAGE_COMMITTED), 0);
}

/* What came up after prepare was not frozen, so nothing is proved. */
static void
test_guest_sees_what_was_mounted_late(void **state)
{
	(void)state;
	need_file_systems();
	guest_fixture_mount(&fixture, "a", "ext4", "a.img");
	start();
	freeze(10000);
	guest_fixture_mount(&fixture, "late", "ext4", "late.img");
	guest_fixture_show_mounts(&fixture);
	assert_int_equal(call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(client)->unbroken, 0);
	assert_non_null(strstr(client_reply(client)->note, "/late"));
}

static void
test_guest_freezes_loops_before_their_holders(void **state)
{
	const struct message *m;

	(void)state;
	need_file_systems();
	guest_fixture_mount(&fixture, "a", "ext4", "a.img");
	guest_fixture_mount(&fixture, "b", "ext4", "a/b.img");
	if (system("command -v mkfs.xfs >/dev/null") == 0)
		guest_fixture_mount(&fixture, "x", "xfs", "x.img");
	start();
	freeze(10000);
	m = client_reply(client);
	assert_int_equal(m->filesystem_count, fixture.mount_count);
	assert_ptr_equal(find("b"), &m->filesystems[0]);
	/* Both lie on the disk that holds the outer one. */
	assert_string_equal(find("b")->disk, find("a")->disk);
	assert_int_equal(find("b")->state, MESSAGE_FS_FROZEN);
	assert_int_equal(find("a")->state, MESSAGE_FS_FROZEN);
	assert_int_equal(call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(client)->unbroken, 1);
}

static void
test_guest_thaws_at_lease_end(void **state)
{
	int64_t begin = clock_monotonic_ms();
	pid_t writer;

	(void)state;
	start_with_ext4();
	hello();
	prepare(800);
	begin = clock_monotonic_ms();
	assert_int_equal(call(MESSAGE_FREEZE), 0);
	writer = guest_fixture_write(&fixture, "a");
	assert_true(guest_fixture_ends(writer, 1800));
	assert_true(clock_monotonic_ms() - begin >= 750);
	assert_true(clock_monotonic_ms() - begin < 1800);
	assert_int_equal(call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(client)->unbroken, 0);
	assert_int_equal(client_reply(client)->lease_expired, 1);
	assert_int_equal(call(MESSAGE_STATUS), 0);
	assert_string_equal(client_reply(client)->state, "failed");
}

static void
test_guest_thaws_when_killed(void **state)
{
	char record[128];
	int64_t end;
	pid_t writer;

	(void)state;
	start_with_ext4();
	writer = freeze_and_write(30000);
	snprintf(record, sizeof(record), "%s/frozen", fixture.run_dir);
	assert_int_equal(access(record, F_OK), 0);
	guest_fixture_stop(&fixture, SIGKILL);
	assert_true(guest_fixture_ends(writer, 1000));
	end = clock_monotonic_ms() + 2000;
	while (access(record, F_OK) == 0 && clock_monotonic_ms() < end)
		poll(NULL, 0, 5);
	assert_int_equal(access(record, F_OK), -1);
}

static void
test_guest_thaws_when_the_deadman_is_killed(void **state)
{
	pid_t writer;

	(void)state;
	start_with_ext4();
	writer = freeze_and_write(30000);
	kill(guest_fixture_deadman(&fixture), SIGKILL);
	assert_true(guest_fixture_ends(writer, 1000));
	assert_int_equal(call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(client)->unbroken, 0);
	assert_string_equal(client_reply(client)->state, "failed");
}

static void
test_guest_thaws_what_a_predecessor_left(void **state)
{
	pid_t writer, deadman;

	(void)state;
	start_with_ext4();
	writer = freeze_and_write(30000);
	deadman = guest_fixture_deadman(&fixture);
	/* Stopped first, so that neither sees the other die. */
	kill(deadman, SIGSTOP);
	kill(fixture.pid, SIGSTOP);
	kill(deadman, SIGKILL);
	guest_fixture_stop(&fixture, SIGKILL);
	assert_false(guest_fixture_ends(writer, BLOCKED_MS));
	guest_fixture_start(&fixture);
	assert_true(guest_fixture_ends(writer, 1000));
}

static void
test_guest_leaves_what_is_not_recorded(void **state)
{
	(void)state;
	need_file_systems();
	guest_fixture_mount(&fixture, "a", "ext4", "a.img");
	assert_int_equal(guest_fixture_ioctl(&fixture, "a", FIFREEZE), 0);
	start();
	hello();
	assert_int_equal(guest_fixture_ioctl(&fixture, "a", FITHAW), 0);
}

static void
test_guest_thaws_when_the_host_goes(void **state)
{
	pid_t writer;

	(void)state;
	start_with_ext4();
	writer = freeze_and_write(30000);
	close_client();
	assert_true(guest_fixture_ends(writer, 1000));
	/* Another host can work at once. */
	open_client();
	freeze(10000);
	assert_int_equal(call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(client)->unbroken, 1);
}

static void
test_guest_thaws_at_a_second_hello(void **state)
{
	pid_t writer;

	(void)state;
	start_with_ext4();
	writer = freeze_and_write(30000);
	hello();
	assert_true(guest_fixture_ends(writer, 1000));
	new_request();
	assert_refused(call(MESSAGE_THAW), ERR_NOT_FOUND);
}

static void
test_guest_thaws_at_sigterm(void **state)
{
	pid_t writer;

	(void)state;
	start_with_ext4();
	writer = freeze_and_write(30000);
	assert_int_equal(guest_fixture_stop(&fixture, SIGTERM), 0);
	assert_true(guest_fixture_ends(writer, 1000));
}

static void
test_guest_thaws_at_abort(void **state)
{
	pid_t writer;

	(void)state;
	start_with_ext4();
	writer = freeze_and_write(30000);
	new_request();
	assert_int_equal(call(MESSAGE_ABORT), 0);
	assert_true(guest_fixture_ends(writer, 1000));
}

static void
test_guest_refuses_work_while_frozen(void **state)
{
	(void)state;
	start_with_ext4();
	freeze(20000);
	new_request();
	request.lease_ms = 1000;
	strcpy(request.point, FIXTURE_POINT);
	assert_refused(call(MESSAGE_PREPARE), ERR_BUSY);
	assert_refused(call(MESSAGE_FREEZE), ERR_BUSY);
	assert_refused(call(MESSAGE_COMMITTED), ERR_BUSY);
	assert_int_equal(call(MESSAGE_PING), 0);
	assert_int_equal(call(MESSAGE_STATUS), 0);
	assert_string_equal(client_reply(client)->state, "frozen");
	assert_true(client_reply(client)->lease_left_ms > 0);
	assert_true(client_reply(client)->lease_left_ms <= 20000);
	assert_int_equal(find("a")->state, MESSAGE_FS_FROZEN);
	assert_int_equal(call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(client)->unbroken, 1);
}

static void
test_guest_sees_that_somebody_thawed(void **state)
{
	(void)state;
	start_with_ext4();
	freeze(10000);
	assert_int_equal(guest_fixture_ioctl(&fixture, "a", FITHAW), 0);
	assert_int_equal(call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(client)->unbroken, 0);
	assert_int_equal(find("a")->thawed, 0);
}

static void
test_guest_leaves_what_somebody_froze(void **state)
{
	(void)state;
	start_with_ext4();
	hello();
	prepare(10000);
	assert_int_equal(guest_fixture_ioctl(&fixture, "a", FIFREEZE), 0);
	assert_int_equal(call(MESSAGE_FREEZE), 0);
	assert_int_equal(find("a")->state, MESSAGE_FS_FAILED);
	assert_non_null(strstr(find("a")->reason, "somebody else"));
	assert_int_equal(call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(client)->unbroken, 0);
	/* Still frozen, by us. */
	assert_int_equal(guest_fixture_ioctl(&fixture, "a", FITHAW), 0);
}

/*
 * The freeze of b hangs, for its image lies on a file system that somebody
 * froze.  c was frozen before; the lease has to thaw it all the same.
 */
static void
test_guest_thaws_beside_a_hung_freeze(void **state)
{
	pid_t writer;

	(void)state;
	need_file_systems();
	guest_fixture_mount(&fixture, "a", "ext4", "a.img");
	guest_fixture_mount(&fixture, "b", "ext4", "a/b.img");
	guest_fixture_mount(&fixture, "d", "ext4", "d.img");
	guest_fixture_mount(&fixture, "c", "ext4", "d/c.img");
	start();
	hello();
	prepare(1000);
	assert_true(
	    guest_fixture_ends(guest_fixture_write(&fixture, "b"), 1000));
	assert_int_equal(guest_fixture_ioctl(&fixture, "a", FIFREEZE), 0);
	assert_int_equal(
	    client_call(client, MESSAGE_FREEZE, &request, 300, false, &err),
	    -1);
	assert_int_equal(err.class, ERR_TIMEOUT);
	writer = guest_fixture_write(&fixture, "c");
	assert_false(guest_fixture_ends(writer, BLOCKED_MS));
	assert_true(guest_fixture_ends(writer, 2000));
	/* The helper is not stuck, and does not claim to be done. */
	assert_int_equal(call(MESSAGE_PING), 0);
	assert_string_equal(client_reply(client)->state, "freezing");
	assert_int_equal(guest_fixture_ioctl(&fixture, "a", FITHAW), 0);
	assert_int_equal(call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(client)->unbroken, 0);
	assert_int_equal(client_reply(client)->lease_expired, 1);
	assert_true(
	    guest_fixture_ends(guest_fixture_write(&fixture, "b"), 1000));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
		CASE(test_guest_thaws_what_a_predecessor_left),
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
