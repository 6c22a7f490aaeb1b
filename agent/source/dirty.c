/* SPDX-License-Identifier: Apache-2.0 */
/* Extents of an export into sets of blocks. */
#include "agent/source/dirty.h"

#include <stdio.h>

#include "agent/domain/domain.h"
#include "agent/nbd/nbd.h"
#include "common/err.h"
#include "store/store.h"

#define FLAG_DIRTY 1u /* A dirty bitmap. */

static int
on_extent(void *arg, unsigned int context, uint64_t offset, uint64_t bytes,
    uint32_t flags, struct err *err)
{
	struct dirty_fetch *fetch = arg;

	(void)context;
	(void)err;
	if ((flags & fetch->mask) == fetch->value)
		extent_set_add(fetch->set, offset, bytes);
	fetch->reached = offset + bytes;
	return 0;
}

int
dirty_fetch_range(struct worker *w, struct nbd_link *link,
    struct dirty_fetch *fetch, uint64_t from, uint64_t to, struct err *err)
{
	while (from < to) {
		if (worker_check_stop(w, err) == -1 ||
		    nbd_link_extents(
			link, from, to - from, on_extent, fetch, err) == -1)
			return -1;
		from = fetch->reached;
	}
	return 0;
}

int
dirty_read(struct extent_set *out, const struct source_disk *source,
    struct worker *w, uint64_t size_bytes, struct err *err)
{
	char context[128];
	struct nbd_link_options options = {
		.socket_path = source->socket_path,
		.export_name = source->target,
		.context = { context },
		.stop_fd = w->stop_fd,
	};
	struct dirty_fetch fetch = {
		.set = out, .mask = FLAG_DIRTY, .value = FLAG_DIRTY
	};
	uint64_t base = source->base_size_bytes;
	struct nbd_link *link = NULL;
	size_t i;
	int rc;

	snprintf(
	    context, sizeof(context), DOMAIN_BITMAP_CONTEXT, source->target);
	if (extent_set_init(out, 0,
		size_bytes / STORE_BLOCK_BYTES +
		    (size_bytes % STORE_BLOCK_BYTES != 0),
		err) == -1 ||
	    nbd_link_open(&link, &options, err) == -1)
		return -1;
	rc = dirty_fetch_range(w, link, &fetch, 0, size_bytes, err);
	nbd_link_close(link);
	/* The base knows nothing of what has grown. */
	if (base < size_bytes)
		extent_set_add(out, base, size_bytes - base);
	for (i = 0; i < source->also_count; i++)
		extent_set_add(
		    out, source->also[i].offset, source->also[i].bytes);
	return rc;
}
