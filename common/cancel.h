/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process-wide wish to stop: Ctrl-C, SIGTERM or SIGHUP.  Long work asks
 * cancel_check() between steps; pollers watch cancel_fd().  Any thread may
 * call these.
 */
#ifndef HOLDSTILL_COMMON_CANCEL_H
#define HOLDSTILL_COMMON_CANCEL_H

#include <stdbool.h>

struct err;

/* Catches SIGINT, SIGTERM and SIGHUP, ignores SIGPIPE.  Call once, early. */
int cancel_init(struct err *err);

bool cancel_requested(void);

/* 0, or -1 with ERR_CANCELLED once a stop was asked for. */
int cancel_check(struct err *err);

/* A descriptor that is readable once a stop was asked for; do not read or
 * close it.  -1 before cancel_init(). */
int cancel_fd(void);

/* Asks as a signal would (a failed pipeline stage, a test). */
void cancel_request(int signum);

#endif
