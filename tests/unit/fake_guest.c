/* SPDX-License-Identifier: Apache-2.0 */
/* A guest in a thread. */
#include "fake_guest.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "common/err.h"

uint64_t
fake_guest_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

bool
fake_guest_write(int fd, const void *buf, size_t size)
{
	const char *at = buf;
	ssize_t n;

	while (size > 0) {
		n = send(fd, at, size, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

static void
put_filesystem(struct message *m, uint64_t state)
{
	struct message_filesystem *fs = message_add_filesystem(m);

	strcpy(fs->mount_point, "/srv");
	strcpy(fs->type, "ext4");
	strcpy(fs->disk, "vda");
	fs->state = state;
}

static void
put_writers(struct message *m, uint64_t state)
{
	struct message_writer *w = message_add_writer(m);
	struct message_meta *meta;

	strcpy(w->name, "ledger");
	w->state = state;
	w->required = 1;
	w = message_add_writer(m);
	strcpy(w->name, "cache");
	w->state = state;
	if (state != MESSAGE_WRITER_THAWED)
		return;
	meta = message_add_meta(&m->writers[0]);
	strcpy(meta->key, "position");
	strcpy(meta->value, "0/16B3748");
}

static void
answer(struct fake_guest *g, uint8_t type)
{
	struct message *m = &g->reply;

	message_clear(m);
	memcpy(m->session, g->request.session, sizeof(m->session));
	strcpy(m->state, "stable");
	m->level = MESSAGE_APPLICATION;
	switch (type) {
	case MESSAGE_HELLO:
		m->version_min = m->version_max = MESSAGE_VERSION_MAX;
		strcpy(m->program, "0");
		break;
	case MESSAGE_STATUS:
		strcpy(m->program, "0");
		put_filesystem(m, MESSAGE_FS_PLANNED);
		put_writers(m, MESSAGE_WRITER_STABLE);
		break;
	case MESSAGE_PREPARE:
		put_filesystem(m, MESSAGE_FS_PLANNED);
		put_writers(m, MESSAGE_WRITER_PREPARED);
		break;
	case MESSAGE_FREEZE:
		g->begin_ns = m->freeze_begin_ns = fake_guest_now_ns();
		g->end_ns = m->freeze_end_ns = fake_guest_now_ns();
		put_filesystem(m, MESSAGE_FS_FROZEN);
		put_writers(m, MESSAGE_WRITER_FROZEN);
		break;
	case MESSAGE_THAW:
		m->freeze_begin_ns = g->begin_ns;
		m->freeze_end_ns = g->end_ns;
		m->thaw_ns = fake_guest_now_ns();
		m->held_ms = (m->thaw_ns - g->begin_ns) / 1000000;
		m->unbroken = 1;
		put_filesystem(m, MESSAGE_FS_FROZEN);
		put_writers(m, MESSAGE_WRITER_THAWED);
		break;
	case MESSAGE_COMMITTED:
		put_writers(m, MESSAGE_WRITER_COMMITTED);
		break;
	default:
		break;
	}
}

static bool
serve(struct fake_guest *g, const struct wire_frame *frame)
{
	struct err err = ERR_INIT;
	uint8_t type = frame->type;
	size_t body_bytes;

	assert_true(type > 0 && type <= MESSAGE_ABORT);
	assert_int_equal(
	    message_decode(&g->request, frame->body, frame->body_bytes, &err),
	    0);
	g->asked[type] = g->request;
	g->count[type]++;
	if (type == g->flood_at) {
		g->flood(g->fd, frame->request_id);
		return false;
	}
	answer(g, type);
	if (g->tweak != NULL)
		g->tweak(&g->reply, type);
	if (g->reply.error_class[0] != '\0')
		type = MESSAGE_ERROR;
	assert_int_equal(message_encode(g->out + WIRE_HEAD_BYTES, WIRE_BODY_MAX,
			     &body_bytes, &g->reply, &err),
	    0);
	return fake_guest_write(g->fd, g->out,
	    wire_seal(g->out, type, WIRE_REPLY, frame->request_id, body_bytes));
}

static void *
run(void *arg)
{
	struct fake_guest *g = arg;
	struct wire_frame frame;
	bool goes_on = true;
	uint8_t *at;
	size_t room;
	ssize_t n;

	while (goes_on) {
		at = wire_reader_room(&g->reader, &room);
		n = recv(g->fd, at, room, 0);
		if (n <= 0)
			break;
		wire_reader_filled(&g->reader, (size_t)n);
		while (goes_on && wire_reader_next(&g->reader, &frame))
			goes_on = serve(g, &frame);
	}
	close(g->fd);
	return NULL;
}

int
fake_guest_start(struct fake_guest *g)
{
	int pair[2];

	assert_false(g->runs);
	wire_reader_init(&g->reader);
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	g->fd = pair[1];
	assert_int_equal(pthread_create(&g->thread, NULL, run, g), 0);
	g->runs = true;
	return pair[0];
}

void
fake_guest_stop(struct fake_guest *g)
{
	if (g->runs)
		pthread_join(g->thread, NULL);
	g->runs = false;
}
