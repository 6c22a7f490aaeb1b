/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's end of the channel: a virtio-serial port, or for tests a UNIX
 * socket ("unix:PATH", listening) or a connected descriptor ("fd:N").
 *
 * A virtio port without a host reads as end of file and polls as hung up at
 * once, for ever; it is then not polled but looked at on SIGIO, which the
 * driver sends when the host comes, and now and then for safety.
 */
#ifndef HOLDSTILL_GUEST_CHANNEL_H
#define HOLDSTILL_GUEST_CHANNEL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/proto/wire.h"
#include "common/proto/message.h"

struct err;

enum channel_kind { CHANNEL_PORT, CHANNEL_UNIX, CHANNEL_FD };

struct channel {
	enum channel_kind kind;
	const char *path; /* The caller's. */
	int fd;           /* -1: not open, nobody connected. */
	int listener;
	bool host_there;
	bool finished; /* An inherited descriptor has ended. */
	bool complained;
	bool paused;         /* Requests are left where they are. */
	int64_t look_ms;     /* When to look again for port or host. */
	int64_t progress_ms; /* When the last bytes came. */
	struct wire_reader reader;
	uint8_t out[2 * WIRE_MAX];
	size_t out_used;
};

/* Reads the port's name; a port that does not exist yet is waited for. */
int channel_init(struct channel *c, const char *port, struct err *err);
void channel_fini(struct channel *c);

/* What to poll; fd may be -1.  Returns the timeout in ms, or -1. */
int channel_poll(struct channel *c, struct pollfd *out, int64_t now_ms);

/* After poll, also when nothing happened.  true: the host has gone. */
bool channel_step(struct channel *c, short revents, int64_t now_ms);

/* SIGIO came: look at the port now. */
void channel_look(struct channel *c);

/* The next request, as wire_reader_next(); false too while earlier replies
 * fill the buffer. */
bool channel_next(struct channel *c, struct wire_frame *out);

/* Leaves requests in the channel, or takes them again. */
void channel_pause(struct channel *c, bool paused);

/* Queues a reply; one that does not fit is answered as an error. */
void channel_reply(struct channel *c, uint8_t type, uint32_t request_id,
    const struct message *m);

#endif
