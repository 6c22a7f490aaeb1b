/* SPDX-License-Identifier: Apache-2.0 */
/* A prune that another one overtakes, and one that comes after another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "tests/unit/store_rig.h"

#define MIB (1u << 20)

static struct rig rig;
static struct rig_start start = { .rig = &rig };

struct other {
	struct store *store;
	const char *at; /* What the first says then. */
	bool done;
};

/* All rounds of another prune, while the first is about to go on. */
static void
overtake(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct other *other = arg;
	struct store_prune_result result;
	struct err err = ERR_INIT;

	(void)done;
	(void)total;
	if (other->done || strcmp(what, other->at) != 0)
		return;
	other->done = true;
	if (rig_prune(other->store, &result, &err) == -1)
		fail_msg("the other prune: %s", err.text);
	assert_true(result.packs_removed > 0);
}

/* Of two points the older is forgotten: half of its pack is still needed. */
static struct manifest *
half_needed(struct image *now)
{
	struct manifest *old, *m;
	struct err err = ERR_INIT;
	struct image before;

	image_init(&before, 2 * MIB);
	image_fill(&before, 0, 2 * MIB, 1, false);
	image_copy(now, &before);
	image_fill(now, 0, MIB, 2, false);
	assert_int_equal(
	    rig_backup(&rig, rig.store, &old, &before, NULL, NULL, &err), 0);
	assert_int_equal(
	    rig_backup(&rig, rig.store, &m, now, old, &before, &err), 0);
	assert_int_equal(store_point_forget(rig.store, old->id, &err), 0);
	manifest_free(old);
	image_fini(&before);
	return m;
}

static void
test_prune_beside_one_that_is_faster_begins_again(void **state)
{
	char cache[300];
	struct other other = { .at = "packs written anew" };
	const struct store_prune_options options = {
		.silence_ms = 1, .progress = overtake, .arg = &other
	};
	struct store_prune_result result;
	struct err err = ERR_INIT;
	struct manifest *m;
	struct image now;

	(void)state;
	m = half_needed(&now);
	snprintf(cache, sizeof(cache), "%s/other", rig.root);
	other.store = rig_open_store(&rig, cache);
	if (store_prune(rig.store, &options, &result, &err) == -1)
		fail_msg("prune: %s", err.text);
	assert_true(other.done);
	assert_int_equal(result.packs_rewritten, 0);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	rig_expect(other.store, m, &now);
	store_close(other.store);
	manifest_free(m);
	image_fini(&now);
}

/* A point that was forgotten before any epoch knew it. */
static void
test_prune_beside_a_late_put_keeps_the_tombstone(void **state)
{
	struct store_prune_result result;
	struct err err = ERR_INIT;
	struct keys keys;
	struct manifest *m;
	struct image im;

	(void)state;
	image_init(&im, MIB);
	image_fill(&im, 0, MIB, 1, false);
	assert_int_equal(
	    rig_backup(&rig, rig.store, &m, &im, NULL, NULL, &err), 0);
	assert_int_equal(store_point_forget(rig.store, m->id, &err), 0);
	assert_int_equal(rig_prune(rig.store, &result, &err), 0);
	assert_int_equal(result.points_removed, 1);
	assert_int_equal(rig_prune(rig.store, &result, &err), 0);
	assert_int_equal(result.points_removed, 0);
	rig_keys(&rig, &keys, "points/");
	assert_int_equal(keys.count, 1);
	assert_true(store_point_gone(rig.store, m->id));
	manifest_free(m);
	image_fini(&im);
}

static void
no_index(void *arg, const struct store_damage *damage)
{
	(void)arg;
	if (strncmp(damage->object, "index/", 6) == 0)
		fail_msg("%s: %s", damage->object, damage->what);
}

/* An index that was listed, and is not there when it is read. */
static void
test_prune_beside_a_verify_damages_no_index(void **state)
{
	const struct store_verify_options options = { .threads = 1 };
	struct wrap_fault_plan plan = {
		.ops = WRAP_FAULT_GET, .once = true, .class = ERR_NOT_FOUND
	};
	struct store_verify_result result;
	struct err err = ERR_INIT;
	struct manifest *m;
	struct image now;

	(void)state;
	m = half_needed(&now);
	do {
		plan.fail_at++;
		wrap_fault_set(&rig.fault, &plan);
		err_clear(&err);
		store_verify(
		    rig.store, &options, no_index, NULL, &result, &err);
	} while (wrap_fault_calls(&rig.fault) >= plan.fail_at);
	assert_true(plan.fail_at > 10);
	assert_int_equal(result.damaged_objects, 0);
	manifest_free(m);
	image_fini(&now);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_CASE(
		    test_prune_beside_one_that_is_faster_begins_again, &start),
		RIG_CASE(
		    test_prune_beside_a_late_put_keeps_the_tombstone, &start),
		RIG_CASE(test_prune_beside_a_verify_damages_no_index, &start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
