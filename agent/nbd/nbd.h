/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libnbd: one connection to one export over a UNIX socket, many requests in
 * flight.  Nothing else in the tree includes libnbd.
 *
 * One thread a connection.
 */
#ifndef HOLDSTILL_AGENT_NBD_NBD_H
#define HOLDSTILL_AGENT_NBD_NBD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct nbd_link;

struct nbd_link_options {
	const char *socket_path;
	const char *export_name;
	/* Metadata context whose extents are wanted (base:allocation, a
	 * dirty bitmap); NULL: none. */
	const char *context[2];
	bool writable;
	/* A descriptor of the caller that becomes readable when whatever
	 * waits on this link is to end with ERR_CANCELLED; 0: none. */
	int stop_fd;
};

/* Connects, waiting up to a few seconds for the socket to appear.
 * ERR_NOT_FOUND: no such export, or it lacks the context. */
int nbd_link_open(struct nbd_link **out, const struct nbd_link_options *options,
    struct err *err);
void nbd_link_close(struct nbd_link *n); /* NULL is allowed. */

uint64_t nbd_link_size(const struct nbd_link *n);

/* One stretch of the disk with the same flags in a context. */
typedef int nbd_extent_fn(void *arg, unsigned int context, uint64_t offset,
    uint64_t bytes, uint32_t flags, struct err *err);
/* Asks for extents from offset; at least one is reported for each context,
 * none beyond offset + bytes.  Flags: base:allocation 1 hole, 2 zero; dirty
 * bitmap 1 dirty. */
int nbd_link_extents(struct nbd_link *n, uint64_t offset, uint64_t bytes,
    nbd_extent_fn *fn, void *arg, struct err *err);

/*
 * Starts a read or write of up to 32 MiB; done is called once from a later
 * nbd_link_wait (or from this call, when it has to wait for room).  buf
 * stays the caller's and must live until then.
 */
typedef void nbd_done_fn(void *arg, int error);
int nbd_link_read(struct nbd_link *n, void *buf, size_t size, uint64_t offset,
    nbd_done_fn *fn, void *arg, struct err *err);
int nbd_link_write(struct nbd_link *n, const void *buf, size_t size,
    uint64_t offset, nbd_done_fn *fn, void *arg, struct err *err);
/* Writes zeros without blocking for the reply's data. */
int nbd_link_zero(struct nbd_link *n, uint64_t size, uint64_t offset,
    nbd_done_fn *fn, void *arg, struct err *err);

/* Requests under way. */
unsigned int nbd_link_in_flight(const struct nbd_link *n);

/* Waits until at least one request is done (or none is under way), at most
 * timeout_ms (-1: for ever); also returns, with ERR_CANCELLED, when a stop
 * is asked for. */
int nbd_link_wait(struct nbd_link *n, int timeout_ms, struct err *err);

/* Flushes what was written to stable storage. */
int nbd_link_flush(struct nbd_link *n, struct err *err);

#endif
