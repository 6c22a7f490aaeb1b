/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's channel as a plain descriptor: a stream of libvirt at one end,
 * a socket pair at the other, and the event thread moving bytes between.
 *
 * Each direction has one bounded buffer that is filled only when it is
 * empty, so a slow end holds the other one back.
 */
#include "agent/domain/domain_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"

#define BUFFER_BYTES 65536

struct buffer {
	char bytes[BUFFER_BYTES];
	size_t start, end; /* What is in it: [start, end). */
};

struct channel {
	pthread_mutex_t lock;
	/* One for each of libvirt's two callbacks and one for whoever is
	 * inside, who may have to let go of the others. */
	atomic_uint references;
	virStreamPtr stream;
	int fd; /* Our end of the socket pair. */
	int watch;
	bool stream_ended, fd_ended, closed;
	struct buffer to_guest, from_guest;
};

static bool
is_empty(const struct buffer *b)
{
	return b->start == b->end;
}

static void
channel_free(struct channel *c)
{
	if (c == NULL)
		return;
	if (c->fd != -1)
		close(c->fd);
	if (c->stream != NULL)
		virStreamFree(c->stream);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void
drop_reference(void *arg)
{
	struct channel *c = arg;

	if (atomic_fetch_sub(&c->references, 1) == 1)
		channel_free(c);
}

static void
enter(struct channel *c)
{
	atomic_fetch_add(&c->references, 1);
	pthread_mutex_lock(&c->lock);
}

static void
leave(struct channel *c)
{
	pthread_mutex_unlock(&c->lock);
	drop_reference(c);
}

/* What either end is to be watched for now. */
static void
update_watches(struct channel *c)
{
	int events = 0, stream_events = 0;

	if (!c->fd_ended && is_empty(&c->to_guest))
		events |= VIR_EVENT_HANDLE_READABLE;
	if (!is_empty(&c->from_guest))
		events |= VIR_EVENT_HANDLE_WRITABLE;
	if (!c->stream_ended && is_empty(&c->from_guest))
		stream_events |= VIR_STREAM_EVENT_READABLE;
	if (!c->stream_ended && !is_empty(&c->to_guest))
		stream_events |= VIR_STREAM_EVENT_WRITABLE;
	virEventUpdateHandle(c->watch, events);
	virStreamEventUpdateCallback(c->stream, stream_events);
}

static void
channel_close(struct channel *c)
{
	c->closed = true;
	/* The remote driver never calls a stream's own free function. */
	virStreamEventRemoveCallback(c->stream);
	drop_reference(c);
	virEventRemoveHandle(c->watch);
	/* At once: the other side waits for end of file, not for libvirt. */
	shutdown(c->fd, SHUT_RDWR);
	if (c->stream_ended || virStreamFinish(c->stream) < 0)
		virStreamAbort(c->stream);
}

/* A side that ended closes the channel when its last bytes are across. */
static void
settle(struct channel *c)
{
	if ((c->fd_ended && (is_empty(&c->to_guest) || c->stream_ended)) ||
	    (c->stream_ended && is_empty(&c->from_guest)))
		channel_close(c);
	else
		update_watches(c);
}

static void
read_fd(struct channel *c)
{
	ssize_t n = recv(c->fd, c->to_guest.bytes, BUFFER_BYTES, MSG_DONTWAIT);

	if (n > 0) {
		c->to_guest.start = 0;
		c->to_guest.end = (size_t)n;
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		c->fd_ended = true;
	}
}

static void
write_fd(struct channel *c)
{
	struct buffer *b = &c->from_guest;
	ssize_t n = send(c->fd, b->bytes + b->start, b->end - b->start,
	    MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0) {
		b->start += (size_t)n;
	} else if (errno != EAGAIN && errno != EINTR) {
		b->start = b->end;
		c->fd_ended = true;
	}
}

static void
read_stream(struct channel *c)
{
	int n = virStreamRecv(c->stream, c->from_guest.bytes, BUFFER_BYTES);

	if (n > 0) {
		c->from_guest.start = 0;
		c->from_guest.end = (size_t)n;
	} else if (n != -2) { /* -2: nothing there now. */
		c->stream_ended = true;
	}
}

static void
write_stream(struct channel *c)
{
	struct buffer *b = &c->to_guest;
	int n =
	    virStreamSend(c->stream, b->bytes + b->start, b->end - b->start);

	if (n > 0)
		b->start += (size_t)n;
	else if (n != -2)
		c->stream_ended = true;
}

static void
on_fd(int watch, int fd, int events, void *arg)
{
	struct channel *c = arg;

	(void)watch;
	(void)fd;
	enter(c);
	if (!c->closed) {
		if ((events & VIR_EVENT_HANDLE_WRITABLE) &&
		    !is_empty(&c->from_guest))
			write_fd(c);
		if ((events & ~VIR_EVENT_HANDLE_WRITABLE) && !c->fd_ended &&
		    is_empty(&c->to_guest))
			read_fd(c);
		settle(c);
	}
	leave(c);
}

static void
on_stream(virStreamPtr stream, int events, void *arg)
{
	struct channel *c = arg;

	(void)stream;
	enter(c);
	if (!c->closed) {
		if ((events & VIR_STREAM_EVENT_WRITABLE) &&
		    !is_empty(&c->to_guest))
			write_stream(c);
		if ((events & ~VIR_STREAM_EVENT_WRITABLE) &&
		    is_empty(&c->from_guest))
			read_stream(c);
		settle(c);
	}
	leave(c);
}

static const xmlNode *
find_channel(const xmlDoc *doc, const char *name)
{
	const xmlNode *devices, *node, *target;

	devices =
	    domain_xml_child(xmlDocGetRootElement((xmlDoc *)doc), "devices");
	for (node = domain_xml_child(devices, "channel"); node != NULL;
	     node = domain_xml_next(node, "channel")) {
		target = domain_xml_child(node, "target");
		if (domain_xml_attr_is(target, "name", name))
			return target;
	}
	return NULL;
}

int
domain_channel_connected(
    struct domain *d, const char *name, bool *out, struct err *err)
{
	const xmlNode *target;
	xmlDoc *doc = NULL;
	int rc = 0;

	if (domain_xml_read(&doc, d, 0, err) == -1)
		return -1;
	target = find_channel(doc, name);
	if (target != NULL)
		*out = domain_xml_attr_is(target, "state", "connected");
	else
		rc = err_set(err, ERR_NOT_FOUND,
		    "domain '%s' has no channel '%s'", d->name, name);
	xmlFreeDoc(doc);
	return rc;
}

static struct channel *
channel_new(struct domain *d, int fd)
{
	struct channel *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->fd = fd;
	pthread_mutex_init(&c->lock, NULL);
	c->stream = virStreamNew(d->connection->conn, VIR_STREAM_NONBLOCK);
	if (c->stream == NULL) {
		c->fd = -1;
		channel_free(c);
		return NULL;
	}
	return c;
}

/*
 * Hands the channel to the event thread, also when that fails; until both
 * callbacks are in place the lock keeps it from being used.
 */
static int
channel_start(struct channel *c, struct err *err)
{
	int rc = -1;

	enter(c);
	c->watch = virEventAddHandle(c->fd, 0, on_fd, c, drop_reference);
	if (c->watch < 0) {
		domain_err(err, "cannot watch the channel");
		goto out;
	}
	atomic_fetch_add(&c->references, 1);
	if (virStreamEventAddCallback(c->stream, 0, on_stream, c, NULL) < 0) {
		domain_err(err, "cannot watch the channel");
		c->closed = true;
		virEventRemoveHandle(c->watch);
		goto out;
	}
	atomic_fetch_add(&c->references, 1);
	update_watches(c);
	rc = 0;
out:
	leave(c);
	return rc;
}

static int
open_stream(
    struct channel *c, struct domain *d, const char *name, struct err *err)
{
	if (virDomainOpenChannel(d->dom, name, c->stream, 0) == 0)
		return 0;
	domain_err(err, "cannot open channel '%s' of '%s'", name, d->name);
	/* "Active console session exists for this domain" */
	if (domain_err_code() == VIR_ERR_OPERATION_FAILED) {
		err->class = ERR_BUSY;
		err_hint(err, "another program holds the channel");
	}
	return -1;
}

int
domain_channel_open(
    int *out_fd, struct domain *d, const char *name, struct err *err)
{
	struct channel *c = NULL;
	bool ignored;
	int fds[2];

	if (domain_channel_connected(d, name, &ignored, err) == -1)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == -1)
		return err_errno(err, errno, "cannot make a socket pair");
	if ((c = channel_new(d, fds[1])) == NULL) {
		close(fds[1]);
		domain_err(err, "cannot open a stream to '%s'", d->name);
		goto out;
	}
	if (open_stream(c, d, name, err) == -1) {
		channel_free(c);
		goto out;
	}
	if (channel_start(c, err) == -1)
		goto out;
	*out_fd = fds[0];
	return 0;
out:
	close(fds[0]);
	return -1;
}
