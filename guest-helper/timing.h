/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long the last freezes took, and so how long the next one will: kept in
 * a file of the run folder, for the time of one boot.  One thread.
 */
#ifndef HOLDSTILL_GUEST_TIMING_H
#define HOLDSTILL_GUEST_TIMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMING_NAME "timing"
#define TIMING_KEPT 16
#define TIMING_LOOKED_AT 5

struct timing_entry {
	uint32_t writers_ms;     /* Until each writer had answered. */
	uint32_t filesystems_ms; /* From the first FIFREEZE to the last. */
};

struct timing {
	struct timing_entry items[TIMING_KEPT]; /* The newest last. */
	size_t count;
};

/* What cannot be read is empty: no forecast is better than a wrong one. */
void timing_load(struct timing *t, const char *dir, const char *boot_id);

/* Best effort.  Not to be called while something is frozen. */
void timing_save(const struct timing *t, const char *dir, const char *boot_id);

void timing_add(struct timing *t, struct timing_entry entry);

/* The largest of the last TIMING_LOOKED_AT, with or without the writers'
 * part; 0: nothing is known. */
uint32_t timing_forecast_ms(const struct timing *t, bool writers);

/* Forgets the oldest of those that the forecast looks at: a freeze that was
 * refused for it is tried again some day. */
void timing_age(struct timing *t);

#endif
