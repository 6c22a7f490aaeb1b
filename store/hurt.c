/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of a disk that are hurt, joined and bounded. */
#include "store/hurt.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "store/grow.h"

int
hurt_init(
    struct hurt_disk *h, const struct manifest_disk *disk, struct err *err)
{
	memset(h, 0, sizeof(*h));
	h->size_bytes = disk->size_bytes;
	h->target = strdup(disk->target);
	return h->target == NULL ? err_no_memory(err) : 0;
}

void
hurt_fini(struct hurt_disk *h)
{
	free(h->target);
	free(h->ranges);
	memset(h, 0, sizeof(*h));
}

void
hurt_free_all(struct hurt_disk *disks, size_t count)
{
	while (disks != NULL && count > 0)
		hurt_fini(&disks[--count]);
	free(disks);
}

static int
reserve(struct hurt_disk *h, struct err *err)
{
	struct store_range *grown =
	    grow_array(h->ranges, h->count, &h->capacity, sizeof(*grown));

	if (grown == NULL)
		return err_no_memory(err);
	h->ranges = grown;
	return 0;
}

int
hurt_add(
    struct hurt_disk *h, uint64_t first_block, uint64_t count, struct err *err)
{
	struct store_range *last = h->count > 0 ? &h->ranges[h->count - 1] : 0;
	uint64_t offset, end, blocks;

	blocks = h->size_bytes / STORE_BLOCK_BYTES +
		 (h->size_bytes % STORE_BLOCK_BYTES != 0);
	if (first_block >= blocks)
		return 0;
	if (count > blocks - first_block)
		count = blocks - first_block;
	offset = first_block * STORE_BLOCK_BYTES;
	end = first_block + count == blocks
		  ? h->size_bytes
		  : (first_block + count) * STORE_BLOCK_BYTES;
	if (last != NULL && offset < last->offset + last->bytes)
		offset = last->offset + last->bytes;
	if (offset >= end)
		return 0;
	h->bytes += end - offset;
	if (last != NULL && !h->more && offset == last->offset + last->bytes) {
		last->bytes += end - offset;
		return 0;
	}
	if (h->count == STORE_HURT_RANGES_MAX) {
		h->more = true;
		return 0;
	}
	if (reserve(h, err) == -1)
		return -1;
	h->ranges[h->count++] =
	    (struct store_range){ .offset = offset, .bytes = end - offset };
	return 0;
}

bool
hurt_same(const struct hurt_disk *a, const struct hurt_disk *b)
{
	return strcmp(a->target, b->target) == 0 && a->bytes == b->bytes &&
	       a->count == b->count && a->more == b->more &&
	       (a->count == 0 || memcmp(a->ranges, b->ranges,
				     a->count * sizeof(*a->ranges)) == 0);
}

void
hurt_view(struct store_hurt *out, const char *point, const struct hurt_disk *h)
{
	*out = (struct store_hurt){
		.point = point,
		.disk = h->target,
		.size_bytes = h->size_bytes,
		.bytes = h->bytes,
		.ranges = h->ranges,
		.range_count = h->count,
		.more = h->more,
	};
}
