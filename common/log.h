/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages for people: one line each on standard error, or to a sink (the
 * progress display moves its bar out of the way; the guest helper keeps
 * silent while frozen).  Library layers report errors through struct err and
 * use this only for notes that change nothing.  Any thread may call it.
 */
#ifndef HOLDSTILL_COMMON_LOG_H
#define HOLDSTILL_COMMON_LOG_H

enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

typedef void log_sink_fn(void *arg, enum log_level level, const char *line);

/* Lines above this level are dropped.  LOG_NOTICE at the start. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Sends lines to fn instead of standard error; NULL restores that. */
void log_set_sink(log_sink_fn *fn, void *arg);

void log_line(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
