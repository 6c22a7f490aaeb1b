/* SPDX-License-Identifier: Apache-2.0 */
/* Tables and footers of packs, written and read. */
#include <stdlib.h>
#include <string.h>

#include "common/ckd.h"
#include "common/endian.h"
#include "common/err.h"
#include "store/pack_internal.h"

#define TABLE_HEAD_BYTES 8
#define FRAME_ENTRY_BYTES 32
#define BLOB_ENTRY_BYTES 44

static const uint8_t footer_magic[8] = { 'H', 'S', 'P', 'A', 'C', 'K', 'E',
	'D' };

void
pack_table_fini(struct pack_table *t)
{
	free(t->frames);
	free(t->blobs);
	*t = (struct pack_table){ .frames = NULL };
}

size_t
pack_table_size(const struct pack_table *t)
{
	return TABLE_HEAD_BYTES + (size_t)t->frame_count * FRAME_ENTRY_BYTES +
	       (size_t)t->blob_count * BLOB_ENTRY_BYTES;
}

void
pack_table_encode(uint8_t *out, const struct pack_table *t)
{
	uint32_t i;

	memset(out, 0, pack_table_size(t));
	be32_put(out, t->frame_count);
	be32_put(out + 4, t->blob_count);
	out += TABLE_HEAD_BYTES;
	for (i = 0; i < t->frame_count; i++, out += FRAME_ENTRY_BYTES) {
		be64_put(out, t->frames[i].offset);
		be32_put(out + 8, t->frames[i].stored_size);
		be32_put(out + 12, t->frames[i].raw_size);
		be32_put(out + 16, t->frames[i].blob_count);
		out[20] = (uint8_t)t->frames[i].coding;
		be64_put(out + 24, t->frames[i].checksum);
	}
	for (i = 0; i < t->blob_count; i++, out += BLOB_ENTRY_BYTES) {
		out[0] = (uint8_t)t->blobs[i].type;
		be32_put(out + 4, t->blobs[i].offset);
		be32_put(out + 8, t->blobs[i].size);
		memcpy(out + 12, t->blobs[i].hash, DIGEST_BYTES);
	}
}

static int
bad_table(struct err *err, const char *what)
{
	return err_set(err, ERR_CORRUPT, "its table is wrong: %s", what);
}

/* What a seal adds to each message. */
static uint32_t
tag_of(bool sealed)
{
	return sealed ? AEAD_TAG_BYTES : 0;
}

/* Where frames begin. */
static size_t
begin_of(bool sealed)
{
	return object_body_offset(sealed ? ENVELOPE_SEALED : 0);
}

/* Frames lie one behind the other from the head to the table. */
static int
decode_frame(struct pack_frame *f, const uint8_t *in, uint64_t *at,
    uint32_t *first_blob, uint64_t pack_size, bool sealed, struct err *err)
{
	f->stored_size = be32_get(in + 8);
	f->raw_size = be32_get(in + 12);
	f->blob_count = be32_get(in + 16);
	f->coding = in[20];
	f->checksum = be64_get(in + 24);
	f->first_blob = *first_blob;
	if (be64_get(in) != *at || f->stored_size > pack_size - *at)
		return bad_table(err, "a frame lies outside");
	if (f->raw_size == 0 || f->raw_size > FRAME_RAW_MAX ||
	    f->stored_size > f->raw_size + tag_of(sealed) ||
	    f->stored_size <= tag_of(sealed) || f->coding > FRAME_ZSTD)
		return bad_table(err, "a frame's size or coding");
	if (f->blob_count == 0 ||
	    ckd_add(first_blob, *first_blob, f->blob_count))
		return bad_table(err, "a frame's number of blobs");
	f->offset = (uint32_t)*at;
	*at += f->stored_size;
	return 0;
}

static int
decode_frames(struct pack_table *t, const uint8_t *in, uint64_t pack_size,
    bool sealed, struct err *err)
{
	uint64_t at = begin_of(sealed);
	uint32_t blobs = 0, i;

	for (i = 0; i < t->frame_count; i++, in += FRAME_ENTRY_BYTES) {
		if (decode_frame(&t->frames[i], in, &at, &blobs, pack_size,
			sealed, err) == -1)
			return -1;
	}
	return blobs == t->blob_count ? 0 : bad_table(err, "number of blobs");
}

/* Blobs fill their frame without gaps. */
static int
decode_blobs(struct pack_table *t, const uint8_t *in, struct err *err)
{
	const struct pack_frame *f;
	struct pack_blob *b;
	uint32_t i, j, at;

	for (i = 0; i < t->frame_count; i++) {
		f = &t->frames[i];
		for (j = 0, at = 0; j < f->blob_count;
		     j++, in += BLOB_ENTRY_BYTES) {
			b = &t->blobs[f->first_blob + j];
			b->type = in[0];
			b->offset = be32_get(in + 4);
			b->size = be32_get(in + 8);
			memcpy(b->hash, in + 12, DIGEST_BYTES);
			if (b->offset != at || b->size == 0 ||
			    b->size > f->raw_size - at)
				return bad_table(err, "a blob lies outside");
			if (b->type != BLOB_DATA && b->type != BLOB_MAP)
				return bad_table(err, "a blob's type");
			at += b->size;
		}
		if (at != f->raw_size)
			return bad_table(err, "a frame has a gap");
	}
	return 0;
}

int
pack_table_decode(struct pack_table *out, const uint8_t *in, size_t size,
    uint64_t pack_size, bool sealed, struct err *err)
{
	struct pack_table t = { .frames = NULL };

	if (size < TABLE_HEAD_BYTES || pack_size < begin_of(sealed) ||
	    pack_size > BACKEND_OBJECT_MAX)
		return bad_table(err, "too short");
	t.frame_count = be32_get(in);
	t.blob_count = be32_get(in + 4);
	if (t.blob_count > PACK_BLOBS_MAX || t.frame_count > t.blob_count ||
	    size != pack_table_size(&t))
		return bad_table(err, "its size");
	t.frames = calloc(t.frame_count + 1, sizeof(*t.frames));
	t.blobs = calloc(t.blob_count + 1, sizeof(*t.blobs));
	if (t.frames == NULL || t.blobs == NULL) {
		pack_table_fini(&t);
		return err_no_memory(err);
	}
	if (decode_frames(&t, in + TABLE_HEAD_BYTES, pack_size, sealed, err) ==
		-1 ||
	    decode_blobs(&t,
		in + TABLE_HEAD_BYTES + t.frame_count * FRAME_ENTRY_BYTES,
		err) == -1) {
		pack_table_fini(&t);
		return -1;
	}
	*out = t;
	return 0;
}

void
pack_footer_put(
    uint8_t out[PACK_FOOTER_BYTES], const struct pack_footer *footer)
{
	memset(out, 0, PACK_FOOTER_BYTES);
	memcpy(out, footer_magic, sizeof(footer_magic));
	be64_put(out + 8, footer->table_offset);
	be32_put(out + 16, footer->stored_size);
	be32_put(out + 20, footer->raw_size);
	out[24] = (uint8_t)footer->coding;
}

void
pack_table_bound(uint8_t out[2 * PACK_BOUND_BYTES],
    const uint8_t head[ENVELOPE_HEAD_BYTES],
    const uint8_t footer[PACK_FOOTER_BYTES])
{
	memcpy(out, head, PACK_BOUND_BYTES);
	memcpy(out + PACK_BOUND_BYTES, footer, PACK_BOUND_BYTES);
}

int
pack_footer_hash(uint8_t out[DIGEST_BYTES], const uint8_t *head,
    size_t head_size, const uint8_t *table, size_t table_size,
    const uint8_t footer[PACK_FOOTER_BYTES], struct err *err)
{
	const size_t footer_size = PACK_FOOTER_BYTES - DIGEST_BYTES;
	uint8_t *all = malloc(head_size + table_size + footer_size);
	int rc;

	if (all == NULL)
		return err_no_memory(err);
	memcpy(all, head, head_size);
	memcpy(all + head_size, table, table_size);
	memcpy(all + head_size + table_size, footer, footer_size);
	rc = digest_once(out, all, head_size + table_size + footer_size, err);
	free(all);
	return rc;
}

static int
footer_get(struct pack_footer *out, const uint8_t *in, uint64_t pack_size,
    bool sealed, struct err *err)
{
	out->table_offset = be64_get(in + 8);
	out->stored_size = be32_get(in + 16);
	out->raw_size = be32_get(in + 20);
	out->coding = in[24];
	if (memcmp(in, footer_magic, sizeof(footer_magic)) != 0)
		return err_set(err, ERR_CORRUPT, "it does not end like a pack");
	if (out->table_offset < begin_of(sealed) ||
	    out->table_offset > pack_size ||
	    pack_size - out->table_offset !=
		(uint64_t)out->stored_size + PACK_FOOTER_BYTES ||
	    out->stored_size > (uint64_t)out->raw_size + tag_of(sealed) ||
	    out->raw_size >
		TABLE_HEAD_BYTES +
		    PACK_BLOBS_MAX * (FRAME_ENTRY_BYTES + BLOB_ENTRY_BYTES))
		return err_set(err, ERR_CORRUPT, "its footer is wrong");
	return 0;
}

/* What is read of a pack before its table is understood. */
struct opening {
	const struct seal *seal;
	const char *key;
	const uint8_t *id;
	bool sealed; /* So the head says. */
	uint8_t head[ENVELOPE_HEAD_BYTES + SEAL_SALT_BYTES];
	uint8_t end[PACK_FOOTER_BYTES];
	struct pack_footer footer;
	uint8_t *stored; /* The table. */
};

/* In place, and the footer's size is without the tag then. */
static int
unseal_table(struct opening *o, struct err *err)
{
	uint8_t bound[2 * PACK_BOUND_BYTES];
	struct box *box;
	int rc = -1;

	if (box_new(&box, o->seal, err) == -1)
		return -1;
	pack_table_bound(bound, o->head, o->end);
	if (box_open(box, o->key, OBJECT_PACK, o->id,
		o->head + ENVELOPE_HEAD_BYTES, err) == 0 &&
	    (rc = box_get(box, o->stored, o->footer.table_offset, bound,
		 sizeof(bound), o->stored, o->footer.stored_size, err)) == -1)
		envelope_tampered(err);
	box_free(box);
	o->footer.stored_size -= rc == 0 ? AEAD_TAG_BYTES : 0;
	return rc;
}

static int
open_table(struct pack_table *out, struct opening *o, struct err *err)
{
	struct frame_codec *codec = frame_codec_new();
	uint8_t *raw = malloc(o->footer.raw_size + 1u);
	int rc = -1;

	if (codec == NULL || raw == NULL)
		err_no_memory(err);
	else if ((!o->sealed || unseal_table(o, err) == 0) &&
		 frame_decompress(codec, o->footer.coding, raw,
		     o->footer.raw_size, o->stored, o->footer.stored_size,
		     err) == 0)
		rc = pack_table_decode(out, raw, o->footer.raw_size,
		    o->footer.table_offset, o->sealed, err);
	frame_codec_free(codec);
	free(raw);
	return rc;
}

/* Between head and table there is nothing but the frames. */
static int
check_end(const struct pack_table *t, const struct opening *o, struct err *err)
{
	const struct pack_frame *last;
	uint64_t end = begin_of(o->sealed);

	if (t->frame_count > 0) {
		last = &t->frames[t->frame_count - 1];
		end = (uint64_t)last->offset + last->stored_size;
	}
	return end == o->footer.table_offset
		   ? 0
		   : bad_table(err, "bytes beside frames");
}

/* Head, footer and stored table, held against the footer's hash. */
static int
read_ends(struct opening *o, uint64_t size, struct backend *b, struct err *err)
{
	uint8_t hash[DIGEST_BYTES];

	if (size < ENVELOPE_HEAD_BYTES + sizeof(o->end))
		return err_set(err, ERR_CORRUPT, "it is too short");
	if (backend_get(b, o->key, 0, o->head, sizeof(o->head), err) == -1 ||
	    backend_get(b, o->key, size - sizeof(o->end), o->end,
		sizeof(o->end), err) == -1)
		return -1;
	o->sealed = (be16_get(o->head + 10) & ENVELOPE_SEALED) != 0;
	if (footer_get(&o->footer, o->end, size, o->sealed, err) == -1)
		return -1;
	if ((o->stored = malloc(o->footer.stored_size + 1u)) == NULL)
		return err_no_memory(err);
	if (backend_get(b, o->key, o->footer.table_offset, o->stored,
		o->footer.stored_size, err) == -1 ||
	    pack_footer_hash(hash, o->head, begin_of(o->sealed), o->stored,
		o->footer.stored_size, o->end, err) == -1)
		return -1;
	if (memcmp(hash, o->end + sizeof(o->end) - DIGEST_BYTES,
		DIGEST_BYTES) != 0)
		return err_set(
		    err, ERR_CORRUPT, "the checksum of its table is wrong");
	return 0;
}

static int
read_checked(struct pack_table *out, struct opening *o, uint64_t size,
    struct backend *b, struct err *err)
{
	struct object_head head;

	if (read_ends(o, size, b, err) == -1)
		return -1;
	if (envelope_head_get(
		&head, o->head, o->seal, OBJECT_PACK, o->id, err) == -1)
		return envelope_misnamed(b, &head, o->id, err);
	if (open_table(out, o, err) == -1)
		return -1;
	if (check_end(out, o, err) == 0)
		return 0;
	pack_table_fini(out);
	return -1;
}

int
pack_read_table_bound(struct pack_table *out, uint64_t *pack_size,
    uint8_t *bound, struct backend *b, const struct seal *seal,
    const uint8_t id[OBJECT_ID_BYTES], struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	struct opening o = { .seal = seal, .key = key, .id = id };
	int rc;

	object_key(key, OBJECT_PACK, id);
	if (backend_stat(b, key, pack_size, err) == -1)
		return -1;
	rc = read_checked(out, &o, *pack_size, b, err);
	free(o.stored);
	memcpy(bound, o.end + sizeof(o.end) - DIGEST_BYTES, DIGEST_BYTES);
	return rc == -1 ? err_prefix(err, "object '%s'", key) : 0;
}

int
pack_read_table(struct pack_table *out, uint64_t *pack_size, struct backend *b,
    const struct seal *seal, const uint8_t id[OBJECT_ID_BYTES], struct err *err)
{
	uint8_t bound[DIGEST_BYTES];

	return pack_read_table_bound(out, pack_size, bound, b, seal, id, err);
}

int
pack_open_frame(struct box *box, const struct seal *seal, void *out,
    const uint8_t id[OBJECT_ID_BYTES], const uint8_t salt[SEAL_SALT_BYTES],
    uint64_t offset, const uint8_t *stored, size_t stored_size, struct err *err)
{
	uint8_t head[ENVELOPE_HEAD_BYTES];
	char key[OBJECT_KEY_SIZE];

	pack_head_begin(head, id, object_flags(OBJECT_PACK, seal));
	if (box_open(box, object_key(key, OBJECT_PACK, id), OBJECT_PACK, id,
		salt, err) == -1)
		return -1;
	return box_get(
	    box, out, offset, head, PACK_BOUND_BYTES, stored, stored_size, err);
}
