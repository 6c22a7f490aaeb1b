/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How data blocks are compressed: in words, and which level of zstd the
 * workers of a session use now.  Under "auto" the committer sets it, pack by
 * pack; any thread may read it.
 */
#ifndef HOLDSTILL_STORE_COMPRESSION_H
#define HOLDSTILL_STORE_COMPRESSION_H

#include <stdatomic.h>
#include <stdint.h>

#include "store/store.h"

struct level {
	bool adaptive;
	unsigned int step; /* Of the ladder, if adaptive; committer's own. */
	atomic_int now;    /* Of zstd, or FRAME_LEVEL_STORE. */
};

void level_init(struct level *l, const struct store_compression *c);
/* As frame_codec_level() takes it. */
int level_now(const struct level *l);

/* Where the time between two packs went. */
struct level_times {
	uint64_t passed_ns;
	uint64_t blocked_ns; /* The queue before the backend was full. */
	uint64_t idle_ns;    /* The queue before the workers was empty; mean. */
	unsigned int queued; /* Packs before the backend, at their end. */
};

/* Says what the last pack took; changes an adaptive level at most by a step. */
void level_learn(struct level *l, const struct level_times *t);

#endif
