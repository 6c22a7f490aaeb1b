/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session under a hostile host and a guest in which anything may happen at
 * any time.  The input is a row of events: requests, with fields or with raw
 * bytes as their body, and what dead-man, writers and clock do in between.
 * However it goes, whatever was held is thawed in the end.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "common/proto/message.h"
#include "common/proto/wire.h"
#include "guest-helper/conf.h"
#include "guest-helper/session.h"
#include "tests/fuzz/fakes.h"
#include "tests/fuzz/fuzz.h"

#define EVENTS_MAX (FAKES_REQUESTS_MAX - 8)
#define END_TURNS 64

enum event {
	EVENT_REQUEST, /* Type, flags, lease. */
	EVENT_RAW,     /* Type, length, body. */
	EVENT_DEADMAN,
	EVENT_REPORT,
	EVENT_WRITERS, /* How they did. */
	EVENT_TIME,    /* How long. */
	EVENT_HANG_UP,
	EVENT_LEASE_END,
	EVENT_TERM,
	EVENT_KILL,
	EVENT_FAULTS, /* Which. */
	EVENT_RUN,    /* The dead-man does all that it can. */
	EVENTS
};

struct input {
	const uint8_t *at;
	size_t left;
};

static const struct mounts_paths paths = { "", "", NULL, NULL };
static struct session session;
static uint8_t *fresh; /* The session as it is at the start. */
static struct conf conf;
static struct message message;
static uint8_t body[4096];

static uint8_t
take(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

static void
quiet(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

/* Once: a random name, the boot id and the like take their time. */
static void
start(void)
{
	struct session_options options = {
		.conf = &conf,
		.paths = &paths,
		.run_dir = "/dev/null/none", /* Nobody can make it. */
		.expedite_path = "",
	};
	struct err err = ERR_INIT;

	fakes_reset();
	if (fresh == NULL) {
		log_set_sink(quiet, NULL);
		conf.lease_max_ms = 30000;
		fresh = malloc(offsetof(struct session, request));
		if (fresh == NULL ||
		    session_init(&session, &options, &err) == -1)
			abort();
		memcpy(fresh, &session, offsetof(struct session, request));
	}
	memcpy(&session, fresh, offsetof(struct session, request));
}

static void
send_frame(uint8_t type, uint8_t flags, const uint8_t *bytes, size_t size)
{
	struct wire_frame frame = {
		.type = type,
		.flags = flags & WIRE_REPLY,
		.request_id = fakes_request((flags & WIRE_REPLY) == 0),
		.body = bytes,
		.body_bytes = (uint32_t)size,
	};

	session_request(&session, &frame);
}

static const char *
name_of(uint8_t bits)
{
	static const char *const names[] = {
		"0123456789abcdef0123456789abcdef",
		"fedcba9876543210fedcba9876543210",
		"not a name",
		"",
	};

	return names[bits & 3];
}

/* One that means something, so that a way into the depth is short. */
static void
send_request(struct input *in)
{
	uint8_t type = take(in), bits = take(in), lease = take(in);
	struct err err = ERR_INIT;
	size_t size;

	message_clear(&message);
	message.version_min = MESSAGE_VERSION_MIN;
	message.version_max = MESSAGE_VERSION_MAX + (bits >> 7);
	strcpy(message.session, name_of(bits));
	strcpy(message.point, name_of(bits >> 2));
	message.lease_ms = (uint64_t)lease * 300;
	message.freeze_ms = (uint64_t)(lease & 15) * 50;
	message.level = bits >> 4 & 3;
	if (bits & 64)
		strcpy(message_add_writer(&message)->name, "w");
	if (message_encode(body, sizeof(body), &size, &message, &err) == -1)
		abort();
	send_frame(type & 15, type >> 7, body, size);
}

static void
send_raw(struct input *in)
{
	uint8_t type = take(in);
	size_t size = take(in);

	if (size > in->left)
		size = in->left;
	in->at += size;
	in->left -= size;
	send_frame(type, type >> 7, in->at - size, size);
}

static void
set_faults(uint8_t bits)
{
	fakes_fail_scan(bits & 1);
	fakes_fail_fork(bits & 2);
	fakes_mount_late(bits & 4);
	fakes_deadman_errors(bits >> 4 & 7);
}

static void
run_deadman(void)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		fakes_deadman_step();
		session_report(&session);
	}
}

static void
happen(struct input *in)
{
	switch ((enum event)(take(in) % EVENTS)) {
	case EVENT_REQUEST:
		send_request(in);
		break;
	case EVENT_RAW:
		send_raw(in);
		break;
	case EVENT_DEADMAN:
		fakes_deadman_step();
		break;
	case EVENT_REPORT:
		session_report(&session);
		break;
	case EVENT_WRITERS:
		fakes_writers_step(take(in));
		break;
	case EVENT_TIME:
		fakes_advance_ms((uint32_t)take(in) * 100);
		session_tick(&session);
		break;
	case EVENT_HANG_UP:
		session_hang_up(&session);
		break;
	case EVENT_LEASE_END:
		fakes_lease_end();
		break;
	case EVENT_TERM:
		fakes_deadman_term();
		break;
	case EVENT_KILL:
		fakes_deadman_kill();
		break;
	case EVENT_FAULTS:
		set_faults(take(in));
		break;
	case EVENT_RUN:
		run_deadman();
		break;
	case EVENTS:
		break;
	}
}

/* The host goes, and everybody does what he was told. */
static void
end(void)
{
	unsigned int i;

	session_hang_up(&session);
	for (i = 0; i < END_TURNS && !session_idle(&session); i++) {
		fakes_deadman_step();
		session_report(&session);
		fakes_writers_step(1);
	}
	if (!session_idle(&session) || fakes_held() || session.held)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned int i;

	start();
	for (i = 0; i < EVENTS_MAX && in.left > 0; i++)
		happen(&in);
	end();
	return 0;
}
