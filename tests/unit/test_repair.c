/* SPDX-License-Identifier: Apache-2.0 */
/* Damage mapped to ranges, marked, taken out of use, and healed. */
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
#include "tests/unit/store_rig.h"

#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)
#define BLOCKS 64u

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

struct seen {
	unsigned int count;
	char point[HEXID_SIZE];
	uint64_t bytes;
	struct store_range ranges[8];
	size_t range_count;
	bool more;
};

static void
see(void *arg, const struct store_hurt *hurt)
{
	struct seen *seen = arg;
	size_t i;

	seen->count++;
	assert_string_equal(hurt->disk, "vda");
	snprintf(seen->point, sizeof(seen->point), "%s", hurt->point);
	seen->bytes = hurt->bytes;
	seen->range_count = hurt->range_count;
	seen->more = hurt->more;
	for (i = 0; i < hurt->range_count && i < 8; i++)
		seen->ranges[i] = hurt->ranges[i];
}

static struct seen
verify_hurt(struct store_verify_result *result)
{
	struct seen seen = { .count = 0 };
	struct store_verify_options options = { .threads = 2, .hurt = see };
	struct err err = ERR_INIT;

	if (store_verify(rig.store, &options, NULL, &seen, result, &err) == -1)
		fail_msg("verify: %s", err.text);
	return seen;
}

static struct seen
marks(void)
{
	struct seen seen = { .count = 0 };
	struct err err = ERR_INIT;

	assert_int_equal(store_marks(rig.store, see, &seen, &err), 0);
	return seen;
}

/* Blocks are stored as they are, in their order. */
static void
damage_block(void)
{
	rig_flip(&rig, rig_pack_of(&rig, &keys, true), 48 + 17 * BLOCK);
}

static void
expect_block(const struct seen *seen)
{
	assert_int_equal(seen->count, 1);
	assert_string_equal(seen->point, m->id);
	assert_int_equal(seen->bytes, BLOCK);
	assert_int_equal(seen->range_count, 1);
	assert_int_equal(seen->ranges[0].offset, 17 * BLOCK);
	assert_int_equal(seen->ranges[0].bytes, BLOCK);
	assert_false(seen->more);
}

static void
test_repair_verify_tells_ranges(void **state)
{
	struct store_verify_result result;
	struct seen seen;

	(void)state;
	seen = verify_hurt(&result);
	assert_int_equal(seen.count, 0);
	assert_int_equal(result.packs, 2);
	assert_int_equal(result.packs_checked, 2);
	damage_block();
	seen = verify_hurt(&result);
	expect_block(&seen);
	assert_int_equal(result.damaged_objects, 1);
	/* A lost map is the whole of what it covers, cut at the end. */
	rig_replace(&rig, rig_pack_of(&rig, &keys, false), NULL, 0);
	seen = verify_hurt(&result);
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
	struct seen seen;
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
	seen = verify_hurt(&result);
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
	struct seen seen;

	(void)state;
	damage_block();
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
	seen = marks();
	expect_block(&seen);
	/* What is marked is not told again; what a point lacks is. */
	seen = verify_hurt(&checked);
	expect_block(&seen);
	assert_int_equal(checked.damaged_objects, 0);
	assert_int_equal(checked.damaged_points, 1);
	assert_int_equal(checked.marked_packs, 1);
	/* And a second repair has nothing to do. */
	result = rig_repaired(rig.store, false);
	assert_int_equal(result.packs_marked, 0);
	assert_int_equal(result.blobs_saved, 0);
	assert_int_equal(result.points_marked, 0);
	seen = marks();
	expect_block(&seen);
}

/* A compressed frame goes whole; those beside it are saved. */
static void
test_repair_saves_what_is_beside_a_lost_frame(void **state)
{
	struct store_repair_result result;
	struct manifest *packed;
	struct image image;
	struct seen seen;
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
	seen = marks();
	assert_string_equal(seen.point, packed->id);
	assert_int_equal(seen.bytes, 16 * BLOCK);
	rig_expect(rig.store, m, &im);
	manifest_free(packed);
	image_fini(&image);
}

static void
test_repair_lets_the_next_backup_heal(void **state)
{
	struct store_verify_result checked;
	struct manifest *next;
	struct seen seen;
	bool any;
	struct err err = ERR_INIT;

	(void)state;
	damage_block();
	rig_repaired(rig.store, false);
	assert_int_equal(store_any_damage(&any, rig.store, &err), 0);
	assert_true(any);
	next = rig_point(&rig, &im, NULL, NULL);
	assert_int_equal(next->disks[0].new_bytes, BLOCK);
	rig_expect(rig.store, next, &im);
	rig_expect(rig.store, m, &im);
	seen = verify_hurt(&checked);
	assert_int_equal(seen.count, 0);
	assert_int_equal(checked.damaged_points, 0);
	assert_int_equal(checked.marks_removed, 1);
	seen = marks();
	assert_int_equal(seen.count, 0);
	manifest_free(next);
}

struct lost {
	uint64_t offset, bytes;
	unsigned int count;
};

static int
note_lost(void *arg, uint64_t offset, uint64_t bytes, struct err *err)
{
	struct lost *lost = arg;

	(void)err;
	lost->offset = offset;
	lost->bytes = bytes;
	lost->count++;
	return 0;
}

/* What an incremental has to read again though nothing changed there. */
static void
test_repair_tells_what_a_base_lacks(void **state)
{
	struct lost lost = { 0 };
	struct err err = ERR_INIT;
	struct image stale;
	struct manifest *next;
	bool map_lost, whole;

	(void)state;
	damage_block();
	rig_repaired(rig.store, false);
	assert_int_equal(store_disk_lost(rig.store, &m->disks[0], &map_lost,
			     note_lost, &lost, &err),
	    0);
	assert_false(map_lost);
	assert_int_equal(lost.count, 1);
	assert_int_equal(lost.offset, 17 * BLOCK);
	assert_int_equal(lost.bytes, BLOCK);
	assert_int_equal(store_point_whole(&whole, rig.store, m, &err), 0);
	assert_false(whole);
	/* An incremental that reads them: the base is whole again, too. */
	image_copy(&stale, &im);
	memset(stale.bytes + 17 * BLOCK, 0, BLOCK);
	next = rig_point(&rig, &im, m, &stale);
	rig_expect(rig.store, next, &im);
	rig_expect(rig.store, m, &im);
	assert_int_equal(store_point_whole(&whole, rig.store, m, &err), 0);
	assert_true(whole);
	manifest_free(next);
	image_fini(&stale);
}

static void
test_repair_of_a_lost_map_asks_for_a_full(void **state)
{
	struct lost lost = { 0 };
	struct err err = ERR_INIT;
	struct manifest *next;
	bool map_lost;

	(void)state;
	rig_replace(&rig, rig_pack_of(&rig, &keys, false), NULL, 0);
	assert_int_equal(rig_repaired(rig.store, false).packs_marked, 1);
	assert_int_equal(store_disk_lost(rig.store, &m->disks[0], &map_lost,
			     note_lost, &lost, &err),
	    0);
	assert_true(map_lost);
	next = rig_point(&rig, &im, NULL, NULL);
	assert_int_equal(next->disks[0].new_bytes, 0);
	rig_expect(rig.store, m, &im);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	manifest_free(next);
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
	struct seen seen;

	(void)state;
	damage_block();
	rig_repaired(rig.store, false);
	/* The same bit again undoes it. */
	rig_flip(&rig, largest_pack(), 48 + 17 * BLOCK);
	result = rig_repaired(rig.store, false);
	assert_int_equal(result.packs_back, 1);
	assert_int_equal(result.marks_removed, 1);
	seen = marks();
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
	damage_block();
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
	damage_block();
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

/* A lost block keeps its pack no longer than what is good in it. */
static void
test_repair_lets_a_prune_go_on(void **state)
{
	struct store_verify_result checked;
	struct seen seen;
	char damaged[BACKEND_KEY_MAX + 1];
	size_t i;

	(void)state;
	damage_block();
	snprintf(
	    damaged, sizeof(damaged), "%s", rig_pack_of(&rig, &keys, true));
	rig_repaired(rig.store, false);
	assert_int_equal(rig_pruned(rig.store).packs_removed, 1);
	rig_keys(&rig, &after, "packs/");
	for (i = 0; i < after.count; i++)
		assert_string_not_equal(after.key[i], damaged);
	seen = marks();
	expect_block(&seen);
	seen = verify_hurt(&checked);
	expect_block(&seen);
	/* Its mark goes, the point's stays, and so does the next prune. */
	rig_repaired(rig.store, false);
	rig_repaired(rig.store, false);
	seen = marks();
	expect_block(&seen);
	assert_int_equal(rig_pruned(rig.store).packs_removed, 0);
}

/* What only a marked pack has, and is right, is not given away. */
static void
test_repair_prune_keeps_what_only_a_marked_pack_has(void **state)
{
	char damaged[BACKEND_KEY_MAX + 1];
	struct seen seen;
	size_t i;

	(void)state;
	damage_block();
	snprintf(
	    damaged, sizeof(damaged), "%s", rig_pack_of(&rig, &keys, true));
	rig_keys(&rig, &keys, "");
	rig_repaired(rig.store, false);
	/* Without the copies, as if the repair had been killed. */
	rig_keys(&rig, &after, "packs/");
	for (i = 0; i < after.count; i++)
		if (!rig_has_key(&keys, after.key[i]))
			rig_replace(&rig, after.key[i], NULL, 0);
	rig_pruned(rig.store);
	free(rig_load(&rig, damaged, &i));
	rig_repaired(rig.store, false);
	seen = marks();
	expect_block(&seen);
}

struct salvaged {
	struct image got;
	struct lost lost;
};

static int
take(void *arg, uint64_t offset, const void *buf, size_t size, struct err *err)
{
	struct salvaged *s = arg;

	(void)err;
	assert_true(offset + size <= s->got.size);
	memcpy(s->got.bytes + offset, buf, size);
	return 0;
}

static int
lose(void *arg, uint64_t offset, uint64_t bytes, struct err *err)
{
	struct salvaged *s = arg;

	return note_lost(&s->lost, offset, bytes, err);
}

/* Reads what there is; what is lost is as it was, zeros. */
static void
salvage(struct salvaged *out)
{
	struct err err = ERR_INIT;
	struct store_reader *r;
	uint64_t data;

	memset(out, 0, sizeof(*out));
	image_init(&out->got, im.size);
	assert_int_equal(
	    store_reader_open(&r, rig.store, &m->disks[0], &err), 0);
	store_reader_salvage(r, lose, out);
	assert_int_equal(store_reader_data_bytes(r, &data, &err), 0);
	if (store_reader_stream(r, 2, take, out, &err) == -1)
		fail_msg("stream: %s", err.text);
	store_reader_close(r);
}

static void
expect_salvaged(uint64_t from, uint64_t to)
{
	struct salvaged s;
	uint64_t i;

	salvage(&s);
	assert_int_equal(s.lost.count, 1);
	assert_int_equal(s.lost.offset, from);
	assert_int_equal(s.lost.bytes, to - from);
	assert_memory_equal(s.got.bytes, im.bytes, from);
	for (i = from; i < to; i++)
		assert_int_equal(s.got.bytes[i], 0);
	assert_memory_equal(s.got.bytes + to, im.bytes + to, im.size - to);
	image_fini(&s.got);
}

static void
test_repair_salvage_reads_what_there_is(void **state)
{
	struct err err = ERR_INIT;
	struct image got;

	(void)state;
	damage_block();
	assert_int_equal(rig_read(rig.store, m, &got, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	image_fini(&got);
	expect_salvaged(17 * BLOCK, 18 * BLOCK);
	rig_repaired(rig.store, false);
	expect_salvaged(17 * BLOCK, 18 * BLOCK);
	/* With the map all is gone, to the disk's end and no further. */
	rig_keys(&rig, &after, "packs/");
	while (after.count > 0)
		rig_replace(&rig, after.key[--after.count], NULL, 0);
	expect_salvaged(0, im.size);
}

/* Those that no pack holds are asked for together. */
static void
test_repair_salvage_passes_over_several(void **state)
{
	struct salvaged s;

	(void)state;
	damage_block();
	rig_flip(&rig, rig_pack_of(&rig, &keys, true), 48 + 19 * BLOCK);
	rig_repaired(rig.store, false);
	salvage(&s);
	assert_int_equal(s.lost.count, 2);
	assert_memory_equal(s.got.bytes, im.bytes, 17 * BLOCK);
	assert_memory_equal(
	    s.got.bytes + 20 * BLOCK, im.bytes + 20 * BLOCK, 20 * BLOCK);
	image_fini(&s.got);
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
	struct seen seen;
	int rc = -1;

	for (plan.fail_at = 1; rc == -1; plan.fail_at++) {
		damage_block();
		rig_keys(&rig, &keys, "index/");
		rig_flip(&rig, keys.key[0], 60);
		wrap_fault_set(&rig.fault, &plan);
		rc = store_repair(
		    rig.store, &options, NULL, NULL, &result, &err);
		wrap_fault_set(
		    &rig.fault, &(struct wrap_fault_plan){ .ops = 0 });
		rig_repaired(rig.store, false);
		seen = marks();
		expect_block(&seen);
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
		REPAIR(lets_the_next_backup_heal),
		REPAIR(tells_what_a_base_lacks),
		REPAIR(of_a_lost_map_asks_for_a_full),
		REPAIR(saves_a_pack_without_its_table),
		REPAIR(brings_back_what_is_whole),
		REPAIR(sets_unreadable_objects_aside),
		REPAIR(leaves_what_is_of_a_later_version),
		REPAIR(leaves_alone_what_a_prune_removed),
		REPAIR(is_a_session),
		REPAIR(lets_a_prune_go_on),
		REPAIR(prune_keeps_what_only_a_marked_pack_has),
		REPAIR(salvage_reads_what_there_is),
		REPAIR(salvage_passes_over_several),
		REPAIR(may_die_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
