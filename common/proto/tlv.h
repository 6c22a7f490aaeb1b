/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of frames: fields of tag (16 bits), length (32 bits) and value, all
 * big-endian; a value may be a group of fields.  Bounded on both sides, no
 * allocation.
 */
#ifndef HOLDSTILL_COMMON_PROTO_TLV_H
#define HOLDSTILL_COMMON_PROTO_TLV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLV_HEAD_BYTES 6

struct tlv_writer {
	uint8_t *buf; /* The caller's. */
	size_t size;
	size_t used;
	bool overflow; /* Something did not fit: the body is useless. */
};

void tlv_writer_init(struct tlv_writer *w, uint8_t *buf, size_t size);
void tlv_put_u64(struct tlv_writer *w, uint16_t tag, uint64_t value);
void tlv_put_text(struct tlv_writer *w, uint16_t tag, const char *text);

/* A group: fields put between the two belong to it. */
size_t tlv_group_begin(struct tlv_writer *w, uint16_t tag);
void tlv_group_end(struct tlv_writer *w, size_t begin);

struct tlv {
	uint16_t tag;
	const uint8_t *value;
	size_t size;
};

struct tlv_reader {
	const uint8_t *at;
	size_t left;
};

void tlv_reader_init(struct tlv_reader *r, const uint8_t *buf, size_t size);

/* 1: *out is the next field; 0: the end; -1: malformed. */
int tlv_next(struct tlv_reader *r, struct tlv *out);

/* 0, or -1 if the value is not 8 bytes. */
int tlv_get_u64(uint64_t *out, const struct tlv *field);

/* 0, or -1 if it has a NUL inside or does not fit in size with its NUL. */
int tlv_get_text(char *out, size_t size, const struct tlv *field);

#endif
