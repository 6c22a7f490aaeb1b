/* SPDX-License-Identifier: Apache-2.0 */
/* What is good in damaged packs, copied to new ones. */
#include <stdlib.h>
#include <string.h>

#include "store/repair_internal.h"

struct salvage {
	struct repair *repair;
	struct frame_reader *frames;
	struct frame_codec *codec;
	uint8_t *raw, *out;              /* FRAME_RAW_MAX bytes each. */
	struct pack *pack[BLOB_MAP + 1]; /* Being filled, one a type. */
	struct index_set *set;           /* Of the packs that were put. */
	uint8_t index_id[OBJECT_ID_BYTES];
};

static int
flush_index(struct salvage *s, struct err *err)
{
	struct store *store = s->repair->verify.store;
	int rc = 0;

	if (s->set->count > 0)
		rc = index_put(
		    store->backend, store->seal, s->set, s->index_id, err);
	/* Found from now on: of two copies one is enough. */
	if (rc == 0 && s->set->count > 0)
		rc = localindex_add(store->index, s->index_id, s->set->packs,
		    s->set->count, err);
	index_set_fini(s->set);
	return rc;
}

static int
put_pack(struct salvage *s, enum blob_type type, struct err *err)
{
	struct pack *pack = s->pack[type];
	char key[OBJECT_KEY_SIZE];
	int rc = -1;

	if (pack == NULL)
		return 0;
	s->pack[type] = NULL;
	if (pack_finish(pack, err) == 0 &&
	    backend_put(s->repair->verify.store->backend,
		object_key(key, OBJECT_PACK, pack->id), pack->data, pack->size,
		err) == 0) {
		index_set_add(s->set, pack->id, pack->size, &pack->table);
		rc = index_set_full(s->set) ? flush_index(s, err) : 0;
	}
	pack_free(pack);
	return rc;
}

static int
store_frame(struct salvage *s, enum blob_type type,
    const struct pack_blob *blobs, uint32_t count, size_t raw, struct err *err)
{
	struct pack **pack = &s->pack[type];
	enum frame_coding coding;
	size_t stored = raw;

	if (count == 0 || s->repair->options->dry_run)
		return 0;
	coding = frame_compress(s->codec, s->out, &stored, s->raw, raw);
	if (*pack != NULL &&
	    (*pack)->table.blob_count + count > PACK_BLOBS_MAX &&
	    put_pack(s, type, err) == -1)
		return -1;
	if (*pack == NULL) {
		if (pack_new(pack, s->repair->verify.store->seal, err) == -1)
			return -1;
		session_tag_pack(s->repair->session, *pack);
	}
	if (pack_add_frame(*pack, coding, coding == FRAME_RAW ? s->raw : s->out,
		stored, raw, blobs, count, err) == -1)
		return -1;
	return pack_full(*pack) ? put_pack(s, type, err) : 0;
}

/* 1: no pack that counts has the blob. */
static int
is_wanted(struct salvage *s, const struct pack_blob *blob, struct err *err)
{
	const struct verify *v = &s->repair->verify;
	struct blob_place place;
	int rc = localindex_find(
	    v->store->index, blob->type, blob->hash, &place, err);

	if (rc == -1)
		return -1;
	/* What an epoch condemns may go before this pack is looked at. */
	if (rc == 1 && s->repair->session != NULL &&
	    epoch_find(&s->repair->session->epoch, place.pack) != NULL)
		return 1;
	return rc == 0;
}

/* Damage is what we came for; anything else ends the work. */
static int
is_good(struct salvage *s, int rc, struct err *err)
{
	if (rc == 0)
		return 1;
	if (!verify_is_damage(&s->repair->verify, err))
		return -1;
	err_clear(err);
	return 0;
}

/* 1: the blob is to be saved and is what it should be; counts those lost. */
static int
is_savable(struct salvage *s, const struct pack_blob *blob,
    const struct blob_place *place, struct err *err)
{
	int rc = is_wanted(s, blob, err);

	if (rc != 1)
		return rc;
	rc = is_good(s,
	    frame_reader_check(s->frames, s->raw + blob->offset, blob->size,
		blob->hash, place, err),
	    err);
	s->repair->result->blobs_saved += rc == 1;
	s->repair->result->blobs_lost += rc == 0;
	return rc;
}

/* Moves the good blobs of a type to the frame's front, and stores them. */
static int
save_type(struct salvage *s, const struct blob_place *place,
    const struct pack_blob *blobs, uint32_t count, enum blob_type type,
    struct err *err)
{
	struct pack_blob *saved = calloc(count, sizeof(*saved));
	uint32_t i, n = 0, at = 0;
	int rc = 0;

	if (saved == NULL)
		return err_no_memory(err);
	for (i = 0; rc != -1 && i < count; i++) {
		if (blobs[i].type != type ||
		    (rc = is_savable(s, &blobs[i], place, err)) != 1)
			continue;
		memmove(s->raw + at, s->raw + blobs[i].offset, blobs[i].size);
		saved[n] = blobs[i];
		saved[n++].offset = at;
		at += blobs[i].size;
	}
	if (rc != -1)
		rc = store_frame(s, type, saved, n, at, err);
	free(saved);
	return rc;
}

/* Of a frame that cannot be read. */
static int
count_lost(struct salvage *s, const struct pack_blob *blobs, uint32_t count,
    struct err *err)
{
	uint32_t i;
	int wanted;

	for (i = 0; i < count; i++) {
		if ((wanted = is_wanted(s, &blobs[i], err)) == -1)
			return -1;
		s->repair->result->blobs_lost += (uint64_t)wanted;
	}
	return 0;
}

static bool
has_type(const struct pack_blob *blobs, uint32_t count, enum blob_type type)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (blobs[i].type == type)
			return true;
	return false;
}

static int
save_frame(struct salvage *s, const uint8_t *id, const struct pack_table *t,
    const struct pack_frame *f, struct err *err)
{
	const struct pack_blob *blobs = &t->blobs[f->first_blob];
	struct blob_place place = blob_place_of_frame(id, f);
	enum blob_type type;
	int good;

	for (type = BLOB_DATA; type <= BLOB_MAP; type++) {
		if (!has_type(blobs, f->blob_count, type))
			continue;
		good = is_good(
		    s, frame_reader_fetch(s->frames, s->raw, &place, err), err);
		if (good == 0)
			return count_lost(s, blobs, f->blob_count, err);
		if (good == -1 ||
		    save_type(s, &place, blobs, f->blob_count, type, err) == -1)
			return -1;
	}
	return 0;
}

/* 1: its own table; 2: what an index says; 0: neither. */
static int
find_table(
    struct salvage *s, const uint8_t *id, struct pack_table *t, struct err *err)
{
	struct verify *v = &s->repair->verify;
	uint64_t size;
	int good = is_good(s,
	    pack_read_table(
		t, &size, v->store->backend, v->store->seal, id, err),
	    err);

	if (good != 0)
		return good;
	good = verify_find_table(v, id, t, err);
	return good == 1 ? 2 : good;
}

/* 1, or 0: nothing says what is in it. */
static int
save_pack(struct salvage *s, const uint8_t *id, struct err *err)
{
	struct pack_table t;
	uint32_t i;
	int rc = find_table(s, id, &t, err);

	if (rc <= 0)
		return rc;
	for (i = 0, rc = 0; rc == 0 && i < t.frame_count; i++)
		rc = save_frame(s, id, &t, &t.frames[i], err);
	pack_table_fini(&t);
	return rc == -1 ? -1 : 1;
}

/* 1: every blob of the pack is what its own table says. */
static int
is_whole(struct salvage *s, const uint8_t *id, struct err *err)
{
	const struct pack_frame *f;
	struct blob_place place;
	struct pack_blob *blob;
	struct pack_table t;
	uint32_t i, k;
	int good = find_table(s, id, &t, err);

	if (good != 1) {
		if (good == 2)
			pack_table_fini(&t);
		return good == -1 ? -1 : 0;
	}
	for (i = 0; good == 1 && i < t.frame_count; i++) {
		f = &t.frames[i];
		place = blob_place_of_frame(id, f);
		good = is_good(
		    s, frame_reader_fetch(s->frames, s->raw, &place, err), err);
		for (k = 0; good == 1 && k < f->blob_count; k++) {
			blob = &t.blobs[f->first_blob + k];
			good = is_good(s,
			    frame_reader_check(s->frames, s->raw + blob->offset,
				blob->size, blob->hash, &place, err),
			    err);
		}
	}
	pack_table_fini(&t);
	return good;
}

/* Marked by an earlier repair: whole after all, or something left to save? */
static int
look_again(struct salvage *s, const struct damage_mark *mark, struct err *err)
{
	struct repair *r = s->repair;
	int whole;

	if (mark->of_point || !idset_has(&r->present, mark->subject))
		return 0;
	if ((whole = is_whole(s, mark->subject, err)) == -1)
		return -1;
	if (whole == 0)
		return save_pack(s, mark->subject, err) == -1 ? -1 : 0;
	r->result->packs_back++;
	if (r->options->dry_run)
		return 0;
	return damage_remove(r->verify.store->backend, mark, err);
}

/* Of packs that are missing, and from which a point needs something. */
static int
count_missing(struct salvage *s, struct err *err)
{
	struct verify *v = &s->repair->verify;
	const struct verify_lost *l, *last = NULL;
	struct pack_blob blob = { .size = 0 };
	size_t i;
	int wanted;

	for (i = 0; i < v->lost_count; i++) {
		l = &v->lost[i];
		if (!l->told ||
		    (last != NULL && l->type == last->type &&
			memcmp(l->hash, last->hash, DIGEST_BYTES) == 0))
			continue;
		last = l;
		blob.type = l->type;
		memcpy(blob.hash, l->hash, DIGEST_BYTES);
		if ((wanted = is_wanted(s, &blob, err)) == -1)
			return -1;
		s->repair->result->blobs_lost += (uint64_t)wanted;
	}
	return 0;
}

static int
save_all(struct salvage *s, struct err *err)
{
	struct verify *v = &s->repair->verify;
	size_t i;
	int known;

	for (i = 0; i < v->bad_packs.count; i++) {
		if ((known = save_pack(s, v->bad_packs.ids[i], err)) == -1)
			return -1;
		s->repair->result->packs_unknown += known == 0;
	}
	for (i = 0; i < v->damage.count; i++)
		if (look_again(s, &v->damage.marks[i], err) == -1)
			return -1;
	if (put_pack(s, BLOB_DATA, err) == -1 ||
	    put_pack(s, BLOB_MAP, err) == -1)
		return -1;
	if (flush_index(s, err) == -1)
		return -1;
	return count_missing(s, err);
}

int
repair_salvage(struct repair *r, struct err *err)
{
	struct salvage s = { .repair = r };
	int rc = -1;

	s.codec = frame_codec_new();
	s.raw = malloc(FRAME_RAW_MAX);
	s.out = malloc(FRAME_RAW_MAX);
	s.set = calloc(1, sizeof(*s.set));
	if (s.codec == NULL || s.raw == NULL || s.out == NULL || s.set == NULL)
		err_no_memory(err);
	else if (frame_reader_new(&s.frames, r->verify.store, err) == 0)
		rc = save_all(&s, err);
	frame_reader_free(s.frames);
	frame_codec_free(s.codec);
	pack_free(s.pack[BLOB_DATA]);
	pack_free(s.pack[BLOB_MAP]);
	index_set_free(s.set);
	free(s.raw);
	free(s.out);
	return rc;
}
