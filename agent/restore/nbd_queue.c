/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that owns an NBD connection, and its buffers. */
#include "agent/restore/nbd_queue.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "agent/nbd/nbd.h"
#include "common/err.h"

/* 32 MiB of buffers in all; half of them may be under way, so that the
 * others gather neighbours meanwhile. */
#define SLOTS 32
#define SLOT_BYTES ((size_t)1 << 20)
#define IN_FLIGHT_MAX 16
#define WAIT_MS 200

struct slot {
	STAILQ_ENTRY(slot) next;
	struct nbd_queue *queue;
	uint64_t offset;
	uint32_t bytes;
	bool zero;            /* No data: data is not used. */
	unsigned int fillers; /* Writers that still copy into data. */
	uint8_t *data;        /* SLOT_BYTES, made at first use. */
};

STAILQ_HEAD(slot_list, slot);

struct nbd_queue {
	struct nbd_link *link; /* The thread's, until it ended. */
	const atomic_bool *stop;
	pthread_t thread;
	bool joined;

	pthread_mutex_t lock; /* For all below. */
	pthread_cond_t room;  /* A slot became free, or it failed. */
	pthread_cond_t work;  /* Something to do for the thread. */
	struct slot_list unused;
	struct slot_list pending; /* Not given to the connection yet. */
	bool ending;              /* Nothing more will come: flush, then end. */
	bool dropped;             /* With ending: end at once. */
	struct err failure;       /* The first; class ERR_NONE: none. */
	struct slot slots[SLOTS];
};

static void
fail(struct nbd_queue *q, const struct err *err)
{
	pthread_mutex_lock(&q->lock);
	if (q->failure.class == ERR_NONE)
		q->failure = *err;
	pthread_cond_broadcast(&q->room);
	pthread_mutex_unlock(&q->lock);
}

/* Runs in the thread, from within a call on the connection. */
static void
slot_done(void *arg, int error)
{
	struct slot *slot = arg;
	struct nbd_queue *q = slot->queue;
	struct err err = ERR_INIT;

	if (error != 0) {
		err_errno(&err, error, "the image server cannot write");
		fail(q, &err);
	}
	pthread_mutex_lock(&q->lock);
	STAILQ_INSERT_HEAD(&q->unused, slot, next);
	pthread_cond_signal(&q->room);
	pthread_mutex_unlock(&q->lock);
}

/* With the lock held: the first that nobody copies into any more. */
static struct slot *
find_ready(struct nbd_queue *q)
{
	struct slot *slot;

	STAILQ_FOREACH(slot, &q->pending, next)
	{
		if (slot->fillers == 0)
			return slot;
	}
	return NULL;
}

/* Gives up to IN_FLIGHT_MAX requests to the connection. */
static int
submit(struct nbd_queue *q, struct err *err)
{
	struct slot *slot;
	int rc = 0;

	while (rc == 0 && nbd_link_in_flight(q->link) < IN_FLIGHT_MAX) {
		pthread_mutex_lock(&q->lock);
		slot = find_ready(q);
		if (slot != NULL)
			STAILQ_REMOVE(&q->pending, slot, slot, next);
		pthread_mutex_unlock(&q->lock);
		if (slot == NULL)
			break;
		if (slot->zero)
			rc = nbd_link_zero(q->link, slot->bytes, slot->offset,
			    slot_done, slot, err);
		else
			rc = nbd_link_write(q->link, slot->data, slot->bytes,
			    slot->offset, slot_done, slot, err);
	}
	return rc;
}

enum next { NEXT_WORK, NEXT_FLUSH, NEXT_END };

/*
 * Sleeps while there is nothing to do.  The connection is not called with
 * our lock held: it calls slot_done() with locks of its own.
 */
static enum next
wait_for_work(struct nbd_queue *q)
{
	bool busy = nbd_link_in_flight(q->link) > 0;
	enum next next = NEXT_FLUSH;

	pthread_mutex_lock(&q->lock);
	while (!busy && find_ready(q) == NULL && !q->ending)
		pthread_cond_wait(&q->work, &q->lock);
	if (q->dropped || q->failure.class != ERR_NONE)
		next = NEXT_END;
	else if (busy || !STAILQ_EMPTY(&q->pending))
		next = NEXT_WORK;
	pthread_mutex_unlock(&q->lock);
	return next;
}

static void *
queue_thread(void *arg)
{
	struct nbd_queue *q = arg;
	struct err err = ERR_INIT;
	enum next next;
	int rc = 0;

	while (rc == 0 && (next = wait_for_work(q)) == NEXT_WORK) {
		if (atomic_load(q->stop))
			rc = err_set(&err, ERR_CANCELLED, "stopped");
		else
			rc = submit(q, &err);
		if (rc == 0 && nbd_link_in_flight(q->link) > 0)
			rc = nbd_link_wait(q->link, WAIT_MS, &err);
		if (rc == -1 && err.class == ERR_TIMEOUT)
			rc = 0;
	}
	if (rc == 0 && next == NEXT_FLUSH)
		rc = nbd_link_flush(q->link, &err);
	if (rc == -1)
		fail(q, &err);
	return NULL;
}

int
nbd_queue_start(struct nbd_queue **out, struct nbd_link *link,
    const atomic_bool *stop, struct err *err)
{
	struct nbd_queue *q = calloc(1, sizeof(*q));
	size_t i;
	int rc;

	if (q == NULL)
		return err_no_memory(err);
	q->link = link;
	q->stop = stop;
	STAILQ_INIT(&q->unused);
	STAILQ_INIT(&q->pending);
	for (i = 0; i < SLOTS; i++) {
		q->slots[i].queue = q;
		STAILQ_INSERT_TAIL(&q->unused, &q->slots[i], next);
	}
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->room, NULL);
	pthread_cond_init(&q->work, NULL);
	rc = pthread_create(&q->thread, NULL, queue_thread, q);
	if (rc != 0) {
		q->link = NULL;
		q->joined = true;
		nbd_queue_close(q);
		return err_errno(err, rc, "cannot start a thread");
	}
	*out = q;
	return 0;
}

/* With the lock held.  NULL: it failed, and err says how. */
static struct slot *
take_slot(struct nbd_queue *q, struct err *err)
{
	struct slot *slot;

	while (STAILQ_EMPTY(&q->unused) && q->failure.class == ERR_NONE)
		pthread_cond_wait(&q->room, &q->lock);
	if (q->failure.class != ERR_NONE) {
		*err = q->failure;
		return NULL;
	}
	slot = STAILQ_FIRST(&q->unused);
	STAILQ_REMOVE_HEAD(&q->unused, next);
	return slot;
}

/* With the lock held: a waiting request that ends where this one begins. */
static struct slot *
find_neighbour(struct nbd_queue *q, uint64_t offset, size_t size)
{
	struct slot *slot;

	STAILQ_FOREACH(slot, &q->pending, next)
	{
		if (!slot->zero && slot->offset + slot->bytes == offset &&
		    slot->bytes + size <= SLOT_BYTES)
			return slot;
	}
	return NULL;
}

/* With the lock held: a place of size bytes to copy to, NULL with err. */
static uint8_t *
begin_fill(struct nbd_queue *q, struct slot **out, uint64_t offset, size_t size,
    struct err *err)
{
	struct slot *slot = find_neighbour(q, offset, size);
	uint8_t *place;

	if (slot == NULL) {
		if ((slot = take_slot(q, err)) == NULL)
			return NULL;
		if (slot->data == NULL)
			slot->data = malloc(SLOT_BYTES);
		if (slot->data == NULL) {
			STAILQ_INSERT_HEAD(&q->unused, slot, next);
			err_no_memory(err);
			return NULL;
		}
		slot->zero = false;
		slot->offset = offset;
		slot->bytes = 0;
		STAILQ_INSERT_TAIL(&q->pending, slot, next);
	}
	place = slot->data + slot->bytes;
	slot->bytes += (uint32_t)size;
	slot->fillers++;
	*out = slot;
	return place;
}

static int
write_one(struct nbd_queue *q, uint64_t offset, const void *buf, size_t size,
    struct err *err)
{
	struct slot *slot;
	uint8_t *place;

	pthread_mutex_lock(&q->lock);
	place = begin_fill(q, &slot, offset, size, err);
	pthread_mutex_unlock(&q->lock);
	if (place == NULL)
		return -1;
	memcpy(place, buf, size);
	pthread_mutex_lock(&q->lock);
	if (--slot->fillers == 0)
		pthread_cond_signal(&q->work);
	pthread_mutex_unlock(&q->lock);
	return 0;
}

int
nbd_queue_write(struct nbd_queue *q, uint64_t offset, const void *buf,
    size_t size, struct err *err)
{
	const uint8_t *p = buf;
	size_t n;

	for (; size > 0; size -= n, p += n, offset += n) {
		n = size < SLOT_BYTES ? size : SLOT_BYTES;
		if (write_one(q, offset, p, n, err) == -1)
			return -1;
	}
	return 0;
}

int
nbd_queue_zero(
    struct nbd_queue *q, uint64_t offset, uint32_t bytes, struct err *err)
{
	struct slot *slot;

	pthread_mutex_lock(&q->lock);
	slot = take_slot(q, err);
	if (slot != NULL) {
		slot->zero = true;
		slot->offset = offset;
		slot->bytes = bytes;
		STAILQ_INSERT_TAIL(&q->pending, slot, next);
		pthread_cond_signal(&q->work);
	}
	pthread_mutex_unlock(&q->lock);
	return slot == NULL ? -1 : 0;
}

static void
join(struct nbd_queue *q, bool drop)
{
	if (q->joined)
		return;
	pthread_mutex_lock(&q->lock);
	q->ending = true;
	q->dropped = drop;
	pthread_cond_signal(&q->work);
	pthread_mutex_unlock(&q->lock);
	pthread_join(q->thread, NULL);
	q->joined = true;
}

int
nbd_queue_finish(struct nbd_queue *q, struct err *err)
{
	join(q, false);
	if (q->failure.class == ERR_NONE)
		return 0;
	*err = q->failure;
	return -1;
}

void
nbd_queue_close(struct nbd_queue *q)
{
	size_t i;

	if (q == NULL)
		return;
	join(q, true);
	/* The connection may use the buffers until it is closed. */
	nbd_link_close(q->link);
	for (i = 0; i < SLOTS; i++)
		free(q->slots[i].data);
	pthread_cond_destroy(&q->work);
	pthread_cond_destroy(&q->room);
	pthread_mutex_destroy(&q->lock);
	free(q);
}
