/* SPDX-License-Identifier: Apache-2.0 */
/* Reads of a guest's disk that keep to a limit of bytes a second. */
#ifndef HOLDSTILL_AGENT_SOURCE_PACE_H
#define HOLDSTILL_AGENT_SOURCE_PACE_H

#include <stddef.h>

#include "agent/source/worker.h"

struct nbd_link;
struct rate;

/* Blocks that one request may read; NULL: no limit, a whole chunk. */
unsigned int pace_blocks_max(const struct rate *rate);

/*
 * 1: the monotonic clock has come to due_ns.  0: part of the time is over,
 * and reads under way may have ended.  -1: also when the work is to stop.
 */
int pace_wait(
    struct worker *w, struct nbd_link *link, uint64_t due_ns, struct err *err);

#endif
