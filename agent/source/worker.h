/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that reads a disk and may wait long, and the calling one, which
 * only ticks, so that a full scratch file or a wish to stop is seen in time.
 * What both touch lies behind one lock.
 */
#ifndef HOLDSTILL_AGENT_SOURCE_WORKER_H
#define HOLDSTILL_AGENT_SOURCE_WORKER_H

#include <pthread.h>

#include "agent/source/source.h"

#define WORKER_TICK_MS 200

struct worker {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t done_bytes, total_bytes;
	bool finished;
	bool stop;
	int stop_fd; /* Readable from then on. */
};

int worker_init(struct worker *w, struct err *err);
void worker_fini(struct worker *w);

/* Runs work(arg) in a thread of its own, and tick meanwhile; -1: tick wished
 * to stop.  What came of the work is the work's to keep. */
int worker_run(struct worker *w, void (*work)(void *arg), void *arg,
    source_tick_fn *tick, void *tick_arg, struct err *err);

/* ---- for the work ---- */

/* -1 if it is to stop; the calling thread has the reason. */
int worker_check_stop(struct worker *w, struct err *err);
void worker_progress(struct worker *w, uint64_t done, uint64_t total);

#endif
