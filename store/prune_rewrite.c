/* SPDX-License-Identifier: Apache-2.0 */
/* New packs with the used blobs of wasteful ones, checked; new indexes. */
#include <stdlib.h>
#include <string.h>

#include "common/cancel.h"
#include "common/err.h"
#include "store/compression.h"
#include "store/prune.h"

struct copier {
	struct prune *prune;
	struct frame_reader *frames;
	struct frame_codec *codec;
	uint8_t *raw, *out;              /* FRAME_RAW_MAX bytes each. */
	struct pack *pack[BLOB_MAP + 1]; /* Being filled, one a type. */
};

static int
flush_index(struct prune *p, struct err *err)
{
	uint8_t id[OBJECT_ID_BYTES];
	int rc = 0;

	if (p->set->count > 0 && !p->options->dry_run)
		rc = index_put(
		    p->store->backend, p->store->seal, p->set, id, err);
	index_set_fini(p->set);
	return rc;
}

/* Takes the table over. */
static int
gather(struct prune *p, const uint8_t id[OBJECT_ID_BYTES], uint64_t size,
    struct pack_table *table, struct err *err)
{
	index_set_add(p->set, id, size, table);
	return index_set_full(p->set) ? flush_index(p, err) : 0;
}

static int
adopt_one(struct prune *p, size_t i, struct err *err)
{
	struct pack_table table;
	char key[OBJECT_KEY_SIZE];
	uint64_t size;

	object_key(key, OBJECT_PACK, p->packs.ids[i]);
	if (backend_settle(p->store->backend, key, err) == -1 ||
	    pack_read_table(&table, &size, p->store->backend, p->store->seal,
		p->packs.ids[i], err) == -1)
		return -1;
	p->pack[i].indexed = true;
	return gather(p, p->packs.ids[i], size, &table, err);
}

int
prune_adopt(struct prune *p, struct err *err)
{
	int rc = 0;
	size_t i;

	if ((p->set = calloc(1, sizeof(*p->set))) == NULL)
		return err_no_memory(err);
	for (i = 0; rc == 0 && i < p->packs.count; i++) {
		if (!p->pack[i].indexed && marks_any(&p->marks, i))
			rc = adopt_one(p, i, err);
	}
	if (rc == 0)
		rc = flush_index(p, err);
	index_set_free(p->set);
	p->set = NULL;
	return rc;
}

static int
put_pack(struct copier *c, enum blob_type type, struct err *err)
{
	struct pack *pack = c->pack[type];
	char key[OBJECT_KEY_SIZE];
	int rc = -1;

	if (pack == NULL)
		return 0;
	c->pack[type] = NULL;
	/* A dry run does all but this, for its figures are to be exact. */
	if (pack_finish(pack, err) == 0 &&
	    prune_trust(c->prune, pack, err) == 0 &&
	    (c->prune->options->dry_run ||
		backend_put(c->prune->store->backend,
		    object_key(key, OBJECT_PACK, pack->id), pack->data,
		    pack->size, err) == 0)) {
		c->prune->new_bytes += pack->size;
		rc = gather(c->prune, pack->id, pack->size, &pack->table, err);
	}
	pack_free(pack);
	return rc;
}

/* Checks the used blobs of a frame and moves them to its front. */
static uint32_t
pick_used(struct copier *c, size_t pack, const struct pack_table *t,
    const struct pack_frame *f, const bool *used, struct pack_blob *picked,
    struct err *err)
{
	struct blob_place place =
	    blob_place_of_frame(c->prune->packs.ids[pack], f);
	const struct pack_blob *b;
	uint32_t i, n = 0, at = 0;

	for (i = 0; i < f->blob_count; i++) {
		b = &t->blobs[f->first_blob + i];
		if (!used[i])
			continue;
		if (frame_reader_check(c->frames, c->raw + b->offset, b->size,
			b->hash, &place, err) == -1)
			return 0;
		memmove(c->raw + at, c->raw + b->offset, b->size);
		picked[n] = *b;
		picked[n++].offset = at;
		at += b->size;
	}
	return n;
}

static int
store_picked(struct copier *c, const struct pack_blob *picked, uint32_t count,
    struct err *err)
{
	const struct pack_blob *last = &picked[count - 1];
	size_t raw = (size_t)last->offset + last->size, stored = raw;
	enum blob_type type = picked[0].type;
	enum frame_coding coding;

	/* Frames of others may have more blobs than ours. */
	if (c->pack[type] != NULL &&
	    c->pack[type]->table.blob_count + count > PACK_BLOBS_MAX &&
	    put_pack(c, type, err) == -1)
		return -1;
	coding = frame_compress(c->codec, c->out, &stored, c->raw, raw);
	if (c->pack[type] == NULL &&
	    pack_new(&c->pack[type], c->prune->store->seal, err) == -1)
		return -1;
	if (pack_add_frame(c->pack[type], coding,
		coding == FRAME_RAW ? c->raw : c->out, stored, raw, picked,
		count, err) == -1)
		return -1;
	return pack_full(c->pack[type]) ? put_pack(c, type, err) : 0;
}

static int
copy_frame(struct copier *c, size_t pack, const struct pack_table *t,
    const struct pack_frame *f, struct err *err)
{
	struct blob_place place =
	    blob_place_of_frame(c->prune->packs.ids[pack], f);
	struct pack_blob *picked = calloc(f->blob_count, sizeof(*picked));
	bool *used = calloc(f->blob_count, sizeof(*used));
	int64_t found;
	uint32_t n;
	int rc = -1;

	if (picked == NULL || used == NULL)
		err_no_memory(err);
	else if ((found = prune_find_used(used, c->prune, pack, t, f, err)) ==
		 0)
		rc = 0;
	else if (found > 0 &&
		 frame_reader_fetch(c->frames, c->raw, &place, err) == 0 &&
		 (n = pick_used(c, pack, t, f, used, picked, err)) > 0)
		rc = store_picked(c, picked, n, err);
	free(picked);
	free(used);
	return rc;
}

static int
copy_frames(
    struct copier *c, size_t pack, const struct pack_table *t, struct err *err)
{
	uint32_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < t->frame_count; i++)
		rc = copy_frame(c, pack, t, &t->frames[i], err);
	return rc;
}

static int
copy_pack(struct copier *c, size_t pack, struct err *err)
{
	const struct prune_late *late;
	struct pack_table t;
	uint64_t size;
	int rc;

	/* A marked one: by the table by which it was read. */
	if (c->prune->pack[pack].marked &&
	    (late = prune_marked_find(c->prune, pack)) != NULL)
		return copy_frames(c, pack, &late->pack.table, err);
	if (pack_read_table(&t, &size, c->prune->store->backend,
		c->prune->store->seal, c->prune->packs.ids[pack], err) == -1)
		return -1;
	rc = copy_frames(c, pack, &t, err);
	pack_table_fini(&t);
	return rc;
}

static int
copy_all(struct copier *c, struct err *err)
{
	size_t i;

	for (i = 0; i < c->prune->packs.count; i++) {
		if (c->prune->pack[i].action != PRUNE_REWRITE)
			continue;
		prune_tell(
		    c->prune, "packs written anew", i, c->prune->packs.count);
		if (cancel_check(err) == -1 || copy_pack(c, i, err) == -1)
			return -1;
		c->prune->result->packs_rewritten++;
	}
	if (put_pack(c, BLOB_DATA, err) == -1 ||
	    put_pack(c, BLOB_MAP, err) == -1)
		return -1;
	return flush_index(c->prune, err);
}

int
prune_rewrite(struct prune *p, struct err *err)
{
	struct copier c = { .prune = p };
	struct level level;
	int rc = -1;

	if (p->rewritten)
		return 0;
	/* An earlier round may have been overtaken in the middle. */
	p->result->packs_rewritten = 0;
	level_init(&level, &p->store->compression);
	p->set = calloc(1, sizeof(*p->set));
	c.codec = frame_codec_new();
	c.raw = malloc(FRAME_RAW_MAX);
	c.out = malloc(FRAME_RAW_MAX);
	if (p->set == NULL || c.codec == NULL || c.raw == NULL ||
	    c.out == NULL) {
		err_no_memory(err);
	} else if (frame_reader_new(&c.frames, p->store, err) == 0) {
		frame_codec_level(c.codec, level_now(&level));
		rc = copy_all(&c, err);
	}
	frame_reader_free(c.frames);
	frame_codec_free(c.codec);
	pack_free(c.pack[BLOB_DATA]);
	pack_free(c.pack[BLOB_MAP]);
	index_set_free(p->set);
	p->set = NULL;
	free(c.raw);
	free(c.out);
	p->rewritten = rc == 0;
	return rc;
}
