/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames on the guest channel (docs/protocol.md): a head with its own
 * checksum, a body with another.  The reader finds the next good frame after
 * garbage and after half a frame of a sender that died.  The sender is
 * hostile: nothing here trusts a length.
 *
 * No allocation; a reader belongs to one thread at a time.
 */
#ifndef HOLDSTILL_COMMON_PROTO_FRAME_H
#define HOLDSTILL_COMMON_PROTO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_VERSION 1
#define FRAME_HEAD_BYTES 20
#define FRAME_TAIL_BYTES 4 /* The body's CRC-32, also of an empty body. */
#define FRAME_BODY_MAX 65536
#define FRAME_MAX (FRAME_HEAD_BYTES + FRAME_BODY_MAX + FRAME_TAIL_BYTES)

/* A frame that makes no progress for so long was left half-sent. */
#define FRAME_STALL_MS 500

#define FRAME_REPLY 0x0001 /* flags: answers the request of that id. */

struct frame {
	uint8_t type;
	uint16_t flags;
	uint32_t request_id;
	const uint8_t *body; /* In the reader's buffer. */
	size_t body_bytes;
};

struct frame_reader {
	uint8_t buf[FRAME_MAX];
	size_t used;
	size_t taken; /* Bytes of the frame handed out last. */
	uint64_t garbage_bytes; /* Skipped so far. */
};

void frame_reader_init(struct frame_reader *r);

/* Where to read to; *out_room is never 0 after frame_reader_next() said 0.
 * Invalidates the last frame. */
uint8_t *frame_reader_room(struct frame_reader *r, size_t *out_room);

/* So many bytes were put there. */
void frame_reader_filled(struct frame_reader *r, size_t count);

/* true: *out is the next frame, good until the next call on r.  false: more
 * bytes are needed. */
bool frame_reader_next(struct frame_reader *r, struct frame *out);

/* Is there the beginning of something? */
bool frame_reader_partial(const struct frame_reader *r);

/* The rest of what looks like a frame will not come: looks for another
 * behind its first byte. */
void frame_reader_give_up(struct frame_reader *r);

/*
 * Puts head and tail round a body that lies at buf + FRAME_HEAD_BYTES; buf
 * has FRAME_MAX bytes.  Returns the whole size.  body_bytes is at most
 * FRAME_BODY_MAX.
 */
size_t frame_seal(uint8_t *buf, uint8_t type, uint16_t flags,
    uint32_t request_id, size_t body_bytes);

#endif
