/* SPDX-License-Identifier: Apache-2.0 */
/* Extents become runs of whole blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "agent/source/extents.h"
#include "common/err.h"
#include "store/store.h"

#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)

static struct extent_set
make(uint64_t first, uint64_t count)
{
	struct extent_set set;
	struct err err = ERR_INIT;

	assert_int_equal(extent_set_init(&set, first, count, &err), 0);
	return set;
}

static void
test_extents_add_rounds_out(void **state)
{
	struct extent_set set = make(0, 200);

	(void)state;
	extent_set_add(&set, 3 * BLOCK - 1, 2);
	assert_false(extent_set_has(&set, 1));
	assert_true(extent_set_has(&set, 2));
	assert_true(extent_set_has(&set, 3));
	assert_false(extent_set_has(&set, 4));
	extent_set_add(&set, 10 * BLOCK, 0);
	extent_set_add(&set, 11 * BLOCK, BLOCK);
	assert_int_equal(extent_set_count(&set), 3);
	extent_set_fini(&set);
}

static void
test_extents_add_cuts_at_the_ends(void **state)
{
	struct extent_set set = make(100, 65);

	(void)state;
	extent_set_add(&set, 0, 101 * BLOCK + 1);
	extent_set_add(&set, 164 * BLOCK, UINT64_MAX - 164 * BLOCK + 0);
	extent_set_add(&set, UINT64_MAX - 5, 100);
	assert_true(extent_set_has(&set, 100));
	assert_true(extent_set_has(&set, 101));
	assert_false(extent_set_has(&set, 102));
	assert_false(extent_set_has(&set, 99));
	assert_true(extent_set_has(&set, 164));
	assert_false(extent_set_has(&set, 165));
	assert_int_equal(extent_set_count(&set), 3);
	extent_set_fini(&set);
}

static void
test_extents_run_joins_neighbours(void **state)
{
	struct extent_set set = make(0, 1000);
	uint64_t first = 0;

	(void)state;
	extent_set_add(&set, 60 * BLOCK, 10 * BLOCK);
	extent_set_add(&set, 70 * BLOCK, 200 * BLOCK);
	assert_int_equal(extent_set_run(&set, true, 0, 1000, &first), 210);
	assert_int_equal(first, 60);
	assert_int_equal(extent_set_run(&set, true, 65, 100, &first), 35);
	assert_int_equal(first, 65);
	assert_int_equal(extent_set_run(&set, false, 65, 1000, &first), 730);
	assert_int_equal(first, 270);
	assert_int_equal(extent_set_run(&set, true, 270, 5000, &first), 0);
	extent_set_fini(&set);
}

/* Against the plain way: one byte a block. */
static void
test_extents_run_agrees_with_bytes(void **state)
{
	enum { COUNT = 777, FIRST = 64 };
	struct extent_set set = make(FIRST, COUNT);
	unsigned char plain[COUNT] = { 0 };
	uint64_t first = 0, n, at, i;
	int round;

	(void)state;
	srand(7);
	for (round = 0; round < 60; round++) {
		at = (uint64_t)rand() % COUNT;
		n = (uint64_t)rand() % 9;
		extent_set_add(&set, (at + FIRST) * BLOCK, n * BLOCK);
		for (i = at; i < at + n && i < COUNT; i++)
			plain[i] = 1;
	}
	for (at = 0; at < COUNT;) {
		n = extent_set_run(
		    &set, plain[at] != 0, FIRST + at, FIRST + COUNT, &first);
		assert_int_equal(first, FIRST + at);
		for (i = 0; i < n; i++)
			assert_int_equal(plain[at + i], plain[at]);
		assert_true(at + n == COUNT || plain[at + n] != plain[at]);
		at += n;
	}
	extent_set_fini(&set);
}

static void
test_extents_move_forgets(void **state)
{
	struct extent_set set = make(0, 128);

	(void)state;
	extent_set_add(&set, 0, 128 * BLOCK);
	extent_set_move(&set, 500, 10);
	assert_int_equal(extent_set_count(&set), 0);
	extent_set_add(&set, 0, 505 * BLOCK);
	assert_int_equal(extent_set_count(&set), 5);
	extent_set_fini(&set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_extents_add_rounds_out),
		cmocka_unit_test(test_extents_add_cuts_at_the_ends),
		cmocka_unit_test(test_extents_run_joins_neighbours),
		cmocka_unit_test(test_extents_run_agrees_with_bytes),
		cmocka_unit_test(test_extents_move_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
