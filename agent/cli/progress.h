/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person sees while a job works, on standard error: on a terminal one
 * line that renews itself (disk and whole: bytes, rate, time left), in a log
 * a plain line a step, and one now and then.
 */
#ifndef HOLDSTILL_AGENT_CLI_PROGRESS_H
#define HOLDSTILL_AGENT_CLI_PROGRESS_H

#include <stdbool.h>

struct err;
struct job_events;
struct progress;

/* Fills *events.  silent: nothing at all is shown; no_bar: plain lines of
 * the steps only. */
int progress_new(struct progress **out, struct job_events *events, bool silent,
    bool no_bar, struct err *err);

/* Takes the line away.  NULL is allowed. */
void progress_free(struct progress *p);

#endif
