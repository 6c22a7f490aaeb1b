/* SPDX-License-Identifier: Apache-2.0 */
/* Which packs a verify reads, and blocks compared with a point's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "tests/unit/store_rig.h"

#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)
#define BACKUPS 10
#define PACKS (2 * BACKUPS) /* One of data and one of the map each. */

static struct rig rig;
static struct rig_start start = { .rig = &rig };
static struct keys keys;

/* ---- the memory ---- */

static int64_t checked_ms[PACKS], now_ms;
static unsigned int reads[PACKS], begun, damaged;

static int
begin(void *arg, const uint8_t (*packs)[STORE_PACK_ID_BYTES], size_t count,
    int64_t *out_ms, struct err *err)
{
	size_t i;

	(void)arg;
	(void)err;
	begun++;
	assert_int_equal(count, PACKS);
	for (i = 1; i < count; i++)
		assert_true(
		    memcmp(packs[i - 1], packs[i], sizeof(packs[i])) < 0);
	memcpy(out_ms, checked_ms, sizeof(checked_ms));
	return 0;
}

static void
checked(void *arg, size_t i, bool whole)
{
	(void)arg;
	assert_true(i < PACKS);
	reads[i]++;
	checked_ms[i] = whole ? ++now_ms : 0;
	damaged += !whole;
}

static const struct store_verify_memory memory = {
	.begin = begin,
	.checked = checked,
};

static int
setup(void **state)
{
	struct err err = ERR_INIT;
	struct manifest *m;
	struct image im;
	unsigned int i;

	memset(checked_ms, 0, sizeof(checked_ms));
	memset(reads, 0, sizeof(reads));
	begun = damaged = 0;
	now_ms = 0;
	rig_set_up(state);
	for (i = 0; i < BACKUPS; i++) {
		image_init(&im, 4 * BLOCK);
		image_fill(&im, 0, im.size, i + 1, false);
		assert_int_equal(
		    rig_backup(&rig, rig.store, &m, &im, NULL, NULL, &err), 0);
		manifest_free(m);
		image_fini(&im);
	}
	rig_keys(&rig, &keys, "packs/");
	assert_int_equal(keys.count, PACKS);
	return 0;
}

static struct store_verify_result
verify(const struct store_verify_options *options)
{
	struct store_verify_result result;
	struct err err = ERR_INIT;

	if (store_verify(rig.store, options, NULL, NULL, &result, &err) == -1)
		fail_msg("verify: %s", err.text);
	return result;
}

static unsigned int
count_read(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < PACKS; i++)
		n += reads[i] > 0;
	return n;
}

static void
test_verify_sample_is_of_its_seed(void **state)
{
	struct store_verify_options options = {
		.sample_percent = 21, .seed = 7, .threads = 2, .memory = &memory
	};
	unsigned int first[PACKS];

	(void)state;
	assert_int_equal(verify(&options).packs_checked, 5); /* Rounded up. */
	assert_int_equal(count_read(), 5);
	memcpy(first, reads, sizeof(first));
	memset(reads, 0, sizeof(reads));
	verify(&options);
	assert_memory_equal(first, reads, sizeof(first));
	memset(reads, 0, sizeof(reads));
	options.seed = 8;
	verify(&options);
	assert_int_equal(count_read(), 5);
	assert_memory_not_equal(first, reads, sizeof(first));
}

/* Coverage grows from run to run. */
static void
test_verify_samples_come_round(void **state)
{
	struct store_verify_options options = {
		.sample_percent = 10, .threads = 1, .memory = &memory
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < 300 && count_read() < PACKS; i++)
		assert_int_equal(verify(&options).packs_checked, 2);
	assert_int_equal(count_read(), PACKS);
	assert_true(i > 10);
	assert_int_equal(begun, i);
}

/* Nothing twice before everything once; then the oldest again. */
static void
test_verify_budget_goes_on_where_it_stopped(void **state)
{
	struct store_verify_options options = {
		.budget_ms = 1, .threads = 1, .memory = &memory
	};
	unsigned int i, runs = 0;

	(void)state;
	while (count_read() < PACKS) {
		assert_true(verify(&options).packs_checked >= 1);
		assert_true(++runs <= PACKS);
		for (i = 0; i < PACKS; i++)
			assert_true(count_read() == PACKS || reads[i] <= 1);
	}
	memset(reads, 0, sizeof(reads));
	checked_ms[3] = 1; /* Younger than none. */
	for (i = 0; i < PACKS; i++)
		checked_ms[i] += 1000 * (i != 3);
	verify(&options);
	assert_int_equal(reads[3], 1);
	/* Enough time is enough for all. */
	memset(reads, 0, sizeof(reads));
	options.budget_ms = 3600000;
	assert_int_equal(verify(&options).packs_checked, PACKS);
	assert_int_equal(count_read(), PACKS);
}

/* What was found damaged was not found whole: it comes first again. */
static void
test_verify_remembers_only_what_is_whole(void **state)
{
	struct store_verify_options options = { .threads = 2,
		.memory = &memory };
	struct backend *b = rig_backend(&rig);
	struct err err = ERR_INIT;
	unsigned int i, never = 0;
	size_t size;
	void *bytes;

	(void)state;
	assert_int_equal(
	    backend_get_all(b, keys.key[4], 1 << 20, &bytes, &size, &err), 0);
	((uint8_t *)bytes)[60] ^= 1;
	assert_int_equal(backend_remove(b, keys.key[4], &err), 0);
	assert_int_equal(backend_put(b, keys.key[4], bytes, size, &err), 0);
	free(bytes);
	backend_close(b);
	assert_int_equal(verify(&options).damaged_objects, 1);
	assert_int_equal(damaged, 1);
	for (i = 0; i < PACKS; i++)
		never += checked_ms[i] == 0;
	assert_int_equal(never, 1);
}

/* As an audit asks: block by block, in any order, of a map of two levels. */
static void
test_verify_compares_blocks(void **state)
{
	struct store_comparer *c;
	struct err err = ERR_INIT;
	struct manifest *large;
	struct image image;
	uint64_t i;

	(void)state;
	image_init(&image, 200 * BLOCK - 100);
	image_fill(&image, 0, BLOCK, 3, false);
	image_fill(&image, 130 * BLOCK, 2 * BLOCK, 4, false);
	image_fill(&image, 199 * BLOCK, BLOCK, 5, false);
	assert_int_equal(
	    rig_backup(&rig, rig.store, &large, &image, NULL, NULL, &err), 0);
	assert_int_equal(
	    store_comparer_new(&c, rig.store, &large->disks[0], &err), 0);
	for (i = 200; i-- > 0;)
		assert_int_equal(
		    store_compare_block(c, i, image.bytes + i * BLOCK, &err),
		    1);
	image.bytes[131 * BLOCK + 5] ^= 1;
	image.bytes[60 * BLOCK + 5] ^= 1;
	memset(image.bytes, 0, BLOCK);
	for (i = 0; i < 200; i++)
		assert_int_equal(
		    store_compare_block(c, i, image.bytes + i * BLOCK, &err),
		    i != 0 && i != 60 && i != 131);
	assert_int_equal(store_compare_block(c, 200, image.bytes, &err), -1);
	store_comparer_free(c);
	manifest_free(large);
	image_fini(&image);
}

/* How much a backup of nothing new reads. */
static uint64_t
backup_gets(void)
{
	const struct wrap_fault_plan plan = { .ops = WRAP_FAULT_GET };
	struct err err = ERR_INIT;
	struct manifest *m;
	struct image im;

	image_init(&im, 4 * BLOCK);
	image_fill(&im, 0, im.size, 1, false);
	wrap_fault_set(&rig.fault, &plan);
	assert_int_equal(
	    rig_backup(&rig, rig.store, &m, &im, NULL, NULL, &err), 0);
	manifest_free(m);
	image_fini(&im);
	return wrap_fault_calls(&rig.fault);
}

/* Others of this host are at work with it. */
static void
test_verify_leaves_the_local_index_alone(void **state)
{
	const struct wrap_fault_plan plan = {
		.ops = WRAP_FAULT_GET, .fail_at = 2, .class = ERR_IO
	};
	const struct store_verify_options options = { .threads = 1 };
	struct store_verify_result result;
	struct err err = ERR_INIT;
	uint64_t gets;

	(void)state;
	backup_gets();
	gets = backup_gets();
	wrap_fault_set(&rig.fault, &plan);
	assert_int_equal(
	    store_verify(rig.store, &options, NULL, NULL, &result, &err), -1);
	assert_int_equal(backup_gets(), gets);
}

int
main(void)
{
#define CASE(name) \
	cmocka_unit_test_prestate_setup_teardown( \
	    test_verify_##name, setup, rig_tear_down, &start)
	const struct CMUnitTest tests[] = {
		CASE(sample_is_of_its_seed),
		CASE(samples_come_round),
		CASE(budget_goes_on_where_it_stopped),
		CASE(remembers_only_what_is_whole),
		CASE(compares_blocks),
		CASE(leaves_the_local_index_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
