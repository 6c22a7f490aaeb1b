/* SPDX-License-Identifier: Apache-2.0 */
/* A bitmap of written blocks. */
#include "agent/restore/written.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "store/store.h"

#define WORD_BITS 64

struct written {
	uint64_t size_bytes;
	uint64_t blocks;
	_Atomic uint64_t *bits;
};

struct written *
written_new(uint64_t size_bytes)
{
	struct written *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->size_bytes = size_bytes;
	w->blocks = size_bytes / STORE_BLOCK_BYTES +
		    (size_bytes % STORE_BLOCK_BYTES != 0);
	w->bits = calloc(w->blocks / WORD_BITS + 1, sizeof(*w->bits));
	if (w->bits == NULL) {
		free(w);
		return NULL;
	}
	return w;
}

void
written_free(struct written *w)
{
	if (w == NULL)
		return;
	free(w->bits);
	free(w);
}

void
written_mark(struct written *w, uint64_t offset, size_t size)
{
	uint64_t block = offset / STORE_BLOCK_BYTES, last;

	if (size == 0)
		return;
	last = (offset + size - 1) / STORE_BLOCK_BYTES;
	for (; block <= last; block++)
		atomic_fetch_or_explicit(&w->bits[block / WORD_BITS],
		    UINT64_C(1) << block % WORD_BITS, memory_order_relaxed);
}

static bool
is_marked(const struct written *w, uint64_t block)
{
	return (atomic_load_explicit(
		    &w->bits[block / WORD_BITS], memory_order_relaxed) >>
		   block % WORD_BITS) &
	       1;
}

bool
written_gap(const struct written *w, uint64_t *offset, uint64_t *bytes,
    uint64_t max_bytes)
{
	uint64_t first = *offset / STORE_BLOCK_BYTES, end;

	while (first < w->blocks && is_marked(w, first))
		first++;
	if (first >= w->blocks)
		return false;
	for (end = first; end < w->blocks && !is_marked(w, end) &&
			  (end - first) * STORE_BLOCK_BYTES < max_bytes;
	     end++)
		;
	*offset = first * STORE_BLOCK_BYTES;
	*bytes = (end - first) * STORE_BLOCK_BYTES;
	if (*bytes > w->size_bytes - *offset)
		*bytes = w->size_bytes - *offset;
	return true;
}
