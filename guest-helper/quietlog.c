/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines held back while frozen. */
#include "guest-helper/quietlog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/log.h"

#define LINES 16
#define LINE_SIZE 256

static bool held;
static char lines[LINES][LINE_SIZE];
static size_t used;

static void
sink(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	if (!held)
		fprintf(stderr, "holdstill-guest: %s\n", line);
	else if (used < LINES)
		snprintf(lines[used++], LINE_SIZE, "%s", line);
}

void
quietlog_init(void)
{
	log_set_sink(sink, NULL);
}

void
quietlog_hold(void)
{
	held = true;
}

void
quietlog_release(void)
{
	size_t i;

	held = false;
	for (i = 0; i < used; i++)
		fprintf(stderr, "holdstill-guest: %s\n", lines[i]);
	used = 0;
}
