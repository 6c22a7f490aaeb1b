/* SPDX-License-Identifier: Apache-2.0 */
/* What a repair says that it lost, found and left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "tests/unit/hurt_rig.h"
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

struct told {
	unsigned int lost, aside;
	char id[HEXID_SIZE], why[128];
};

static void
note_lost_point(void *arg, const char *id, const char *why, bool aside)
{
	struct told *told = arg;

	told->lost++;
	told->aside += aside;
	snprintf(told->id, sizeof(told->id), "%s", id);
	snprintf(told->why, sizeof(told->why), "%s", why);
}

static struct store_repair_result
repair(bool dry_run, struct told *told)
{
	struct store_repair_options options = {
		.dry_run = dry_run, .threads = 2, .lost = note_lost_point
	};
	struct store_repair_result result;
	struct err err = ERR_INIT;

	memset(told, 0, sizeof(*told));
	if (store_repair(rig.store, &options, NULL, told, &result, &err) == -1)
		fail_msg("repair: %s", err.text);
	return result;
}

static void
count_mark(void *arg, const struct store_hurt *hurt)
{
	(void)hurt;
	++*(unsigned int *)arg;
}

static unsigned int
marked(void)
{
	unsigned int count = 0;
	struct err err = ERR_INIT;

	assert_int_equal(store_marks(rig.store, count_mark, &count, &err), 0);
	return count;
}

static void
test_repair_told_which_point_is_lost(void **state)
{
	struct store_repair_result result;
	struct told told;
	char key[64];
	int dry;

	(void)state;
	snprintf(key, sizeof(key), "points/%s", m->id);
	rig_flip(&rig, key, 60);
	for (dry = 1; dry >= 0; dry--) {
		result = repair(dry, &told);
		assert_int_equal(result.points_lost, 1);
		assert_int_equal(result.objects_aside, 1);
		assert_int_equal(result.objects_left, 0);
		assert_int_equal(told.lost, 1);
		assert_int_equal(told.aside, 1);
		assert_string_equal(told.id, m->id);
		assert_true(told.why[0] != '\0');
	}
	result = repair(false, &told);
	assert_int_equal(result.points_lost, 0);
}

/* Nobody misses it, and its bytes are kept all the same. */
static void
test_repair_told_nothing_of_a_forgotten_point(void **state)
{
	struct store_repair_result result;
	struct err err = ERR_INIT;
	struct told told;
	char key[64];
	int dry;

	(void)state;
	assert_int_equal(store_point_forget(rig.store, m->id, &err), 0);
	snprintf(key, sizeof(key), "points/%s", m->id);
	rig_flip(&rig, key, 60);
	for (dry = 1; dry >= 0; dry--) {
		result = repair(dry, &told);
		assert_int_equal(told.lost, 0);
		assert_int_equal(result.points_lost, 0);
		assert_int_equal(result.objects_aside, 1);
	}
}

/* Neither its own table is left nor any index that names it. */
static void
test_repair_told_of_packs_without_any_table(void **state)
{
	struct store_repair_result result;
	struct told told;
	const char *key;
	uint8_t *bytes;
	size_t size;
	int dry;

	(void)state;
	key = rig_pack_of(&rig, &keys, true);
	bytes = rig_load(&rig, key, &size);
	rig_replace(&rig, key, bytes, size - 1);
	free(bytes);
	rig_keys(&rig, &keys, "index/");
	while (keys.count > 0)
		rig_replace(&rig, keys.key[--keys.count], NULL, 0);
	for (dry = 1; dry >= 0; dry--) {
		result = repair(dry, &told);
		assert_int_equal(result.packs_marked, 1);
		assert_int_equal(result.packs_unknown, 1);
		assert_int_equal(result.blobs_lost, 0);
	}
	assert_int_equal(marked(), 1);
}

static void
test_repair_told_what_a_missing_pack_had(void **state)
{
	struct store_repair_result result;
	struct told told;

	(void)state;
	rig_replace(&rig, rig_pack_of(&rig, &keys, true), NULL, 0);
	result = repair(true, &told);
	assert_int_equal(result.packs_marked, 1);
	assert_int_equal(result.blobs_lost, BLOCKS);
	result = repair(false, &told);
	assert_int_equal(result.blobs_lost, BLOCKS);
	assert_int_equal(result.points_marked, 1);
}

/* Its blocks are there, and wrong: who has just read them must not say that
 * the point is whole. */
static void
test_repair_told_verify_keeps_true_marks(void **state)
{
	struct store_repair_result result;
	struct store_verify_result checked;
	struct told told;
	size_t i;

	(void)state;
	hurt_rig_block(&rig, 17);
	repair(false, &told);
	assert_int_equal(marked(), 1);
	/* Of the two marks that of the pack is lost. */
	rig_keys(&rig, &keys, "damage/");
	assert_int_equal(keys.count, 2);
	for (i = 0; i < 2; i++) {
		rig_flip(&rig, keys.key[i], 60);
		if (marked() == 1)
			break;
		rig_flip(&rig, keys.key[i], 60);
	}
	assert_true(i < 2);
	/* The copies as well, so that the point needs the pack again. */
	assert_true(rig_verify(rig.store, &checked) > 0);
	assert_int_equal(checked.damaged_points, 1);
	assert_int_equal(checked.marks_removed, 0);
	assert_int_equal(marked(), 1);
	/* A mark that cannot be read is damage, and is set aside. */
	result = repair(false, &told);
	assert_int_equal(result.objects_aside, 1);
	assert_int_equal(result.packs_marked, 1);
	rig_keys(&rig, &keys, "aside/damage/");
	assert_int_equal(keys.count, 1);
	rig_verify(rig.store, &checked);
	assert_int_equal(checked.damaged_objects, 0);
	assert_int_equal(marked(), 1);
}

/* A key that opens nothing is damage, and no repair makes it anew. */
static void
test_repair_told_what_stays_damaged(void **state)
{
	struct store_repair_result result;
	struct told told;

	(void)state;
	if (!rig_sealed())
		skip();
	rig_keys(&rig, &keys, "keys/");
	assert_true(keys.count > 0);
	rig_flip(&rig, keys.key[0], 60);
	assert_int_equal(rig_verify(rig.store, NULL), 1);
	result = repair(false, &told);
	assert_int_equal(result.objects_left, 1);
	assert_int_equal(result.objects_aside, 0);
}

static void
test_repair_told_marks_of_points_that_are_gone(void **state)
{
	struct store_verify_result checked;
	struct told told;
	char key[64];

	(void)state;
	hurt_rig_block(&rig, 17);
	repair(false, &told);
	snprintf(key, sizeof(key), "points/%s", m->id);
	rig_replace(&rig, key, NULL, 0);
	rig_verify(rig.store, &checked);
	assert_int_equal(checked.marks_removed, 0);
	assert_int_equal(checked.marks_of_gone, 1);
}

/* Whoever may add can take each name that he can think of. */
static void
test_repair_told_sets_aside_beside_others(void **state)
{
	struct backend *b = rig_backend(&rig);
	uint8_t *bytes, *copy;
	struct err err = ERR_INIT;
	struct told told;
	char key[64], aside[128];
	bool found = false;
	size_t size, i, n;

	(void)state;
	snprintf(key, sizeof(key), "points/%s", m->id);
	rig_flip(&rig, key, 60);
	bytes = rig_load(&rig, key, &size);
	snprintf(aside, sizeof(aside), "aside/%s", key);
	assert_int_equal(backend_put(b, aside, "x", 1, &err), 0);
	for (i = 1; i < 32; i++) {
		snprintf(aside, sizeof(aside), "aside/%s.%zu", key, i);
		assert_int_equal(backend_put(b, aside, "x", 1, &err), 0);
	}
	backend_close(b);
	assert_int_equal(repair(false, &told).objects_aside, 1);
	assert_int_equal(told.aside, 1);
	rig_keys(&rig, &keys, "aside/points/");
	assert_int_equal(keys.count, 33);
	for (i = 0; i < keys.count && !found; i++) {
		if (strlen(keys.key[i]) < strlen(aside) + 8)
			continue;
		copy = rig_load(&rig, keys.key[i], &n);
		found = n == size && memcmp(copy, bytes, n) == 0;
		free(copy);
	}
	assert_true(found);
	free(bytes);
}

int
main(void)
{
#define TOLD(name) RIG_CASE(test_repair_told_##name, &start)
	const struct CMUnitTest tests[] = {
		TOLD(which_point_is_lost),
		TOLD(nothing_of_a_forgotten_point),
		TOLD(of_packs_without_any_table),
		TOLD(what_a_missing_pack_had),
		TOLD(verify_keeps_true_marks),
		TOLD(what_stays_damaged),
		TOLD(marks_of_points_that_are_gone),
		TOLD(sets_aside_beside_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
