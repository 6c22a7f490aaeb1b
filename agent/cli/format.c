/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and durations as people read them. */
#include "agent/cli/format.h"

#include <stdio.h>

char *
format_bytes(char out[FORMAT_SIZE], uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB",
		"PiB", "EiB" };
	double value = (double)bytes;
	unsigned int unit = 0;

	/* 1023.96 would be printed as "1024.0". */
	while (value >= 1023.95 && unit < 6) {
		value /= 1024;
		unit++;
	}
	snprintf(out, FORMAT_SIZE, unit == 0 ? "%.0f %s" : "%.1f %s", value,
	    units[unit]);
	return out;
}

const char *
format_plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

char *
format_duration(char out[FORMAT_SIZE], int64_t ms)
{
	long long seconds = ms / 1000;

	if (ms < 1000)
		snprintf(out, FORMAT_SIZE, "%lld ms", (long long)ms);
	else if (seconds < 60)
		snprintf(out, FORMAT_SIZE, "%.1f s", (double)ms / 1000);
	else if (seconds < 3600)
		snprintf(out, FORMAT_SIZE, "%lld:%02lld", seconds / 60,
		    seconds % 60);
	else
		snprintf(out, FORMAT_SIZE, "%lld:%02lld:%02lld", seconds / 3600,
		    seconds / 60 % 60, seconds % 60);
	return out;
}
