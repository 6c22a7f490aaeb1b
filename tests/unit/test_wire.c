/* SPDX-License-Identifier: Apache-2.0 */
/* Frames, fields and messages of the guest channel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/endian.h"
#include "common/err.h"
#include "common/proto/crc32.h"
#include "common/proto/message.h"
#include "common/proto/tlv.h"
#include "common/proto/wire.h"

static struct wire_reader reader;
static uint8_t frame[WIRE_MAX];

static void
feed(const void *bytes, size_t size)
{
	const uint8_t *p = bytes;
	size_t room, n;
	uint8_t *at;

	while (size > 0) {
		at = wire_reader_room(&reader, &room);
		assert_true(room > 0);
		n = size < room ? size : room;
		memcpy(at, p, n);
		wire_reader_filled(&reader, n);
		p += n;
		size -= n;
	}
}

static size_t
seal(uint8_t type, uint32_t id, const char *body)
{
	size_t size = strlen(body);

	memcpy(frame + WIRE_HEAD_BYTES, body, size);
	return wire_seal(frame, type, WIRE_REPLY, id, size);
}

static void
expect(uint8_t type, uint32_t id, const char *body)
{
	struct wire_frame got;

	assert_true(wire_reader_next(&reader, &got));
	assert_int_equal(got.type, type);
	assert_int_equal(got.request_id, id);
	assert_int_equal(got.flags, WIRE_REPLY);
	assert_int_equal(got.body_bytes, strlen(body));
	assert_memory_equal(got.body, body, got.body_bytes);
}

static void
expect_nothing(void)
{
	struct wire_frame got;

	assert_false(wire_reader_next(&reader, &got));
}

static int
set_up(void **state)
{
	(void)state;
	wire_reader_init(&reader);
	return 0;
}

static void
test_wire_crc_is_that_of_zlib(void **state)
{
	(void)state;
	assert_int_equal(crc32_of("123456789", 9), 0xcbf43926);
	assert_int_equal(crc32_of("", 0), 0);
}

static void
test_wire_reads_byte_by_byte(void **state)
{
	size_t size = seal(3, 7, "hello"), i;

	(void)state;
	for (i = 0; i < size; i++) {
		expect_nothing();
		feed(frame + i, 1);
	}
	expect(3, 7, "hello");
	expect_nothing();
	assert_false(wire_reader_partial(&reader));
}

static void
test_wire_reads_frames_between_garbage(void **state)
{
	(void)state;
	feed("\xf5garbage\xf5\x48\xd3", 11);
	feed(frame, seal(1, 1, ""));
	feed("more", 4);
	feed(frame, seal(2, 2, "x"));
	expect(1, 1, "");
	expect(2, 2, "x");
	expect_nothing();
	assert_int_equal(reader.garbage_bytes, 15);
}

static void
test_wire_finds_a_frame_in_the_body_of_a_half_one(void **state)
{
	size_t half = seal(1, 1, "a body that was to be long enough") / 2;

	(void)state;
	feed(frame, half);
	feed(frame, seal(2, 2, "whole"));
	feed(frame, seal(2, 3, "again"));
	expect(2, 2, "whole");
	expect(2, 3, "again");
	expect_nothing();
}

static void
test_wire_gives_up_a_half_frame(void **state)
{
	(void)state;
	memset(frame, 'x', sizeof(frame));
	wire_seal(frame, 1, 0, 1, WIRE_BODY_MAX);
	feed(frame, 1000);
	feed(frame, seal(2, 2, "whole"));
	/* For now it all looks like one large body. */
	expect_nothing();
	assert_true(wire_reader_partial(&reader));
	wire_reader_give_up(&reader);
	expect(2, 2, "whole");
	expect_nothing();
}

static void
test_wire_drops_a_flipped_bit(void **state)
{
	size_t size, i;

	(void)state;
	for (i = 0; i < WIRE_HEAD_BYTES + 5 + WIRE_TAIL_BYTES; i++) {
		wire_reader_init(&reader);
		size = seal(1, 1, "hello");
		frame[i] ^= 0x10;
		feed(frame, size);
		feed(frame, seal(2, 2, "next"));
		expect(2, 2, "next");
	}
}

static void
test_wire_refuses_an_oversized_body(void **state)
{
	size_t size = seal(1, 1, "");

	(void)state;
	be32_put(frame + 12, WIRE_BODY_MAX + 1);
	be32_put(frame + 16, crc32_of(frame, 16));
	feed(frame, size);
	feed(frame, seal(2, 2, "next"));
	expect(2, 2, "next");
}

static void
test_wire_takes_the_largest_body(void **state)
{
	struct wire_frame got;
	size_t size, i;

	(void)state;
	memset(frame, 'x', sizeof(frame));
	size = wire_seal(frame, 1, 0, 1, WIRE_BODY_MAX);
	assert_int_equal(size, WIRE_MAX);
	for (i = 0; i < 3; i++) {
		feed(frame, size);
		assert_true(wire_reader_next(&reader, &got));
		assert_int_equal(got.body_bytes, WIRE_BODY_MAX);
	}
}

/* ---- messages ---- */

static struct message *
new_message(void)
{
	struct message *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	return m;
}

static void
test_message_survives_the_way(void **state)
{
	struct message *m = new_message(), *back = new_message();
	static uint8_t body[WIRE_BODY_MAX];
	struct message_filesystem *fs;
	struct message_meta *meta;
	struct err err = ERR_INIT;
	size_t size;

	(void)state;
	strcpy(m->session, "0123456789abcdef0123456789abcdef");
	m->lease_ms = 10000;
	m->thaw_ns = UINT64_MAX;
	strcpy(message_add_disk(m)->target, "vda");
	strcpy(message_add_disk(m)->serial, "S1");
	strcpy(m->disks[1].wwn, "5000c50015ea71ad");
	strcpy(m->disks[1].pci, "0000:00:05.0");
	fs = message_add_filesystem(m);
	strcpy(fs->mount_point, "/srv/a b");
	fs->state = MESSAGE_FS_FAILED;
	strcpy(message_add_writer(m)->name, "postgresql");
	meta = message_add_meta(&m->writers[0]);
	strcpy(meta->key, "wal");
	strcpy(meta->value, "0/16B3748");
	m->writers[0].state = MESSAGE_WRITER_THAWED;
	assert_int_equal(message_encode(body, sizeof(body), &size, m, &err), 0);
	assert_int_equal(message_decode(back, body, size, &err), 0);
	assert_memory_equal(m, back, sizeof(*m));
	free(m);
	free(back);
}

/* Decodes one field with the tag and value. */
static int
decode_one(uint16_t tag, const void *value, size_t size)
{
	struct message *m = new_message();
	uint8_t body[1024];
	struct err err = ERR_INIT;
	int rc;

	be16_put(body, tag);
	be32_put(body + 2, (uint32_t)size);
	memcpy(body + TLV_HEAD_BYTES, value, size);
	rc = message_decode(m, body, TLV_HEAD_BYTES + size, &err);
	if (rc == -1)
		assert_int_equal(err.class, ERR_CORRUPT);
	free(m);
	return rc;
}

static void
test_message_refuses_malformed_fields(void **state)
{
	static const char zeros[64];

	(void)state;
	assert_int_equal(decode_one(7, "abc", 3), 0);
	assert_int_equal(decode_one(7, "a\0c", 3), -1);
	assert_int_equal(
	    decode_one(7, "0123456789abcdef0123456789abcdef0", 33), -1);
	assert_int_equal(decode_one(8, zeros, 8), 0);
	assert_int_equal(decode_one(8, zeros, 4), -1);
	assert_int_equal(decode_one(8, zeros, 9), -1);
	/* A group with half a field inside. */
	assert_int_equal(decode_one(33, zeros, 3), -1);
	/* A file system in state 200. */
	assert_int_equal(
	    decode_one(33, "\0\4\0\0\0\10\0\0\0\0\0\0\0\310", 14), -1);
	/* A writer in state 200, and one with half a meta. */
	assert_int_equal(
	    decode_one(34, "\0\2\0\0\0\10\0\0\0\0\0\0\0\310", 14), -1);
	assert_int_equal(decode_one(34, "\0\20\0\0\0\3abc", 9), -1);
	assert_int_equal(decode_one(999, "whatever", 8), 0);
}

static void
test_message_refuses_cut_and_surplus(void **state)
{
	struct message *m = new_message();
	static uint8_t body[WIRE_BODY_MAX];
	struct err err = ERR_INIT;
	size_t i;

	(void)state;
	be16_put(body, 7);
	be32_put(body + 2, UINT32_MAX);
	assert_int_equal(message_decode(m, body, 10, &err), -1);
	assert_int_equal(message_decode(m, body, 5, &err), -1);
	/* One empty disk more than fit. */
	for (i = 0; i <= MESSAGE_DISKS_MAX; i++) {
		be16_put(body + i * TLV_HEAD_BYTES, 32);
		be32_put(body + i * TLV_HEAD_BYTES + 2, 0);
	}
	assert_int_equal(
	    message_decode(m, body, MESSAGE_DISKS_MAX * TLV_HEAD_BYTES, &err),
	    0);
	assert_int_equal(message_decode(m, body,
			     (MESSAGE_DISKS_MAX + 1) * TLV_HEAD_BYTES, &err),
	    -1);
	free(m);
}

static void
test_message_that_does_not_fit_is_an_error(void **state)
{
	struct message *m = new_message();
	uint8_t body[64];
	struct err err = ERR_INIT;
	size_t size;

	(void)state;
	memset(m->error_text, 'x', 100);
	assert_int_equal(
	    message_encode(body, sizeof(body), &size, m, &err), -1);
	assert_int_equal(err.class, ERR_ARG);
	free(m);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_wire_crc_is_that_of_zlib, set_up),
		cmocka_unit_test_setup(test_wire_reads_byte_by_byte, set_up),
		cmocka_unit_test_setup(
		    test_wire_reads_frames_between_garbage, set_up),
		cmocka_unit_test_setup(
		    test_wire_finds_a_frame_in_the_body_of_a_half_one, set_up),
		cmocka_unit_test_setup(test_wire_gives_up_a_half_frame, set_up),
		cmocka_unit_test_setup(test_wire_drops_a_flipped_bit, set_up),
		cmocka_unit_test_setup(
		    test_wire_refuses_an_oversized_body, set_up),
		cmocka_unit_test_setup(
		    test_wire_takes_the_largest_body, set_up),
		cmocka_unit_test(test_message_survives_the_way),
		cmocka_unit_test(test_message_refuses_malformed_fields),
		cmocka_unit_test(test_message_refuses_cut_and_surplus),
		cmocka_unit_test(test_message_that_does_not_fit_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
