/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's end of the channel. */
#include "guest-helper/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#define OPEN_EVERY_MS 500
#define LOOK_EVERY_MS 250

static int
listen_on(const char *path, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(
		    err, ERR_ARG, "socket path '%s' is too long", path);
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return err_errno(err, errno, "cannot make a socket");
	unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == -1 ||
	    listen(fd, 4) == -1) {
		err_errno(err, errno, "cannot listen on '%s'", path);
		close(fd);
		return -1;
	}
	return fd;
}

static int
inherited(const char *number, struct err *err)
{
	char *end;
	long fd = strtol(number, &end, 10);

	if (end == number || *end != '\0' || fd < 0 || fd > 4096 ||
	    fcntl((int)fd, F_SETFL, O_NONBLOCK) == -1 ||
	    fcntl((int)fd, F_SETFD, FD_CLOEXEC) == -1)
		return err_set(
		    err, ERR_ARG, "'%s' is no open descriptor", number);
	return (int)fd;
}

int
channel_init(struct channel *c, const char *port, struct err *err)
{
	memset(c, 0, sizeof(*c));
	wire_reader_init(&c->reader);
	c->fd = -1;
	c->listener = -1;
	c->path = port;
	if (strncmp(port, "unix:", 5) == 0) {
		c->kind = CHANNEL_UNIX;
		c->listener = listen_on(port + 5, err);
		return c->listener == -1 ? -1 : 0;
	}
	if (strncmp(port, "fd:", 3) == 0) {
		c->kind = CHANNEL_FD;
		c->fd = inherited(port + 3, err);
		c->host_there = true;
		return c->fd == -1 ? -1 : 0;
	}
	c->kind = CHANNEL_PORT;
	return 0;
}

void
channel_fini(struct channel *c)
{
	if (c->fd != -1)
		close(c->fd);
	if (c->listener != -1)
		close(c->listener);
	c->fd = c->listener = -1;
}

static bool
has_room(const struct channel *c)
{
	return c->out_used + WIRE_MAX <= sizeof(c->out);
}

/* Is a request taken?  None is while there is no room to answer. */
static bool
takes_requests(const struct channel *c)
{
	return !c->paused && has_room(c);
}

int
channel_poll(struct channel *c, struct pollfd *out, int64_t now_ms)
{
	int64_t until = 0;

	out->fd = -1;
	out->events = 0;
	out->revents = 0;
	if (c->fd == -1 && c->kind == CHANNEL_UNIX) {
		out->fd = c->listener;
		out->events = POLLIN;
		return -1;
	}
	if (!c->host_there) {
		until = c->look_ms;
	} else {
		out->fd = c->fd;
		if (takes_requests(c))
			out->events |= POLLIN;
		if (c->out_used > 0)
			out->events |= POLLOUT;
		if (!takes_requests(c) || !wire_reader_partial(&c->reader))
			return -1;
		until = c->progress_ms + WIRE_STALL_MS;
	}
	return until > now_ms ? (int)(until - now_ms) : 0;
}

static void
host_left(struct channel *c)
{
	c->host_there = false;
	c->out_used = 0;
	wire_reader_init(&c->reader);
}

static void
close_fd(struct channel *c)
{
	close(c->fd);
	c->fd = -1;
	c->finished = c->kind == CHANNEL_FD;
}

static void
open_port(struct channel *c, int64_t now_ms)
{
	c->look_ms = now_ms + OPEN_EVERY_MS;
	c->fd = open(c->path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (c->fd == -1) {
		if (!c->complained)
			log_line(LOG_WARNING, "waiting for port '%s': %s",
			    c->path, strerror(errno));
		c->complained = true;
		return;
	}
	c->complained = false;
	c->look_ms = now_ms;
	/* So that the driver's news reach us while the port is not polled. */
	if (fcntl(c->fd, F_SETOWN, getpid()) == 0)
		fcntl(c->fd, F_SETFL, O_RDWR | O_NONBLOCK | O_ASYNC);
	log_line(LOG_NOTICE, "port '%s' is open", c->path);
}

/*
 * A port that was unplugged hangs up, too, but for good: another of its name
 * has to be opened.  A read fails for it alone, and of no bytes it takes none
 * from the host.
 */
static void
close_if_unplugged(struct channel *c)
{
	char none;

	if (c->kind != CHANNEL_PORT || read(c->fd, &none, 0) != -1 ||
	    errno == EAGAIN || errno == EINTR)
		return;
	log_line(LOG_NOTICE, "port '%s' is gone: %s", c->path, strerror(errno));
	close_fd(c);
}

static void
look_for_host(struct channel *c, int64_t now_ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	c->look_ms = now_ms + LOOK_EVERY_MS;
	if (poll(&p, 1, 0) == -1)
		return;
	if ((p.revents & (POLLHUP | POLLERR)) == 0)
		c->host_there = true;
	else
		close_if_unplugged(c);
}

static void
accept_host(struct channel *c)
{
	c->fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	c->host_there = c->fd != -1;
}

static void
flush(struct channel *c)
{
	ssize_t n;

	while (c->out_used > 0) {
		n = write(c->fd, c->out, c->out_used);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* Full, or gone: reading will tell. */
		c->out_used -= (size_t)n;
		memmove(c->out, c->out + n, c->out_used);
	}
}

/* true: the host has gone. */
static bool
fill(struct channel *c, int64_t now_ms)
{
	size_t room;
	uint8_t *at = wire_reader_room(&c->reader, &room);
	ssize_t n;

	if (room == 0)
		return false;
	n = read(c->fd, at, room);
	if (n > 0) {
		wire_reader_filled(&c->reader, (size_t)n);
		c->progress_ms = now_ms;
		return false;
	}
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return false;
	/* An unplugged port has to be opened anew; a hung-up one has not. */
	if (n == -1 || c->kind != CHANNEL_PORT)
		close_fd(c);
	return true;
}

bool
channel_step(struct channel *c, short revents, int64_t now_ms)
{
	bool gone = false;

	if (c->fd == -1 && c->kind == CHANNEL_UNIX) {
		if (revents & POLLIN)
			accept_host(c);
		return false;
	}
	if (!c->host_there) {
		if (now_ms < c->look_ms || c->finished)
			return false;
		if (c->fd == -1)
			open_port(c, now_ms);
		if (c->fd != -1)
			look_for_host(c, now_ms);
		return false;
	}
	if (revents & POLLOUT)
		flush(c);
	if (revents & POLLIN)
		gone = fill(c, now_ms);
	else if (revents & (POLLHUP | POLLERR))
		gone = true;
	if (gone) {
		if (c->fd != -1 && c->kind != CHANNEL_PORT)
			close_fd(c);
		else if (c->fd != -1)
			close_if_unplugged(c);
		c->look_ms = now_ms + LOOK_EVERY_MS;
		host_left(c);
	} else if (!takes_requests(c)) {
		/* What waits here is not half for that. */
		c->progress_ms = now_ms;
	} else if (wire_reader_partial(&c->reader) &&
		   now_ms >= c->progress_ms + WIRE_STALL_MS) {
		wire_reader_give_up(&c->reader);
	}
	return gone;
}

void
channel_look(struct channel *c)
{
	c->look_ms = 0;
}

bool
channel_next(struct channel *c, struct wire_frame *out)
{
	return takes_requests(c) && wire_reader_next(&c->reader, out);
}

void
channel_pause(struct channel *c, bool paused)
{
	c->paused = paused;
}

void
channel_reply(struct channel *c, uint8_t type, uint32_t request_id,
    const struct message *m)
{
	uint8_t *at = c->out + c->out_used;
	struct err err = ERR_INIT;
	size_t used;

	/* The host went while the answer was made. */
	if (!c->host_there || !has_room(c))
		return;
	if (message_encode(
		at + WIRE_HEAD_BYTES, WIRE_BODY_MAX, &used, m, &err) == -1) {
		static struct message excuse;

		message_clear(&excuse);
		strcpy(excuse.error_class, err_class_name(ERR_UNSUPPORTED));
		snprintf(excuse.error_text, sizeof(excuse.error_text), "%s",
		    err.text);
		type = MESSAGE_ERROR;
		if (message_encode(at + WIRE_HEAD_BYTES, WIRE_BODY_MAX, &used,
			&excuse, &err) == -1)
			return;
	}
	c->out_used += wire_seal(at, type, WIRE_REPLY, request_id, used);
	flush(c);
}
