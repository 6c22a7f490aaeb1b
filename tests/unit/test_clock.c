/* SPDX-License-Identifier: Apache-2.0 */
/* Times: what is written is read again, what is no time is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/clock.h"

static void
test_clock_formats_utc_seconds(void **state)
{
	char text[CLOCK_RFC3339_SIZE];

	(void)state;
	assert_string_equal(
	    clock_format_rfc3339(text, 0), "1970-01-01T00:00:00Z");
	assert_string_equal(
	    clock_format_rfc3339(text, 1763702497999), "2025-11-21T05:21:37Z");
	assert_string_equal(
	    clock_format_rfc3339(text, -1), "1969-12-31T23:59:59Z");
}

static void
test_clock_reads_what_it_writes(void **state)
{
	char text[CLOCK_RFC3339_SIZE];
	int64_t seconds, read_ms;

	(void)state;
	for (seconds = 0; seconds < 4000000000; seconds += 86399 * 17 + 3600) {
		clock_format_rfc3339(text, seconds * 1000);
		assert_int_equal(clock_parse_rfc3339(&read_ms, text), 0);
		assert_int_equal(read_ms, seconds * 1000);
	}
}

static void
test_clock_reads_zones_and_fractions(void **state)
{
	int64_t utc, other;

	(void)state;
	assert_int_equal(clock_parse_rfc3339(&utc, "2026-11-21T05:21:37Z"), 0);
	assert_int_equal(
	    clock_parse_rfc3339(&other, "2026-11-21T07:21:37+02:00"), 0);
	assert_int_equal(other, utc);
	assert_int_equal(
	    clock_parse_rfc3339(&other, "2026-11-20T23:51:37-05:30"), 0);
	assert_int_equal(other, utc);
	assert_int_equal(
	    clock_parse_rfc3339(&other, "2026-11-21T05:21:37.25Z"), 0);
	assert_int_equal(other, utc + 250);
	assert_int_equal(clock_parse_rfc3339(&other, "2026-11-21 05:21"), 0);
	assert_int_equal(other, utc - 37000);
	assert_int_equal(clock_parse_rfc3339(&other, "2026-11-21"), 0);
	assert_int_equal(other, utc - ((5 * 60 + 21) * 60 + 37) * 1000);
}

static void
test_clock_refuses_what_is_no_time(void **state)
{
	static const char *const wrong[] = { "", "latest", "2026", "2026-13-01",
		"2026-11-32", "2026-11-21T", "2026-11-21T25:00:00Z",
		"2026-11-21T05:21:37Zx", "2026-11-21T05:21:37+2", "1969-12-31",
		"2026-1-1" };
	int64_t ms;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(clock_parse_rfc3339(&ms, wrong[i]), -1);
}

static void
test_clock_monotonic_never_goes_back(void **state)
{
	int64_t last_ms = clock_monotonic_ms(), now_ms;
	int i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		now_ms = clock_monotonic_ms();
		assert_true(now_ms >= last_ms);
		last_ms = now_ms;
	}
}

static void
test_clock_parse_duration_needs_its_unit(void **state)
{
	static const char *const wrong[] = { "", "m", "20", "20 m", "20min",
		"-1m", "0s", "1001d", "99999999999d", "1.5h", "20mm" };
	uint64_t ms = 7;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(clock_parse_duration(&ms, wrong[i]), -1);
	assert_int_equal(ms, 7);
	assert_int_equal(clock_parse_duration(&ms, "90s"), 0);
	assert_int_equal(ms, 90000);
	assert_int_equal(clock_parse_duration(&ms, "20m"), 0);
	assert_int_equal(ms, 1200000);
	assert_int_equal(clock_parse_duration(&ms, "3h"), 0);
	assert_int_equal(ms, 10800000);
	assert_int_equal(clock_parse_duration(&ms, "1000d"), 0);
	assert_int_equal(ms, UINT64_C(86400000000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock_formats_utc_seconds),
		cmocka_unit_test(test_clock_reads_what_it_writes),
		cmocka_unit_test(test_clock_reads_zones_and_fractions),
		cmocka_unit_test(test_clock_refuses_what_is_no_time),
		cmocka_unit_test(test_clock_monotonic_never_goes_back),
		cmocka_unit_test(test_clock_parse_duration_needs_its_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
