/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that cannot read some places (EIO), and one that reads nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "store/damage.h"
#include "store/store_internal.h"
#include "tests/unit/store_rig.h"

#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)
#define BLOCKS 64u
#define SICK_MAX 4
#define ANY (INT64_MAX / 2)

/* Around a store's backend: reads of these keys fail, or all after some. */
struct sick {
	struct backend backend;
	struct backend *inner;
	struct store *store;
	char prefix[SICK_MAX][BACKEND_KEY_MAX + 1];
	unsigned int count;
	/* Counted down, also from several threads; ANY: for ever. */
	_Atomic int64_t reads_left;
	_Atomic int64_t ills_left; /* How often these keys fail. */
	int errnum;
	int settle_errnum; /* 0: settles. */
};

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
sick_get(struct backend *b, const char *key, uint64_t offset, void *buf,
    size_t size, struct err *err)
{
	struct sick *s = (struct sick *)b;
	bool fails = false;
	unsigned int i;

	for (i = 0; i < s->count; i++)
		fails = fails ||
			strncmp(key, s->prefix[i], strlen(s->prefix[i])) == 0;
	if (fails && atomic_fetch_sub(&s->ills_left, 1) <= 0)
		fails = false;
	if (atomic_fetch_sub(&s->reads_left, 1) <= 0)
		fails = true;
	if (fails)
		return err_errno(
		    err, s->errnum, "cannot read object '%s'", key);
	return backend_get(s->inner, key, offset, buf, size, err);
}

static int
sick_put(struct backend *b, const char *key, const void *buf, size_t size,
    struct err *err)
{
	return backend_put(((struct sick *)b)->inner, key, buf, size, err);
}

static int
sick_stat(
    struct backend *b, const char *key, uint64_t *out_size, struct err *err)
{
	return backend_stat(((struct sick *)b)->inner, key, out_size, err);
}

static int
sick_remove(struct backend *b, const char *key, struct err *err)
{
	return backend_remove(((struct sick *)b)->inner, key, err);
}

static int
sick_list(struct backend *b, const char *prefix, backend_visit_fn *fn,
    void *arg, struct err *err)
{
	return backend_list(((struct sick *)b)->inner, prefix, fn, arg, err);
}

static int
sick_settle(struct backend *b, const char *key, struct err *err)
{
	struct sick *s = (struct sick *)b;

	if (s->settle_errnum == 0)
		return backend_settle(s->inner, key, err);
	return err_errno(err, s->settle_errnum, "cannot settle '%s'", key);
}

static const struct backend_ops sick_ops = {
	.scheme = "sick",
	.get = sick_get,
	.put = sick_put,
	.stat = sick_stat,
	.remove = sick_remove,
	.list = sick_list,
	.settle = sick_settle,
};

static void
sick_begin(struct store *s)
{
	sick = (struct sick){ .backend.ops = &sick_ops,
		.inner = s->backend,
		.store = s,
		.reads_left = ANY,
		.ills_left = ANY,
		.errnum = EIO };
	s->backend = &sick.backend;
}

static void
sick_add(const char *prefix)
{
	snprintf(
	    sick.prefix[sick.count++], sizeof(sick.prefix[0]), "%s", prefix);
}

static void
sick_end(void)
{
	if (sick.store != NULL)
		sick.store->backend = sick.inner;
	sick.store = NULL;
}

static int
teardown(void **state)
{
	sick_end();
	return rig_tear_down(state);
}

static const char *
index_key(void)
{
	rig_keys(&rig, &keys, "index/");
	assert_int_equal(keys.count, 1);
	return keys.key[0];
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
	sick_begin(s);
	sick_add(prefix);
	rc = rig_read(s, m, &out, err);
	if (rc == 0)
		assert_memory_equal(out.bytes, im.bytes, im.size);
	image_fini(&out);
	sick_end();
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
	sick_begin(rig.store);
	sick_add(index_key());
	expect_told(index_key());
	if (repair(&result, &err) == -1)
		fail_msg("repair: %s", err.text);
	assert_int_equal(result.found.damaged_objects, 1);
	assert_int_equal(result.packs_marked, 0);
	assert_int_equal(result.points_marked, 0);
	sick_end();
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
	rig_replace(&rig, index_key(), NULL, 0);
	sick_begin(rig.store);
	sick_add(data);
	expect_told(data);
	sick_end();
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
	sick_begin(rig.store);
	sick_add(map);
	expect_told(map);
	if (verify(&told, &result, &err) == -1)
		fail_msg("verify: %s", err.text);
	assert_int_equal(result.damaged_points, 1);
	if (repair(&repaired, &err) == -1)
		fail_msg("repair: %s", err.text);
	assert_int_equal(repaired.packs_marked, 1);
	assert_int_equal(repaired.points_marked, 1);
	sick_end();
	assert_int_equal(restore_anew(map, &err), -1);
}

/* By who reads: who takes away, or builds upon packs, does not go on. */
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
	sick_begin(rig.store);
	sick_add("damage/");
	if (verify(&told, &result, &err) == -1)
		fail_msg("verify: %s", err.text);
	sick_end();
	if (restore_anew("damage/", &err) == -1)
		fail_msg("restore: %s", err.text);
}

/* What has its name may be anything: there is another name. */
static void
test_unread_copy_is_no_copy(void **state)
{
	struct store_repair_result result;
	char aside[BACKEND_KEY_MAX + 8];
	struct backend *b = rig_backend(&rig);
	struct err err = ERR_INIT;

	(void)state;
	snprintf(aside, sizeof(aside), "aside/%s", index_key());
	assert_int_equal(backend_put(b, aside, "x", 1, &err), 0);
	backend_close(b);
	rig_flip(&rig, index_key(), 60);
	sick_begin(rig.store);
	sick_add("aside/");
	if (repair(&result, &err) == -1)
		fail_msg("repair: %s", err.text);
	sick_end();
	assert_int_equal(result.objects_aside, 1);
	rig_keys(&rig, &keys, "aside/");
	assert_int_equal(keys.count, 2);
}

/* What a prune cannot see it must not judge. */
static void
test_unread_objects_end_a_prune(void **state)
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
		sick_begin(rig.store);
		sick_add(prefixes[i]);
		err_clear(&err);
		assert_int_equal(rig_prune(rig.store, &result, &err), -1);
		assert_int_equal(err.class, ERR_IO);
		sick_end();
		rig_keys(&rig, &after, "packs/");
		assert_int_equal(before.count, after.count);
	}
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
	struct store_repair_result result;
	struct err err = ERR_INIT;

	if (repair(&result, &err) == -1)
		fail_msg("repair: %s", err.text);
	assert_int_equal(result.packs_marked, packs_marked);
	assert_int_equal(result.points_marked, points_marked);
}

/* A disk that can read it again: nothing of it was given away. */
static void
expect_back(void)
{
	struct store_repair_result result;
	struct err err = ERR_INIT;

	if (repair(&result, &err) == -1)
		fail_msg("repair: %s", err.text);
	assert_int_equal(result.packs_back, 1);
	rig_expect(rig.store, m, &im);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
}

/* Nobody can say that what only it has is wrong. */
static void
test_unread_marked_pack_stays(void **state)
{
	char data[BACKEND_KEY_MAX + 1];

	(void)state;
	snprintf(data, sizeof(data), "%s", rig_pack_of(&rig, &keys, true));
	sick_begin(rig.store);
	sick_add(data);
	expect_repair(1, 1);
	rig_pruned(rig.store);
	rig_pruned(rig.store);
	assert_true(is_there(data));
	sick_end();
	expect_back();
}

/* It has nothing then that is not elsewhere - where a host is believed. */
static void
expect_healed(bool stays)
{
	char data[BACKEND_KEY_MAX + 1];
	struct manifest *again;

	snprintf(data, sizeof(data), "%s", rig_pack_of(&rig, &keys, true));
	sick_begin(rig.store);
	sick_add(data);
	expect_repair(1, 1);
	again = rig_point(&rig, &im, NULL, NULL);
	rig_pruned(rig.store);
	rig_pruned(rig.store);
	assert_int_equal(is_there(data), stays);
	rig_expect(rig.store, m, &im);
	rig_expect(rig.store, again, &im);
	sick_end();
	manifest_free(again);
}

static void
test_unread_marked_pack_goes_once_healed(void **state)
{
	(void)state;
	expect_healed(false);
}

static void
test_unread_marked_pack_stays_in_public(void **state)
{
	(void)state;
	expect_healed(true);
	expect_back();
}

static void
test_unread_marked_pack_without_an_index_stays(void **state)
{
	char data[BACKEND_KEY_MAX + 1];

	(void)state;
	snprintf(data, sizeof(data), "%s", rig_pack_of(&rig, &keys, true));
	rig_replace(&rig, index_key(), NULL, 0);
	sick_begin(rig.store);
	sick_add(data);
	expect_repair(1, 1);
	rig_pruned(rig.store);
	rig_pruned(rig.store);
	assert_true(is_there(data));
	sick_end();
	expect_back();
}

/* What it names is as lost as the point's mark says. */
static void
test_unread_piece_that_is_told_ends_no_prune(void **state)
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
	sick_begin(rig.store);
	sick_add(map);
	/* Of a pack alone a mark says too little. */
	assert_int_equal(rig_prune(rig.store, &result, &err), -1);
	assert_int_equal(err.class, ERR_IO);
	assert_non_null(strstr(err.hint, "holdstill repair"));
	expect_repair(0, 1);
	rig_pruned(rig.store);
	assert_true(is_there(map));
}

static void
test_unread_manifest_is_removed_by_hand(void **state)
{
	char point[BACKEND_KEY_MAX + 1];
	struct store_prune_result pruned;
	struct store_repair_result result;
	struct err err = ERR_INIT;

	(void)state;
	snprintf(point, sizeof(point), "points/%s", m->id);
	sick_begin(rig.store);
	sick_add(point);
	if (repair(&result, &err) == -1)
		fail_msg("repair: %s", err.text);
	assert_int_equal(result.objects_left, 1);
	assert_int_equal(rig_prune(rig.store, &pruned, &err), -1);
	assert_int_equal(err.class, ERR_IO);
	assert_non_null(strstr(err.hint, "by hand"));
	sick_end();
	rig_replace(&rig, point, NULL, 0);
	rig_pruned(rig.store);
}

/* Packs that another might have marked are not to be built upon. */
static void
test_unread_mark_ends_a_backup(void **state)
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
			sick_begin(rig.store);
			sick_add("damage/");
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
		sick_end();
	}
	expect_repair(0, 0);
	manifest_free(rig_point(&rig, &im, NULL, NULL));
}

/* An index that cannot be read for a while: whenever that ends, some index
 * names its packs. */
static void
test_unread_index_that_comes_back_stays(void **state)
{
	struct store_repair_result result;
	struct err err = ERR_INIT;
	char index[BACKEND_KEY_MAX + 1];
	int64_t n;

	(void)state;
	snprintf(index, sizeof(index), "%s", index_key());
	for (n = 1; n < 30; n++) {
		sick_begin(rig.store);
		sick_add(index);
		sick.ills_left = n;
		if (repair(&result, &err) == -1)
			fail_msg("repair: %s", err.text);
		sick_end();
		rig_keys(&rig, &keys, "index/");
		if (keys.count == 0)
			fail_msg("after %d reads no index is there", (int)n);
		teardown(state);
		rig_set_up(state);
		snprintf(index, sizeof(index), "%s", index_key());
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
		sick_begin(rig.store);
		sick.reads_left = n;
		sick.errnum = errnum;
		err_clear(&err);
		rc = repairing ? repair(&repaired, &err)
			       : verify(&told, &result, &err);
		sick_end();
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
	sick_begin(rig.store);
	sick_add(rig_pack_of(&rig, &keys, true));
	if (salvage(&lost, &err) == -1)
		fail_msg("salvage: %s", err.text);
	assert_int_equal(lost, im.size);
	sick_add("");
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
	sick_begin(rig.store);
	sick_add(rig_pack_of(&rig, &keys, true));
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
	sick_add("config");
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
		CASE(objects_end_a_prune),
		CASE(marked_pack_stays),
		CASE(marked_pack_goes_once_healed),
		cmocka_unit_test_prestate_setup_teardown(
		    test_unread_marked_pack_stays_in_public, rig_set_up,
		    teardown, &start_public),
		CASE(marked_pack_without_an_index_stays),
		CASE(piece_that_is_told_ends_no_prune),
		CASE(manifest_is_removed_by_hand),
		CASE(mark_ends_a_backup),
		CASE(index_that_comes_back_stays),
		CASE(at_all_is_no_damage),
		CASE(at_all_is_no_loss),
		CASE(where_nothing_settles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
