/* SPDX-License-Identifier: Apache-2.0 */
/* Which points stay. */
#include "agent/job/retention.h"

#include "common/err.h"

#define MS_PER_HOUR INT64_C(3600000)
#define MS_PER_DAY (24 * MS_PER_HOUR)
/* 1970-01-01 was a Thursday. */
#define EPOCH_WEEKDAY 3
/* From 0000-03-01, where a year of this count begins, to 1970-01-01. */
#define EPOCH_DAYS INT64_C(719468)
#define DAYS_PER_400_YEARS INT64_C(146097)

/* Rounds down below zero too. */
static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/*
 * Months since the year 0, by the usual count of years that begin in March,
 * so that the leap day is a year's last; unlike gmtime() it never fails.
 */
static int64_t
month_of_day(int64_t day)
{
	int64_t era, in_era, year, in_year, month;

	day += EPOCH_DAYS;
	era = floor_div(day, DAYS_PER_400_YEARS);
	in_era = day - era * DAYS_PER_400_YEARS;
	year =
	    (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	in_year = in_era - (365 * year + year / 4 - year / 100);
	month = (5 * in_year + 2) / 153; /* 0 is March. */
	return (era * 400 + year) * 12 + month + 2;
}

/* A number that is the same for two times of one period of the rule. */
static int64_t
period(enum retention_rule rule, int64_t time_ms)
{
	int64_t day = floor_div(time_ms, MS_PER_DAY);

	switch (rule) {
	case RETENTION_HOURLY:
		return floor_div(time_ms, MS_PER_HOUR);
	case RETENTION_DAILY:
		return day;
	case RETENTION_WEEKLY:
		return floor_div(day + EPOCH_WEEKDAY, 7);
	case RETENTION_MONTHLY:
		return month_of_day(day);
	case RETENTION_YEARLY:
		return floor_div(month_of_day(day), 12);
	default:
		return 0;
	}
}

/* From the newest to the oldest, keeps the first of each period. */
static void
apply_rule(struct retention_point *points, size_t count,
    enum retention_rule rule, unsigned int keep)
{
	int64_t last = 0, now;
	bool first = true;
	size_t i;

	for (i = count; i > 0 && keep > 0; i--) {
		now = period(rule, points[i - 1].time_ms);
		if (rule != RETENTION_LAST && !first && now == last)
			continue;
		points[i - 1].kept_by |= 1u << rule;
		last = now;
		first = false;
		keep--;
	}
}

int
retention_apply(struct retention_point *points, size_t count,
    const struct retention_policy *policy, struct err *err)
{
	unsigned int rule;
	size_t i;

	if (retention_is_empty(policy)) {
		err_set(err, ERR_ARG, "the retention would keep nothing");
		return err_hint(err,
		    "give at least one of keep-last, "
		    "keep-hourly, keep-daily, keep-weekly, keep-monthly, "
		    "keep-yearly");
	}
	for (i = 0; i < count; i++)
		points[i].kept_by = 0;
	for (rule = 0; rule < RETENTION_RULES; rule++)
		apply_rule(points, count, (enum retention_rule)rule,
		    policy->keep[rule]);
	return 0;
}

bool
retention_is_empty(const struct retention_policy *policy)
{
	unsigned int rule;

	for (rule = 0; rule < RETENTION_RULES; rule++)
		if (policy->keep[rule] != 0)
			return false;
	return true;
}

const char *
retention_rule_name(enum retention_rule rule)
{
	static const char *const names[] = {
		[RETENTION_LAST] = "keep-last",
		[RETENTION_HOURLY] = "keep-hourly",
		[RETENTION_DAILY] = "keep-daily",
		[RETENTION_WEEKLY] = "keep-weekly",
		[RETENTION_MONTHLY] = "keep-monthly",
		[RETENTION_YEARLY] = "keep-yearly",
	};

	return (unsigned int)rule < RETENTION_RULES ? names[rule] : "unknown";
}
