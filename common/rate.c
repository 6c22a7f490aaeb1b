/* SPDX-License-Identifier: Apache-2.0 */
/* The bucket, kept as the instant by which all that was taken is paid. */
#include "common/rate.h"

#include <poll.h>

#include "common/cancel.h"
#include "common/clock.h"
#include "common/err.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_SECOND (1000 * NS_PER_MS)
#define PIECES_PER_SECOND 50
#define PIECE_MIN_BYTES 4096u

void
rate_init(struct rate *r, uint64_t bytes_per_second)
{
	r->bytes_per_second =
	    bytes_per_second > RATE_MIN ? bytes_per_second : RATE_MIN;
	r->paid_ns = clock_monotonic_ns();
	pthread_mutex_init(&r->lock, NULL);
}

void
rate_fini(struct rate *r)
{
	pthread_mutex_destroy(&r->lock);
}

size_t
rate_piece(const struct rate *r, size_t max)
{
	uint64_t bytes = r->bytes_per_second / PIECES_PER_SECOND;

	if (bytes < PIECE_MIN_BYTES)
		bytes = PIECE_MIN_BYTES;
	return bytes < max ? (size_t)bytes : max;
}

static uint64_t
cost_ns(const struct rate *r, uint64_t bytes)
{
	/* No overflow, however large the piece. */
	return bytes / r->bytes_per_second * NS_PER_SECOND +
	       (uint64_t)((double)(bytes % r->bytes_per_second) *
			  (double)NS_PER_SECOND / (double)r->bytes_per_second);
}

uint64_t
rate_take(struct rate *r, size_t bytes)
{
	uint64_t now = clock_monotonic_ns(), due;

	pthread_mutex_lock(&r->lock);
	if (r->paid_ns + RATE_BURST_MS * NS_PER_MS < now)
		r->paid_ns = now - RATE_BURST_MS * NS_PER_MS;
	r->paid_ns += cost_ns(r, bytes);
	due = r->paid_ns;
	pthread_mutex_unlock(&r->lock);
	return due;
}

int
rate_wait(struct rate *r, size_t bytes, struct err *err)
{
	uint64_t due = rate_take(r, bytes), now;
	struct pollfd stop = { .fd = cancel_fd(), .events = POLLIN };

	while ((now = clock_monotonic_ns()) < due) {
		if (cancel_check(err) == -1)
			return -1;
		/* Rounded up: one wait is enough. */
		poll(&stop, 1, (int)((due - now) / NS_PER_MS) + 1);
	}
	return 0;
}
