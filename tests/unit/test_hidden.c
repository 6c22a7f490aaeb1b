/* SPDX-License-Identifier: Apache-2.0 */
/* A prune whose listings hide the marks of a repair (docs/prune.md). */
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
#define BLOCKS 40u
#define WRONG 17u

static struct rig rig;
static struct image im;
static struct manifest *m;
static struct rig_start start = {
	.rig = &rig, .im = &im, .size_bytes = BLOCKS * BLOCK, .m = &m
};
static char pack[BACKEND_KEY_MAX + 1]; /* The one that is damaged. */

/* ---- a backend that lists no marks ---- */

struct hiding {
	struct backend b;
	struct backend_ops ops;
	struct backend *inner;
	backend_visit_fn *fn; /* Of the list at hand. */
	void *arg;
	unsigned int hidden;
};

static struct hiding hiding;

static void
hiding_close(struct backend *b)
{
	(void)b;
	backend_close(hiding.inner);
}

static int
hiding_put(struct backend *b, const char *key, const void *buf, size_t size,
    struct err *err)
{
	(void)b;
	return backend_put(hiding.inner, key, buf, size, err);
}

static int
hiding_get(struct backend *b, const char *key, uint64_t offset, void *buf,
    size_t size, struct err *err)
{
	(void)b;
	return backend_get(hiding.inner, key, offset, buf, size, err);
}

static int
hiding_stat(
    struct backend *b, const char *key, uint64_t *out_size, struct err *err)
{
	(void)b;
	return backend_stat(hiding.inner, key, out_size, err);
}

static int
hiding_remove(struct backend *b, const char *key, struct err *err)
{
	(void)b;
	return backend_remove(hiding.inner, key, err);
}

static int
visit(void *arg, const char *key, uint64_t size_bytes)
{
	(void)arg;
	if (strncmp(key, "damage/", 7) != 0)
		return hiding.fn(hiding.arg, key, size_bytes);
	hiding.hidden++;
	return 0;
}

static int
hiding_list(struct backend *b, const char *prefix, backend_visit_fn *fn,
    void *arg, struct err *err)
{
	(void)b;
	hiding.fn = fn;
	hiding.arg = arg;
	return backend_list(hiding.inner, prefix, visit, NULL, err);
}

/* It may meet what is wrong or lost, says so then and removes nothing. */
static void
prune_blindly(void)
{
	const struct store_open_options options = { .secret = &rig_key };
	struct store_prune_result result;
	struct err err = ERR_INIT;
	char cache[300];
	struct store *s;

	hiding = (struct hiding){ .b.ops = &hiding.ops,
		.inner = rig_backend(&rig),
		.ops = { .close = hiding_close,
		    .put = hiding_put,
		    .get = hiding_get,
		    .stat = hiding_stat,
		    .remove = hiding_remove,
		    .list = hiding_list } };
	snprintf(cache, sizeof(cache), "%s/blind", rig.root);
	assert_int_equal(store_open(&s, &hiding.b, cache,
			     rig_sealed() ? &options : NULL, &err),
	    0);
	if (rig_prune(s, &result, &err) == -1 &&
	    (strstr(err.text, pack) == NULL &&
		strstr(err.text, "a point needs a block that is in no pack") ==
		    NULL))
		fail_msg("prune: %s", err.text);
	store_close(s);
	assert_true(hiding.hidden > 0);
}

/* ---- a repaired repository ---- */

/* One block of the only point is wrong, and its pack is marked. */
static int
setup(void **state)
{
	struct keys packs;

	rig_set_up(state);
	strcpy(pack, rig_pack_of(&rig, &packs, true));
	rig_flip(&rig, pack, 48 + WRONG * BLOCK + 100);
	rig_repaired(rig.store, false);
	rig_keys(&rig, &packs, "damage/");
	assert_int_equal(packs.count, 2); /* Of the pack and of the point. */
	return 0;
}

/* What was wrong, and nothing else, is lost to the point. */
static void
expect_one_block_lost(void)
{
	struct store_verify_result result;
	struct hurt_rig_seen hurt;

	rig_reopen(&rig);
	hurt = hurt_rig_verify(rig.store, &result);
	hurt_rig_expect_block(&hurt, m, WRONG);
	assert_int_equal(result.damaged_points, 1);
}

static void
test_hidden_marks_cost_nothing_that_was_right(void **state)
{
	unsigned int i;

	(void)state;
	expect_one_block_lost();
	for (i = 0; i < 3; i++) {
		prune_blindly();
		prune_blindly();
		if (i == 1)
			rig_pruned(rig.store);
		/* What was copied may be in the marked pack alone again. */
		rig_repaired(rig.store, false);
		expect_one_block_lost();
	}
	rig_pruned(rig.store);
	expect_one_block_lost();
}

/* Once they are seen, a backup heals, and no prune takes that back. */
static void
test_hidden_marks_seen_again_heal(void **state)
{
	struct manifest *again;

	(void)state;
	prune_blindly();
	rig_reopen(&rig);
	again = rig_point(&rig, &im, NULL, NULL);
	rig_expect(rig.store, m, &im);
	rig_pruned(rig.store);
	rig_pruned(rig.store);
	rig_expect(rig.store, m, &im);
	rig_expect(rig.store, again, &im);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	manifest_free(again);
}

/* Else of the copies the wrong one might be kept. */
static void
test_hidden_mark_that_is_damaged_ends_a_prune(void **state)
{
	struct store_prune_result result;
	struct err err = ERR_INIT;
	struct keys marks, before, after;
	struct manifest *again;
	size_t i;

	(void)state;
	again = rig_point(&rig, &im, NULL, NULL);
	rig_keys(&rig, &before, "packs/");
	rig_keys(&rig, &marks, "damage/");
	assert_true(marks.count > 0);
	for (i = 0; i < marks.count; i++) {
		rig_flip(&rig, marks.key[i], 60);
		err_clear(&err);
		assert_int_equal(rig_prune(rig.store, &result, &err), -1);
		assert_int_equal(err.class, ERR_CORRUPT);
		assert_non_null(strstr(err.text, marks.key[i]));
		assert_non_null(strstr(err.hint, "holdstill repair"));
		rig_flip(&rig, marks.key[i], 60);
	}
	for (i = 0; i < marks.count; i++)
		rig_flip(&rig, marks.key[i], 60);
	for (i = 0; i < 3; i++)
		assert_int_equal(rig_prune(rig.store, &result, &err), -1);
	rig_keys(&rig, &after, "packs/");
	assert_int_equal(before.count, after.count);
	rig_repaired(rig.store, false);
	rig_pruned(rig.store);
	rig_reopen(&rig);
	rig_expect(rig.store, m, &im);
	rig_expect(rig.store, again, &im);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	manifest_free(again);
}

#define CASE(name) \
	cmocka_unit_test_prestate_setup_teardown( \
	    name, setup, rig_tear_down, &start)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_hidden_marks_cost_nothing_that_was_right),
		CASE(test_hidden_marks_seen_again_heal),
		CASE(test_hidden_mark_that_is_damaged_ends_a_prune),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
