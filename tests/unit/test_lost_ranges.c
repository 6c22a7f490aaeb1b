/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges that a restore left out, in whatever order they came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/job/lost_ranges.h"
#include "common/err.h"

#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)

static void
test_lost_ranges_are_sorted_and_joined(void **state)
{
	static const uint64_t order[] = { 9, 3, 4, 10, 1, 5, 20 };
	struct lost_ranges l = { .ranges = NULL };
	struct err err = ERR_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		assert_int_equal(
		    lost_ranges_add(&l, order[i] * BLOCK, BLOCK, &err), 0);
	lost_ranges_finish(&l);
	assert_int_equal(l.bytes, 7 * BLOCK);
	assert_int_equal(l.count, 4);
	assert_int_equal(l.ranges[1].offset, 3 * BLOCK);
	assert_int_equal(l.ranges[1].bytes, 3 * BLOCK);
	assert_int_equal(l.ranges[3].offset, 20 * BLOCK);
	assert_false(l.more);
	lost_ranges_fini(&l);
}

static void
test_lost_ranges_are_bounded(void **state)
{
	struct lost_ranges l = { .ranges = NULL };
	struct err err = ERR_INIT;
	uint64_t i;

	(void)state;
	for (i = 0; i < (3 << 20); i++)
		assert_int_equal(
		    lost_ranges_add(&l, i * 2 * BLOCK, BLOCK, &err), 0);
	lost_ranges_finish(&l);
	assert_int_equal(l.bytes, (3 << 20) * BLOCK);
	assert_int_equal(l.count, STORE_HURT_RANGES_MAX);
	assert_true(l.more);
	assert_true(l.capacity <= 1 << 20);
	lost_ranges_fini(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lost_ranges_are_sorted_and_joined),
		cmocka_unit_test(test_lost_ranges_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
