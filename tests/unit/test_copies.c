/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs that two packs have, of which one is damaged, or both. */
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
#define BLOCKS 40 /* Three frames. */
#define FRAME (16 * BLOCK)

static struct rig rig;
static struct image im;
static struct manifest *points[2];
/* Of each backup: the pack of data and that of map pieces; the indexes. */
static char data[2][BACKEND_KEY_MAX + 1], map[2][BACKEND_KEY_MAX + 1];
static struct keys indexes;

struct object {
	char key[BACKEND_KEY_MAX + 1];
	uint8_t *bytes;
	size_t size;
};

static void
take(struct object *o, const char *key)
{
	snprintf(o->key, sizeof(o->key), "%s", key);
	o->bytes = rig_load(&rig, key, &o->size);
	rig_replace(&rig, key, NULL, 0);
}

static void
put_back(struct object *o)
{
	rig_replace(&rig, o->key, o->bytes, o->size);
	free(o->bytes);
}

/* The packs that are there are those of one backup. */
static void
take_packs(struct object *out, unsigned int n)
{
	struct keys packs;
	unsigned int larger;

	rig_keys(&rig, &packs, "packs/");
	assert_int_equal(packs.count, 2);
	take(&out[0], packs.key[0]);
	take(&out[1], packs.key[1]);
	larger = out[1].size > out[0].size;
	strcpy(data[n], out[larger].key);
	strcpy(map[n], out[!larger].key);
}

/* The same disk twice, by two who know nothing of each other. */
static int
setup(void **state)
{
	struct object packs[4], index;
	struct err err = ERR_INIT;
	struct store *other;
	char cache[300];

	(void)state;
	rig_init(&rig, "mem");
	image_init(&im, BLOCKS * BLOCK);
	image_fill(&im, 0, im.size, 7, false);
	assert_int_equal(
	    rig_backup(&rig, rig.store, &points[0], &im, NULL, NULL, &err), 0);
	take_packs(packs, 0);
	rig_keys(&rig, &indexes, "index/");
	assert_int_equal(indexes.count, 1);
	take(&index, indexes.key[0]);
	snprintf(cache, sizeof(cache), "%s/other", rig.root);
	other = rig_open_store(&rig, cache);
	assert_int_equal(
	    rig_backup(&rig, other, &points[1], &im, NULL, NULL, &err), 0);
	store_close(other);
	take_packs(packs + 2, 1);
	put_back(&packs[0]);
	put_back(&packs[1]);
	put_back(&packs[2]);
	put_back(&packs[3]);
	put_back(&index);
	rig_reopen(&rig);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	manifest_free(points[0]);
	manifest_free(points[1]);
	image_fini(&im);
	rig_fini(&rig);
	return 0;
}

/* Both points restore, and only the objects are told of; whatever the local
 * index knows. */
static void
expect_whole(uint64_t objects)
{
	struct store_verify_result r;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		rig_expect(rig.store, points[0], &im);
		rig_expect(rig.store, points[1], &im);
		assert_int_equal(rig_verify(rig.store, &r), objects);
		assert_int_equal(r.damaged_objects, objects);
		assert_int_equal(r.damaged_points, 0);
		rig_reopen(&rig);
	}
}

/* One of them is damaged, then the other: all is whole each time. */
static void
expect_either(const char *pack, const char *other)
{
	rig_flip(&rig, pack, 100);
	expect_whole(1);
	rig_flip(&rig, pack, 100);
	rig_flip(&rig, other, 100);
	expect_whole(1);
}

static void
test_copies_of_blocks_serve(void **state)
{
	(void)state;
	expect_whole(0);
	expect_either(data[0], data[1]);
}

static void
test_copies_of_map_pieces_serve(void **state)
{
	(void)state;
	expect_either(map[0], map[1]);
}

/* Neither pack alone has all that the points need. */
static void
test_copies_of_two_packs_make_one(void **state)
{
	(void)state;
	rig_flip(&rig, data[0], 100);
	rig_flip(&rig, data[1], FRAME + 200);
	expect_whole(2);
}

static void
test_copies_that_no_index_names_serve(void **state)
{
	(void)state;
	rig_keys(&rig, &indexes, "index/");
	rig_replace(&rig, indexes.key[0], NULL, 0);
	expect_either(data[0], data[1]);
}

static void
test_copies_all_damaged_are_a_loss(void **state)
{
	struct store_verify_result r;
	struct err err = ERR_INIT;
	struct image out;

	(void)state;
	rig_flip(&rig, data[0], 100);
	rig_flip(&rig, data[1], 100);
	rig_verify(rig.store, &r);
	assert_int_equal(r.damaged_objects, 2);
	assert_int_equal(r.damaged_points, 2);
	assert_int_equal(rig_read(rig.store, points[0], &out, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	assert_non_null(strstr(err.text, "disk range "));
	image_fini(&out);
}

/* Three of six frames are wrong, and not in the order in which they are read. */
static void
test_copies_of_many_frames_serve(void **state)
{
	(void)state;
	rig_flip(&rig, data[0], 100);
	rig_flip(&rig, data[0], FRAME + 200);
	rig_flip(&rig, data[1], 2 * FRAME + 400);
	expect_whole(2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_copies_of_blocks_serve),
		CASE(test_copies_of_map_pieces_serve),
		CASE(test_copies_of_two_packs_make_one),
		CASE(test_copies_that_no_index_names_serve),
		CASE(test_copies_all_damaged_are_a_loss),
		CASE(test_copies_of_many_frames_serve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
