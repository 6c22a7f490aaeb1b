/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes as written, and limits that hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>

#include "common/bytes.h"
#include "common/cancel.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/rate.h"

#define MS UINT64_C(1000000)

static void
test_bytes_reads_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} right[] = {
		{ "0", 0 },
		{ "65536", 65536 },
		{ "1K", 1024 },
		{ "20M", UINT64_C(20) << 20 },
		{ "3GiB", UINT64_C(3) << 30 },
		{ "16777215T", UINT64_C(16777215) << 40 },
	};
	static const char *const wrong[] = { "", "K", "-1", " 1", "1 K", "1k",
		"1KB", "1KiBs", "1.5M", "1Ki", "16777216T",
		"18446744073709551616" };
	uint64_t bytes = 7;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		assert_int_equal(bytes_parse(&bytes, right[i].text), 0);
		assert_true(bytes == right[i].bytes);
	}
	bytes = 7;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (bytes_parse(&bytes, wrong[i]) != -1 || bytes != 7)
			fail_msg("'%s' was read", wrong[i]);
}

/* Nobody waits here: the instants alone say what the limit would do. */
static void
test_rate_gives_neither_more_nor_less(void **state)
{
	static const uint64_t limits[] = { 1024, 999983, UINT64_C(50) << 20,
		UINT64_C(7) << 30 };
	uint64_t first, last, total, want_ns;
	struct rate r;
	size_t i, piece;

	(void)state;
	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		rate_init(&r, limits[i]);
		piece = rate_piece(&r, 1u << 20);
		/* Far ahead: a test that is held up saves nothing. */
		r.paid_ns += 3600 * 1000 * MS;
		assert_in_range(piece, 4096, 1u << 20);
		first = last = rate_take(&r, 1);
		/* Some ten seconds; the bucket must stay empty meanwhile. */
		for (total = 0; total < 10 * limits[i]; total += piece)
			last = rate_take(&r, piece);
		want_ns = total / limits[i] * 1000 * MS +
			  total % limits[i] * 1000 * MS / limits[i];
		assert_true(last - first > want_ns - want_ns / 1000);
		assert_true(last - first < want_ns + want_ns / 1000);
		rate_fini(&r);
	}
}

static void
test_rate_saves_no_more_than_the_burst(void **state)
{
	struct rate r;
	uint64_t before, due;

	(void)state;
	rate_init(&r, 1000000);
	/* As if nothing had moved for a minute. */
	r.paid_ns -= 60000 * MS;
	before = clock_monotonic_ns();
	due = rate_take(&r, 1000000);
	assert_true(due >= before + (1000 - RATE_BURST_MS) * MS);
	assert_true(due <= clock_monotonic_ns() + (1000 - RATE_BURST_MS) * MS);
	rate_fini(&r);
}

struct taker {
	struct rate *rate;
	struct err err;
};

static void *
take_some(void *arg)
{
	struct taker *t = arg;
	int i;

	for (i = 0; i < 10; i++)
		assert_int_equal(rate_wait(t->rate, 5000, &t->err), 0);
	return NULL;
}

static void
test_rate_is_shared_by_threads(void **state)
{
	struct taker takers[4];
	pthread_t thread[4];
	struct rate r;
	uint64_t start;
	size_t i;

	(void)state;
	rate_init(&r, 1000000);
	start = clock_monotonic_ns();
	for (i = 0; i < 4; i++) {
		takers[i] = (struct taker){ .rate = &r };
		assert_int_equal(
		    pthread_create(&thread[i], NULL, take_some, &takers[i]), 0);
	}
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	/* 200000 bytes, of which the burst may have been saved up. */
	assert_true(clock_monotonic_ns() - start >= (200 - RATE_BURST_MS) * MS);
	rate_fini(&r);
}

/* The last: the wish to stop stays. */
static void
test_rate_wait_ends_at_a_wish_to_stop(void **state)
{
	struct err err = ERR_INIT;
	struct rate r;
	uint64_t start = clock_monotonic_ns();

	(void)state;
	rate_init(&r, 1024);
	assert_int_equal(cancel_init(&err), 0);
	cancel_request(SIGTERM);
	assert_int_equal(rate_wait(&r, 1u << 20, &err), -1);
	assert_int_equal(err.class, ERR_CANCELLED);
	/* It would have been 17 minutes. */
	assert_true(clock_monotonic_ns() - start < 60000 * MS);
	rate_fini(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_reads_sizes),
		cmocka_unit_test(test_rate_gives_neither_more_nor_less),
		cmocka_unit_test(test_rate_saves_no_more_than_the_burst),
		cmocka_unit_test(test_rate_is_shared_by_threads),
		cmocka_unit_test(test_rate_wait_ends_at_a_wish_to_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
