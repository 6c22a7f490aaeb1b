/* SPDX-License-Identifier: Apache-2.0 */
/* What a prune tells of that it has not given back, and a dry run of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/err.h"
#include "store/sessions.h"
#include "tests/unit/store_rig.h"

#define MIB (UINT64_C(1) << 20)
#define DAY_MS (24 * 3600 * INT64_C(1000))

static struct rig rig;
static struct image im;
static struct manifest *m;
static struct rig_start start = {
	.rig = &rig, .im = &im, .size_bytes = MIB, .m = &m
};

static void
test_prune_told_what_the_window_keeps(void **state)
{
	const int64_t now_ms = clock_wall_ms();
	struct store_prune_options options = { .undelete_ms = 7 * DAY_MS,
		.silence_ms = 1 };
	struct store_prune_result result;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(store_point_forget(rig.store, m->id, &err), 0);
	assert_int_equal(store_prune(rig.store, &options, &result, &err), 0);
	assert_int_equal(result.points_removed, 0);
	assert_int_equal(result.points_waiting, 1);
	/* Words are of whole seconds. */
	assert_in_range(result.waiting_until_ms, now_ms + 7 * DAY_MS - 1000,
	    clock_wall_ms() + 7 * DAY_MS);
	options.undelete_ms = 0;
	assert_int_equal(store_prune(rig.store, &options, &result, &err), 0);
	assert_int_equal(result.points_removed, 1);
	assert_int_equal(result.points_waiting, 0);
}

/* One that was killed: nobody looks on for five minutes to say so. */
static void
test_prune_told_dry_runs_wait_for_nobody(void **state)
{
	const struct store_prune_options options = { .dry_run = true };
	const int64_t before_ms = clock_monotonic_ms();
	struct session_object o = { .seal = false };
	const uint8_t id[OBJECT_ID_BYTES] = { 1 };
	struct store_prune_result result;
	struct err err = ERR_INIT;
	struct session_name name;
	struct epoch e;

	(void)state;
	assert_int_equal(idset_add(&o.points, id, &err), 0);
	assert_int_equal(sessions_register(&name, &e, rig.store, &o, &err), 0);
	assert_int_equal(store_prune(rig.store, &options, &result, &err), 0);
	assert_int_equal(result.sessions_alive, 1);
	assert_int_equal(result.sessions_dead, 0);
	assert_true(clock_monotonic_ms() - before_ms < STORE_SILENCE_MS / 10);
	epoch_fini(&e);
	session_object_fini(&o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_CASE(test_prune_told_what_the_window_keeps, &start),
		RIG_CASE(test_prune_told_dry_runs_wait_for_nobody, &start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
