/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which points of a domain stay: the newest of each of the last N hours, days,
 * weeks, months, years, and the last N.  Periods are UTC; weeks begin on
 * Monday.  Pure: reads no clock, so old points are not lost to a pause in
 * the backups: "the last 7 days" are the last 7 days that have a point.
 */
#ifndef HOLDSTILL_AGENT_JOB_RETENTION_H
#define HOLDSTILL_AGENT_JOB_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum retention_rule {
	RETENTION_LAST,
	RETENTION_HOURLY,
	RETENTION_DAILY,
	RETENTION_WEEKLY,
	RETENTION_MONTHLY,
	RETENTION_YEARLY,
	RETENTION_RULES, /* How many there are. */
};

struct retention_policy {
	unsigned int keep[RETENTION_RULES]; /* 0: the rule keeps nothing. */
};

struct retention_point {
	const char *id;  /* For the caller; not read. */
	int64_t time_ms; /* Wall clock, since 1970. */
	/* Set by retention_apply(): bits 1 << rule of the rules that keep
	 * the point; 0: none does. */
	unsigned int kept_by;
};

/*
 * Decides about the points of one domain, given oldest first, as
 * catalog_points() visits them.  The last one always stays.  A policy of
 * zeros is ERR_ARG: it would remove everything.
 */
int retention_apply(struct retention_point *points, size_t count,
    const struct retention_policy *policy, struct err *err);

bool retention_is_empty(const struct retention_policy *policy);

/* "keep-last", "keep-hourly", ... as in the configuration. */
const char *retention_rule_name(enum retention_rule rule);

#endif
