/* SPDX-License-Identifier: Apache-2.0 */
/* Choice, proof and claim, with a fake domain round the real helper. */
#include <linux/fs.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/quiesce/quiesce.h"
#include "common/cancel.h"
#include "common/clock.h"
#include "common/err.h"
#include "fake_domain.h"
#include "guest_fixture.h"
#include "store/manifest.h"

/* More than a thaw takes on a busy machine, less than the lease. */
#define THAW_MS 5000

/* Of a channel that opens, and nobody answers; -1: there is none. */
static int mute_end;

static struct guest_fixture fixture;
static struct quiesce *q;
static struct manifest_freeze proof;
static enum manifest_consistency level;
static struct err err;

static int
open_helper(void *arg, int *out_fd, struct err *e)
{
	(void)arg;
	(void)e;
	*out_fd = guest_fixture_connect(&fixture);
	return 0;
}

static int
open_mute(void *arg, int *out_fd, struct err *e)
{
	int pair[2];

	(void)arg;
	(void)e;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	mute_end = pair[1];
	*out_fd = pair[0];
	return 0;
}

static int
set_up(void **state)
{
	(void)state;
	memset(&fake_domain, 0, sizeof(fake_domain));
	mute_end = -1;
	guest_fixture_init(&fixture);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	quiesce_end(q);
	q = NULL;
	manifest_freeze_fini(&proof);
	memset(&proof, 0, sizeof(proof));
	if (mute_end != -1)
		close(mute_end);
	guest_fixture_fini(&fixture);
	return 0;
}

static void
begin(enum manifest_consistency prefer)
{
	/* Not a name of the kernel: all there is gets frozen. */
	static const struct quiesce_disk disks[] = { { .target = "none" } };
	struct quiesce_options options = {
		.session = FIXTURE_SESSION,
		.lease_ms = 10000,
		.disks = disks,
		.disk_count = 1,
		.prefer = prefer,
	};

	assert_int_equal(quiesce_begin(&q, NULL, &options, &err), 0);
}

static void
start_helper(void)
{
	const char *obstacle = guest_fixture_obstacle();

	if (obstacle != NULL) {
		print_message("skipped: %s\n", obstacle);
		skip();
	}
	guest_fixture_mount(&fixture, "a", "ext4", "a.img");
	guest_fixture_start(&fixture);
	fake_domain.open = open_helper;
}

static void
thaw(void)
{
	manifest_freeze_fini(&proof);
	quiesce_thaw(q, &proof, &level);
}

static void
hold(void)
{
	assert_int_equal(quiesce_freeze(q, &err), 0);
	thaw();
}

static void
test_quiesce_proves_with_the_helper(void **state)
{
	pid_t writer;

	(void)state;
	start_helper();
	begin(MANIFEST_APPLICATION);
	assert_int_equal(quiesce_source(q), MANIFEST_QUIESCE_HOLDSTILL);
	assert_string_equal(quiesce_reason(q), "");
	assert_int_equal(quiesce_freeze(q, &err), 0);
	writer = guest_fixture_write(&fixture, "a");
	assert_false(guest_fixture_ends(writer, 150));
	thaw();
	assert_true(guest_fixture_ends(writer, THAW_MS));
	assert_true(proof.proved);
	assert_true(proof.held_ms >= 150);
	assert_int_equal(proof.source, MANIFEST_QUIESCE_HOLDSTILL);
	assert_int_equal(proof.filesystem_count, 1);
	assert_string_equal(proof.filesystems[0].state, "frozen");
	assert_string_equal(proof.filesystems[0].type, "ext4");
	assert_string_equal(proof.filesystems[0].reason, "");
	assert_int_equal(proof.writer_count, 0);
	/* Without writers nothing better may be claimed. */
	assert_int_equal(level, MANIFEST_FILESYSTEM);
	assert_true(quiesce_committed(q, FIXTURE_POINT, &proof));
}

static void
test_quiesce_delivers_committed_to_a_new_helper(void **state)
{
	struct quiesce_status status;

	(void)state;
	start_helper();
	begin(MANIFEST_FILESYSTEM);
	hold();
	guest_fixture_stop(&fixture, SIGKILL);
	guest_fixture_start(&fixture);
	assert_true(quiesce_committed(q, FIXTURE_POINT, &proof));
	quiesce_end(q);
	q = NULL;
	assert_int_equal(quiesce_status(&status, NULL, &err), 0);
	assert_string_equal(status.state, "committed");
	assert_true(status.version[0] != '\0');
	quiesce_status_fini(&status);
}

static void
test_quiesce_status_disturbs_nothing(void **state)
{
	struct quiesce_status status;

	(void)state;
	start_helper();
	assert_int_equal(quiesce_status(&status, NULL, &err), 0);
	assert_string_equal(status.state, "stable");
	assert_int_equal(status.filesystem_count, 1);
	assert_string_equal(status.filesystems[0].state, "planned");
	quiesce_status_fini(&status);
	fake_domain.open = NULL;
	assert_int_equal(quiesce_status(&status, NULL, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	assert_true(err.hint[0] != '\0');
}

static void
test_quiesce_claims_nothing_when_somebody_thawed(void **state)
{
	(void)state;
	start_helper();
	begin(MANIFEST_FILESYSTEM);
	assert_int_equal(quiesce_freeze(q, &err), 0);
	assert_int_equal(guest_fixture_ioctl(&fixture, "a", FITHAW), 0);
	thaw();
	assert_false(proof.proved);
	assert_int_equal(level, MANIFEST_CRASH);
	assert_non_null(strstr(quiesce_reason(q), "broken"));
}

static void
test_quiesce_claims_nothing_when_the_helper_dies(void **state)
{
	(void)state;
	start_helper();
	begin(MANIFEST_FILESYSTEM);
	assert_int_equal(quiesce_freeze(q, &err), 0);
	guest_fixture_stop(&fixture, SIGKILL);
	thaw();
	assert_false(proof.proved);
	assert_int_equal(level, MANIFEST_CRASH);
	assert_non_null(strstr(quiesce_reason(q), "no proof"));
}

static void
test_quiesce_thaws_a_freeze_that_is_not_whole(void **state)
{
	(void)state;
	start_helper();
	guest_fixture_stop(&fixture, SIGTERM);
	guest_fixture_mount(&fixture, "b", "ext4", "b.img");
	guest_fixture_start(&fixture);
	begin(MANIFEST_FILESYSTEM);
	assert_int_equal(guest_fixture_ioctl(&fixture, "b", FIFREEZE), 0);
	assert_int_equal(quiesce_freeze(q, &err), 0);
	assert_true(
	    guest_fixture_ends(guest_fixture_write(&fixture, "a"), THAW_MS));
	assert_non_null(strstr(quiesce_reason(q), "somebody else"));
	assert_int_equal(guest_fixture_ioctl(&fixture, "b", FITHAW), 0);
	thaw();
	assert_int_equal(level, MANIFEST_CRASH);
	assert_int_equal(proof.source, MANIFEST_QUIESCE_NONE);
	assert_int_equal(proof.held_ms, 0);
}

static void
test_quiesce_falls_back_to_the_agent(void **state)
{
	(void)state;
	fake_domain.agent = true;
	fake_domain.frozen = fake_domain.thawed = 3;
	begin(MANIFEST_FILESYSTEM);
	assert_int_equal(quiesce_source(q), MANIFEST_QUIESCE_QEMU_GA);
	hold();
	assert_true(proof.proved);
	assert_int_equal(proof.source, MANIFEST_QUIESCE_QEMU_GA);
	assert_int_equal(level, MANIFEST_FILESYSTEM);
}

static void
test_quiesce_owes_a_thaw_until_it_is_answered(void **state)
{
	(void)state;
	fake_domain.agent = true;
	fake_domain.frozen = 3;
	fake_domain.thawed = -1;
	begin(MANIFEST_FILESYSTEM);
	assert_false(quiesce_owes_thaw(q));
	hold();
	assert_true(quiesce_owes_thaw(q));
	assert_false(quiesce_end(q));
	/* A freeze whose answer is lost may hold as well. */
	fake_domain.frozen = -1;
	begin(MANIFEST_FILESYSTEM);
	assert_int_equal(quiesce_freeze(q, &err), 0);
	assert_true(quiesce_owes_thaw(q));
	/* A refusal is an answer: that agent holds nothing. */
	fake_domain.refuses_thaw = true;
	assert_true(quiesce_end(q));
	q = NULL;
}

/* A slow hook can make freeze and thaw fail, and the freeze come after. */
static void
test_quiesce_settles_an_owed_thaw(void **state)
{
	(void)state;
	fake_domain.agent = true;
	fake_domain.frozen = -1;
	fake_domain.thawed = 3;
	fake_domain.mute_thaws = 3;
	begin(MANIFEST_FILESYSTEM);
	hold();
	assert_true(quiesce_owes_thaw(q));
	assert_int_equal(quiesce_settle_thaw(q, 5000, &err), 0);
	assert_false(quiesce_owes_thaw(q));
	assert_int_equal(fake_domain.thaws, 4);
	/* Where none is owed nobody is asked. */
	assert_int_equal(quiesce_settle_thaw(q, 5000, &err), 0);
	assert_int_equal(fake_domain.thaws, 4);
}

static void
test_quiesce_gives_an_owed_thaw_up_in_time(void **state)
{
	int64_t begun_ms;

	(void)state;
	fake_domain.agent = true;
	fake_domain.frozen = 3;
	fake_domain.thawed = -1;
	begin(MANIFEST_FILESYSTEM);
	hold();
	begun_ms = clock_monotonic_ms();
	assert_int_equal(quiesce_settle_thaw(q, 300, &err), -1);
	assert_true(clock_monotonic_ms() - begun_ms >= 300);
	assert_true(fake_domain.thaws > 2);
	assert_int_equal(err.class, ERR_TIMEOUT);
	assert_non_null(strstr(err.text, "may still be frozen: agent hangs"));
	assert_true(quiesce_owes_thaw(q));
	fake_domain.thawed = 3;
	assert_true(quiesce_end(q));
	q = NULL;
}

static void
test_quiesce_doubts_the_agent(void **state)
{
	static const struct {
		int frozen, thawed;
		bool windows;
		const char *reason;
	} cases[] = {
		{ 3, 2, false, "found 2" },
		{ 0, 0, false, "froze nothing" },
		{ 3, -1, false, "no proof" },
		{ 3, 3, true, "Windows" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake_domain.agent = true;
		fake_domain.frozen = cases[i].frozen;
		fake_domain.thawed = cases[i].thawed;
		fake_domain.windows = cases[i].windows;
		begin(MANIFEST_FILESYSTEM);
		hold();
		assert_false(proof.proved);
		assert_int_equal(level, MANIFEST_CRASH);
		assert_non_null(strstr(quiesce_reason(q), cases[i].reason));
		quiesce_end(q);
		q = NULL;
	}
}

static void
test_quiesce_thaws_an_agent_that_did_not_answer(void **state)
{
	(void)state;
	fake_domain.agent = true;
	fake_domain.frozen = -1;
	begin(MANIFEST_FILESYSTEM);
	hold();
	assert_int_equal(fake_domain.thaws, 1);
	assert_int_equal(level, MANIFEST_CRASH);
	assert_non_null(strstr(quiesce_reason(q), "agent hangs"));
}

static void
test_quiesce_says_why_nobody_freezes(void **state)
{
	(void)state;
	begin(MANIFEST_FILESYSTEM);
	assert_int_equal(quiesce_source(q), MANIFEST_QUIESCE_NONE);
	assert_non_null(strstr(quiesce_reason(q), "no channel"));
	assert_non_null(strstr(quiesce_reason(q), "agent"));
	hold();
	assert_int_equal(level, MANIFEST_CRASH);
	/* That is all that such a guest has to offer. */
	assert_int_equal(quiesce_offered(q), MANIFEST_CRASH);
}

/* Who gave the domain a channel wants more than a crash, and has to hear that
 * the helper is dead. */
static void
test_quiesce_misses_a_helper_that_has_a_channel(void **state)
{
	(void)state;
	fake_domain.open = open_mute;
	fake_domain.unknown = true;
	begin(MANIFEST_APPLICATION);
	assert_int_equal(quiesce_source(q), MANIFEST_QUIESCE_NONE);
	assert_non_null(strstr(quiesce_reason(q), "no helper answers"));
	assert_int_equal(quiesce_offered(q), MANIFEST_FILESYSTEM);
	assert_int_equal(quiesce_reachable(q), MANIFEST_CRASH);
}

static void
test_quiesce_freezes_nothing_unless_wanted(void **state)
{
	(void)state;
	fake_domain.agent = true;
	fake_domain.frozen = fake_domain.thawed = 1;
	begin(MANIFEST_CRASH);
	hold();
	assert_int_equal(fake_domain.thaws, 0);
	assert_string_equal(
	    quiesce_reason(q), "the guest was not asked to freeze");
	assert_int_equal(level, MANIFEST_CRASH);
}

static void
test_quiesce_does_not_wait_for_a_mute_helper(void **state)
{
	(void)state;
	fake_domain.open = open_mute;
	fake_domain.unknown = true;
	fake_domain.agent = true;
	fake_domain.frozen = fake_domain.thawed = 1;
	begin(MANIFEST_FILESYSTEM);
	assert_int_equal(quiesce_source(q), MANIFEST_QUIESCE_QEMU_GA);
}

/* What the agent cannot prove is one thing, why it was asked another. */
static void
test_quiesce_says_why_the_agent_freezes(void **state)
{
	(void)state;
	fake_domain.agent = true;
	fake_domain.frozen = fake_domain.thawed = 3;
	begin(MANIFEST_APPLICATION);
	assert_non_null(strstr(quiesce_reason(q), "no channel"));
	hold();
	assert_int_equal(level, MANIFEST_FILESYSTEM);
	assert_non_null(strstr(quiesce_reason(q), "by the QEMU guest agent"));
	assert_non_null(
	    strstr(quiesce_reason(q), "the helper does not serve: no channel"));
	quiesce_end(q);
	q = NULL;
	/* Also where it fails. */
	fake_domain.thawed = 2;
	begin(MANIFEST_APPLICATION);
	hold();
	assert_non_null(strstr(quiesce_reason(q), "found 2"));
	assert_non_null(strstr(quiesce_reason(q), "no channel"));
}

/* Last: a wish to stop stays. */
static void
test_quiesce_thaws_when_cancelled(void **state)
{
	(void)state;
	start_helper();
	begin(MANIFEST_FILESYSTEM);
	cancel_request(SIGINT);
	assert_int_equal(quiesce_freeze(q, &err), -1);
	assert_int_equal(err.class, ERR_CANCELLED);
	assert_true(
	    guest_fixture_ends(guest_fixture_write(&fixture, "a"), THAW_MS));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_quiesce_proves_with_the_helper),
		CASE(test_quiesce_delivers_committed_to_a_new_helper),
		CASE(test_quiesce_status_disturbs_nothing),
		CASE(test_quiesce_claims_nothing_when_somebody_thawed),
		CASE(test_quiesce_claims_nothing_when_the_helper_dies),
		CASE(test_quiesce_thaws_a_freeze_that_is_not_whole),
		CASE(test_quiesce_falls_back_to_the_agent),
		CASE(test_quiesce_owes_a_thaw_until_it_is_answered),
		CASE(test_quiesce_settles_an_owed_thaw),
		CASE(test_quiesce_gives_an_owed_thaw_up_in_time),
		CASE(test_quiesce_doubts_the_agent),
		CASE(test_quiesce_thaws_an_agent_that_did_not_answer),
		CASE(test_quiesce_says_why_nobody_freezes),
		CASE(test_quiesce_misses_a_helper_that_has_a_channel),
		CASE(test_quiesce_freezes_nothing_unless_wanted),
		CASE(test_quiesce_does_not_wait_for_a_mute_helper),
		CASE(test_quiesce_says_why_the_agent_freezes),
		CASE(test_quiesce_thaws_when_cancelled),
	};

	if (cancel_init(&err) == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
