/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames on the guest channel (docs/protocol.md): a head with its own
 * checksum, a body with another.  The reader finds the next good frame after
 * garbage and after half a frame of a sender that died.  The sender is
 * hostile: nothing here trusts a length.
 *
 * No allocation; a reader belongs to one thread at a time.
 */
#ifndef HOLDSTILL_COMMON_PROTO_WIRE_H
#define HOLDSTILL_COMMON_PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION 1
#define WIRE_HEAD_BYTES 20
#define WIRE_TAIL_BYTES 4 /* The body's CRC-32, also of an empty body. */
/* Every list of a message full, with room to spare. */
#define WIRE_BODY_MAX (512 * 1024)
#define WIRE_MAX (WIRE_HEAD_BYTES + WIRE_BODY_MAX + WIRE_TAIL_BYTES)

/* A frame that makes no progress for so long was left half-sent. */
#define WIRE_STALL_MS 500

#define WIRE_REPLY 0x0001 /* flags: answers the request of that id. */

struct wire_frame {
	uint8_t type;
	uint16_t flags;
	uint32_t request_id;
	const uint8_t *body; /* In the reader's buffer. */
	size_t body_bytes;
};

struct wire_reader {
	uint8_t buf[WIRE_MAX];
	size_t used;
	size_t taken;           /* Bytes of the frame handed out last. */
	uint64_t garbage_bytes; /* Skipped so far. */
	size_t patience_bytes;  /* Of wrong bodies that are looked into. */
};

void wire_reader_init(struct wire_reader *r);

/* Where to read to; *out_room is never 0 after wire_reader_next() said 0.
 * Invalidates the last frame. */
uint8_t *wire_reader_room(struct wire_reader *r, size_t *out_room);

/* So many bytes were put there. */
void wire_reader_filled(struct wire_reader *r, size_t count);

/* true: *out is the next frame, good until the next call on r.  false: more
 * bytes are needed. */
bool wire_reader_next(struct wire_reader *r, struct wire_frame *out);

/* Is there the beginning of something? */
bool wire_reader_partial(const struct wire_reader *r);

/* The rest of what looks like a frame will not come: looks for another
 * behind its first byte. */
void wire_reader_give_up(struct wire_reader *r);

/*
 * Puts head and tail round a body that lies at buf + WIRE_HEAD_BYTES; buf
 * has WIRE_MAX bytes.  Returns the whole size.  body_bytes is at most
 * WIRE_BODY_MAX.
 */
size_t wire_seal(uint8_t *buf, uint8_t type, uint16_t flags,
    uint32_t request_id, size_t body_bytes);

#endif
