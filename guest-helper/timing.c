/* SPDX-License-Identifier: Apache-2.0 */
/* The last freezes: a line for the boot, then one for each. */
#include "guest-helper/timing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/io.h"

#define FILE_MAX_BYTES 4096

void
timing_add(struct timing *t, struct timing_entry entry)
{
	if (t->count == TIMING_KEPT) {
		memmove(&t->items[0], &t->items[1],
		    (TIMING_KEPT - 1) * sizeof(t->items[0]));
		t->count--;
	}
	t->items[t->count++] = entry;
}

/* Where those begin that are looked at. */
static size_t
first_looked_at(const struct timing *t)
{
	return t->count > TIMING_LOOKED_AT ? t->count - TIMING_LOOKED_AT : 0;
}

uint32_t
timing_forecast_ms(const struct timing *t, bool writers)
{
	uint64_t ms, most = 0;
	size_t i;

	for (i = first_looked_at(t); i < t->count; i++) {
		ms = t->items[i].filesystems_ms;
		if (writers)
			ms += t->items[i].writers_ms;
		if (ms > most)
			most = ms;
	}
	return most > UINT32_MAX ? UINT32_MAX : (uint32_t)most;
}

void
timing_age(struct timing *t)
{
	size_t gone = first_looked_at(t) + 1;

	if (t->count == 0)
		return;
	memmove(&t->items[0], &t->items[gone],
	    (t->count - gone) * sizeof(t->items[0]));
	t->count -= gone;
}

static void
read_lines(struct timing *t, const char *text)
{
	struct timing_entry entry;

	while (sscanf(text, "%" SCNu32 " %" SCNu32, &entry.writers_ms,
		   &entry.filesystems_ms) == 2) {
		timing_add(t, entry);
		text = strchr(text, '\n');
		if (text == NULL)
			return;
		text++;
	}
}

void
timing_load(struct timing *t, const char *dir, const char *boot_id)
{
	char *path = io_path(dir, TIMING_NAME), *text = NULL;
	struct err err = ERR_INIT;
	size_t size, head = strlen(boot_id);

	memset(t, 0, sizeof(*t));
	if (path != NULL &&
	    io_read_file(&text, &size, path, FILE_MAX_BYTES, &err) == 0 &&
	    strncmp(text, boot_id, head) == 0 && text[head] == '\n')
		read_lines(t, text + head + 1);
	free(text);
	free(path);
}

void
timing_save(const struct timing *t, const char *dir, const char *boot_id)
{
	char *path = io_path(dir, TIMING_NAME), *text = NULL;
	struct err err = ERR_INIT;
	size_t size = 0, i;
	FILE *stream = open_memstream(&text, &size);

	if (stream != NULL) {
		fprintf(stream, "%s\n", boot_id);
		for (i = 0; i < t->count; i++)
			fprintf(stream, "%" PRIu32 " %" PRIu32 "\n",
			    t->items[i].writers_ms, t->items[i].filesystems_ms);
		/* Without it the next helper has no forecast, no more. */
		if (fclose(stream) == 0 && path != NULL)
			io_replace_file(path, text, size, 0600, &err);
	}
	free(text);
	free(path);
}
