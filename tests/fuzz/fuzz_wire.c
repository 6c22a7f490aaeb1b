/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames and messages from hostile bytes.  With libFuzzer (clang
 * -fsanitize=fuzzer) this is the entry; else it replays the files and
 * folders it is given.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/proto/message.h"
#include "common/proto/wire.h"
#include "tests/fuzz/fuzz.h"

static struct wire_reader reader;
static struct message message, again;
static uint8_t body[WIRE_BODY_MAX], body_again[WIRE_BODY_MAX];

/* What was read can be written, and reads the same. */
static void
round_trip(void)
{
	struct err err = ERR_INIT;
	size_t size, size_again;

	if (message_encode(body, sizeof(body), &size, &message, &err) == -1)
		return;
	if (message_decode(&again, body, size, &err) == -1 ||
	    message_encode(body_again, sizeof(body_again), &size_again, &again,
		&err) == -1 ||
	    size_again != size || memcmp(body, body_again, size) != 0)
		abort();
}

static void
drain(void)
{
	struct wire_frame frame;
	struct err err = ERR_INIT;

	while (wire_reader_next(&reader, &frame))
		if (message_decode(
			&message, frame.body, frame.body_bytes, &err) == 0)
			round_trip();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	size_t room, n;
	uint8_t *at;

	/* Without the checksums in the way. */
	if (message_decode(&message, data, size, &err) == 0)
		round_trip();
	wire_reader_init(&reader);
	while (size > 0) {
		at = wire_reader_room(&reader, &room);
		n = size < room ? size : room;
		memcpy(at, data, n);
		wire_reader_filled(&reader, n);
		data += n;
		size -= n;
		drain();
	}
	while (wire_reader_partial(&reader)) {
		wire_reader_give_up(&reader);
		drain();
	}
	return 0;
}
