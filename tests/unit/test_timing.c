/* SPDX-License-Identifier: Apache-2.0 */
/* What is forecast of freezes, and what is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/io.h"
#include "guest-helper/timing.h"

static struct timing timing;

static void
add(uint32_t writers_ms, uint32_t filesystems_ms)
{
	timing_add(
	    &timing, (struct timing_entry){ writers_ms, filesystems_ms });
}

static int
set_up(void **state)
{
	(void)state;
	memset(&timing, 0, sizeof(timing));
	return 0;
}

static void
test_timing_knows_nothing_at_first(void **state)
{
	(void)state;
	assert_int_equal(timing_forecast_ms(&timing, true), 0);
	timing_age(&timing);
	assert_int_equal(timing.count, 0);
}

static void
test_timing_takes_the_largest_of_the_last_five(void **state)
{
	unsigned int i;

	(void)state;
	add(0, 900);
	for (i = 0; i < 4; i++)
		add(100, 10 + i);
	assert_int_equal(timing_forecast_ms(&timing, true), 900);
	add(100, 20);
	assert_int_equal(timing_forecast_ms(&timing, true), 120);
	assert_int_equal(timing_forecast_ms(&timing, false), 20);
}

static void
test_timing_survives_huge_figures(void **state)
{
	(void)state;
	add(UINT32_MAX, UINT32_MAX);
	assert_int_equal(timing_forecast_ms(&timing, true), UINT32_MAX);
}

static void
test_timing_keeps_sixteen(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < 20; i++)
		add(0, i);
	assert_int_equal(timing.count, TIMING_KEPT);
	assert_int_equal(timing.items[0].filesystems_ms, 4);
	assert_int_equal(timing.items[15].filesystems_ms, 19);
}

static void
test_timing_ages_away(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 8; i++)
		add(0, 500);
	for (i = 0; i < TIMING_LOOKED_AT; i++) {
		assert_int_equal(timing_forecast_ms(&timing, true), 500);
		timing_age(&timing);
	}
	assert_int_equal(timing_forecast_ms(&timing, true), 0);
}

static void
test_timing_is_of_one_boot(void **state)
{
	char dir[] = "/tmp/holdstill-timing.XXXXXX", path[64];
	struct err err = ERR_INIT;

	(void)state;
	assert_non_null(mkdtemp(dir));
	add(7, 20);
	add(0, 30);
	timing_save(&timing, dir, "boot-1");
	timing_load(&timing, dir, "boot-1");
	assert_int_equal(timing.count, 2);
	assert_int_equal(timing.items[0].writers_ms, 7);
	assert_int_equal(timing.items[1].filesystems_ms, 30);
	timing_load(&timing, dir, "boot-2");
	assert_int_equal(timing.count, 0);
	/* Rubbish is no forecast. */
	snprintf(path, sizeof(path), "%s/timing", dir);
	assert_int_equal(
	    io_replace_file(path, "boot-1\n5 x\n", 11, 0600, &err), 0);
	timing_load(&timing, dir, "boot-1");
	assert_int_equal(timing.count, 0);
	assert_int_equal(io_remove_tree(dir, &err), 0);
	timing_load(&timing, dir, "boot-1");
	assert_int_equal(timing.count, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    test_timing_knows_nothing_at_first, set_up),
		cmocka_unit_test_setup(
		    test_timing_takes_the_largest_of_the_last_five, set_up),
		cmocka_unit_test_setup(
		    test_timing_survives_huge_figures, set_up),
		cmocka_unit_test_setup(test_timing_keeps_sixteen, set_up),
		cmocka_unit_test_setup(test_timing_ages_away, set_up),
		cmocka_unit_test_setup(test_timing_is_of_one_boot, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
