/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges that a restore left out. */
#include "agent/job/lost_ranges.h"

#include <stdlib.h>

#include "common/err.h"

/* While gathering; what is joined later may have come apart before. */
#define GATHERED_MAX (1u << 20)

void
lost_ranges_fini(struct lost_ranges *l)
{
	free(l->ranges);
	*l = (struct lost_ranges){ .ranges = NULL };
}

static int
compare(const void *a, const void *b)
{
	const struct store_range *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void
join(struct lost_ranges *l)
{
	struct store_range *r = l->ranges;
	size_t i, kept = 0;

	if (l->count > 1)
		qsort(r, l->count, sizeof(*r), compare);
	for (i = 0; i < l->count; i++) {
		if (kept > 0 &&
		    r[kept - 1].offset + r[kept - 1].bytes == r[i].offset)
			r[kept - 1].bytes += r[i].bytes;
		else
			r[kept++] = r[i];
	}
	l->count = kept;
}

int
lost_ranges_add(
    struct lost_ranges *l, uint64_t offset, uint64_t bytes, struct err *err)
{
	size_t wanted = l->capacity > 0 ? l->capacity * 2 : 64;
	struct store_range *grown;

	l->bytes += bytes;
	/* Sorting pays only where it makes much room. */
	if (!l->more && l->count == GATHERED_MAX) {
		join(l);
		l->more = l->count > GATHERED_MAX / 2;
	}
	if (l->more)
		return 0;
	if (l->count == l->capacity) {
		grown = reallocarray(l->ranges, wanted, sizeof(*grown));
		if (grown == NULL)
			return err_no_memory(err);
		l->ranges = grown;
		l->capacity = wanted;
	}
	l->ranges[l->count++] =
	    (struct store_range){ .offset = offset, .bytes = bytes };
	return 0;
}

void
lost_ranges_finish(struct lost_ranges *l)
{
	join(l);
	if (l->count <= STORE_HURT_RANGES_MAX)
		return;
	l->count = STORE_HURT_RANGES_MAX;
	l->more = true;
}
