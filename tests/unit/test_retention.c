/* SPDX-License-Identifier: Apache-2.0 */
/* Which points stay: cases by hand, and properties of random histories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "agent/job/retention.h"
#include "common/clock.h"
#include "common/err.h"

#define POINTS_MAX 400

static struct err err;

static int64_t
at(const char *text)
{
	int64_t time_ms;

	assert_int_equal(clock_parse_rfc3339(&time_ms, text), 0);
	return time_ms;
}

/* Applies one rule to times and returns a digit or dash for each. */
static const char *
kept(enum retention_rule rule, unsigned int keep, const char *const *times,
    size_t count)
{
	static char out[16];
	struct retention_point points[16] = { 0 };
	struct retention_policy policy = { { 0 } };
	size_t i;

	policy.keep[rule] = keep;
	for (i = 0; i < count; i++)
		points[i].time_ms = at(times[i]);
	assert_int_equal(retention_apply(points, count, &policy, &err), 0);
	for (i = 0; i < count; i++) {
		assert_int_equal(points[i].kept_by & ~(1u << rule), 0);
		out[i] = points[i].kept_by != 0 ? 'k' : '-';
	}
	out[count] = '\0';
	return out;
}

#define KEPT(rule, keep, ...) \
	kept(rule, keep, (const char *const[]){ __VA_ARGS__ }, \
	    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void
test_retention_keeps_the_newest_of_each_period(void **state)
{
	(void)state;
	assert_string_equal(KEPT(RETENTION_LAST, 2, "2026-01-01T00:00",
				"2026-01-01T00:00", "2026-01-01T00:00"),
	    "-kk");
	assert_string_equal(
	    KEPT(RETENTION_HOURLY, 2, "2026-01-01T00:59:59Z",
		"2026-01-01T01:00", "2026-01-01T01:59", "2026-01-01T02:00"),
	    "--kk");
	assert_string_equal(KEPT(RETENTION_DAILY, 2, "2026-01-01T23:59:59Z",
				"2026-01-02T00:00", "2026-01-02T23:00"),
	    "k-k");
	/* 2026-11-22 is a Sunday. */
	assert_string_equal(
	    KEPT(RETENTION_WEEKLY, 2, "2026-11-15T23:59", "2026-11-16T00:00",
		"2026-11-22T23:59", "2026-11-23T00:00"),
	    "--kk");
	assert_string_equal(
	    KEPT(RETENTION_MONTHLY, 3, "2024-01-31T12:00", "2024-02-29T23:59",
		"2024-03-01T00:00", "2024-03-31T00:00"),
	    "kk-k");
	assert_string_equal(
	    KEPT(RETENTION_YEARLY, 2, "2024-12-31T23:59", "2025-01-01T00:00",
		"2025-12-31T23:59", "2026-02-28T00:00"),
	    "--kk");
}

static void
test_retention_counts_periods_that_have_points(void **state)
{
	(void)state;
	/* A pause of years does not age the old points out. */
	assert_string_equal(KEPT(RETENTION_DAILY, 3, "2001-01-01", "2001-01-02",
				"2019-01-01", "2026-01-01"),
	    "-kkk");
}

static void
test_retention_refuses_to_keep_nothing(void **state)
{
	struct retention_policy policy = { { 0 } };
	struct retention_point point = { .kept_by = 7 };

	(void)state;
	assert_true(retention_is_empty(&policy));
	assert_int_equal(retention_apply(&point, 1, &policy, &err), -1);
	assert_int_equal(err.class, ERR_ARG);
	assert_int_equal(point.kept_by, 7);
	policy.keep[RETENTION_YEARLY] = 1;
	assert_int_equal(retention_apply(NULL, 0, &policy, &err), 0);
}

static void
test_retention_survives_impossible_times(void **state)
{
	struct retention_policy policy = { { 9, 9, 9, 9, 9, 9 } };
	struct retention_point points[] = {
		{ .time_ms = INT64_MIN },
		{ .time_ms = -1 },
		{ .time_ms = 0 },
		{ .time_ms = INT64_MAX },
	};

	(void)state;
	assert_int_equal(retention_apply(points, 4, &policy, &err), 0);
	assert_int_equal(points[0].kept_by, 63);
	/* -1 is 1969, 0 is 1970, of one ISO week. */
	assert_int_equal(
	    points[1].kept_by & 1u << RETENTION_YEARLY, 1u << RETENTION_YEARLY);
	assert_int_equal(points[1].kept_by & 1u << RETENTION_WEEKLY, 0);
	assert_int_equal(points[2].kept_by, 63);
}

static void
test_retention_names_its_rules(void **state)
{
	(void)state;
	assert_string_equal(retention_rule_name(RETENTION_LAST), "keep-last");
	assert_string_equal(
	    retention_rule_name(RETENTION_YEARLY), "keep-yearly");
	assert_string_equal(retention_rule_name(RETENTION_RULES), "unknown");
}

/* ---- properties ---- */

static uint32_t seed = 1;

static uint32_t
dice(uint32_t sides)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % sides;
}

static int
compare_times(const void *a, const void *b)
{
	const struct retention_point *x = a, *y = b;

	return (x->time_ms > y->time_ms) - (x->time_ms < y->time_ms);
}

static size_t
random_history(struct retention_point *points)
{
	int64_t start = at("1999-06-01T00:00:00Z");
	/* From hours to decades. */
	uint32_t span = dice(2) ? 48 : 30u * 365 * 24;
	size_t i, count = 1 + dice(POINTS_MAX - 1);

	for (i = 0; i < count; i++)
		points[i].time_ms =
		    start + dice(span) * INT64_C(3600000) + dice(3600000);
	qsort(points, count, sizeof(*points), compare_times);
	return count;
}

/* The C library's idea of the period, as text. */
static void
period_text(char out[32], enum retention_rule rule, int64_t time_ms)
{
	time_t t = (time_t)(time_ms / 1000);
	struct tm tm;

	assert_non_null(gmtime_r(&t, &tm));
	if (rule == RETENTION_HOURLY)
		strftime(out, 32, "%F %H", &tm);
	else if (rule == RETENTION_DAILY)
		strftime(out, 32, "%F", &tm);
	else if (rule == RETENTION_WEEKLY)
		strftime(out, 32, "%G %V", &tm);
	else if (rule == RETENTION_MONTHLY)
		strftime(out, 32, "%Y-%m", &tm);
	else
		strftime(out, 32, "%Y", &tm);
}

/* How many periods have a point, and is each kept one its period's newest? */
static void
check_rule(const struct retention_point *points, size_t count,
    enum retention_rule rule, unsigned int keep)
{
	char newer[32] = "", now[32];
	size_t i, periods = 0, stay = 0;
	bool kept_now;

	for (i = count; i > 0; i--) {
		kept_now = (points[i - 1].kept_by >> rule & 1) != 0;
		stay += kept_now;
		if (rule == RETENTION_LAST) {
			periods++;
		} else {
			period_text(now, rule, points[i - 1].time_ms);
			if (strcmp(now, newer) == 0) {
				assert_false(kept_now);
				continue;
			}
			strcpy(newer, now);
			periods++;
		}
		assert_int_equal(kept_now, periods <= keep);
	}
	assert_int_equal(stay, periods < keep ? periods : keep);
}

static void
test_retention_agrees_with_the_calendar(void **state)
{
	static struct retention_point points[POINTS_MAX];
	struct retention_policy policy;
	unsigned int round, rule;
	size_t count;

	(void)state;
	for (round = 0; round < 500; round++) {
		count = random_history(points);
		for (rule = 0; rule < RETENTION_RULES; rule++)
			policy.keep[rule] = dice(3) ? dice(20) : 0;
		policy.keep[dice(RETENTION_RULES)] = 1 + dice(9);
		assert_int_equal(
		    retention_apply(points, count, &policy, &err), 0);
		assert_true(points[count - 1].kept_by != 0);
		for (rule = 0; rule < RETENTION_RULES; rule++)
			check_rule(points, count, (enum retention_rule)rule,
			    policy.keep[rule]);
	}
}

/* What is removed once is not missed the next time. */
static void
test_retention_twice_is_once(void **state)
{
	static struct retention_point points[POINTS_MAX];
	struct retention_policy policy = { { 3, 5, 7, 4, 12, 3 } };
	unsigned int round;
	size_t i, count, left;

	(void)state;
	for (round = 0; round < 200; round++) {
		count = random_history(points);
		assert_int_equal(
		    retention_apply(points, count, &policy, &err), 0);
		for (i = left = 0; i < count; i++)
			if (points[i].kept_by != 0)
				points[left++] = points[i];
		assert_int_equal(
		    retention_apply(points, left, &policy, &err), 0);
		for (i = 0; i < left; i++)
			assert_true(points[i].kept_by != 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_retention_keeps_the_newest_of_each_period),
		cmocka_unit_test(
		    test_retention_counts_periods_that_have_points),
		cmocka_unit_test(test_retention_refuses_to_keep_nothing),
		cmocka_unit_test(test_retention_survives_impossible_times),
		cmocka_unit_test(test_retention_names_its_rules),
		cmocka_unit_test(test_retention_agrees_with_the_calendar),
		cmocka_unit_test(test_retention_twice_is_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
