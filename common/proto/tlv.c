/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of tag, length, value. */
#include "common/proto/tlv.h"

#include <string.h>

#include "common/endian.h"

void
tlv_writer_init(struct tlv_writer *w, uint8_t *buf, size_t size)
{
	w->buf = buf;
	w->size = size;
	w->used = 0;
	w->overflow = false;
}

/* Room for a field's head and value; NULL if there is none. */
static uint8_t *
put_head(struct tlv_writer *w, uint16_t tag, size_t size)
{
	uint8_t *head = w->buf + w->used;

	if (w->overflow || w->size - w->used < TLV_HEAD_BYTES ||
	    w->size - w->used - TLV_HEAD_BYTES < size || size > UINT32_MAX) {
		w->overflow = true;
		return NULL;
	}
	be16_put(head, tag);
	be32_put(head + 2, (uint32_t)size);
	w->used += TLV_HEAD_BYTES + size;
	return head + TLV_HEAD_BYTES;
}

void
tlv_put_u64(struct tlv_writer *w, uint16_t tag, uint64_t value)
{
	uint8_t *p = put_head(w, tag, 8);

	if (p != NULL)
		be64_put(p, value);
}

void
tlv_put_text(struct tlv_writer *w, uint16_t tag, const char *text)
{
	size_t size = strlen(text);
	uint8_t *p = put_head(w, tag, size);

	if (p != NULL)
		memcpy(p, text, size);
}

size_t
tlv_group_begin(struct tlv_writer *w, uint16_t tag)
{
	size_t begin = w->used;

	put_head(w, tag, 0);
	return begin;
}

void
tlv_group_end(struct tlv_writer *w, size_t begin)
{
	if (!w->overflow)
		be32_put(w->buf + begin + 2,
		    (uint32_t)(w->used - begin - TLV_HEAD_BYTES));
}

void
tlv_reader_init(struct tlv_reader *r, const uint8_t *buf, size_t size)
{
	r->at = buf;
	r->left = size;
}

int
tlv_next(struct tlv_reader *r, struct tlv *out)
{
	uint32_t size;

	if (r->left == 0)
		return 0;
	if (r->left < TLV_HEAD_BYTES)
		return -1;
	size = be32_get(r->at + 2);
	if (size > r->left - TLV_HEAD_BYTES)
		return -1;
	out->tag = be16_get(r->at);
	out->value = r->at + TLV_HEAD_BYTES;
	out->size = size;
	r->at += TLV_HEAD_BYTES + size;
	r->left -= TLV_HEAD_BYTES + size;
	return 1;
}

int
tlv_get_u64(uint64_t *out, const struct tlv *field)
{
	if (field->size != 8)
		return -1;
	*out = be64_get(field->value);
	return 0;
}

int
tlv_get_text(char *out, size_t size, const struct tlv *field)
{
	if (field->size >= size ||
	    (field->size > 0 && memchr(field->value, 0, field->size) != NULL))
		return -1;
	if (field->size > 0)
		memcpy(out, field->value, field->size);
	/* The whole rest: a field that comes twice leaves nothing behind. */
	memset(out + field->size, 0, size - field->size);
	return 0;
}
