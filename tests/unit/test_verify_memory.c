/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of packs from one verify to the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "agent/job/verify_memory.h"
#include "catalog/catalog.h"
#include "common/err.h"
#include "temp_dir.h"

#define PACKS 600 /* More than are written at once. */

/* A verify that is told of packs first to last, and checks those that we
 * ask for; fills ages with what it was told of them. */
static struct verify_coverage
verify(const char *dir, unsigned int first, unsigned int last,
    unsigned int check_from, unsigned int check_to, int64_t *ages)
{
	static uint8_t packs[PACKS][STORE_PACK_ID_BYTES];
	const struct store_verify_memory *store;
	struct verify_coverage coverage;
	struct err err = ERR_INIT;
	struct verify_memory *m;
	struct catalog *c;
	unsigned int i;

	memset(packs, 0, sizeof(packs));
	memset(ages, 0, PACKS * sizeof(*ages));
	for (i = first; i < last; i++) {
		packs[i - first][0] = (uint8_t)(i >> 8);
		packs[i - first][1] = (uint8_t)i;
	}
	assert_int_equal(catalog_open(&c, dir, &err), 0);
	assert_non_null(m = verify_memory_new(c, "repository"));
	store = verify_memory_of(m);
	assert_int_equal(store->begin(store->arg,
			     (const uint8_t(*)[STORE_PACK_ID_BYTES])packs,
			     last - first, ages, &err),
	    0);
	for (i = check_from; i < check_to; i++)
		store->checked(store->arg, i - first, i != 5);
	verify_memory_finish(m, &coverage);
	verify_memory_free(m);
	catalog_close(c);
	return coverage;
}

static void
test_verify_memory_follows_the_packs(void **state)
{
	const char *dir = *state;
	struct verify_coverage c;
	int64_t ages[PACKS], since;

	c = verify(dir, 0, 0, 0, 0, ages);
	assert_true(c.known);
	assert_int_equal(c.oldest_ms, 0);
	c = verify(dir, 0, PACKS, 0, 300, ages);
	assert_int_equal(ages[0], 0);
	assert_int_equal(c.packs, PACKS);
	assert_int_equal(c.never_checked, 301); /* One is damaged. */
	assert_true(c.since_ms > 0);
	assert_true(c.oldest_ms > 0 && c.oldest_ms <= c.since_ms);
	since = c.since_ms;
	/* The first ten are gone; the next verify goes on. */
	c = verify(dir, 10, PACKS, 300, PACKS, ages);
	assert_true(ages[0] >= since);
	assert_int_equal(ages[300 - 10], 0);
	assert_int_equal(c.packs, PACKS - 10);
	assert_int_equal(c.never_checked, 0);
	assert_true(c.since_ms >= since);
	/* Those that were gone are not remembered when they are there again. */
	c = verify(dir, 0, PACKS, 0, 0, ages);
	assert_int_equal(ages[0], 0);
	assert_true(ages[10] > 0);
	assert_true(ages[PACKS - 1] > 0);
	assert_int_equal(c.never_checked, 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_verify_memory_follows_the_packs, temp_dir_setup,
		    temp_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
