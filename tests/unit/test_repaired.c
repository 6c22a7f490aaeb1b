/* SPDX-License-Identifier: Apache-2.0 */
/* After a repair: backups heal, prunes go on, and what is there is read. */
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
#define WRONG 17u

static struct rig rig;
static struct keys keys, after;
static struct image im;
static struct manifest *m;
static struct rig_start start = {
	.rig = &rig, .im = &im, .size_bytes = BLOCKS * BLOCK - 5000, .m = &m
};

static void
test_repaired_lets_the_next_backup_heal(void **state)
{
	struct store_verify_result checked;
	struct manifest *next;
	struct hurt_rig_seen seen;
	bool any;
	struct err err = ERR_INIT;

	(void)state;
	hurt_rig_block(&rig, WRONG);
	rig_repaired(rig.store, false);
	assert_int_equal(store_any_damage(&any, rig.store, &err), 0);
	assert_true(any);
	next = rig_point(&rig, &im, NULL, NULL);
	assert_int_equal(next->disks[0].new_bytes, BLOCK);
	rig_expect(rig.store, next, &im);
	rig_expect(rig.store, m, &im);
	seen = hurt_rig_verify(rig.store, &checked);
	assert_int_equal(seen.count, 0);
	assert_int_equal(checked.damaged_points, 0);
	assert_int_equal(checked.marks_removed, 1);
	seen = hurt_rig_marks(rig.store);
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
test_repaired_tells_what_a_base_lacks(void **state)
{
	struct lost lost = { 0 };
	struct err err = ERR_INIT;
	struct image stale;
	struct manifest *next;
	bool map_lost, whole;

	(void)state;
	hurt_rig_block(&rig, WRONG);
	rig_repaired(rig.store, false);
	assert_int_equal(store_disk_lost(rig.store, &m->disks[0], &map_lost,
			     note_lost, &lost, &err),
	    0);
	assert_false(map_lost);
	assert_int_equal(lost.count, 1);
	assert_int_equal(lost.offset, WRONG * BLOCK);
	assert_int_equal(lost.bytes, BLOCK);
	assert_int_equal(store_point_whole(&whole, rig.store, m, &err), 0);
	assert_false(whole);
	/* An incremental that reads them: the base is whole again, too. */
	image_copy(&stale, &im);
	memset(stale.bytes + WRONG * BLOCK, 0, BLOCK);
	next = rig_point(&rig, &im, m, &stale);
	rig_expect(rig.store, next, &im);
	rig_expect(rig.store, m, &im);
	assert_int_equal(store_point_whole(&whole, rig.store, m, &err), 0);
	assert_true(whole);
	manifest_free(next);
	image_fini(&stale);
}

static void
test_repaired_of_a_lost_map_asks_for_a_full(void **state)
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

/* A lost block keeps its pack no longer than what is good in it. */
static void
test_repaired_lets_a_prune_go_on(void **state)
{
	struct store_verify_result checked;
	struct hurt_rig_seen seen;
	char damaged[BACKEND_KEY_MAX + 1];
	size_t i;

	(void)state;
	hurt_rig_block(&rig, WRONG);
	snprintf(
	    damaged, sizeof(damaged), "%s", rig_pack_of(&rig, &keys, true));
	rig_repaired(rig.store, false);
	assert_int_equal(rig_pruned(rig.store).packs_removed, 1);
	rig_keys(&rig, &after, "packs/");
	for (i = 0; i < after.count; i++)
		assert_string_not_equal(after.key[i], damaged);
	seen = hurt_rig_marks(rig.store);
	hurt_rig_expect_block(&seen, m, WRONG);
	seen = hurt_rig_verify(rig.store, &checked);
	hurt_rig_expect_block(&seen, m, WRONG);
	/* Its mark goes, the point's stays, and so does the next prune. */
	rig_repaired(rig.store, false);
	rig_repaired(rig.store, false);
	seen = hurt_rig_marks(rig.store);
	hurt_rig_expect_block(&seen, m, WRONG);
	assert_int_equal(rig_pruned(rig.store).packs_removed, 0);
}

/* What only a marked pack has, and is right, is not given away. */
static void
test_repaired_prune_keeps_what_only_a_marked_pack_has(void **state)
{
	char damaged[BACKEND_KEY_MAX + 1];
	struct hurt_rig_seen seen;
	size_t i;

	(void)state;
	hurt_rig_block(&rig, WRONG);
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
	seen = hurt_rig_marks(rig.store);
	hurt_rig_expect_block(&seen, m, WRONG);
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
test_repaired_salvage_reads_what_there_is(void **state)
{
	struct err err = ERR_INIT;
	struct image got;

	(void)state;
	hurt_rig_block(&rig, WRONG);
	assert_int_equal(rig_read(rig.store, m, &got, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	image_fini(&got);
	expect_salvaged(WRONG * BLOCK, (WRONG + 1) * BLOCK);
	rig_repaired(rig.store, false);
	expect_salvaged(WRONG * BLOCK, (WRONG + 1) * BLOCK);
	/* With the map all is gone, to the disk's end and no further. */
	rig_keys(&rig, &after, "packs/");
	while (after.count > 0)
		rig_replace(&rig, after.key[--after.count], NULL, 0);
	expect_salvaged(0, im.size);
}

/* Those that no pack holds are asked for together. */
static void
test_repaired_salvage_passes_over_several(void **state)
{
	struct salvaged s;

	(void)state;
	hurt_rig_block(&rig, WRONG);
	rig_flip(
	    &rig, rig_pack_of(&rig, &keys, true), 48 + (WRONG + 2) * BLOCK);
	rig_repaired(rig.store, false);
	salvage(&s);
	assert_int_equal(s.lost.count, 2);
	assert_memory_equal(s.got.bytes, im.bytes, WRONG * BLOCK);
	assert_memory_equal(s.got.bytes + (WRONG + 3) * BLOCK,
	    im.bytes + (WRONG + 3) * BLOCK, 20 * BLOCK);
	image_fini(&s.got);
}

int
main(void)
{
#define REPAIRED(name) RIG_CASE(test_repaired_##name, &start)
	const struct CMUnitTest tests[] = {
		REPAIRED(lets_the_next_backup_heal),
		REPAIRED(tells_what_a_base_lacks),
		REPAIRED(of_a_lost_map_asks_for_a_full),
		REPAIRED(lets_a_prune_go_on),
		REPAIRED(prune_keeps_what_only_a_marked_pack_has),
		REPAIRED(salvage_reads_what_there_is),
		REPAIRED(salvage_passes_over_several),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
