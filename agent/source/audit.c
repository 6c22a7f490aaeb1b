/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks that are called clean, read all the same. */
#include <stdlib.h>
#include <string.h>

#include "agent/nbd/nbd.h"
#include "agent/source/dirty.h"
#include "common/err.h"
#include "common/hexid.h"
#include "store/store.h"

struct audit {
	const struct source_disk *source;
	unsigned int permille;
	source_same_fn *same;
	void *arg;
	struct worker worker;
	struct nbd_link *link;
	uint64_t size_bytes;
	struct extent_set dirty;
	uint64_t *ranks; /* Among the clean blocks, rising. */
	uint64_t count;
	int read_error;
	struct source_audit result;
	struct err err;
	int rc;
};

/* ---- which blocks ---- */

/* Every number below limit is as likely as any other. */
static int
draw(uint64_t *out, uint64_t limit, struct err *err)
{
	uint64_t fair = UINT64_MAX - UINT64_MAX % limit;

	do {
		if (hexid_random(out, sizeof(*out), err) == -1)
			return -1;
	} while (*out >= fair);
	*out %= limit;
	return 0;
}

static bool
has_rank(const struct audit *a, uint64_t rank)
{
	uint64_t i;

	for (i = 0; i < a->count; i++)
		if (a->ranks[i] == rank)
			return true;
	return false;
}

static int
compare(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return a < b ? -1 : a > b;
}

static uint64_t
sample_size(const struct audit *a, uint64_t clean)
{
	unsigned int permille =
	    a->permille != SOURCE_AUDIT_AUTO ? a->permille : 1;
	uint64_t wanted =
	    clean / 1000 * permille + clean % 1000 * permille / 1000;

	if (a->permille == SOURCE_AUDIT_AUTO &&
	    wanted > SOURCE_AUDIT_AUTO_MAX_BLOCKS)
		wanted = SOURCE_AUDIT_AUTO_MAX_BLOCKS;
	if (wanted < SOURCE_AUDIT_MIN_BLOCKS)
		wanted = SOURCE_AUDIT_MIN_BLOCKS;
	return wanted < clean ? wanted : clean;
}

/* Few of many: a fair set of different numbers (Floyd). */
static int
choose_few(struct audit *a, uint64_t wanted, uint64_t clean)
{
	uint64_t last, rank;

	for (last = clean - wanted; last < clean; last++) {
		if (draw(&rank, last + 1, &a->err) == -1)
			return -1;
		a->ranks[a->count] = has_rank(a, rank) ? last : rank;
		a->count++;
	}
	qsort(a->ranks, a->count, sizeof(*a->ranks), compare);
	return 0;
}

/* Many: one look at each, in order (Knuth's algorithm S). */
static int
choose_many(struct audit *a, uint64_t wanted, uint64_t clean)
{
	uint64_t rank, luck;

	for (rank = 0; a->count < wanted; rank++) {
		if (draw(&luck, clean - rank, &a->err) == -1)
			return -1;
		if (luck < wanted - a->count)
			a->ranks[a->count++] = rank;
	}
	return 0;
}

static int
choose(struct audit *a)
{
	uint64_t clean = a->dirty.block_count - extent_set_count(&a->dirty);
	uint64_t wanted = sample_size(a, clean);

	a->ranks = calloc(wanted + 1, sizeof(*a->ranks));
	if (a->ranks == NULL)
		return err_no_memory(&a->err);
	return wanted <= 1024 ? choose_few(a, wanted, clean)
			      : choose_many(a, wanted, clean);
}

/* ---- reading them ---- */

static void
on_read(void *arg, int error)
{
	*(int *)arg = error;
}

static int
read_block(struct audit *a, uint64_t block, uint8_t *data)
{
	uint64_t offset = block * STORE_BLOCK_BYTES;
	size_t size = STORE_BLOCK_BYTES;

	a->read_error = 0;
	if (size > a->size_bytes - offset) {
		size = (size_t)(a->size_bytes - offset);
		memset(data, 0, STORE_BLOCK_BYTES);
	}
	if (worker_check_stop(&a->worker, &a->err) == -1 ||
	    nbd_link_read(a->link, data, size, offset, on_read, &a->read_error,
		&a->err) == -1)
		return -1;
	while (nbd_link_in_flight(a->link) > 0)
		if (nbd_link_wait(a->link, -1, &a->err) == -1)
			return -1;
	if (a->read_error != 0)
		return err_errno(&a->err, a->read_error,
		    "cannot read from the NBD export '%s'", a->source->target);
	return 0;
}

static int
audit_block(struct audit *a, uint64_t block, uint8_t *data)
{
	int same;

	if (read_block(a, block, data) == -1 ||
	    (same = a->same(a->arg, block, data, &a->err)) == -1)
		return -1;
	a->result.audited_blocks++;
	if (same == 0 && a->result.missed_blocks++ == 0)
		a->result.first_missed = block;
	return 0;
}

/* Walks the runs of clean blocks, and the chosen ranks with them. */
static int
audit_chosen(struct audit *a, uint8_t *data)
{
	uint64_t first, length, from = 0, rank = 0, i = 0;

	while (i < a->count && (length = extent_set_run(&a->dirty, false, from,
				    a->dirty.block_count, &first)) > 0) {
		for (; i < a->count && a->ranks[i] < rank + length; i++)
			if (audit_block(a, first + a->ranks[i] - rank, data) ==
			    -1)
				return -1;
		rank += length;
		from = first + length;
	}
	return 0;
}

static int
open_link(struct audit *a)
{
	struct nbd_link_options options = {
		.socket_path = a->source->socket_path,
		.export_name = a->source->target,
		.stop_fd = a->worker.stop_fd,
	};

	if (nbd_link_open(&a->link, &options, &a->err) == -1)
		return -1;
	a->size_bytes = nbd_link_size(a->link);
	return 0;
}

static void
work(void *arg)
{
	struct audit *a = arg;
	uint8_t *data = malloc(STORE_BLOCK_BYTES);

	a->rc = -1;
	if (data == NULL)
		err_no_memory(&a->err);
	else if (open_link(a) == 0 &&
		 dirty_read(&a->dirty, a->source, &a->worker, a->size_bytes,
		     &a->err) == 0 &&
		 choose(a) == 0)
		a->rc = audit_chosen(a, data);
	nbd_link_close(a->link);
	free(data);
}

int
source_audit(const struct source_disk *source, unsigned int permille,
    source_same_fn *same, source_tick_fn *tick, void *arg,
    struct source_audit *out, struct err *err)
{
	struct audit a = {
		.source = source,
		.permille = permille,
		.same = same,
		.arg = arg,
	};
	int rc;

	if (worker_init(&a.worker, err) == -1)
		return -1;
	rc = worker_run(&a.worker, work, &a, tick, arg, err);
	if (rc == 0 && a.rc == -1) {
		*err = a.err;
		rc = -1;
	}
	*out = a.result;
	extent_set_fini(&a.dirty);
	free(a.ranks);
	worker_fini(&a.worker);
	return rc;
}
