/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thaw that fails, or that a dead-man has begun and does not get on with:
 * the calls that are made for it do not do here what they should.
 */
#include <errno.h>
#include <linux/fs.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <cmocka.h>

#include "common/clock.h"
#include "guest-helper/deadman_workers.h"
#include "guest_talk.h"

/* Shared with the helper and whatever it forks. */
static struct shared {
	_Atomic int failures; /* So many thaws fail from now on. */
	_Atomic bool stopped; /* A dead-man does not get to its thaws. */
} * shared;

int __real_ioctl(int fd, unsigned long request, int zero);
int __wrap_ioctl(int fd, unsigned long request, int zero);

int
__wrap_ioctl(int fd, unsigned long request, int zero)
{
	if (request == FITHAW && shared != NULL &&
	    atomic_fetch_sub(&shared->failures, 1) > 0) {
		errno = EIO;
		return -1;
	}
	return __real_ioctl(fd, request, zero);
}

void __real_deadman_workers_want_all(
    struct deadman_workers *workers, enum deadman_want bit);
void __wrap_deadman_workers_want_all(
    struct deadman_workers *workers, enum deadman_want bit);

/* As if it were stopped just after it has said that it thaws; that of a failed
 * test shall end with its helper. */
void
__wrap_deadman_workers_want_all(
    struct deadman_workers *workers, enum deadman_want bit)
{
	if (bit == DEADMAN_WANT_THAW && shared != NULL &&
	    atomic_load(&shared->stopped))
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	else
		__real_deadman_workers_want_all(workers, bit);
}

static int
set_up(void **state)
{
	if (shared == NULL)
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return -1;
	memset(shared, 0, sizeof(*shared));
	return talk_set_up(state);
}

static int
tear_down(void **state)
{
	memset(shared, 0, sizeof(*shared));
	return talk_tear_down(state);
}

static bool
can_write(const char *name)
{
	return guest_fixture_ends(
	    guest_fixture_write(&talk.fixture, name), 5000);
}

static void
test_guest_stuck_tries_a_thaw_again(void **state)
{
	(void)state;
	talk_start_with_ext4();
	talk_freeze(20000);
	atomic_store(&shared->failures, 2);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 1);
	assert_true(can_write("a"));
	assert_int_equal(guest_fixture_records(&talk.fixture), 0);
}

static void
assert_successor_thaws(void)
{
	assert_int_equal(guest_fixture_records(&talk.fixture), 1);
	guest_fixture_stop(&talk.fixture, SIGTERM);
	talk_close_client();
	/* Nor does the next one forget it. */
	talk_start();
	guest_fixture_stop(&talk.fixture, SIGTERM);
	talk_close_client();
	assert_int_equal(guest_fixture_records(&talk.fixture), 1);
	atomic_store(&shared->failures, 0);
	talk_start();
	assert_true(can_write("a"));
	assert_int_equal(guest_fixture_records(&talk.fixture), 0);
}

static void
test_guest_stuck_keeps_what_the_deadman_could_not_thaw(void **state)
{
	(void)state;
	talk_start_with_ext4();
	talk_freeze(20000);
	atomic_store(&shared->failures, 1000);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 0);
	assert_string_equal(client_reply(talk.client)->state, "failed");
	assert_non_null(
	    strstr(client_reply(talk.client)->note, "/a' may still be frozen"));
	assert_successor_thaws();
}

static void
test_guest_stuck_keeps_what_the_helper_could_not_thaw(void **state)
{
	(void)state;
	talk_start_with_ext4();
	talk_freeze(20000);
	atomic_store(&shared->failures, 1000);
	kill(guest_fixture_deadman(&talk.fixture), SIGKILL);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 0);
	assert_successor_thaws();
}

static void
assert_next_is_proved(void)
{
	atomic_store(&shared->stopped, false);
	talk_freeze(20000);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 1);
}

/* The helper waits a while before it takes the dead-man for stuck. */
static void
thaw_patiently(void)
{
	assert_int_equal(client_call(talk.client, MESSAGE_THAW, &talk.request,
			     20000, false, &talk.err),
	    0);
	assert_int_equal(client_reply(talk.client)->unbroken, 0);
}

/* Its parent, the helper, has to see to it, too. */
static bool
comes_to_its_end(pid_t pid)
{
	int64_t end = clock_monotonic_ms() + 5000;

	while (kill(pid, 0) == 0 && clock_monotonic_ms() < end)
		poll(NULL, 0, 10);
	return kill(pid, 0) == -1;
}

static void
test_guest_stuck_thaws_what_was_to_be_thawed(void **state)
{
	pid_t deadman;

	(void)state;
	talk_start_with_ext4();
	talk_freeze(700);
	deadman = guest_fixture_deadman(&talk.fixture);
	atomic_store(&shared->stopped, true);
	assert_true(can_write("a"));
	thaw_patiently();
	assert_true(comes_to_its_end(deadman));
	assert_next_is_proved();
}

static void
test_guest_stuck_thaws_what_was_asked_for(void **state)
{
	(void)state;
	talk_start_with_ext4();
	talk_freeze(20000);
	atomic_store(&shared->stopped, true);
	thaw_patiently();
	assert_true(can_write("a"));
	assert_next_is_proved();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_guest_stuck_tries_a_thaw_again),
		CASE(test_guest_stuck_keeps_what_the_deadman_could_not_thaw),
		CASE(test_guest_stuck_keeps_what_the_helper_could_not_thaw),
		CASE(test_guest_stuck_thaws_what_was_to_be_thawed),
		CASE(test_guest_stuck_thaws_what_was_asked_for),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
