/* SPDX-License-Identifier: Apache-2.0 */
/* Monotonic and wall-clock time, RFC 3339. */
#include "common/clock.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t
read_clock_ms(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static uint64_t
read_clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_monotonic_ns(void)
{
	return read_clock_ns(CLOCK_MONOTONIC);
}

uint64_t
clock_boottime_ns(void)
{
	return read_clock_ns(CLOCK_BOOTTIME);
}

int64_t
clock_monotonic_ms(void)
{
	return read_clock_ms(CLOCK_MONOTONIC);
}

int64_t
clock_wall_ms(void)
{
	return read_clock_ms(CLOCK_REALTIME);
}

char *
clock_format_rfc3339(char out[CLOCK_RFC3339_SIZE], int64_t wall_ms)
{
	/* Rounds down before 1970 too. */
	time_t seconds =
	    (time_t)((wall_ms - (wall_ms % 1000 + 1000) % 1000) / 1000);
	struct tm tm;

	if (gmtime_r(&seconds, &tm) == NULL ||
	    strftime(out, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, CLOCK_RFC3339_SIZE, "0000-00-00T00:00:00Z");
	return out;
}

/* Reads exactly n digits; returns the place behind them, or NULL. */
static const char *
digits(const char *p, int n, int *out)
{
	*out = 0;
	while (n-- > 0) {
		if (!isdigit((unsigned char)*p))
			return NULL;
		*out = *out * 10 + (*p++ - '0');
	}
	return p;
}

static const char *
parse_date(const char *p, struct tm *tm)
{
	if ((p = digits(p, 4, &tm->tm_year)) == NULL || *p++ != '-' ||
	    (p = digits(p, 2, &tm->tm_mon)) == NULL || *p++ != '-' ||
	    (p = digits(p, 2, &tm->tm_mday)) == NULL)
		return NULL;
	if (tm->tm_year < 1970 || tm->tm_mon < 1 || tm->tm_mon > 12 ||
	    tm->tm_mday < 1 || tm->tm_mday > 31)
		return NULL;
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	return p;
}

static const char *
parse_time(const char *p, struct tm *tm, int *milliseconds)
{
	int scale = 100;

	if ((p = digits(p, 2, &tm->tm_hour)) == NULL || *p++ != ':' ||
	    (p = digits(p, 2, &tm->tm_min)) == NULL)
		return NULL;
	if (*p == ':' && (p = digits(p + 1, 2, &tm->tm_sec)) == NULL)
		return NULL;
	if (*p == '.') {
		for (p++; isdigit((unsigned char)*p); p++, scale /= 10)
			*milliseconds += (*p - '0') * scale;
	}
	if (tm->tm_hour > 23 || tm->tm_min > 59 || tm->tm_sec > 60)
		return NULL;
	return p;
}

static const char *
parse_zone(const char *p, int *offset_minutes)
{
	int hours, minutes, sign = *p == '-' ? -1 : 1;

	if (*p == 'Z' || *p == 'z')
		return p + 1;
	if (*p != '+' && *p != '-')
		return p;
	if ((p = digits(p + 1, 2, &hours)) == NULL || *p++ != ':' ||
	    (p = digits(p, 2, &minutes)) == NULL)
		return NULL;
	*offset_minutes = sign * (hours * 60 + minutes);
	return p;
}

int
clock_parse_rfc3339(int64_t *out_wall_ms, const char *text)
{
	struct tm tm = { 0 };
	int milliseconds = 0, offset_minutes = 0;
	const char *p = parse_date(text, &tm);

	if (p == NULL)
		return -1;
	if (*p == 'T' || *p == 't' || *p == ' ') {
		if ((p = parse_time(p + 1, &tm, &milliseconds)) == NULL ||
		    (p = parse_zone(p, &offset_minutes)) == NULL)
			return -1;
	}
	if (*p != '\0')
		return -1;
	*out_wall_ms =
	    ((int64_t)timegm(&tm) - offset_minutes * 60) * 1000 + milliseconds;
	return 0;
}

int
clock_parse_duration(uint64_t *out_ms, const char *text)
{
	static const char units[] = "smhd";
	static const uint64_t unit_ms[] = { 1000, 60000, 3600000, 86400000 };
	size_t digits = strspn(text, "0123456789");
	uint64_t number = 0, max_ms = 1000 * unit_ms[3], ms;
	const char *unit;
	size_t i;

	if (digits == 0 || digits > 9 || text[digits] == '\0' ||
	    text[digits + 1] != '\0' ||
	    (unit = strchr(units, text[digits])) == NULL)
		return -1;
	for (i = 0; i < digits; i++)
		number = number * 10 + (uint64_t)(text[i] - '0');
	ms = number * unit_ms[unit - units];
	if (number == 0 || ms > max_ms)
		return -1;
	*out_ms = ms;
	return 0;
}
