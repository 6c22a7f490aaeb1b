/* SPDX-License-Identifier: Apache-2.0 */
/* What the dirty bitmap of a disk's export says. */
#ifndef HOLDSTILL_AGENT_SOURCE_DIRTY_H
#define HOLDSTILL_AGENT_SOURCE_DIRTY_H

#include "agent/source/extents.h"
#include "agent/source/worker.h"

struct nbd_link;

/* Extents to add to a set: flags & mask == value. */
struct dirty_fetch {
	struct extent_set *set;
	uint32_t mask, value;
	uint64_t reached; /* Inside only. */
};
int dirty_fetch_range(struct worker *w, struct nbd_link *link,
    struct dirty_fetch *fetch, uint64_t from, uint64_t to, struct err *err);

/*
 * All that an incremental has to read of a disk of that size: what the
 * bitmap names, what lies behind the base, and the ranges asked for besides.
 * Over a connection of its own that has no other context: so the cost follows
 * the change, not the disk.  The caller finis *out, on failure as well.
 */
int dirty_read(struct extent_set *out, const struct source_disk *source,
    struct worker *w, uint64_t size_bytes, struct err *err);

#endif
