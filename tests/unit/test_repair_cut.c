/* SPDX-License-Identifier: Apache-2.0 */
/* A repair that ends half way leaves every point as good as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "tests/unit/store_rig.h"

#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)
#define BLOCKS 64u
#define LOST 17u

static struct rig rig;
static struct keys keys;

struct two { /* Points of one pack: the second lacks its lost block. */
	struct image hurt, whole;
	struct manifest *m_hurt, *m_whole;
};

static void
two_init(struct two *t)
{
	const char *data;

	rig_init(&rig, "mem");
	image_init(&t->hurt, BLOCKS * BLOCK);
	image_fill(&t->hurt, 0, t->hurt.size, 1, false);
	image_copy(&t->whole, &t->hurt);
	memset(t->whole.bytes + LOST * BLOCK, 0, BLOCK);
	t->m_hurt = rig_point(&rig, &t->hurt, NULL, NULL);
	data = rig_pack_of(&rig, &keys, true);
	t->m_whole = rig_point(&rig, &t->whole, NULL, NULL);
	rig_flip(&rig, data, 48 + LOST * BLOCK);
}

static void
two_fini(struct two *t)
{
	manifest_free(t->m_hurt);
	manifest_free(t->m_whole);
	image_fini(&t->hurt);
	image_fini(&t->whole);
	rig_fini(&rig);
}

static int
repair_until(const struct wrap_fault_plan *plan)
{
	struct store_repair_options options = { .threads = 1 };
	struct store_repair_result result;
	struct err err = ERR_INIT;
	int rc;

	wrap_fault_set(&rig.fault, plan);
	rc = store_repair(rig.store, &options, NULL, NULL, &result, &err);
	wrap_fault_set(&rig.fault, &(struct wrap_fault_plan){ .ops = 0 });
	return rc;
}

/* As another host would read it, which knows nothing by heart. */
static void
expect_whole(const struct two *t)
{
	static unsigned int turn;
	char cache[320];
	struct store *s;

	snprintf(cache, sizeof(cache), "%s/other-%u", rig.root, turn++);
	s = rig_open_store(&rig, cache);
	rig_expect(s, t->m_whole, &t->whole);
	store_close(s);
}

/* At each put and removal; what no damage hurts restores in between. */
static void
test_repair_cut_leaves_good_points_good(void **state)
{
	struct wrap_fault_plan plan = {
		.ops = WRAP_FAULT_PUT | WRAP_FAULT_REMOVE, .class = ERR_IO
	};
	struct two t;
	int rc = -1;

	(void)state;
	for (plan.fail_at = 1; rc == -1; plan.fail_at++) {
		two_init(&t);
		rc = repair_until(&plan);
		rig_expect(rig.store, t.m_whole, &t.whole);
		expect_whole(&t);
		two_fini(&t);
		assert_true(plan.fail_at < 40);
	}
	assert_true(plan.fail_at > 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repair_cut_leaves_good_points_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
