/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that cannot read some places (EIO), and one that reads nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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
static struct sick sick;

static int
teardown(void **state)
{
	sick_end(&sick);
	return rig_tear_down(state);
}

struct told {
	unsigned int count;
	char object[256];
	char what[256];
};

static void
note_told(void *arg, const struct store_damage *damage)
{
	struct told *told = arg;

	if (told->count++ == 0) {
		snprintf(
		    told->object, sizeof(told->object), "%s", damage->object);
		snprintf(told->what, sizeof(told->what), "%s", damage->what);
	}
}

static int
verify(struct told *told, struct store_verify_result *result, struct err *err)
{
	struct store_verify_options options = { .threads = 2 };

	*told = (struct told){ .count = 0 };
	return store_verify(rig.store, &options, note_told, told, result, err);
}

static int
repair(struct store_repair_result *result, struct err *err)
{
	struct store_repair_options options = { .threads = 2 };

	return store_repair(rig.store, &options, NULL, NULL, result, err);
}

/* As a host that has no local index of it yet. */
static int
restore_anew(const char *prefix, struct err *err)
{
	struct image out;
	struct store *s;
	char cache[300];
	int rc;

	snprintf(cache, sizeof(cache), "%s-new", rig.cache);
	s = rig_open_store(&rig, cache);
	sick_begin(&sick, s);
	sick_add(&sick, prefix);
	rc = rig_read(s, m, &out, err);
	if (rc == 0)
		assert_memory_equal(out.bytes, im.bytes, im.size);
	image_fini(&out);
	sick_end(&sick);
	store_close(s);
	return rc;
}

static void
expect_told(const char *key)
{
	struct store_verify_result result;
	struct err err = ERR_INIT;
	struct told told;

	if (verify(&told, &result, &err) == -1)
		fail_msg("verify: %s", err.text);
	assert_true(told.count > 0);
	assert_string_equal(told.object, key);
	assert_non_null(strstr(told.what, strerror(EIO)));
}

static void
test_unread_index_is_damage(void **state)
{
	struct store_repair_result result;
	struct err err = ERR_INIT;

	(void)state;
	sick_begin(&sick, rig.store);
	sick_add(&sick, rig_only_key(&rig, &keys, "index/"));
	expect_told(rig_only_key(&rig, &keys, "index/"));
	result = rig_repaired(rig.store, false);
	assert_int_equal(result.found.damaged_objects, 1);
	assert_int_equal(result.packs_marked, 0);
	assert_int_equal(result.points_marked, 0);
	sick_end(&sick);
	if (restore_anew("index/", &err) == -1)
		fail_msg("restore: %s", err.text);
}

/* A pack that is named by no index, and that tells nothing of itself. */
static void
test_unread_table_is_damage(void **state)
{
	struct err err = ERR_INIT;
	char data[BACKEND_KEY_MAX + 1];

	(void)state;
	snprintf(data, sizeof(data), "%s", rig_pack_of(&rig, &keys, true));
	rig_replace(&rig, rig_only_key(&rig, &keys, "index/"), NULL, 0);
	sick_begin(&sick, rig.store);
	sick_add(&sick, data);
	expect_told(data);
	sick_end(&sick);
	assert_int_equal(restore_anew(data, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	assert_non_null(strstr(err.text, "no pack holds the block"));
}

static void
test_unread_piece_of_a_map_is_damage(void **state)
{
	struct store_verify_result result;
	char map[BACKEND_KEY_MAX + 1];
	struct store_repair_result repaired;
	struct err err = ERR_INIT;
	struct told told;

	(void)state;
	snprintf(map, sizeof(map), "%s", rig_pack_of(&rig, &keys, false));
	sick_begin(&sick, rig.store);
	sick_add(&sick, map);
	expect_told(map);
	if (verify(&told, &result, &err) == -1)
		fail_msg("verify: %s", err.text);
	assert_int_equal(result.damaged_points, 1);
	repaired = rig_repaired(rig.store, false);
	assert_int_equal(repaired.packs_marked, 1);
	assert_int_equal(repaired.points_marked, 1);
	sick_end(&sick);
	assert_int_equal(restore_anew(map, &err), -1);
}

/* By who reads: who takes away, or builds upon packs, does not go on
 * (test_unread_prune.c). */
static void
test_unread_mark_is_left_out(void **state)
{
	struct store_verify_result result;
	uint8_t point[OBJECT_ID_BYTES];
	struct err err = ERR_INIT;
	struct told told;

	(void)state;
	hex_decode(point, sizeof(point), m->id);
	assert_int_equal(
	    damage_put_pack(rig.store->backend, rig.store->seal, point, &err),
	    0);
	sick_begin(&sick, rig.store);
	sick_add(&sick, "damage/");
	if (verify(&told, &result, &err) == -1)
		fail_msg("verify: %s", err.text);
	sick_end(&sick);
	if (restore_anew("damage/", &err) == -1)
		fail_msg("restore: %s", err.text);
}

/* What has its name may be anything: there is another name. */
static void
test_unread_copy_is_no_copy(void **state)
{
	char aside[BACKEND_KEY_MAX + 8];
	struct backend *b = rig_backend(&rig);
	struct err err = ERR_INIT;

	(void)state;
	snprintf(aside, sizeof(aside), "aside/%s",
	    rig_only_key(&rig, &keys, "index/"));
	assert_int_equal(backend_put(b, aside, "x", 1, &err), 0);
	backend_close(b);
	rig_flip(&rig, rig_only_key(&rig, &keys, "index/"), 60);
	sick_begin(&sick, rig.store);
	sick_add(&sick, "aside/");
	assert_int_equal(rig_repaired(rig.store, false).objects_aside, 1);
	sick_end(&sick);
	rig_keys(&rig, &keys, "aside/");
	assert_int_equal(keys.count, 2);
}

/* An index that cannot be read for a while: whenever that ends, some index
 * names its packs. */
static void
test_unread_index_that_comes_back_stays(void **state)
{
	char index[BACKEND_KEY_MAX + 1];
	int64_t n;

	(void)state;
	snprintf(
	    index, sizeof(index), "%s", rig_only_key(&rig, &keys, "index/"));
	for (n = 1; n < 30; n++) {
		sick_begin(&sick, rig.store);
		sick_add(&sick, index);
		sick.ills_left = n;
		rig_repaired(rig.store, false);
		sick_end(&sick);
		rig_keys(&rig, &keys, "index/");
		if (keys.count == 0)
			fail_msg("after %d reads no index is there", (int)n);
		teardown(state);
		rig_set_up(state);
		snprintf(index, sizeof(index), "%s",
		    rig_only_key(&rig, &keys, "index/"));
	}
}

/* From some read on nothing can be read: whenever that is, it is no damage. */
static void
fail_from(int errnum, bool repairing)
{
	struct store_verify_result result;
	struct store_repair_result repaired;
	struct err err = ERR_INIT;
	struct told told = { .count = 0 };
	int64_t n;
	int rc = -1;

	for (n = 0; rc == -1; n++) {
		assert_in_range(n, 0, 200);
		sick_begin(&sick, rig.store);
		sick.reads_left = n;
		sick.errnum = errnum;
		err_clear(&err);
		rc = repairing ? repair(&repaired, &err)
			       : verify(&told, &result, &err);
		sick_end(&sick);
		if (rc == -1 && err.sys_errno != errnum)
			fail_msg("after %d reads: %s", (int)n, err.text);
		assert_int_equal(told.count, 0);
		rig_keys(&rig, &keys, "damage/");
		assert_int_equal(keys.count, 0);
		rig_keys(&rig, &keys, "aside/");
		assert_int_equal(keys.count, 0);
	}
	assert_true(n > 8);
	rig_expect(rig.store, m, &im);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
}

static void
test_unread_at_all_is_no_damage(void **state)
{
	(void)state;
	fail_from(EIO, false);
	fail_from(ETIMEDOUT, false);
	fail_from(EIO, true);
	fail_from(ETIMEDOUT, true);
}

/* Zeros in place of all that an outage hid would be no salvage. */
static int
lose(void *arg, uint64_t offset, uint64_t bytes, struct err *err)
{
	(void)offset;
	(void)err;
	*(uint64_t *)arg += bytes;
	return 0;
}

static int
give(
    void *arg, uint64_t offset, const void *bytes, size_t size, struct err *err)
{
	(void)arg;
	(void)offset;
	(void)bytes;
	(void)size;
	(void)err;
	return 0;
}

static int
salvage(uint64_t *lost, struct err *err)
{
	struct store_reader *r;
	int rc;

	*lost = 0;
	if (store_reader_open(&r, rig.store, &m->disks[0], err) == -1)
		return -1;
	store_reader_salvage(r, lose, lost);
	rc = store_reader_stream(r, 1, give, lost, err);
	store_reader_close(r);
	return rc;
}

static void
test_unread_at_all_is_no_loss(void **state)
{
	struct err err = ERR_INIT;
	uint64_t lost;

	(void)state;
	sick_begin(&sick, rig.store);
	sick_add(&sick, rig_pack_of(&rig, &keys, true));
	if (salvage(&lost, &err) == -1)
		fail_msg("salvage: %s", err.text);
	assert_int_equal(lost, im.size);
	sick_add(&sick, "");
	assert_int_equal(salvage(&lost, &err), -1);
	assert_int_equal(err.sys_errno, EIO);
}

/* Its journal is broken, so that it is read-only now, or worse. */
static void
test_unread_where_nothing_settles(void **state)
{
	struct store_verify_result result;
	struct err err = ERR_INIT;
	struct told told;
	uint64_t lost;

	(void)state;
	sick_begin(&sick, rig.store);
	sick_add(&sick, rig_pack_of(&rig, &keys, true));
	sick.settle_errnum = EROFS;
	if (verify(&told, &result, &err) == -1)
		fail_msg("verify: %s", err.text);
	assert_true(told.count > 0);
	if (salvage(&lost, &err) == -1)
		fail_msg("salvage: %s", err.text);
	assert_int_equal(lost, im.size);
	sick.settle_errnum = EIO;
	assert_int_equal(verify(&told, &result, &err), -1);
	assert_int_equal(told.count, 0);
	err_clear(&err);
	if (salvage(&lost, &err) == -1)
		fail_msg("salvage: %s", err.text);
	assert_int_equal(lost, im.size);
	sick_add(&sick, "config");
	assert_int_equal(salvage(&lost, &err), -1);
	assert_int_equal(err.sys_errno, EIO);
}

#define CASE(name) \
	cmocka_unit_test_prestate_setup_teardown( \
	    test_unread_##name, rig_set_up, teardown, &start)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(index_is_damage),
		CASE(table_is_damage),
		CASE(piece_of_a_map_is_damage),
		CASE(mark_is_left_out),
		CASE(copy_is_no_copy),
		CASE(index_that_comes_back_stays),
		CASE(at_all_is_no_damage),
		CASE(at_all_is_no_loss),
		CASE(where_nothing_settles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
