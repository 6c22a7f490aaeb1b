/* SPDX-License-Identifier: Apache-2.0 */
/* Building packs. */
#include "store/pack.h"

#include <stdlib.h>
#include <string.h>

#include "common/endian.h"
#include "common/err.h"
#include "store/checksum.h"
#include "store/pack_internal.h"

int
pack_new(struct pack **out, struct err *err)
{
	struct pack *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return err_no_memory(err);
	/* Pages come into being when touched: a small pack costs little. */
	p->capacity = PACK_TARGET_BYTES + FRAME_RAW_MAX;
	p->size = ENVELOPE_HEAD_BYTES;
	if ((p->data = malloc(p->capacity)) == NULL) {
		pack_free(p);
		return err_no_memory(err);
	}
	if (hexid_random(p->id, sizeof(p->id), err) == -1) {
		pack_free(p);
		return -1;
	}
	*out = p;
	return 0;
}

void
pack_free(struct pack *p)
{
	if (p == NULL)
		return;
	pack_table_fini(&p->table);
	free(p->data);
	free(p);
}

bool
pack_full(const struct pack *p)
{
	return p->size >= PACK_TARGET_BYTES ||
	       p->table.blob_count + FRAME_BLOBS_MAX > PACK_BLOBS_MAX;
}

static void *
grow(void *array, uint32_t *capacity, uint32_t need, size_t each)
{
	uint32_t n = *capacity > 0 ? *capacity : 64;
	void *grown;

	if (need <= *capacity)
		return array;
	while (n < need)
		n *= 2;
	if ((grown = realloc(array, n * each)) != NULL)
		*capacity = n;
	return grown;
}

static int
table_reserve(struct pack_table *t, uint32_t blobs, struct err *err)
{
	void *grown;

	grown = grow(t->frames, &t->frame_capacity, t->frame_count + 1,
	    sizeof(*t->frames));
	if (grown == NULL)
		return err_no_memory(err);
	t->frames = grown;
	grown = grow(t->blobs, &t->blob_capacity, t->blob_count + blobs,
	    sizeof(*t->blobs));
	if (grown == NULL)
		return err_no_memory(err);
	t->blobs = grown;
	return 0;
}

int
pack_add_frame(struct pack *p, enum frame_coding coding, const void *stored,
    size_t stored_size, size_t raw_size, const struct pack_blob *blobs,
    uint32_t count, struct err *err)
{
	struct pack_table *t = &p->table;

	if (stored_size > p->capacity - p->size)
		return err_set(err, ERR_BUG, "a pack overflows");
	if (table_reserve(t, count, err) == -1)
		return -1;
	t->frames[t->frame_count++] = (struct pack_frame){
		.offset = (uint32_t)p->size,
		.stored_size = (uint32_t)stored_size,
		.raw_size = (uint32_t)raw_size,
		.coding = coding,
		.checksum = checksum_of(stored, stored_size),
		.first_blob = t->blob_count,
		.blob_count = count,
	};
	memcpy(t->blobs + t->blob_count, blobs, count * sizeof(*blobs));
	t->blob_count += count;
	memcpy(p->data + p->size, stored, stored_size);
	p->size += stored_size;
	return 0;
}

/* The encoded table behind the frames, compressed where that helps. */
static int
append_table(struct pack *p, struct pack_footer *footer, struct err *err)
{
	size_t raw = pack_table_size(&p->table), stored = raw;
	size_t need = p->size + raw + PACK_FOOTER_BYTES;
	struct frame_codec *codec = frame_codec_new();
	uint8_t *table = malloc(raw), *grown = p->data;
	int rc = -1;

	if (need > p->capacity && (grown = realloc(p->data, need)) != NULL) {
		p->data = grown;
		p->capacity = need;
	}
	if (codec == NULL || table == NULL || grown == NULL) {
		err_no_memory(err);
		goto out;
	}
	pack_table_encode(table, &p->table);
	footer->coding =
	    frame_compress(codec, p->data + p->size, &stored, table, raw);
	if (footer->coding == FRAME_RAW) {
		memcpy(p->data + p->size, table, raw);
		stored = raw;
	}
	footer->table_offset = p->size;
	footer->stored_size = (uint32_t)stored;
	footer->raw_size = (uint32_t)raw;
	p->size += stored;
	rc = 0;
out:
	frame_codec_free(codec);
	free(table);
	return rc;
}

int
pack_finish(struct pack *p, struct err *err)
{
	struct object_head head = { .type = OBJECT_PACK };
	struct pack_footer footer;

	head.stored_size = head.raw_size = p->size - ENVELOPE_HEAD_BYTES;
	memcpy(head.id, p->id, sizeof(head.id));
	envelope_head_put(p->data, &head);
	if (append_table(p, &footer, err) == -1)
		return -1;
	pack_footer_put(p->data + p->size, &footer);
	if (pack_footer_hash(
		p->data + p->size + PACK_FOOTER_BYTES - DIGEST_BYTES, p->data,
		p->data + footer.table_offset, p->data + p->size,
		footer.stored_size, err) == -1)
		return -1;
	p->size += PACK_FOOTER_BYTES;
	return 0;
}
