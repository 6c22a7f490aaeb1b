/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: sealing, and finding them again in a dirty stream. */
#include "common/proto/wire.h"

#include <assert.h>
#include <string.h>

#include "common/endian.h"
#include "common/proto/crc32.h"

/* Not text, not UTF-8, and no byte of it repeats. */
static const uint8_t magic[4] = { 0xf5, 0x48, 0xd3, 0x0e };

#define AT_VERSION 4
#define AT_TYPE 5
#define AT_FLAGS 6
#define AT_REQUEST_ID 8
#define AT_BODY_BYTES 12
#define AT_HEAD_CRC 16

/*
 * Heads one in the other's body, all with wrong bodies, would make work that
 * grows with the square of what is sent.  A sender that died leaves one or
 * two: beyond this many bytes of wrong bodies they are skipped whole.
 */
#define PATIENCE_MAX_BYTES ((size_t)8 * WIRE_BODY_MAX)
#define PATIENCE_PER_BYTE 4

void
wire_reader_init(struct wire_reader *r)
{
	r->used = 0;
	r->taken = 0;
	r->garbage_bytes = 0;
	r->patience_bytes = PATIENCE_MAX_BYTES;
}

static void
drop(struct wire_reader *r, size_t count)
{
	r->used -= count;
	memmove(r->buf, r->buf + count, r->used);
}

static void
drop_taken(struct wire_reader *r)
{
	drop(r, r->taken);
	r->taken = 0;
}

uint8_t *
wire_reader_room(struct wire_reader *r, size_t *out_room)
{
	drop_taken(r);
	*out_room = sizeof(r->buf) - r->used;
	return r->buf + r->used;
}

void
wire_reader_filled(struct wire_reader *r, size_t count)
{
	assert(count <= sizeof(r->buf) - r->used);
	r->used += count;
	r->patience_bytes += PATIENCE_PER_BYTE * count;
	if (r->patience_bytes > PATIENCE_MAX_BYTES)
		r->patience_bytes = PATIENCE_MAX_BYTES;
}

/* Could a frame begin at p?  Judges by as much of the head as is there. */
static bool
may_begin(const uint8_t *p, size_t size)
{
	size_t n = size < sizeof(magic) ? size : sizeof(magic);

	if (memcmp(p, magic, n) != 0)
		return false;
	if (size < WIRE_HEAD_BYTES)
		return true;
	return be32_get(p + AT_HEAD_CRC) == crc32_of(p, AT_HEAD_CRC) &&
	       p[AT_VERSION] == WIRE_VERSION &&
	       be32_get(p + AT_BODY_BYTES) <= WIRE_BODY_MAX;
}

/* Drops everything before the next place where a frame may begin. */
static void
skip_garbage(struct wire_reader *r, size_t from)
{
	size_t at = from;

	while (at < r->used && !may_begin(r->buf + at, r->used - at))
		at++;
	r->garbage_bytes += at;
	drop(r, at);
}

bool
wire_reader_next(struct wire_reader *r, struct wire_frame *out)
{
	size_t body_bytes;
	const uint8_t *body = r->buf + WIRE_HEAD_BYTES;

	drop_taken(r);
	skip_garbage(r, 0);
	for (;;) {
		if (r->used < WIRE_HEAD_BYTES)
			return false;
		body_bytes = be32_get(r->buf + AT_BODY_BYTES);
		if (r->used < WIRE_HEAD_BYTES + body_bytes + WIRE_TAIL_BYTES)
			return false;
		if (be32_get(body + body_bytes) == crc32_of(body, body_bytes))
			break;
		/* What follows a half frame was taken for its body. */
		if (r->patience_bytes >= body_bytes) {
			r->patience_bytes -= body_bytes;
			skip_garbage(r, 1);
		} else {
			skip_garbage(
			    r, WIRE_HEAD_BYTES + body_bytes + WIRE_TAIL_BYTES);
		}
	}
	out->type = r->buf[AT_TYPE];
	out->flags = be16_get(r->buf + AT_FLAGS);
	out->request_id = be32_get(r->buf + AT_REQUEST_ID);
	out->body = body;
	out->body_bytes = body_bytes;
	r->taken = WIRE_HEAD_BYTES + body_bytes + WIRE_TAIL_BYTES;
	return true;
}

bool
wire_reader_partial(const struct wire_reader *r)
{
	return r->used > r->taken;
}

void
wire_reader_give_up(struct wire_reader *r)
{
	drop_taken(r);
	if (r->used > 0)
		skip_garbage(r, 1);
}

size_t
wire_seal(uint8_t *buf, uint8_t type, uint16_t flags, uint32_t request_id,
    size_t body_bytes)
{
	uint8_t *body = buf + WIRE_HEAD_BYTES;

	assert(body_bytes <= WIRE_BODY_MAX);
	memcpy(buf, magic, sizeof(magic));
	buf[AT_VERSION] = WIRE_VERSION;
	buf[AT_TYPE] = type;
	be16_put(buf + AT_FLAGS, flags);
	be32_put(buf + AT_REQUEST_ID, request_id);
	be32_put(buf + AT_BODY_BYTES, (uint32_t)body_bytes);
	be32_put(buf + AT_HEAD_CRC, crc32_of(buf, AT_HEAD_CRC));
	be32_put(body + body_bytes, crc32_of(body, body_bytes));
	return WIRE_HEAD_BYTES + body_bytes + WIRE_TAIL_BYTES;
}
