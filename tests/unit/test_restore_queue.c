/* SPDX-License-Identifier: Apache-2.0 */
/* The queue before an NBD connection, and the bitmap of written blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agent/nbd/nbd.h"
#include "agent/restore/nbd_queue.h"
#include "agent/restore/written.h"
#include "common/err.h"

#define BLOCK 65536u
#define DISK_BYTES (96u << 20)
#define WRITERS 4

/* ---- a connection to memory; only the queue's thread calls it ---- */

struct nbd_link {
	uint8_t *disk;
	unsigned int in_flight, most_in_flight, requests, flushes;
	unsigned int fail_at; /* Request that fails; 0: none. */
	bool stuck;           /* Nothing is ever done. */
	bool closed;
	struct {
		nbd_done_fn *fn;
		void *arg;
		const void *buf;
		size_t size;
		uint64_t offset;
	} waiting[64];
};

static atomic_bool stop;

static int
begin(struct nbd_link *n, const void *buf, size_t size, uint64_t offset,
    nbd_done_fn *fn, void *arg)
{
	assert_true(n->in_flight < 64);
	assert_true(offset + size <= DISK_BYTES);
	n->waiting[n->in_flight].fn = fn;
	n->waiting[n->in_flight].arg = arg;
	n->waiting[n->in_flight].buf = buf;
	n->waiting[n->in_flight].size = size;
	n->waiting[n->in_flight].offset = offset;
	n->in_flight++;
	if (n->in_flight > n->most_in_flight)
		n->most_in_flight = n->in_flight;
	return 0;
}

int
nbd_link_write(struct nbd_link *n, const void *buf, size_t size,
    uint64_t offset, nbd_done_fn *fn, void *arg, struct err *err)
{
	(void)err;
	return begin(n, buf, size, offset, fn, arg);
}

int
nbd_link_zero(struct nbd_link *n, uint64_t size, uint64_t offset,
    nbd_done_fn *fn, void *arg, struct err *err)
{
	(void)err;
	return begin(n, NULL, size, offset, fn, arg);
}

unsigned int
nbd_link_in_flight(const struct nbd_link *n)
{
	return n->in_flight;
}

/* Only now is the buffer looked at: it must still hold what was given. */
int
nbd_link_wait(struct nbd_link *n, int timeout_ms, struct err *err)
{
	unsigned int i = --n->in_flight;
	bool bad;

	(void)err;
	assert_true(timeout_ms > 0 && timeout_ms <= 250);
	if (n->stuck) {
		n->in_flight++;
		return 0;
	}
	bad = ++n->requests == n->fail_at;
	if (!bad && n->waiting[i].buf != NULL)
		memcpy(n->disk + n->waiting[i].offset, n->waiting[i].buf,
		    n->waiting[i].size);
	else if (!bad)
		memset(n->disk + n->waiting[i].offset, 0, n->waiting[i].size);
	n->waiting[i].fn(n->waiting[i].arg, bad ? ENOSPC : 0);
	return 0;
}

int
nbd_link_flush(struct nbd_link *n, struct err *err)
{
	(void)err;
	assert_int_equal(n->in_flight, 0);
	n->flushes++;
	return 0;
}

void
nbd_link_close(struct nbd_link *n)
{
	n->closed = true;
}

/* ---- writers ---- */

struct writer {
	struct nbd_queue *queue;
	unsigned int index;
	int rc;
	struct err err;
};

/* Each writes every fourth MiB, in blocks. */
static void *
writer_thread(void *arg)
{
	struct writer *w = arg;
	uint8_t *buf = malloc(BLOCK);
	unsigned int at, block;

	for (at = w->index << 20; w->rc == 0 && at < DISK_BYTES;
	     at += WRITERS << 20) {
		for (block = 0; w->rc == 0 && block < 16; block++) {
			memset(buf, (int)((at >> 20) * 7 + block + 1), BLOCK);
			w->rc = nbd_queue_write(
			    w->queue, at + block * BLOCK, buf, BLOCK, &w->err);
		}
	}
	free(buf);
	return NULL;
}

/* How many of the writers failed; *err is what one of them says. */
static unsigned int
write_all(struct nbd_queue *q, struct err *err)
{
	struct writer writers[WRITERS];
	pthread_t threads[WRITERS];
	unsigned int i, failed = 0;

	memset(writers, 0, sizeof(writers));
	for (i = 0; i < WRITERS; i++) {
		writers[i].queue = q;
		writers[i].index = i;
		pthread_create(&threads[i], NULL, writer_thread, &writers[i]);
	}
	for (i = 0; i < WRITERS; i++) {
		pthread_join(threads[i], NULL);
		if (writers[i].rc == -1) {
			*err = writers[i].err;
			failed++;
		}
	}
	return failed;
}

static struct nbd_link the_link;

static int
setup(void **state)
{
	(void)state;
	memset(&the_link, 0, sizeof(the_link));
	atomic_store(&stop, false);
	the_link.disk = malloc(DISK_BYTES);
	memset(the_link.disk, 0xff, DISK_BYTES);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(the_link.disk);
	return 0;
}

static struct nbd_queue *
start(void)
{
	struct nbd_queue *q;
	struct err err = ERR_INIT;

	assert_int_equal(nbd_queue_start(&q, &the_link, &stop, &err), 0);
	return q;
}

static void
test_restore_queue_writes_all_then_flushes_once(void **state)
{
	struct nbd_queue *q = start();
	struct err err = ERR_INIT;
	unsigned int at;

	(void)state;
	assert_int_equal(write_all(q, &err), 0);
	assert_int_equal(nbd_queue_finish(q, &err), 0);
	nbd_queue_close(q);
	assert_true(the_link.closed);
	assert_int_equal(the_link.flushes, 1);
	assert_in_range(the_link.most_in_flight, 1, 16);
	for (at = 0; at < DISK_BYTES; at += BLOCK / 2)
		assert_int_equal(the_link.disk[at],
		    (uint8_t)((at >> 20) * 7 + at % (1 << 20) / BLOCK + 1));
}

static void
test_restore_queue_splits_what_is_large(void **state)
{
	size_t size = (5u << 20) + 512;
	uint8_t *buf = malloc(size);
	struct nbd_queue *q = start();
	struct err err = ERR_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < size; i++)
		buf[i] = (uint8_t)(i * 31 + (i >> 16));
	assert_int_equal(nbd_queue_write(q, BLOCK, buf, size, &err), 0);
	assert_int_equal(nbd_queue_zero(q, 8u << 20, 3 * BLOCK, &err), 0);
	assert_int_equal(nbd_queue_finish(q, &err), 0);
	nbd_queue_close(q);
	assert_memory_equal(the_link.disk + BLOCK, buf, size);
	assert_int_equal(the_link.disk[BLOCK - 1], 0xff);
	assert_int_equal(the_link.disk[BLOCK + size], 0xff);
	for (i = 0; i < 3 * BLOCK; i++)
		assert_int_equal(the_link.disk[(8u << 20) + i], 0);
	assert_int_equal(the_link.disk[(8u << 20) + i], 0xff);
	free(buf);
}

static void
test_restore_queue_tells_a_failure_to_all(void **state)
{
	struct nbd_queue *q;
	struct err err = ERR_INIT;

	(void)state;
	the_link.fail_at = 2;
	q = start();
	assert_int_equal(write_all(q, &err), WRITERS);
	assert_int_equal(err.class, ERR_NO_SPACE);
	err_clear(&err);
	assert_int_equal(nbd_queue_finish(q, &err), -1);
	assert_int_equal(err.class, ERR_NO_SPACE);
	nbd_queue_close(q);
	assert_int_equal(the_link.flushes, 0);
	assert_true(the_link.closed);
}

static void
test_restore_queue_tells_a_late_failure_at_finish(void **state)
{
	struct nbd_queue *q;
	struct err err = ERR_INIT;

	(void)state;
	the_link.fail_at = 1;
	q = start();
	nbd_queue_zero(q, 0, BLOCK, &err);
	assert_int_equal(nbd_queue_finish(q, &err), -1);
	assert_int_equal(err.class, ERR_NO_SPACE);
	nbd_queue_close(q);
}

static void *
stop_thread(void *arg)
{
	(void)arg;
	atomic_store(&stop, true);
	return NULL;
}

/* A server that hangs must not hang the writers. */
static void
test_restore_queue_obeys_stop(void **state)
{
	struct nbd_queue *q;
	struct err err = ERR_INIT;
	pthread_t thread;

	(void)state;
	the_link.stuck = true;
	q = start();
	pthread_create(&thread, NULL, stop_thread, NULL);
	/* One that was quick may have had room for all it has. */
	assert_int_not_equal(write_all(q, &err), 0);
	assert_int_equal(err.class, ERR_CANCELLED);
	pthread_join(thread, NULL);
	nbd_queue_close(q);
}

static void
test_restore_queue_closes_with_work_left(void **state)
{
	struct nbd_queue *q;
	struct err err = ERR_INIT;
	uint8_t block[512] = { 0 };

	(void)state;
	the_link.stuck = true;
	q = start();
	assert_int_equal(nbd_queue_write(q, 0, block, sizeof(block), &err), 0);
	nbd_queue_close(q);
	assert_true(the_link.closed);
	nbd_queue_close(NULL);
}

/* ---- written ---- */

static void
test_restore_written_gaps_are_what_was_not_marked(void **state)
{
	struct written *w = written_new(100 * BLOCK + 512);
	uint64_t offset = 0, bytes;

	(void)state;
	written_mark(w, 0, 2 * BLOCK);
	written_mark(w, 64 * BLOCK, BLOCK);
	written_mark(w, 65 * BLOCK, 0);
	assert_true(written_gap(w, &offset, &bytes, 40 * BLOCK));
	assert_int_equal(offset, 2 * BLOCK);
	assert_int_equal(bytes, 40 * BLOCK);
	offset += bytes;
	assert_true(written_gap(w, &offset, &bytes, 40 * BLOCK));
	assert_int_equal(offset, 42 * BLOCK);
	assert_int_equal(bytes, 22 * BLOCK);
	offset += bytes;
	assert_true(written_gap(w, &offset, &bytes, 99 * BLOCK));
	assert_int_equal(offset, 65 * BLOCK);
	assert_int_equal(bytes, 35 * BLOCK + 512);
	written_mark(w, 65 * BLOCK, 35 * BLOCK + 512);
	assert_false(written_gap(w, &offset, &bytes, 99 * BLOCK));
	written_free(w);
	written_free(NULL);
}

static void
test_restore_written_of_an_empty_disk_has_no_gap(void **state)
{
	struct written *w = written_new(0);
	uint64_t offset = 0, bytes;

	(void)state;
	assert_false(written_gap(w, &offset, &bytes, BLOCK));
	written_free(w);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_restore_queue_writes_all_then_flushes_once),
		CASE(test_restore_queue_splits_what_is_large),
		CASE(test_restore_queue_tells_a_failure_to_all),
		CASE(test_restore_queue_tells_a_late_failure_at_finish),
		CASE(test_restore_queue_obeys_stop),
		CASE(test_restore_queue_closes_with_work_left),
		CASE(test_restore_written_gaps_are_what_was_not_marked),
		CASE(test_restore_written_of_an_empty_disk_has_no_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
