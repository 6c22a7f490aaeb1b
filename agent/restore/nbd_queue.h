/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes of several threads into one NBD connection.  A thread of its own
 * owns the connection; requests are copied into a bounded set of buffers,
 * neighbours are joined, and several are under way at once.
 */
#ifndef HOLDSTILL_AGENT_RESTORE_NBD_QUEUE_H
#define HOLDSTILL_AGENT_RESTORE_NBD_QUEUE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct nbd_link;
struct nbd_queue;

/* On success the queue owns link; on failure the caller still does.  stop is
 * borrowed: once true, everything fails with ERR_CANCELLED. */
int nbd_queue_start(struct nbd_queue **out, struct nbd_link *link,
    const atomic_bool *stop, struct err *err);

/* Any thread; waits for a free buffer.  The failure of an earlier request
 * comes out here or at finish. */
int nbd_queue_write(struct nbd_queue *q, uint64_t offset, const void *buf,
    size_t size, struct err *err);
/* As write, for at most 32 MiB of zeros. */
int nbd_queue_zero(
    struct nbd_queue *q, uint64_t offset, uint32_t bytes, struct err *err);

/* Waits for all requests and flushes; then only close may follow. */
int nbd_queue_finish(struct nbd_queue *q, struct err *err);

/* Drops what is not written, closes the connection; NULL is allowed. */
void nbd_queue_close(struct nbd_queue *q);

#endif
