/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time: monotonic milliseconds for durations and deadlines, wall-clock
 * milliseconds since 1970 for what people read, and RFC 3339 in UTC.
 */
#ifndef HOLDSTILL_COMMON_CLOCK_H
#define HOLDSTILL_COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* "2026-11-21T05:21:37Z" and its NUL. */
#define CLOCK_RFC3339_SIZE 21

/* CLOCK_MONOTONIC in milliseconds. */
int64_t clock_monotonic_ms(void);

/* In nanoseconds: CLOCK_MONOTONIC, and CLOCK_BOOTTIME, which runs on while the
 * machine is suspended. */
uint64_t clock_monotonic_ns(void);
uint64_t clock_boottime_ns(void);

/* CLOCK_REALTIME in milliseconds since the epoch. */
int64_t clock_wall_ms(void);

/* Writes seconds precision UTC; returns out. */
char *clock_format_rfc3339(char out[CLOCK_RFC3339_SIZE], int64_t wall_ms);

/*
 * Reads "YYYY-MM-DDTHH:MM:SS[.fraction](Z|+HH:MM|-HH:MM)"; also a date alone
 * and a time without seconds or zone (taken as UTC).  Returns 0, or -1 if the
 * text is no such time (no struct err: the caller knows what it was for).
 */
int clock_parse_rfc3339(int64_t *out_wall_ms, const char *text);

/* Reads a length of time: a number from 1 and s, m, h or d, at most 1000 days.
 * 0, or -1 with *out_ms as it was. */
int clock_parse_duration(uint64_t *out_ms, const char *text);

#endif
