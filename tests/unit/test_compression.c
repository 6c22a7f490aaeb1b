/* SPDX-License-Identifier: Apache-2.0 */
/* Levels: as written, as kept, as chosen; and what does not compress. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "common/err.h"
#include "store/compression.h"
#include "store/frame.h"
#include "tests/unit/store_rig.h"

#define SECOND UINT64_C(1000000000)
#define MIB (UINT64_C(1) << 20)

static void
test_compression_words_there_and_back(void **state)
{
	static const char *const right[] = { "none", "auto", "zstd:1",
		"zstd:19", "zstd:-9" };
	static const char *const wrong[] = { "", "zstd", "zstd:", "zstd:0",
		"zstd:20", "zstd:-10", "zstd:+1", "zstd:1x", "zstd:--1",
		"zstd:0000001", "lz4", "Auto", "none " };
	char text[STORE_COMPRESSION_SIZE];
	struct err err = ERR_INIT;
	struct store_compression c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		assert_int_equal(
		    store_compression_parse(&c, right[i], &err), 0);
		assert_string_equal(store_compression_text(text, &c), right[i]);
	}
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (store_compression_parse(&c, wrong[i], &err) == 0)
			fail_msg("'%s' was read", wrong[i]);
		assert_int_equal(err.class, ERR_ARG);
		assert_non_null(strstr(err.hint, "zstd:LEVEL"));
	}
}

static void
learn(struct level *l, unsigned int blocked, unsigned int idle,
    unsigned int queued)
{
	const struct level_times times = {
		.passed_ns = SECOND,
		.blocked_ns = blocked * SECOND / 100,
		.idle_ns = idle * SECOND / 100,
		.queued = queued,
	};

	level_learn(l, &times);
}

static void
test_compression_auto_follows_the_limit(void **state)
{
	const struct store_compression automatic = {
		.mode = STORE_COMPRESSION_AUTO
	};
	struct level l;
	int before;
	int i;

	(void)state;
	level_init(&l, &automatic);
	assert_int_equal(level_now(&l), 1);
	/* The backend is the limit: stronger, step by step, to an end. */
	for (i = 0; i < 20; i++) {
		before = level_now(&l);
		learn(&l, 60, 50, 2);
		assert_true(level_now(&l) >= before);
	}
	assert_int_equal(level_now(&l), 9);
	/* Neither: it stays. */
	learn(&l, 10, 0, 1);
	learn(&l, 0, 60, 0);
	learn(&l, 0, 0, 1);
	assert_int_equal(level_now(&l), 9);
	/* The processors: faster, to an end. */
	for (i = 0; i < 20; i++)
		learn(&l, 0, 0, 0);
	assert_int_equal(level_now(&l), -3);
	learn(&l, 60, 0, 2);
	assert_int_equal(level_now(&l), -1);
}

static void
test_compression_a_fixed_level_stays(void **state)
{
	struct store_compression c = { STORE_COMPRESSION_ZSTD, 7 };
	struct level l;

	(void)state;
	level_init(&l, &c);
	learn(&l, 60, 0, 2);
	learn(&l, 0, 0, 0);
	assert_int_equal(level_now(&l), 7);
	c.mode = STORE_COMPRESSION_NONE;
	level_init(&l, &c);
	learn(&l, 60, 0, 2);
	assert_int_equal(level_now(&l), FRAME_LEVEL_STORE);
}

/* At each level what comes out goes in again, and only what shrinks is
 * compressed. */
static void
test_compression_of_frames(void **state)
{
	static const int levels[] = { -9, 1, 4, 5, 9, 19, FRAME_LEVEL_STORE };
	static const size_t sizes[] = { 1, 4096, 65536, FRAME_RAW_MAX };
	struct frame_codec *codec = frame_codec_new();
	uint8_t *stored = malloc(FRAME_RAW_MAX), *back = malloc(FRAME_RAW_MAX);
	struct err err = ERR_INIT;
	enum frame_coding coding;
	struct image im[2];
	size_t i, j, k, size;

	(void)state;
	assert_true(codec != NULL && stored != NULL && back != NULL);
	for (i = 0; i < 2; i++) {
		image_init(&im[i], FRAME_RAW_MAX);
		image_fill(&im[i], 0, FRAME_RAW_MAX, 3, i == 1);
	}
	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		frame_codec_level(codec, levels[i]);
		for (j = 0; j < 2; j++)
			for (k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
				size = sizes[k];
				coding = frame_compress(codec, stored, &size,
				    im[j].bytes, sizes[k]);
				assert_int_equal(coding,
				    j == 1 && sizes[k] > 1 &&
					    levels[i] != FRAME_LEVEL_STORE
					? FRAME_ZSTD
					: FRAME_RAW);
				if (coding == FRAME_RAW)
					continue;
				assert_true(size < sizes[k]);
				assert_int_equal(
				    frame_decompress(codec, coding, back,
					sizes[k], stored, size, &err),
				    0);
				assert_memory_equal(
				    back, im[j].bytes, sizes[k]);
			}
	}
	for (i = 0; i < 2; i++)
		image_fini(&im[i]);
	frame_codec_free(codec);
	free(stored);
	free(back);
}

/* A stretch of text between two of noise is worth its search. */
static void
test_compression_half_a_frame_is_found(void **state)
{
	struct frame_codec *codec = frame_codec_new();
	uint8_t *stored = malloc(FRAME_RAW_MAX);
	size_t size = FRAME_RAW_MAX;
	struct image im;

	(void)state;
	image_init(&im, FRAME_RAW_MAX);
	image_fill(&im, 0, FRAME_RAW_MAX, 3, false);
	image_fill(&im, FRAME_RAW_MAX / 4, FRAME_RAW_MAX / 4, 4, true);
	frame_codec_level(codec, 9);
	assert_int_equal(
	    frame_compress(codec, stored, &size, im.bytes, FRAME_RAW_MAX),
	    FRAME_ZSTD);
	assert_true(size < (size_t)FRAME_RAW_MAX * 7 / 8);
	image_fini(&im);
	frame_codec_free(codec);
	free(stored);
}

static void
open_with(struct store **out, const char *url, const char *cache,
    const struct store_init_options *init)
{
	struct err err = ERR_INIT;
	struct backend *b;

	assert_int_equal(backend_open(&b, url, BACKEND_CREATE, &err), 0);
	assert_int_equal(store_init(b, init, &err), 0);
	if (store_open(out, b, cache, NULL, &err) == -1)
		fail_msg("%s", err.text);
}

static uint64_t
stored_bytes(struct rig *rig, struct store *s)
{
	struct err err = ERR_INIT;
	struct manifest *m;
	struct image im;
	uint64_t stored;

	image_init(&im, 4 * MIB);
	image_fill(&im, 0, 4 * MIB, 9, true);
	if (rig_backup(rig, s, &m, &im, NULL, NULL, &err) == -1)
		fail_msg("%s", err.text);
	rig_expect(s, m, &im);
	stored = m->disks[0].stored_bytes;
	manifest_free(m);
	image_fini(&im);
	return stored;
}

static void
test_compression_is_the_repositorys(void **state)
{
	struct store_init_options init = {
		.compression = { .mode = STORE_COMPRESSION_NONE }
	};
	char text[STORE_COMPRESSION_SIZE];
	struct store *none, *strong;
	uint64_t weak_bytes;
	struct rig rig;

	(void)state;
	rig_init(&rig, "mem");
	assert_string_equal(
	    store_compression_text(text, store_compression(rig.store)),
	    "zstd:1");
	open_with(&none, "mem:none", rig.cache, &init);
	init.compression.mode = STORE_COMPRESSION_ZSTD;
	init.compression.level = 12;
	open_with(&strong, "mem:strong", rig.cache, &init);
	assert_string_equal(
	    store_compression_text(text, store_compression(strong)), "zstd:12");
	assert_int_equal(stored_bytes(&rig, none), 4 * MIB);
	weak_bytes = stored_bytes(&rig, rig.store);
	assert_true(weak_bytes < 2 * MIB);
	assert_true(stored_bytes(&rig, strong) < weak_bytes);
	store_close(none);
	store_close(strong);
	rig_fini(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compression_words_there_and_back),
		cmocka_unit_test(test_compression_auto_follows_the_limit),
		cmocka_unit_test(test_compression_a_fixed_level_stays),
		cmocka_unit_test(test_compression_of_frames),
		cmocka_unit_test(test_compression_half_a_frame_is_found),
		cmocka_unit_test(test_compression_is_the_repositorys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
