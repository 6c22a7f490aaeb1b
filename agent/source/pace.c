/* SPDX-License-Identifier: Apache-2.0 */
/* How large reads are, and when, under a limit. */
#include "agent/source/pace.h"

#include <poll.h>

#include "agent/nbd/nbd.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/rate.h"
#include "store/store.h"

unsigned int
pace_blocks_max(const struct rate *rate)
{
	size_t bytes = (size_t)STORE_CHUNK_BLOCKS * STORE_BLOCK_BYTES;

	if (rate != NULL)
		bytes = rate_piece(rate, bytes);
	return bytes < STORE_BLOCK_BYTES
		   ? 1
		   : (unsigned int)(bytes / STORE_BLOCK_BYTES);
}

int
pace_wait(
    struct worker *w, struct nbd_link *link, uint64_t due_ns, struct err *err)
{
	struct pollfd stop = { .fd = w->stop_fd, .events = POLLIN };
	uint64_t now = clock_monotonic_ns(), ms;

	if (now >= due_ns)
		return 1;
	ms = (due_ns - now) / 1000000 + 1;
	if (ms > WORKER_TICK_MS)
		ms = WORKER_TICK_MS;
	if (nbd_link_in_flight(link) == 0)
		poll(&stop, 1, (int)ms);
	else if (nbd_link_wait(link, (int)ms, err) == -1)
		return -1;
	return worker_check_stop(w, err);
}
