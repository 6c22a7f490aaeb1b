/* SPDX-License-Identifier: Apache-2.0 */
/* What a commit says when the backend does not answer any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/err.h"
#include "store/points.h"
#include "tests/unit/store_rig.h"

static struct rig rig;
static struct rig_start start = { .rig = &rig };

/* Of any number of calls, that is of more than a backup has. */
#define CALLS_MAX 24

/* From each of its calls on all are done, but nobody hears of it. */
static void check_silence(enum err_class class)
{
	struct wrap_fault_plan plan = {
		.ops = WRAP_FAULT_PUT | WRAP_FAULT_GET,
		.after = true,
		.class = class,
	};
	const struct wrap_fault_plan peace = { .ops = 0 };
	unsigned int made = 0, unknown = 0;
	struct err err = ERR_INIT;
	struct manifest *m;
	struct image im;

	image_init(&im, STORE_BLOCK_BYTES);
	image_fill(&im, 0, im.size, 1, false);
	while (++plan.fail_at <= CALLS_MAX) {
		/* One in peace, which leaves the next the same to do. */
		wrap_fault_set(&rig.fault, &peace);
		assert_int_equal(
		    rig_backup(&rig, rig.store, &m, &im, NULL, NULL, &err), 0);
		manifest_free(m);
		wrap_fault_set(&rig.fault, &plan);
		if (rig_backup(&rig, rig.store, &m, &im, NULL, NULL, &err) ==
		    0) {
			made++;
			manifest_free(m);
		}
		unknown += strstr(err.text, "not known") != NULL;
		err_clear(&err);
	}
	assert_true(made > 0);
	assert_true(unknown > 0);
	image_fini(&im);
}

static void
test_commit_without_an_answer_is_not_known(void **state)
{
	(void)state;
	check_silence(ERR_IO);
}

static void
test_commit_that_timed_out_is_not_known(void **state)
{
	(void)state;
	check_silence(ERR_TIMEOUT);
}

/* What is at a point's key is read twice if it is no manifest. */
static void
test_commit_tombstone_that_is_not_read_is_no_damage(void **state)
{
	static const uint8_t id[OBJECT_ID_BYTES] = { 1, 2, 3 };
	struct wrap_fault_plan plan = { .ops = WRAP_FAULT_GET,
		.fail_at = 1,
		.once = true,
		.class = ERR_TIMEOUT };
	enum point_state found;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(points_give_up(&found, rig.store, id, &err), 0);
	assert_int_equal(found, POINT_TOMBSTONE);
	for (;; plan.fail_at++) {
		wrap_fault_set(&rig.fault, &plan);
		if (points_look(&found, NULL, rig.store, id, &err) == 0)
			break;
		assert_int_equal(err.class, ERR_TIMEOUT);
		err_clear(&err);
	}
	assert_int_equal(found, POINT_TOMBSTONE);
	assert_true(plan.fail_at > 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_CASE(test_commit_without_an_answer_is_not_known, &start),
		RIG_CASE(test_commit_that_timed_out_is_not_known, &start),
		RIG_CASE(test_commit_tombstone_that_is_not_read_is_no_damage,
		    &start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
