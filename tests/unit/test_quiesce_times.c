/* SPDX-License-Identifier: Apache-2.0 */
/* Which times of a guest the host believes, and what a lease allows. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cancel.h"
#include "quiesce_rig.h"

static struct quiesce_rig rig;

static void
held_for_less(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		m->thaw_ns -= 500 * MS_NS;
}

static void
held_for_more(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW) {
		m->thaw_ns += 1000 * MS_NS;
		m->held_ms += 1000;
	}
}

static void
froze_anew(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		m->freeze_begin_ns++;
}

static void
backwards(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		m->thaw_ns = m->freeze_end_ns - 1;
}

static void
beyond(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW) {
		m->thaw_ns = UINT64_MAX;
		m->held_ms = UINT64_MAX;
	}
}

/* Beyond what the manifest can hold. */
static void
far_future(struct message *m, uint8_t type)
{
	if (type == MESSAGE_FREEZE || type == MESSAGE_THAW) {
		m->freeze_begin_ns += UINT64_C(1) << 63;
		m->freeze_end_ns += UINT64_C(1) << 63;
		m->thaw_ns += UINT64_C(1) << 63;
	}
}

static void
no_times(struct message *m, uint8_t type)
{
	(void)type;
	m->freeze_begin_ns = m->freeze_end_ns = 0;
}

static void
lease_ended(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		m->lease_expired = 1;
}

static void
another_session(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		memcpy(m->session, POINT, sizeof(m->session));
}

static void
broken(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		m->unbroken = 0;
}

static void
test_quiesce_believes_only_what_can_be(void **state)
{
	(void)state;
	quiesce_rig_expect(
	    &rig, held_for_less, 600, MANIFEST_CRASH, "held still for");
	quiesce_rig_expect(&rig, froze_anew, 0, MANIFEST_CRASH, "cannot be");
	quiesce_rig_expect(&rig, backwards, 0, MANIFEST_CRASH, "cannot be");
	quiesce_rig_expect(&rig, beyond, 0, MANIFEST_CRASH, "cannot be");
	quiesce_rig_expect(&rig, far_future, 0, MANIFEST_CRASH, "cannot be");
	quiesce_rig_expect(&rig, no_times, 0, MANIFEST_CRASH, "cannot be");
	quiesce_rig_expect(
	    &rig, lease_ended, 0, MANIFEST_CRASH, "outlived its lease");
	quiesce_rig_expect(
	    &rig, another_session, 0, MANIFEST_CRASH, "another session");
	quiesce_rig_expect(&rig, broken, 0, MANIFEST_CRASH, "broken");
	/* The host's own clock knows the lease, too. */
	rig.lease_ms = 50;
	quiesce_rig_expect(
	    &rig, NULL, 600, MANIFEST_CRASH, "outlived its lease of 50 ms");
}

static uint64_t granted_ms;

static void
grants_another_lease(struct message *m, uint8_t type)
{
	if (type == MESSAGE_PREPARE)
		m->lease_ms = granted_ms;
}

/* The guest is bound by its own configuration, too. */
static void
test_quiesce_goes_by_the_lease_that_is_granted(void **state)
{
	(void)state;
	granted_ms = 50;
	quiesce_rig_expect(&rig, grants_another_lease, 600, MANIFEST_CRASH,
	    "outlived its lease of 50 ms");
	/* No guest makes it longer than was asked for. */
	rig.lease_ms = 60;
	granted_ms = UINT64_MAX;
	quiesce_rig_expect(&rig, grants_another_lease, 600, MANIFEST_CRASH,
	    "outlived its lease of 60 ms");
}

static void
test_quiesce_believes_no_fast_clock(void **state)
{
	(void)state;
	rig.guest.tweak = held_for_more;
	quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
	quiesce_rig_hold(&rig, 50);
	assert_int_equal(rig.level, MANIFEST_APPLICATION);
	assert_in_range(rig.proof.held_ms, 50, 800);
}

/* It answers, too late for the lease but in the time of the call. */
static void
slow_to_freeze(struct message *m, uint8_t type)
{
	(void)m;
	if (type == MESSAGE_FREEZE)
		poll(NULL, 0, 100);
}

static void
test_quiesce_takes_no_picture_after_the_lease(void **state)
{
	(void)state;
	rig.lease_ms = 50;
	quiesce_rig_expect(&rig, slow_to_freeze, 0, MANIFEST_CRASH,
	    "cannot freeze: the freeze outlived its lease of 50 ms");
	assert_int_equal(rig.guest.count[MESSAGE_THAW], 0);
	assert_int_equal(rig.guest.count[MESSAGE_ABORT], 1);
}

static void
slow_lately(struct message *m, uint8_t type)
{
	if (type == MESSAGE_PREPARE)
		m->forecast_ms = 12000;
}

static void
test_quiesce_freezes_nothing_that_outlives_its_lease(void **state)
{
	(void)state;
	rig.guest.tweak = slow_lately;
	quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
	assert_int_equal(quiesce_reachable(rig.q), MANIFEST_CRASH);
	assert_int_equal(quiesce_offered(rig.q), MANIFEST_APPLICATION);
	/* The other agent is there, and knows no lease at all. */
	assert_int_equal(quiesce_source(rig.q), MANIFEST_QUIESCE_NONE);
	assert_non_null(strstr(quiesce_reason(rig.q), "12000 ms"));
	assert_non_null(strstr(quiesce_reason(rig.q), "--lease"));
	quiesce_rig_hold(&rig, 0);
	assert_int_equal(rig.level, MANIFEST_CRASH);
	quiesce_rig_end(&rig);
	assert_int_equal(rig.guest.count[MESSAGE_FREEZE], 0);
	rig.lease_ms = 20000;
	quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
	assert_int_equal(quiesce_reachable(rig.q), MANIFEST_APPLICATION);
}

#define CASE(name) QUIESCE_RIG_CASE(name, &rig)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_quiesce_believes_only_what_can_be),
		CASE(test_quiesce_goes_by_the_lease_that_is_granted),
		CASE(test_quiesce_believes_no_fast_clock),
		CASE(test_quiesce_takes_no_picture_after_the_lease),
		CASE(test_quiesce_freezes_nothing_that_outlives_its_lease),
	};

	if (cancel_init(&rig.err) == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
