/* SPDX-License-Identifier: Apache-2.0 */
/* What the helper grants, refuses and puts back: leases, rest, forecast. */
#include <fcntl.h>
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
#include "common/io.h"
#include "common/proto/wire.h"
#include "guest_talk.h"

#define PINGS 400
#define STATUSES 20

static void
wait_until(int64_t end_ms)
{
	int64_t left;

	while ((left = end_ms - clock_monotonic_ms()) > 0)
		poll(NULL, 0, (int)left);
}

static void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static bool
file_holds(const char *path, const char *text)
{
	char *bytes;
	size_t size;
	bool same;

	assert_int_equal(io_read_file(&bytes, &size, path, 4096, &talk.err), 0);
	same = strcmp(bytes, text) == 0;
	free(bytes);
	return same;
}

static void
assert_expedited(bool yes)
{
	int64_t end = clock_monotonic_ms() + 2000;

	while (!file_holds(talk.fixture.expedite, yes ? "1\n" : "0\n")) {
		assert_true(clock_monotonic_ms() < end);
		poll(NULL, 0, 5);
	}
}

/* ---- lease and rest ---- */

static void
test_guest_limits_the_lease_to_its_policy(void **state)
{
	(void)state;
	talk.fixture.conf.lease_max_ms = 2000;
	talk_start();
	talk_hello();
	talk_prepare(10000);
	assert_int_equal(client_reply(talk.client)->lease_ms, 2000);
	assert_int_equal(client_reply(talk.client)->freeze_ms, 1000);
	/* What was asked for with a longer one would leave nothing to hold. */
	assert_int_equal(talk_call(MESSAGE_ABORT), 0);
	talk.request.freeze_ms = 5000;
	talk_prepare(10000);
	assert_int_equal(client_reply(talk.client)->freeze_ms, 1000);
}

static void
test_guest_limits_holds_to_half_of_the_time(void **state)
{
	int64_t begin, thawed, rested;

	(void)state;
	talk_start_with_ext4();
	talk_hello();
	talk_prepare(20000);
	begin = clock_monotonic_ms();
	assert_int_equal(talk_call(MESSAGE_FREEZE), 0);
	wait_until(begin + 1500);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	thawed = clock_monotonic_ms();
	/* A new conversation changes nothing of that. */
	talk_hello();
	talk_new_request();
	talk.request.lease_ms = 10000;
	talk_assert_refused(talk_call(MESSAGE_PREPARE), ERR_BUSY);
	assert_non_null(strstr(talk.err.text, "rests"));
	/* Asks again until it is over. */
	talk_prepare(20000);
	rested = clock_monotonic_ms() - thawed;
	assert_true(rested >= 1000);
	assert_true(rested < thawed - begin + 2000);
}

/* ---- requests ---- */

/* Many at once, as a host does that means harm; then one of the type. */
static void
flood(int fd, uint8_t type)
{
	static uint8_t frames[(PINGS + 1) * 4096];
	size_t size = 0, used = 0, i;

	for (i = 0; i < PINGS; i++)
		size +=
		    wire_seal(frames + size, MESSAGE_PING, 0, (uint32_t)i, 0);
	talk_new_request();
	assert_int_equal(message_encode(frames + size + WIRE_HEAD_BYTES, 2048,
			     &used, &talk.request, &talk.err),
	    0);
	size += wire_seal(frames + size, type, 0, PINGS, used);
	assert_int_equal(io_write_full(fd, frames, size), 0);
}

/* Reads answers until that of the id has come; returns how long it took. */
static int64_t
time_answer(int fd, uint32_t id)
{
	static struct wire_reader reader;
	int64_t begin = clock_monotonic_ms();
	struct wire_frame frame;
	uint8_t *at;
	size_t room;
	ssize_t n;

	wire_reader_init(&reader);
	for (;;) {
		while (wire_reader_next(&reader, &frame))
			if (frame.request_id == id)
				return clock_monotonic_ms() - begin;
		at = wire_reader_room(&reader, &room);
		n = read(fd, at, room);
		assert_true(n > 0);
		wire_reader_filled(&reader, (size_t)n);
	}
}

static void
test_guest_limits_requests_a_second(void **state)
{
	int64_t took;
	int fd;

	(void)state;
	guest_fixture_start(&talk.fixture);
	fd = guest_fixture_connect(&talk.fixture);
	flood(fd, MESSAGE_PING);
	took = time_answer(fd, PINGS);
	close(fd);
	/* 100 at once, and 100 a second: none is lost. */
	assert_true(took > 2000);
	assert_true(took < 6000);
}

/* Each reads the whole mount table. */
static void
test_guest_limits_statuses_to_fewer(void **state)
{
	static uint8_t frames[(STATUSES + 1) * WIRE_HEAD_BYTES * 2];
	size_t size = 0;
	uint32_t id = 0;
	int64_t took;
	int fd;

	(void)state;
	guest_fixture_start(&talk.fixture);
	fd = guest_fixture_connect(&talk.fixture);
	while (id < STATUSES)
		size += wire_seal(frames + size, MESSAGE_STATUS, 0, id++, 0);
	size += wire_seal(frames + size, MESSAGE_PING, 0, id, 0);
	assert_int_equal(io_write_full(fd, frames, size), 0);
	took = time_answer(fd, id);
	close(fd);
	/* Five at once, and five a second. */
	assert_true(took > 2000);
	assert_true(took < 6000);
}

static void
test_guest_limits_no_thaw(void **state)
{
	int fd;

	(void)state;
	talk_need_file_systems();
	guest_fixture_mount(&talk.fixture, "a", "ext4", "a.img");
	guest_fixture_start(&talk.fixture);
	fd = guest_fixture_connect(&talk.fixture);
	assert_int_equal(client_new(&talk.client, dup(fd), &talk.err), 0);
	talk_freeze(20000);
	talk_close_client();
	/* As the client had found it. */
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	flood(fd, MESSAGE_THAW);
	/* At that rate it would be three seconds. */
	assert_true(time_answer(fd, PINGS) < 2500);
	close(fd);
}

/* ---- forecast ---- */

/* The last freezes took so many ms. */
static void
pretend_freezes(const char *lines)
{
	char path[128], text[512], boot_id[64] = "";
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	assert_non_null(file);
	assert_non_null(fgets(boot_id, sizeof(boot_id), file));
	fclose(file);
	assert_int_equal(
	    io_make_dirs(talk.fixture.run_dir, 0700, &talk.err), 0);
	snprintf(path, sizeof(path), "%s/timing", talk.fixture.run_dir);
	snprintf(text, sizeof(text), "%s%s", boot_id, lines);
	write_file(path, text);
}

static int
ask_prepare(unsigned int lease_ms)
{
	talk_new_request();
	talk.request.lease_ms = lease_ms;
	return talk_call(MESSAGE_PREPARE);
}

static void
test_guest_limits_freezes_to_what_fits(void **state)
{
	(void)state;
	pretend_freezes("0 20\n0 600\n0 30\n0 30\n0 30\n");
	talk_start();
	talk_hello();
	talk_assert_refused(ask_prepare(1000), ERR_TIMEOUT);
	assert_non_null(strstr(talk.err.text, "600 ms"));
	assert_non_null(strstr(talk.err.text, "1000 ms"));
	assert_non_null(strstr(talk.err.text, "--lease"));
	/* A longer one will do. */
	assert_int_equal(ask_prepare(3000), 0);
	assert_int_equal(client_reply(talk.client)->forecast_ms, 600);
	assert_int_equal(talk_call(MESSAGE_ABORT), 0);
	/* Each refusal makes it forget one. */
	talk_assert_refused(ask_prepare(1000), ERR_TIMEOUT);
	assert_int_equal(ask_prepare(1000), 0);
	assert_int_equal(client_reply(talk.client)->forecast_ms, 30);
}

static void
test_guest_limits_are_learnt_from_freezes(void **state)
{
	char path[128], *text;
	size_t size;

	(void)state;
	talk_start_with_ext4();
	talk_freeze(10000);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	snprintf(path, sizeof(path), "%s/timing", talk.fixture.run_dir);
	assert_int_equal(io_read_file(&text, &size, path, 4096, &talk.err), 0);
	/* The boot id and one line. */
	assert_true(size > 37 + 3);
	assert_true(atoi(text + 37) == 0);
	free(text);
	guest_fixture_stop(&talk.fixture, SIGTERM);
	talk_close_client();
	talk_start();
	talk_hello();
	talk_prepare(10000);
	assert_true(client_reply(talk.client)->forecast_ms > 0);
	assert_true(client_reply(talk.client)->forecast_ms < 3000);
}

/* ---- grace periods ---- */

static void
test_guest_limits_grace_periods_while_held(void **state)
{
	(void)state;
	talk_start_with_ext4();
	talk_hello();
	talk_prepare(10000);
	assert_expedited(false);
	assert_int_equal(talk_call(MESSAGE_FREEZE), 0);
	assert_expedited(true);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_expedited(false);
}

static void
test_guest_limits_leave_what_was_set(void **state)
{
	(void)state;
	talk_need_file_systems();
	write_file(talk.fixture.expedite, "1\n");
	talk_start_with_ext4();
	talk_freeze(10000);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_expedited(true);
}

static void
test_guest_limits_are_put_back_without_a_deadman(void **state)
{
	(void)state;
	talk_start_with_ext4();
	talk_freeze(30000);
	kill(guest_fixture_deadman(&talk.fixture), SIGKILL);
	assert_expedited(false);
	assert_int_equal(talk_call(MESSAGE_ABORT), 0);
	/* And by the next helper, if both die. */
	talk_freeze(30000);
	guest_fixture_kill_all(&talk.fixture);
	assert_expedited(true);
	talk_close_client();
	talk_start();
	assert_expedited(false);
}

#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, talk_set_up, talk_tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_guest_limits_the_lease_to_its_policy),
		CASE(test_guest_limits_holds_to_half_of_the_time),
		CASE(test_guest_limits_requests_a_second),
		CASE(test_guest_limits_statuses_to_fewer),
		CASE(test_guest_limits_no_thaw),
		CASE(test_guest_limits_freezes_to_what_fits),
		CASE(test_guest_limits_are_learnt_from_freezes),
		CASE(test_guest_limits_grace_periods_while_held),
		CASE(test_guest_limits_leave_what_was_set),
		CASE(test_guest_limits_are_put_back_without_a_deadman),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
