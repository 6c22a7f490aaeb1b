/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libnbd driven by our own poll loop, which also watches for a wish to stop.
 *
 * libnbd calls back with its handle locked, so its callbacks only put
 * requests on a list; the caller's functions run when libnbd has returned.
 */
#include "agent/nbd/nbd.h"

#include <errno.h>
#include <libnbd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/clock.h"
#include "common/err.h"

#define CONNECT_TIMEOUT_MS 10000
#define CONNECT_POLL_MS 10
#define CONTEXTS 2
/* The most that fits a 32-bit length and is a multiple of 64 KiB. */
#define EXTENTS_MAX_BYTES 0xffff0000u
/* More than any server reports at once (QEMU: 1 MiB of them). */
#define EXTENTS_MAX_COUNT ((size_t)1 << 20)

struct request {
	struct nbd_link *link;
	struct request *next;
	nbd_done_fn *fn;
	void *arg;
	int64_t cookie;
	int error;
	bool done;
};

struct extent_list {
	uint32_t *entries; /* Pairs: length, flags. */
	size_t count, room;
	uint64_t offset;
};

struct nbd_link {
	struct nbd_handle *nbd;
	char *contexts[CONTEXTS];
	struct request *done, **done_tail;
	unsigned int in_flight;
	int stop_fd; /* -1: none. */
	uint64_t size_bytes;
	bool can_flush;
	struct extent_list extents[CONTEXTS];
	bool extents_failed; /* No memory, or too many. */
};

static int
nbd_err(struct err *err, const char *what)
{
	const char *text = nbd_get_error();
	int errnum = nbd_get_errno();

	err_set(err, errnum == ENOMEM ? ERR_NO_MEMORY : ERR_IO, "%s: %s", what,
	    text == NULL ? "unknown error" : text);
	err->sys_errno = errnum;
	return -1;
}

static int
connection_lost(struct err *err)
{
	return err_set(err, ERR_IO, "the NBD server closed the connection");
}

static bool
is_gone(struct nbd_link *n)
{
	return nbd_aio_is_dead(n->nbd) || nbd_aio_is_closed(n->nbd);
}

/* One turn: waits for the socket, at most timeout_ms.  ERR_CANCELLED when a
 * stop is asked for; a dead connection is no error here. */
static int
turn(struct nbd_link *n, int timeout_ms, struct err *err)
{
	unsigned int direction = nbd_aio_get_direction(n->nbd);
	struct pollfd fds[3] = {
		{ .fd = nbd_aio_get_fd(n->nbd) },
		{ .fd = cancel_fd(), .events = POLLIN },
		{ .fd = n->stop_fd, .events = POLLIN },
	};

	if (cancel_check(err) == -1)
		return -1;
	if (direction & LIBNBD_AIO_DIRECTION_READ)
		fds[0].events |= POLLIN;
	if (direction & LIBNBD_AIO_DIRECTION_WRITE)
		fds[0].events |= POLLOUT;
	if (poll(fds, 3, timeout_ms) == -1 && errno != EINTR)
		return err_errno(err, errno, "cannot wait for the NBD server");
	if (cancel_check(err) == -1)
		return -1;
	if (fds[2].revents != 0)
		return err_set(err, ERR_CANCELLED, "stopped");
	direction = nbd_aio_get_direction(n->nbd);
	/* A failure here shows as a dead connection. */
	if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) &&
	    (direction & LIBNBD_AIO_DIRECTION_READ))
		nbd_aio_notify_read(n->nbd);
	else if ((fds[0].revents & (POLLOUT | POLLHUP | POLLERR)) &&
		 (direction & LIBNBD_AIO_DIRECTION_WRITE))
		nbd_aio_notify_write(n->nbd);
	return 0;
}

static int
handshake(struct nbd_link *n, const char *socket_path, int64_t deadline,
    struct err *err)
{
	int64_t left;

	if (nbd_aio_connect_unix(n->nbd, socket_path) == -1)
		return nbd_err(err, "cannot connect");
	while (nbd_aio_is_connecting(n->nbd)) {
		if ((left = deadline - clock_monotonic_ms()) <= 0)
			return err_set(
			    err, ERR_TIMEOUT, "the NBD server does not answer");
		if (turn(n, (int)left, err) == -1)
			return -1;
	}
	return nbd_aio_is_ready(n->nbd) ? 0 : nbd_err(err, "cannot connect");
}

static int
make_handle(
    struct nbd_link *n, const struct nbd_link_options *options, struct err *err)
{
	unsigned int i;

	if ((n->nbd = nbd_create()) == NULL ||
	    nbd_set_export_name(n->nbd, options->export_name) == -1)
		return nbd_err(err, "cannot prepare");
	for (i = 0; i < CONTEXTS; i++)
		if (n->contexts[i] != NULL &&
		    nbd_add_meta_context(n->nbd, n->contexts[i]) == -1)
			return nbd_err(err, "cannot prepare");
	return 0;
}

/* The job's server listens a moment after the job is there. */
static bool
may_appear(const struct err *err)
{
	return err->sys_errno == ENOENT || err->sys_errno == ECONNREFUSED;
}

static int
connect_patiently(
    struct nbd_link *n, const struct nbd_link_options *options, struct err *err)
{
	int64_t deadline = clock_monotonic_ms() + CONNECT_TIMEOUT_MS;
	struct pollfd stop[2] = {
		{ .fd = cancel_fd(), .events = POLLIN },
		{ .fd = n->stop_fd, .events = POLLIN },
	};

	for (;;) {
		/* Without this test, a server that lacks the export would
		 * look like a socket that is not there: both are ENOENT. */
		if (access(options->socket_path, F_OK) == 0) {
			if (make_handle(n, options, err) == -1)
				return -1;
			if (handshake(n, options->socket_path, deadline, err) ==
			    0)
				return 0;
			if (err->sys_errno == ENOENT)
				err->class = ERR_NOT_FOUND;
			if (err->sys_errno != ECONNREFUSED)
				return -1;
			nbd_close(n->nbd);
			n->nbd = NULL;
		} else {
			err_errno(err, errno, "cannot find the socket");
		}
		if (!may_appear(err) || clock_monotonic_ms() >= deadline)
			return -1;
		poll(stop, 2, CONNECT_POLL_MS);
		if (cancel_check(err) == -1)
			return -1;
		if (stop[1].revents != 0)
			return err_set(err, ERR_CANCELLED, "stopped");
	}
}

static int
check_export(
    struct nbd_link *n, const struct nbd_link_options *options, struct err *err)
{
	int64_t size = nbd_get_size(n->nbd);
	unsigned int i;

	if (size < 0)
		return nbd_err(err, "cannot read the size");
	n->size_bytes = (uint64_t)size;
	for (i = 0; i < CONTEXTS; i++)
		if (n->contexts[i] != NULL &&
		    nbd_can_meta_context(n->nbd, n->contexts[i]) != 1)
			return err_set(err, ERR_NOT_FOUND,
			    "it does not offer '%s'", n->contexts[i]);
	if (options->writable && nbd_is_read_only(n->nbd) != 0)
		return err_set(err, ERR_AUTH, "it is read-only");
	/* Asked now: a dead connection cannot flush either, and must not
	 * pass for a server that has nothing to flush. */
	n->can_flush = nbd_can_flush(n->nbd) == 1;
	return 0;
}

int
nbd_link_open(struct nbd_link **out, const struct nbd_link_options *options,
    struct err *err)
{
	struct nbd_link *n = calloc(1, sizeof(*n));
	unsigned int i;
	int rc = -1;

	if (n == NULL)
		return err_no_memory(err);
	n->done_tail = &n->done;
	n->stop_fd = options->stop_fd > 0 ? options->stop_fd : -1;
	for (i = 0; i < CONTEXTS; i++) {
		if (options->context[i] == NULL)
			continue;
		if ((n->contexts[i] = strdup(options->context[i])) == NULL) {
			err_no_memory(err);
			goto out;
		}
	}
	if (connect_patiently(n, options, err) == -1 ||
	    check_export(n, options, err) == -1) {
		err_prefix(err, "NBD export '%s' at '%s'", options->export_name,
		    options->socket_path);
		goto out;
	}
	*out = n;
	n = NULL;
	rc = 0;
out:
	nbd_link_close(n);
	return rc;
}

void
nbd_link_close(struct nbd_link *n)
{
	struct request *request;
	unsigned int i;

	if (n == NULL)
		return;
	if (n->nbd != NULL) {
		/* Says good-bye; not needed, and not waited for. */
		if (nbd_aio_is_ready(n->nbd))
			nbd_aio_disconnect(n->nbd, 0);
		nbd_close(n->nbd);
	}
	while ((request = n->done) != NULL) {
		n->done = request->next;
		free(request);
	}
	for (i = 0; i < CONTEXTS; i++) {
		free(n->contexts[i]);
		free(n->extents[i].entries);
	}
	free(n);
}

uint64_t
nbd_link_size(const struct nbd_link *n)
{
	return n->size_bytes;
}

/*
 * These functions never let libnbd forget a command by itself: when the
 * connection dies while a command is being sent, libnbd 1.14 frees it first
 * and reads its cookie afterwards.
 */
enum { KEEP_COMMAND = 0 };

static int
on_complete(void *user_data, int *error)
{
	struct request *request = user_data;
	struct nbd_link *n = request->link;

	request->error = *error;
	request->done = true;
	request->next = NULL;
	*n->done_tail = request;
	n->done_tail = &request->next;
	return KEEP_COMMAND;
}

/* A request that never completed dies with its connection. */
static void
on_free(void *user_data)
{
	struct request *request = user_data;

	if (!request->done)
		free(request);
}

/* Runs the caller's functions of what is done; true if there were any. */
static bool
deliver(struct nbd_link *n)
{
	struct request *request;
	bool any = false;

	while ((request = n->done) != NULL) {
		if ((n->done = request->next) == NULL)
			n->done_tail = &n->done;
		n->in_flight--;
		/* Its result is known from on_complete. */
		nbd_aio_command_completed(n->nbd, (uint64_t)request->cookie);
		request->fn(request->arg, request->error);
		free(request);
		any = true;
	}
	return any;
}

static struct request *
request_new(struct nbd_link *n, nbd_done_fn *fn, void *arg)
{
	struct request *request = calloc(1, sizeof(*request));

	if (request != NULL) {
		request->link = n;
		request->fn = fn;
		request->arg = arg;
	}
	return request;
}

static nbd_completion_callback
completion(struct request *request)
{
	return (nbd_completion_callback){
		.callback = on_complete, .user_data = request, .free = on_free
	};
}

/* libnbd has taken the request, or has freed it through on_free. */
static int
started(struct nbd_link *n, struct request *request, int64_t cookie,
    const char *what, struct err *err)
{
	if (cookie == -1)
		return is_gone(n) ? connection_lost(err) : nbd_err(err, what);
	request->cookie = cookie;
	n->in_flight++;
	return 0;
}

int
nbd_link_read(struct nbd_link *n, void *buf, size_t size, uint64_t offset,
    nbd_done_fn *fn, void *arg, struct err *err)
{
	struct request *request = request_new(n, fn, arg);

	if (request == NULL)
		return err_no_memory(err);
	return started(n, request,
	    nbd_aio_pread(n->nbd, buf, size, offset, completion(request), 0),
	    "cannot read", err);
}

int
nbd_link_write(struct nbd_link *n, const void *buf, size_t size,
    uint64_t offset, nbd_done_fn *fn, void *arg, struct err *err)
{
	struct request *request = request_new(n, fn, arg);

	if (request == NULL)
		return err_no_memory(err);
	return started(n, request,
	    nbd_aio_pwrite(n->nbd, buf, size, offset, completion(request), 0),
	    "cannot write", err);
}

int
nbd_link_zero(struct nbd_link *n, uint64_t size, uint64_t offset,
    nbd_done_fn *fn, void *arg, struct err *err)
{
	struct request *request = request_new(n, fn, arg);

	if (request == NULL)
		return err_no_memory(err);
	return started(n, request,
	    nbd_aio_zero(n->nbd, size, offset, completion(request), 0),
	    "cannot write zeros", err);
}

unsigned int
nbd_link_in_flight(const struct nbd_link *n)
{
	return n->in_flight;
}

int
nbd_link_wait(struct nbd_link *n, int timeout_ms, struct err *err)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms, left = -1;

	if (cancel_check(err) == -1)
		return -1;
	while (!deliver(n) && n->in_flight > 0) {
		if (timeout_ms >= 0 &&
		    (left = deadline - clock_monotonic_ms()) <= 0)
			return 0;
		/* A dying connection completes its requests with an error. */
		if (is_gone(n))
			return connection_lost(err);
		if (turn(n, (int)left, err) == -1)
			return -1;
	}
	return 0;
}

/* Runs until *done, for requests that are not counted as in flight. */
static int
run_until(struct nbd_link *n, int64_t cookie, const bool *done, struct err *err)
{
	while (!*done) {
		if (is_gone(n))
			return connection_lost(err);
		if (turn(n, -1, err) == -1)
			return -1;
	}
	nbd_aio_command_completed(n->nbd, (uint64_t)cookie);
	return 0;
}

/* What a call of ours waits for.  It outlives the call when that is given
 * up, so it belongs to libnbd, which frees it with the command. */
struct ticket {
	bool *done; /* The waiting call's; NULL once it has left. */
	int *error;
};

static int
on_ticket(void *user_data, int *error)
{
	struct ticket *ticket = user_data;

	if (ticket->done != NULL) {
		*ticket->error = *error;
		*ticket->done = true;
	}
	return KEEP_COMMAND;
}

static int
on_extents(void *user_data, const char *context, uint64_t offset,
    uint32_t *entries, size_t count, int *error)
{
	struct nbd_link *n = user_data;
	struct extent_list *list;
	uint32_t *grown;
	unsigned int i;

	(void)error;
	for (i = 0; i < CONTEXTS; i++)
		if (n->contexts[i] != NULL &&
		    strcmp(n->contexts[i], context) == 0)
			break;
	if (i == CONTEXTS)
		return 0;
	list = &n->extents[i];
	if (count > list->room && count <= EXTENTS_MAX_COUNT &&
	    (grown = realloc(list->entries, count * sizeof(*grown))) != NULL) {
		list->entries = grown;
		list->room = count;
	}
	if (count > list->room) {
		n->extents_failed = true;
		return 0;
	}
	memcpy(list->entries, entries, count * sizeof(*entries));
	list->count = count & ~(size_t)1;
	list->offset = offset;
	return 0;
}

static int
report_context(struct nbd_link *n, unsigned int context, uint64_t offset,
    uint64_t end, nbd_extent_fn *fn, void *arg, struct err *err)
{
	const struct extent_list *list = &n->extents[context];
	uint64_t at = offset, length;
	size_t i;

	if (list->count == 0 || list->offset != offset)
		return err_set(err, ERR_CORRUPT,
		    "the NBD server did not "
		    "report '%s'",
		    n->contexts[context]);
	for (i = 0; i < list->count && at < end; i += 2) {
		length = list->entries[i];
		if (length == 0)
			return err_set(err, ERR_CORRUPT,
			    "the NBD server reported an empty extent");
		if (length > end - at)
			length = end - at;
		if (fn(arg, context, at, length, list->entries[i + 1], err) ==
		    -1)
			return -1;
		at += length;
	}
	return 0;
}

static int
ask_extents(
    struct nbd_link *n, uint64_t offset, uint64_t bytes, struct err *err)
{
	struct ticket *ticket = calloc(1, sizeof(*ticket));
	bool done = false;
	int64_t cookie;
	int error = 0, rc;

	if (ticket == NULL)
		return err_no_memory(err);
	*ticket = (struct ticket){ .done = &done, .error = &error };
	cookie = nbd_aio_block_status(n->nbd, bytes, offset,
	    (nbd_extent_callback){ .callback = on_extents, .user_data = n },
	    (nbd_completion_callback){
		.callback = on_ticket, .user_data = ticket, .free = free },
	    0);
	if (cookie == -1)
		return is_gone(n) ? connection_lost(err)
				  : nbd_err(err, "cannot ask for extents");
	rc = run_until(n, cookie, &done, err);
	if (!done)
		ticket->done = NULL;
	if (rc == 0 && error != 0)
		rc = err_errno(err, error, "cannot read the extents");
	if (rc == 0 && n->extents_failed)
		rc = err_set(err, ERR_NO_MEMORY,
		    "the NBD server reported too many extents");
	return rc;
}

int
nbd_link_extents(struct nbd_link *n, uint64_t offset, uint64_t bytes,
    nbd_extent_fn *fn, void *arg, struct err *err)
{
	unsigned int i;

	if (offset >= n->size_bytes || bytes == 0)
		return err_set(err, ERR_BUG, "extents beyond the disk");
	if (bytes > n->size_bytes - offset)
		bytes = n->size_bytes - offset;
	if (bytes > EXTENTS_MAX_BYTES)
		bytes = EXTENTS_MAX_BYTES;
	n->extents_failed = false;
	for (i = 0; i < CONTEXTS; i++)
		n->extents[i].count = 0;
	if (ask_extents(n, offset, bytes, err) == -1)
		return -1;
	for (i = 0; i < CONTEXTS; i++)
		if (n->contexts[i] != NULL &&
		    report_context(
			n, i, offset, offset + bytes, fn, arg, err) == -1)
			return -1;
	return 0;
}

int
nbd_link_flush(struct nbd_link *n, struct err *err)
{
	struct ticket *ticket;
	bool done = false;
	int64_t cookie;
	int error = 0, rc;

	/* A server that cannot flush has nothing in a cache. */
	if (!n->can_flush)
		return 0;
	if ((ticket = calloc(1, sizeof(*ticket))) == NULL)
		return err_no_memory(err);
	*ticket = (struct ticket){ .done = &done, .error = &error };
	cookie = nbd_aio_flush(n->nbd,
	    (nbd_completion_callback){
		.callback = on_ticket, .user_data = ticket, .free = free },
	    0);
	if (cookie == -1)
		return is_gone(n) ? connection_lost(err)
				  : nbd_err(err, "cannot flush");
	rc = run_until(n, cookie, &done, err);
	if (!done)
		ticket->done = NULL;
	if (rc == 0 && error != 0)
		rc = err_errno(err, error, "cannot flush");
	return rc;
}
