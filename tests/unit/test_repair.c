/* SPDX-License-Identifier: Apache-2.0 */
/* Damage mapped to ranges, marked, and taken out of use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "store/digest.h"
#include "store/sessions.h"
#include "tests/unit/hurt_rig.h"
#include "tests/unit/store_rig.h"

#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)
#define BLOCKS 64u
#define WRONG 17u

static struct rig rig;
static struct keys keys, after;
static struct image im;
static struct manifest *m;
static struct rig_start start = {
	.rig = &rig, .im = &im, .size_bytes = BLOCKS * BLOCK - 5000, .m = &m
};

static const char *
largest_pack(void)
{
	size_t size, largest = 0, i, at = 0;

	rig_keys(&rig, &keys, "packs/");
	for (i = 0; i < keys.count; i++) {
		free(rig_load(&rig, keys.key[i], &size));
		if (size > largest) {
			largest = size;
			at = i;
		}
	}
	return keys.key[at];
}

static void
test_repair_verify_tells_ranges(void **state)
{
	struct store_verify_result result;
	struct hurt_rig_seen seen;

	(void)state;
	seen = hurt_rig_verify(rig.store, &result);
	assert_int_equal(seen.count, 0);
	assert_int_equal(result.packs, 2);
	assert_int_equal(result.packs_checked, 2);
	hurt_rig_block(&rig, WRONG);
	seen = hurt_rig_verify(rig.store, &result);
	hurt_rig_expect_block(&seen, m, WRONG);
	assert_int_equal(result.damaged_objects, 1);
	/* A lost map is the whole of what it covers, cut at the end. */
	rig_replace(&rig, rig_pack_of(&rig, &keys, false), NULL, 0);
	seen = hurt_rig_verify(rig.store, &result);
	assert_int_equal(seen.bytes, im.size);
	assert_int_equal(seen.range_count, 1);
	assert_int_equal(seen.ranges[0].bytes, im.size);
}

/* Every other block is lost: more ranges than are told. */
static void
test_repair_ranges_are_bounded(void **state)
{
	struct store_verify_result result;
	struct manifest *first, *second;
	struct image odd, both;
	struct hurt_rig_seen seen;
	char key[64];
	uint64_t i;

	(void)state;
	image_init(&odd, 3000 * BLOCK);
	image_init(&both, 3000 * BLOCK);
	for (i = 0; i < 3000; i++) {
		memcpy(both.bytes + i * BLOCK, &i, sizeof(i));
		both.bytes[i * BLOCK + 8] = 1;
	}
	for (i = 1; i < 3000; i += 2)
		memcpy(odd.bytes + i * BLOCK, both.bytes + i * BLOCK, BLOCK);
	rig_keys(&rig, &keys, "packs/");
	first = rig_point(&rig, &odd, NULL, NULL);
	rig_keys(&rig, &after, "packs/");
	second = rig_point(&rig, &both, NULL, NULL);
	for (i = 0; i < after.count; i++)
		if (!rig_has_key(&keys, after.key[i]))
			rig_replace(&rig, after.key[i], NULL, 0);
	/* Gone, as after a prune. */
	snprintf(key, sizeof(key), "points/%s", first->id);
	rig_replace(&rig, key, NULL, 0);
	seen = hurt_rig_verify(rig.store, &result);
	assert_string_equal(seen.point, second->id);
	assert_int_equal(seen.bytes, 1500 * BLOCK);
	assert_int_equal(seen.range_count, STORE_HURT_RANGES_MAX);
	assert_true(seen.more);
	assert_int_equal(seen.ranges[1].offset, 3 * BLOCK);
	assert_int_equal(seen.ranges[1].bytes, BLOCK);
	manifest_free(first);
	manifest_free(second);
	image_fini(&odd);
	image_fini(&both);
}

static void
test_repair_saves_good_frames_and_marks_points(void **state)
{
	struct store_repair_result result;
	struct store_verify_result checked;
	struct hurt_rig_seen seen;

	(void)state;
	hurt_rig_block(&rig, WRONG);
	rig_keys(&rig, &keys, "");
	result = rig_repaired(rig.store, true);
	assert_int_equal(result.blobs_saved, BLOCKS - 1);
	rig_keys(&rig, &after, "");
	assert_int_equal(keys.count, after.count);
	assert_int_equal(keys.bytes, after.bytes);
	result = rig_repaired(rig.store, false);
	assert_int_equal(result.found.damaged_objects, 1);
	assert_int_equal(result.packs_marked, 1);
	assert_int_equal(result.blobs_saved, BLOCKS - 1);
	assert_int_equal(result.blobs_lost, 1);
	assert_int_equal(result.points_marked, 1);
	seen = hurt_rig_marks(rig.store);
	hurt_rig_expect_block(&seen, m, WRONG);
	/* What is marked is not told again; what a point lacks is. */
	seen = hurt_rig_verify(rig.store, &checked);
	hurt_rig_expect_block(&seen, m, WRONG);
	assert_int_equal(checked.damaged_objects, 0);
	assert_int_equal(checked.damaged_points, 1);
	assert_int_equal(checked.marked_packs, 1);
	/* And a second repair has nothing to do. */
	result = rig_repaired(rig.store, false);
	assert_int_equal(result.packs_marked, 0);
	assert_int_equal(result.blobs_saved, 0);
	assert_int_equal(result.points_marked, 0);
	seen = hurt_rig_marks(rig.store);
	hurt_rig_expect_block(&seen, m, WRONG);
}

/* A compressed frame goes whole; those beside it are saved. */
static void
test_repair_saves_what_is_beside_a_lost_frame(void **state)
{
	struct store_repair_result result;
	struct manifest *packed;
	struct image image;
	struct hurt_rig_seen seen;
	size_t i;

	(void)state;
	image_init(&image, 48 * BLOCK);
	image_fill(&image, 0, image.size, 9, true);
	rig_keys(&rig, &keys, "packs/");
	packed = rig_point(&rig, &image, NULL, NULL);
	rig_keys(&rig, &after, "packs/");
	for (i = 0; i < after.count; i++) {
		size_t size;

		free(rig_load(&rig, after.key[i], &size));
		/* The new pack of data: neither the old one nor a map. */
		if (size > BLOCK && !rig_has_key(&keys, after.key[i]))
			rig_flip(&rig, after.key[i], 48);
	}
	result = rig_repaired(rig.store, false);
	assert_int_equal(result.packs_marked, 1);
	assert_int_equal(result.blobs_lost, 16);
	assert_int_equal(result.blobs_saved, 32);
	seen = hurt_rig_marks(rig.store);
	assert_string_equal(seen.point, packed->id);
	assert_int_equal(seen.bytes, 16 * BLOCK);
	rig_expect(rig.store, m, &im);
	manifest_free(packed);
	image_fini(&image);
}

/* Its frames are good, and an index tells where they are. */
static void
test_repair_saves_a_pack_without_its_table(void **state)
{
	struct store_repair_result result;
	size_t size;
	uint8_t *bytes;
	const char *key;

	(void)state;
	key = rig_pack_of(&rig, &keys, true);
	bytes = rig_load(&rig, key, &size);
	rig_replace(&rig, key, bytes, size - 1);
	free(bytes);
	result = rig_repaired(rig.store, false);
	assert_int_equal(result.found.damaged_objects, 1);
	assert_int_equal(result.found.damaged_points, 0);
	assert_int_equal(result.blobs_saved, BLOCKS);
	assert_int_equal(result.blobs_lost, 0);
	assert_int_equal(result.points_marked, 0);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	rig_expect(rig.store, m, &im);
}

/* A cable, not the disk: the bytes were right after all. */
static void
test_repair_brings_back_what_is_whole(void **state)
{
	struct store_repair_result result;
	struct hurt_rig_seen seen;

	(void)state;
	hurt_rig_block(&rig, WRONG);
	rig_repaired(rig.store, false);
	/* The same bit again undoes it. */
	rig_flip(&rig, largest_pack(), 48 + WRONG * BLOCK);
	result = rig_repaired(rig.store, false);
	assert_int_equal(result.packs_back, 1);
	assert_int_equal(result.marks_removed, 1);
	seen = hurt_rig_marks(rig.store);
	assert_int_equal(seen.count, 0);
	rig_expect(rig.store, m, &im);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	rig_keys(&rig, &after, "damage/");
	assert_int_equal(after.count, 0);
}

static void
test_repair_sets_unreadable_objects_aside(void **state)
{
	struct store_repair_result result;
	struct err err = ERR_INIT;
	struct manifest *other;
	uint8_t *bytes, *moved;
	char aside[256];
	size_t size, moved_size;

	(void)state;
	other = rig_point(&rig, &im, NULL, NULL);
	snprintf(aside, sizeof(aside), "points/%s", other->id);
	rig_flip(&rig, aside, 60);
	bytes = rig_load(&rig, aside, &size);
	rig_keys(&rig, &keys, "index/");
	rig_flip(&rig, keys.key[0], 60);
	result = rig_repaired(rig.store, false);
	assert_int_equal(result.found.damaged_objects, 2);
	assert_int_equal(result.objects_aside, 2);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	rig_expect(rig.store, m, &im);
	manifest_free(other);
	/* A commit whose answer was lost finds a word, and a prune no gap. */
	rig_keys(&rig, &keys, "forgotten/");
	assert_int_equal(keys.count, 1);
	rig_pruned(rig.store);
	rig_expect(rig.store, m, &im);
	rig_keys(&rig, &keys, "aside/points/");
	assert_int_equal(keys.count, 1);
	moved = rig_load(&rig, keys.key[0], &moved_size);
	assert_int_equal(moved_size, size);
	assert_memory_equal(moved, bytes, size);
	free(moved);
	free(bytes);
	/* All is still known. */
	assert_int_equal(
	    rig_backup(&rig, rig.store, &other, &im, NULL, NULL, &err), 0);
	assert_int_equal(other->disks[0].new_bytes, 0);
	manifest_free(other);
}

static void
test_repair_leaves_what_is_of_a_later_version(void **state)
{
	struct store_repair_options options = { .threads = 1 };
	struct store_repair_result result;
	struct err err = ERR_INIT;
	char key[64];
	uint8_t *bytes;
	size_t size;

	(void)state;
	snprintf(key, sizeof(key), "points/%s", m->id);
	bytes = rig_load(&rig, key, &size);
	bytes[9]++;
	assert_int_equal(digest_once(bytes + size - DIGEST_BYTES, bytes,
			     size - DIGEST_BYTES, &err),
	    0);
	rig_replace(&rig, key, bytes, size);
	free(bytes);
	hurt_rig_block(&rig, WRONG);
	rig_keys(&rig, &keys, "");
	assert_int_equal(
	    store_repair(rig.store, &options, NULL, NULL, &result, &err), -1);
	assert_int_equal(err.class, ERR_UNSUPPORTED);
	rig_keys(&rig, &after, "");
	assert_int_equal(keys.count, after.count);
}

/* An index may name what no point needs and a prune has removed. */
static void
test_repair_leaves_alone_what_a_prune_removed(void **state)
{
	struct store_repair_result result;
	struct manifest *other;
	struct image image;
	char key[64];
	size_t i, size;

	(void)state;
	rig_keys(&rig, &keys, "packs/");
	image_init(&image, BLOCKS * BLOCK);
	image_fill(&image, 0, image.size, 2, false);
	other = rig_point(&rig, &image, NULL, NULL);
	snprintf(key, sizeof(key), "points/%s", other->id);
	rig_replace(&rig, key, NULL, 0);
	rig_keys(&rig, &after, "packs/");
	for (i = 0; i < after.count; i++) {
		free(rig_load(&rig, after.key[i], &size));
		if (!rig_has_key(&keys, after.key[i]) && size > BLOCK)
			rig_replace(&rig, after.key[i], NULL, 0);
	}
	result = rig_repaired(rig.store, false);
	assert_int_equal(result.packs_marked, 0);
	rig_keys(&rig, &keys, "damage/");
	assert_int_equal(keys.count, 0);
	manifest_free(other);
	image_fini(&image);
}

/* So that a prune beside it leaves its packs in peace. */
static void
test_repair_is_a_session(void **state)
{
	struct session_name name = { .epoch = 0 };
	struct session_object o;
	struct err err = ERR_INIT;
	char tag[2 * SESSION_TAG_BYTES + 1];
	size_t i, length, fresh = 0;

	(void)state;
	hurt_rig_block(&rig, WRONG);
	rig_keys(&rig, &keys, "sessions/");
	name.number = keys.count;
	rig_keys(&rig, &keys, "packs/");
	rig_repaired(rig.store, false);
	assert_int_equal(sessions_get(&o, rig.store, &name, &err), 0);
	hex_encode(tag, o.tag, SESSION_TAG_BYTES);
	session_object_fini(&o);
	rig_keys(&rig, &after, "packs/");
	for (i = 0; i < after.count; i++) {
		if (rig_has_key(&keys, after.key[i]))
			continue;
		fresh++;
		length = strlen(after.key[i]);
		assert_string_equal(
		    after.key[i] + length - 2 * SESSION_TAG_BYTES, tag);
	}
	assert_int_equal(fresh, 1);
	/* It has ended: its point will never be. */
	rig_keys(&rig, &after, "beats/");
	assert_int_equal(after.count, 0);
	rig_keys(&rig, &after, "points/");
	assert_int_equal(after.count, 2);
}

/* Dies at each put or removal in turn; another repair goes on. */
static void
test_repair_may_die_anywhere(void **state)
{
	struct wrap_fault_plan plan = {
		.ops = WRAP_FAULT_PUT | WRAP_FAULT_REMOVE, .class = ERR_IO
	};
	struct store_repair_options options = { .threads = 1 };
	struct store_repair_result result;
	struct err err = ERR_INIT;
	struct manifest *next;
	struct hurt_rig_seen seen;
	int rc = -1;

	for (plan.fail_at = 1; rc == -1; plan.fail_at++) {
		hurt_rig_block(&rig, WRONG);
		rig_keys(&rig, &keys, "index/");
		rig_flip(&rig, keys.key[0], 60);
		wrap_fault_set(&rig.fault, &plan);
		rc = store_repair(
		    rig.store, &options, NULL, NULL, &result, &err);
		wrap_fault_set(
		    &rig.fault, &(struct wrap_fault_plan){ .ops = 0 });
		rig_repaired(rig.store, false);
		seen = hurt_rig_marks(rig.store);
		hurt_rig_expect_block(&seen, m, WRONG);
		next = rig_point(&rig, &im, NULL, NULL);
		assert_int_equal(next->disks[0].new_bytes, BLOCK);
		assert_int_equal(rig_verify(rig.store, NULL), 0);
		rig_expect(rig.store, m, &im);
		manifest_free(next);
		assert_true(plan.fail_at < 40);
		rig_tear_down(state);
		rig_set_up(state);
	}
	assert_true(plan.fail_at > 5);
}

int
main(void)
{
#define REPAIR(name) RIG_CASE(test_repair_##name, &start)
	const struct CMUnitTest tests[] = {
		REPAIR(verify_tells_ranges),
		REPAIR(ranges_are_bounded),
		REPAIR(saves_good_frames_and_marks_points),
		REPAIR(saves_what_is_beside_a_lost_frame),
		REPAIR(saves_a_pack_without_its_table),
		REPAIR(brings_back_what_is_whole),
		REPAIR(sets_unreadable_objects_aside),
		REPAIR(leaves_what_is_of_a_later_version),
		REPAIR(leaves_alone_what_a_prune_removed),
		REPAIR(is_a_session),
		REPAIR(may_die_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
