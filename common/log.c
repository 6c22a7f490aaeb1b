/* SPDX-License-Identifier: Apache-2.0 */
/* One-line messages to standard error or a sink. */
#include "common/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic int max_level = LOG_NOTICE;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static log_sink_fn *sink;
static void *sink_arg;

void
log_set_level(enum log_level level)
{
	max_level = (int)level;
}

enum log_level
log_get_level(void)
{
	return (enum log_level)max_level;
}

void
log_set_sink(log_sink_fn *fn, void *arg)
{
	pthread_mutex_lock(&lock);
	sink = fn;
	sink_arg = arg;
	pthread_mutex_unlock(&lock);
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	if ((int)level > max_level)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&lock);
	if (sink != NULL)
		sink(sink_arg, level, line);
	else
		fprintf(stderr, "holdstill: %s\n", line);
	pthread_mutex_unlock(&lock);
}
