/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and answers, each with a deadline. */
#include "agent/quiesce/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/proto/wire.h"

#define BUSY_RETRY_MS 50
#define PREPARE_GRACE_MS 2000
/* A wait is cut into so long ones; if one lasts so much longer, this process
 * was stopped. */
#define LOOK_MS 100
#define STOPPED_MS 200
/* An answer's way leads through QEMU, libvirtd and a thread of ours, all of
 * which may be slow on a busy machine. */
#define ON_ITS_WAY_MS 1000

struct client {
	int fd;
	uint32_t next_id;
	int64_t progress_ms; /* When the last bytes came. */
	struct message empty;
	struct message reply;
	struct wire_reader reader;
	uint8_t out[WIRE_MAX];
};

struct call { /* One request on its way. */
	uint8_t type;
	uint32_t id;
	int64_t end_ms;
	bool heed_cancel;
	int64_t looked_ms;
	size_t out_at, out_bytes;
};

int
client_new(struct client **out, int fd, struct err *err)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		close(fd);
		return err_no_memory(err);
	}
	c->fd = fd;
	wire_reader_init(&c->reader);
	/* Random, so that answers meant for a dead host match nothing. */
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1) {
		err_errno(err, errno, "cannot set up the guest channel");
		client_free(c);
		return -1;
	}
	if (hexid_random(&c->next_id, sizeof(c->next_id), err) == -1) {
		client_free(c);
		return -1;
	}
	*out = c;
	return 0;
}

void
client_free(struct client *c)
{
	if (c == NULL)
		return;
	close(c->fd);
	free(c);
}

const struct message *
client_reply(const struct client *c)
{
	return &c->reply;
}

static int
closed(struct err *err)
{
	return err_set(err, ERR_IO, "the guest closed its channel");
}

static int
send_some(struct client *c, struct call *call, struct err *err)
{
	ssize_t n =
	    write(c->fd, c->out + call->out_at, call->out_bytes - call->out_at);

	if (n >= 0)
		call->out_at += (size_t)n;
	else if (errno == EPIPE || errno == ECONNRESET)
		return closed(err);
	else if (errno != EAGAIN && errno != EINTR)
		return err_errno(err, errno, "cannot write to the guest");
	return 0;
}

static int
receive_some(struct client *c, struct err *err)
{
	size_t room;
	uint8_t *at = wire_reader_room(&c->reader, &room);
	ssize_t n = read(c->fd, at, room);

	if (n == 0 || (n == -1 && errno == ECONNRESET))
		return closed(err);
	if (n > 0) {
		wire_reader_filled(&c->reader, (size_t)n);
		c->progress_ms = clock_monotonic_ms();
	} else if (errno != EAGAIN && errno != EINTR) {
		return err_errno(err, errno, "cannot read from the guest");
	}
	return 0;
}

void
client_clean(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			*text = '?';
}

/* 1: the answer is in c->reply; 0: not yet; -1: it is an error. */
static int
take_answer(struct client *c, const struct call *call, struct err *err)
{
	struct wire_frame frame;

	while (wire_reader_next(&c->reader, &frame)) {
		if ((frame.flags & WIRE_REPLY) == 0 ||
		    frame.request_id != call->id)
			continue;
		if (message_decode(
			&c->reply, frame.body, frame.body_bytes, err) == -1)
			return err_prefix(err, "answer of the guest");
		client_clean(c->reply.error_text);
		client_clean(c->reply.program);
		if (frame.type == call->type)
			return 1;
		if (frame.type == MESSAGE_ERROR)
			return err_set(err, message_error_class(&c->reply),
			    "guest helper: %s", c->reply.error_text);
		return err_set(err, ERR_CORRUPT,
		    "the guest answered '%s' with '%s'",
		    message_type_name(call->type),
		    message_type_name(frame.type));
	}
	return 0;
}

/* This process, since the last look: then the guest is not late, nor is half a
 * frame. */
static bool
was_stopped(struct call *call, int64_t now)
{
	bool stopped = now - call->looked_ms > LOOK_MS + STOPPED_MS;

	call->looked_ms = now;
	return stopped;
}

/* Waits for something to happen; gives up half frames that do not grow. */
static int
wait_some(struct client *c, struct call *call, struct err *err)
{
	struct pollfd p[2] = {
		{ .fd = c->fd, .events = POLLIN },
		{ .fd = call->heed_cancel ? cancel_fd() : -1,
		    .events = POLLIN },
	};
	int64_t now = clock_monotonic_ms(), until = now + LOOK_MS;

	if (was_stopped(call, now)) {
		c->progress_ms = now;
		if (call->end_ms < now + ON_ITS_WAY_MS)
			call->end_ms = now + ON_ITS_WAY_MS;
	}
	if (now >= call->end_ms)
		return err_set(err, ERR_TIMEOUT,
		    "the guest did not answer '%s' in time",
		    message_type_name(call->type));
	if (call->heed_cancel && cancel_check(err) == -1)
		return -1;
	if (until > call->end_ms)
		until = call->end_ms;
	if (wire_reader_partial(&c->reader)) {
		if (now >= c->progress_ms + WIRE_STALL_MS)
			wire_reader_give_up(&c->reader);
		else if (c->progress_ms + WIRE_STALL_MS < until)
			until = c->progress_ms + WIRE_STALL_MS;
	}
	if (call->out_at < call->out_bytes)
		p[0].events |= POLLOUT;
	if (poll(p, 2, (int)(until - now)) == -1)
		return 0;
	if (p[0].revents & POLLOUT && call->out_at < call->out_bytes &&
	    send_some(c, call, err) == -1)
		return -1;
	if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
		return receive_some(c, err);
	return 0;
}

int
client_call(struct client *c, uint8_t type, const struct message *request,
    int timeout_ms, bool heed_cancel, struct err *err)
{
	struct call call = {
		.type = type,
		.id = c->next_id++,
		.looked_ms = clock_monotonic_ms(),
		.heed_cancel = heed_cancel,
	};
	size_t body_bytes;
	int rc;

	call.end_ms = call.looked_ms + timeout_ms;
	message_clear(&c->reply);
	if (message_encode(c->out + WIRE_HEAD_BYTES, WIRE_BODY_MAX, &body_bytes,
		request == NULL ? &c->empty : request, err) == -1)
		return -1;
	call.out_bytes = wire_seal(c->out, type, 0, call.id, body_bytes);
	while ((rc = take_answer(c, &call, err)) == 0)
		if (wait_some(c, &call, err) == -1)
			return -1;
	return rc == 1 ? 0 : -1;
}

int
client_hello(struct client *c, bool heed_cancel, struct err *err)
{
	return client_hello_within(c, CLIENT_HELLO_MS, heed_cancel, err);
}

int
client_hello_within(
    struct client *c, int timeout_ms, bool heed_cancel, struct err *err)
{
	struct message *hello = calloc(1, sizeof(*hello));
	int rc;

	if (hello == NULL)
		return err_no_memory(err);
	hello->version_min = MESSAGE_VERSION_MIN;
	hello->version_max = MESSAGE_VERSION_MAX;
	rc = client_call(c, MESSAGE_HELLO, hello, timeout_ms, heed_cancel, err);
	free(hello);
	if (rc == 0 && (c->reply.version_min > MESSAGE_VERSION_MAX ||
			   c->reply.version_max < MESSAGE_VERSION_MIN))
		rc = err_set(err, ERR_UNSUPPORTED,
		    "guest helper '%s' speaks another protocol",
		    c->reply.program);
	return rc;
}

int
client_prepare(struct client *c, const struct message *request, struct err *err)
{
	int64_t patience_ms = request->prepare_ms == 0
				  ? CLIENT_PREPARE_MS
				  : (int64_t)request->prepare_ms;
	int64_t end_ms = clock_monotonic_ms() + patience_ms + PREPARE_GRACE_MS;
	int64_t left;
	struct pollfd p = { .fd = cancel_fd(), .events = POLLIN };

	for (;;) {
		left = end_ms - clock_monotonic_ms();
		if (left < 0)
			left = 0;
		if (client_call(
			c, MESSAGE_PREPARE, request, (int)left, true, err) == 0)
			return 0;
		if (err->class != ERR_BUSY || left <= BUSY_RETRY_MS)
			return -1;
		poll(&p, 1, BUSY_RETRY_MS);
	}
}
