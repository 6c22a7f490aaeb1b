/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A limit on bytes a second: a token bucket that holds RATE_BURST_MS worth.
 * Whoever moves bytes takes them first, in pieces of at most rate_piece(),
 * and so never moves more than the limit times the time passed, and the
 * burst.  Any thread.
 */
#ifndef HOLDSTILL_COMMON_RATE_H
#define HOLDSTILL_COMMON_RATE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/* What is saved up for a while in which nothing moved. */
#define RATE_BURST_MS 100
/* Less than this is no limit but a standstill. */
#define RATE_MIN 1024u

struct err;

struct rate {
	uint64_t bytes_per_second;
	pthread_mutex_t lock;
	uint64_t paid_ns; /* Monotonic: all taken so far is paid by then. */
};

/* bytes_per_second: at least RATE_MIN. */
void rate_init(struct rate *r, uint64_t bytes_per_second);
void rate_fini(struct rate *r);

/* Bytes, up to max, that are to be taken at once: some 20 ms worth, but not
 * less than 4 KiB. */
size_t rate_piece(const struct rate *r, size_t max);

/* Takes bytes; they may move from the returned instant of clock_monotonic_ns()
 * on, which may lie behind us. */
uint64_t rate_take(struct rate *r, size_t bytes);

/* Takes bytes and waits for them.  -1, ERR_CANCELLED, once a stop was asked
 * for (common/cancel.h). */
int rate_wait(struct rate *r, size_t bytes, struct err *err);

#endif
