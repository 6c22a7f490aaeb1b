/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's end of a channel, in a thread: answers as a good helper with
 * two writers would, but for what the test tells it to do otherwise.
 */
#ifndef HOLDSTILL_TESTS_FAKE_GUEST_H
#define HOLDSTILL_TESTS_FAKE_GUEST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/proto/message.h"
#include "common/proto/wire.h"

struct fake_guest {
	/* Set before the start; called by the thread. */
	void (*tweak)(struct message *reply, uint8_t type);
	/* Writes what it likes instead of an answer to requests of this type
	 * (0: of none), until the channel is closed. */
	uint8_t flood_at;
	void (*flood)(int fd, uint32_t request_id);

	/* To be read after the stop: the last request of each type. */
	struct message asked[MESSAGE_ABORT + 1];
	unsigned int count[MESSAGE_ABORT + 1];

	int fd; /* Its own end. */
	pthread_t thread;
	bool runs;
	uint64_t begin_ns, end_ns;
	struct wire_reader reader;
	struct message request, reply;
	uint8_t out[WIRE_MAX];
};

/* Returns the host's end, which the caller closes. */
int fake_guest_start(struct fake_guest *g);

/* After the host's end is closed: waits for the thread. */
void fake_guest_stop(struct fake_guest *g);

/* CLOCK_MONOTONIC. */
uint64_t fake_guest_now_ns(void);

/* Writes all of it; false: the host has closed. */
bool fake_guest_write(int fd, const void *buf, size_t size);

#endif
