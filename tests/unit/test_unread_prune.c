/* SPDX-License-Identifier: Apache-2.0 */
/* Who takes away, or builds upon packs, on a disk that cannot read some. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "store/damage.h"
#include "store/store_internal.h"
#include "tests/unit/sick.h"
#include "tests/unit/store_rig.h"

#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)
#define BLOCKS 64u

static struct rig rig;
static struct keys keys;
static struct image im;
static struct manifest *m;
static struct rig_start start = {
	.rig = &rig, .im = &im, .size_bytes = BLOCKS * BLOCK, .m = &m
};
static struct rig_start start_public = { .rig = &rig,
	.public_mode = true,
	.im = &im,
	.size_bytes = BLOCKS * BLOCK,
	.m = &m };
static struct sick sick;

static int
teardown(void **state)
{
	sick_end(&sick);
	return rig_tear_down(state);
}

static bool
is_there(const char *key)
{
	rig_keys(&rig, &keys, key);
	return rig_has_key(&keys, key);
}

static void
expect_repair(unsigned int packs_marked, unsigned int points_marked)
{
	const struct store_repair_result result =
	    rig_repaired(rig.store, false);

	assert_int_equal(result.packs_marked, packs_marked);
	assert_int_equal(result.points_marked, points_marked);
}

/* What a prune cannot see it must not judge. */
static void
test_unread_prune_objects_end_a_prune(void **state)
{
	const char *const prefixes[] = { "index/", "damage/",
		rig_pack_of(&rig, &keys, false) };
	struct store_prune_result result;
	struct keys before, after;
	struct err err = ERR_INIT;
	uint8_t id[OBJECT_ID_BYTES] = { 1 };
	size_t i;

	(void)state;
	assert_int_equal(
	    damage_put_pack(rig.store->backend, rig.store->seal, id, &err), 0);
	rig_keys(&rig, &before, "packs/");
	for (i = 0; i < 3; i++) {
		sick_begin(&sick, rig.store);
		sick_add(&sick, prefixes[i]);
		err_clear(&err);
		assert_int_equal(rig_prune(rig.store, &result, &err), -1);
		assert_int_equal(err.class, ERR_IO);
		sick_end(&sick);
		rig_keys(&rig, &after, "packs/");
		assert_int_equal(before.count, after.count);
	}
}

/* The pack of data cannot be read from now on, and a repair marks it. */
static void
mark_unread(char data[BACKEND_KEY_MAX + 1])
{
	snprintf(
	    data, BACKEND_KEY_MAX + 1, "%s", rig_pack_of(&rig, &keys, true));
	sick_begin(&sick, rig.store);
	sick_add(&sick, data);
	expect_repair(1, 1);
}

/* A disk that can read it again: nothing of it was given away. */
static void
expect_back(void)
{
	assert_int_equal(rig_repaired(rig.store, false).packs_back, 1);
	rig_expect(rig.store, m, &im);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
}

static void
expect_marked_stays(void)
{
	char data[BACKEND_KEY_MAX + 1];

	mark_unread(data);
	rig_pruned(rig.store);
	rig_pruned(rig.store);
	assert_true(is_there(data));
	sick_end(&sick);
	expect_back();
}

/* Nobody can say that what only it has is wrong. */
static void
test_unread_prune_marked_pack_stays(void **state)
{
	(void)state;
	expect_marked_stays();
}

/* It has nothing then that is not elsewhere - where a host is believed. */
static void
expect_healed(bool stays)
{
	char data[BACKEND_KEY_MAX + 1];
	struct manifest *again;

	mark_unread(data);
	again = rig_point(&rig, &im, NULL, NULL);
	rig_pruned(rig.store);
	rig_pruned(rig.store);
	assert_int_equal(is_there(data), stays);
	rig_expect(rig.store, m, &im);
	rig_expect(rig.store, again, &im);
	sick_end(&sick);
	manifest_free(again);
}

static void
test_unread_prune_marked_pack_goes_once_healed(void **state)
{
	(void)state;
	expect_healed(false);
}

static void
test_unread_prune_marked_pack_stays_in_public(void **state)
{
	(void)state;
	expect_healed(true);
	expect_back();
}

static void
test_unread_prune_marked_pack_without_an_index_stays(void **state)
{
	(void)state;
	rig_replace(&rig, rig_only_key(&rig, &keys, "index/"), NULL, 0);
	expect_marked_stays();
}

/* What it names is as lost as the point's mark says. */
static void
test_unread_prune_piece_that_is_told_ends_no_prune(void **state)
{
	struct store_prune_result result;
	struct err err = ERR_INIT;
	char map[BACKEND_KEY_MAX + 1];
	uint8_t id[OBJECT_ID_BYTES];

	(void)state;
	snprintf(map, sizeof(map), "%s", rig_pack_of(&rig, &keys, false));
	object_key_parse(id, OBJECT_PACK, map);
	assert_int_equal(
	    damage_put_pack(rig.store->backend, rig.store->seal, id, &err), 0);
	sick_begin(&sick, rig.store);
	sick_add(&sick, map);
	/* Of a pack alone a mark says too little. */
	assert_int_equal(rig_prune(rig.store, &result, &err), -1);
	assert_int_equal(err.class, ERR_IO);
	assert_non_null(strstr(err.hint, "holdstill repair"));
	expect_repair(0, 1);
	rig_pruned(rig.store);
	assert_true(is_there(map));
}

static void
test_unread_prune_manifest_is_removed_by_hand(void **state)
{
	char point[BACKEND_KEY_MAX + 1];
	struct store_prune_result pruned;
	struct err err = ERR_INIT;

	(void)state;
	snprintf(point, sizeof(point), "points/%s", m->id);
	sick_begin(&sick, rig.store);
	sick_add(&sick, point);
	assert_int_equal(rig_repaired(rig.store, false).objects_left, 1);
	assert_int_equal(rig_prune(rig.store, &pruned, &err), -1);
	assert_int_equal(err.class, ERR_IO);
	assert_non_null(strstr(err.hint, "by hand"));
	sick_end(&sick);
	rig_replace(&rig, point, NULL, 0);
	rig_pruned(rig.store);
}

/* Packs that another might have marked are not to be built upon. */
static void
test_unread_prune_mark_ends_a_backup(void **state)
{
	struct err err = ERR_INIT;
	uint8_t id[OBJECT_ID_BYTES] = { 1 };
	struct manifest *none;
	struct keys marks;
	int i;

	(void)state;
	assert_int_equal(
	    damage_put_pack(rig.store->backend, rig.store->seal, id, &err), 0);
	rig_keys(&rig, &marks, "damage/");
	assert_int_equal(marks.count, 1);
	for (i = 0; i < 2; i++) {
		if (i == 0) {
			sick_begin(&sick, rig.store);
			sick_add(&sick, "damage/");
		} else {
			rig_flip(&rig, marks.key[0], 60);
		}
		err_clear(&err);
		assert_int_equal(
		    rig_backup(&rig, rig.store, &none, &im, NULL, NULL, &err),
		    -1);
		assert_int_equal(err.class, i == 0 ? ERR_IO : ERR_CORRUPT);
		assert_non_null(strstr(err.text, marks.key[0]));
		assert_non_null(strstr(err.hint, "holdstill repair"));
		sick_end(&sick);
	}
	expect_repair(0, 0);
	manifest_free(rig_point(&rig, &im, NULL, NULL));
}

#define WITH(name, start) \
	cmocka_unit_test_prestate_setup_teardown( \
	    test_unread_prune_##name, rig_set_up, teardown, start)
#define CASE(name) WITH(name, &start)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(objects_end_a_prune),
		CASE(marked_pack_stays),
		CASE(marked_pack_goes_once_healed),
		WITH(marked_pack_stays_in_public, &start_public),
		CASE(marked_pack_without_an_index_stays),
		CASE(piece_that_is_told_ends_no_prune),
		CASE(manifest_is_removed_by_hand),
		CASE(mark_ends_a_backup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
