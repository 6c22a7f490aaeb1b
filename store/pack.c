/* SPDX-License-Identifier: Apache-2.0 */
/* Building packs. */
#include "store/pack.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/endian.h"
#include "common/err.h"
#include "store/checksum.h"
#include "store/pack_internal.h"

#define CAPACITY (PACK_TARGET_BYTES + FRAME_RAW_MAX + AEAD_TAG_BYTES)
#define HUGE_PAGE_BYTES ((size_t)2 << 20)

/* The memory of the last pack that went, for the next: a backup makes
 * hundreds, and fresh pages cost as much as hashing what goes there. */
static pthread_mutex_t spare_lock = PTHREAD_MUTEX_INITIALIZER;
static void *spare;

/* Puts mine in its place, which may be NULL; the caller owns the result. */
static void *
swap_spare(void *mine)
{
	void *was;

	pthread_mutex_lock(&spare_lock);
	was = spare;
	spare = mine;
	pthread_mutex_unlock(&spare_lock);
	return was;
}

/* Pages come into being when touched: a small pack costs little, a large one
 * takes a few of the large ones rather than thousands. */
static void *
alloc_data(void)
{
	const size_t size =
	    (CAPACITY + HUGE_PAGE_BYTES - 1) & ~(HUGE_PAGE_BYTES - 1);
	void *data = swap_spare(NULL);

	if (data != NULL)
		return data;
	if ((data = aligned_alloc(HUGE_PAGE_BYTES, size)) != NULL)
		madvise(data, size, MADV_HUGEPAGE);
	return data;
}

static void
free_data(struct pack *p)
{
	/* What had to grow is another size. */
	free(p->capacity == CAPACITY ? swap_spare(p->data) : p->data);
}

int
pack_new(struct pack **out, const struct seal *seal, struct err *err)
{
	struct pack *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return err_no_memory(err);
	p->capacity = CAPACITY;
	p->flags = object_flags(OBJECT_PACK, seal);
	if ((p->data = alloc_data()) == NULL) {
		pack_free(p);
		return err_no_memory(err);
	}
	if (hexid_random(p->id, sizeof(p->id), err) == -1 ||
	    (seal != NULL && box_new(&p->box, seal, err) == -1)) {
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
	box_free(p->box);
	free_data(p);
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

void
pack_head_begin(uint8_t out[ENVELOPE_HEAD_BYTES],
    const uint8_t id[OBJECT_ID_BYTES], unsigned int flags)
{
	struct object_head head = { .type = OBJECT_PACK, .flags = flags };

	memcpy(head.id, id, sizeof(head.id));
	envelope_head_put(out, &head);
}

/* From here on the id stays: keys and names are made of it. */
static int
begin(struct pack *p, struct err *err)
{
	char key[OBJECT_KEY_SIZE];

	if (p->size > 0)
		return 0;
	pack_head_begin(p->data, p->id, p->flags);
	p->size = object_body_offset(p->flags);
	if (p->box == NULL)
		return 0;
	return box_make(p->box, object_key(key, OBJECT_PACK, p->id),
	    OBJECT_PACK, p->id, p->data + ENVELOPE_HEAD_BYTES, err);
}

/* The bytes of a frame to the pack's end; *size grows by the tag. */
static int
append(struct pack *p, const void *stored, size_t *size, struct err *err)
{
	uint8_t *out = p->data + p->size;

	if (p->box == NULL) {
		memcpy(out, stored, *size);
	} else {
		if (box_put(p->box, out, p->size, p->data, PACK_BOUND_BYTES,
			stored, *size, err) == -1)
			return -1;
		*size += AEAD_TAG_BYTES;
	}
	p->size += *size;
	return 0;
}

int
pack_add_frame(struct pack *p, enum frame_coding coding, const void *stored,
    size_t stored_size, size_t raw_size, const struct pack_blob *blobs,
    uint32_t count, struct err *err)
{
	struct pack_table *t = &p->table;
	size_t offset;

	if (begin(p, err) == -1)
		return -1;
	if (stored_size + AEAD_TAG_BYTES > p->capacity - p->size)
		return err_set(err, ERR_BUG, "a pack overflows");
	offset = p->size;
	if (table_reserve(t, count, err) == -1 ||
	    append(p, stored, &stored_size, err) == -1)
		return -1;
	t->frames[t->frame_count++] = (struct pack_frame){
		.offset = (uint32_t)offset,
		.stored_size = (uint32_t)stored_size,
		.raw_size = (uint32_t)raw_size,
		.coding = coding,
		.checksum = checksum_of(p->data + offset, stored_size),
		.first_blob = t->blob_count,
		.blob_count = count,
	};
	memcpy(t->blobs + t->blob_count, blobs, count * sizeof(*blobs));
	t->blob_count += count;
	return 0;
}

/* The encoded table behind the frames, compressed where that helps; not yet
 * sealed. */
static int
append_table(struct pack *p, struct pack_footer *footer, struct err *err)
{
	size_t raw = pack_table_size(&p->table), stored = raw;
	size_t need = p->size + raw + AEAD_TAG_BYTES + PACK_FOOTER_BYTES;
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
	footer->stored_size =
	    (uint32_t)(stored + (p->box != NULL ? AEAD_TAG_BYTES : 0));
	footer->raw_size = (uint32_t)raw;
	p->size += footer->stored_size;
	rc = 0;
out:
	frame_codec_free(codec);
	free(table);
	return rc;
}

/* Head and footer are written. */
static int
seal_table(struct pack *p, const struct pack_footer *footer, struct err *err)
{
	uint8_t bound[2 * PACK_BOUND_BYTES];
	uint8_t *table = p->data + footer->table_offset;

	if (p->box == NULL)
		return 0;
	pack_table_bound(bound, p->data, p->data + p->size);
	return box_put(p->box, table, footer->table_offset, bound,
	    sizeof(bound), table, footer->stored_size - AEAD_TAG_BYTES, err);
}

int
pack_finish(struct pack *p, struct err *err)
{
	struct object_head head = { .type = OBJECT_PACK, .flags = p->flags };
	const size_t at = object_body_offset(p->flags);
	struct pack_footer footer;

	if (begin(p, err) == -1)
		return -1;
	head.stored_size = head.raw_size = p->size - at;
	memcpy(head.id, p->id, sizeof(head.id));
	envelope_head_put(p->data, &head);
	if (append_table(p, &footer, err) == -1)
		return -1;
	pack_footer_put(p->data + p->size, &footer);
	if (seal_table(p, &footer, err) == -1 ||
	    pack_footer_hash(
		p->data + p->size + PACK_FOOTER_BYTES - DIGEST_BYTES, p->data,
		at, p->data + footer.table_offset, footer.stored_size,
		p->data + p->size, err) == -1)
		return -1;
	p->size += PACK_FOOTER_BYTES;
	return 0;
}
