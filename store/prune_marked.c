/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a repair has marked (docs/care.md).  A marked pack serves for a blob
 * only where no other pack has it, and only if the blob is read and found
 * right; what a disk cannot read (EIO) is not judged, and stays.  A marked
 * point may lack what its mark says.
 */
#include <stdlib.h>
#include <string.h>

#include "common/cancel.h"
#include "common/ckd.h"
#include "common/err.h"
#include "common/log.h"
#include "store/prune.h"
#include "store/unread.h"

/* ---- packs ---- */

const struct prune_late *
prune_marked_find(const struct prune *p, size_t pack)
{
	size_t i;

	for (i = 0; i < p->late_count; i++)
		if (memcmp(p->late[i].pack.id, p->packs.ids[pack],
			OBJECT_ID_BYTES) == 0)
			return &p->late[i];
	return NULL;
}

bool
prune_marked_wrong(const struct prune *p, size_t pack, uint32_t ordinal)
{
	const struct prune_late *late;

	if (!p->pack[pack].marked)
		return false;
	late = prune_marked_find(p, pack);
	return late != NULL && late->wrong != NULL &&
	       ordinal < late->pack.table.blob_count &&
	       (late->wrong[ordinal / 8] >> ordinal % 8 & 1) != 0;
}

bool
prune_marked_unread(const struct prune *p, size_t pack, const struct err *err)
{
	return p->pack[pack].marked && unread_is_own(p->store->backend, err);
}

int
prune_marked_add(
    struct prune *p, size_t pack, struct index_pack *late, struct err *err)
{
	struct prune_late *grown;

	if (prune_marked_find(p, pack) != NULL) {
		pack_table_fini(&late->table);
		return 0;
	}
	grown = grow_array(
	    p->late, p->late_count, &p->late_capacity, sizeof(*grown));
	if (grown == NULL) {
		pack_table_fini(&late->table);
		return err_no_memory(err);
	}
	p->late = grown;
	p->late[p->late_count++] = (struct prune_late){ .pack = *late };
	return 0;
}

/* They rank with those on the list, and of equals the first one stays. */
int
prune_marked_load(struct prune *p, struct err *err)
{
	size_t i;

	for (i = 0; i < p->late_count; i++)
		if (localindex_add(p->view.store.index, NULL, &p->late[i].pack,
			1, err) == -1)
			return -1;
	return 0;
}

void
prune_marked_fini(struct prune *p)
{
	while (p->late_count > 0) {
		free(p->late[--p->late_count].wrong);
		pack_table_fini(&p->late[p->late_count].pack.table);
	}
	free(p->late);
	p->late = NULL;
	p->late_capacity = 0;
}

struct sifter {
	struct prune *prune;
	struct frame_reader *frames;
	uint8_t *raw; /* FRAME_RAW_MAX bytes. */
};

/* 1: good; 0: what is stored is wrong; 2: a disk cannot read it.  -1: any
 * other failure, after which nothing is known. */
static int
is_good(struct sifter *s, size_t pack, int rc, struct err *err)
{
	if (rc == 0)
		return 1;
	if (!unread_is_wrong(err)) {
		if (!prune_marked_unread(s->prune, pack, err))
			return -1;
		log_line(LOG_WARNING, "kept: %s", err->text);
		s->prune->pack[pack].unread = true;
		rc = 2;
	}
	err_clear(err);
	return rc == 2 ? 2 : 0;
}

static void
note_wrong(
    struct sifter *s, struct prune_late *late, size_t pack, uint32_t ordinal)
{
	if (marks_has(&s->prune->marks, pack, ordinal))
		marks_clear(&s->prune->marks, pack, ordinal);
	if (late->wrong != NULL)
		late->wrong[ordinal / 8] |= (uint8_t)(1u << ordinal % 8);
}

static int
read_frame(struct sifter *s, struct prune_late *late, size_t pack,
    const struct pack_frame *f, const bool *used, struct err *err)
{
	struct blob_place place =
	    blob_place_of_frame(s->prune->packs.ids[pack], f);
	const struct pack_blob *b;
	int frame, good;
	uint32_t i;

	frame = is_good(
	    s, pack, frame_reader_fetch(s->frames, s->raw, &place, err), err);
	for (i = 0; frame != -1 && i < f->blob_count; i++) {
		b = &late->pack.table.blobs[f->first_blob + i];
		if (!used[i])
			continue;
		good = frame;
		if (good == 1)
			good = is_good(s, pack,
			    frame_reader_check(s->frames, s->raw + b->offset,
				b->size, b->hash, &place, err),
			    err);
		if (good == -1)
			return -1;
		if (good == 0)
			note_wrong(s, late, pack, f->first_blob + i);
	}
	return frame == -1 ? -1 : 0;
}

static int
sift_frame(struct sifter *s, struct prune_late *late, size_t pack,
    const struct pack_frame *f, struct err *err)
{
	bool *used = calloc(f->blob_count, sizeof(*used));
	int64_t n;
	int rc;

	if (used == NULL)
		return err_no_memory(err);
	/* A wary prune asks also for blobs that lie elsewhere, where nothing
	 * was read. */
	n = prune_find_used(used, s->prune, pack, &late->pack.table, f, err);
	rc = n <= 0 ? (int)n : read_frame(s, late, pack, f, used, err);
	free(used);
	return rc;
}

static int
sift_pack(struct sifter *s, struct prune_late *late, struct err *err)
{
	int64_t pack = idset_find(&s->prune->packs, late->pack.id);
	const struct pack_table *t = &late->pack.table;
	uint32_t i;

	if (pack < 0)
		return 0;
	if (prune_is_wary(s->prune) &&
	    (late->wrong = calloc(t->blob_count / 8 + 1, 1)) == NULL)
		return err_no_memory(err);
	for (i = 0; i < t->frame_count; i++) {
		if (cancel_check(err) == -1 ||
		    sift_frame(s, late, (size_t)pack, &t->frames[i], err) == -1)
			return -1;
	}
	return 0;
}

int
prune_marked_sift(struct prune *p, struct err *err)
{
	struct sifter s = { .prune = p };
	int rc = -1;
	size_t i;

	if (p->late_count == 0)
		return 0;
	if ((s.raw = malloc(FRAME_RAW_MAX)) == NULL)
		err_no_memory(err);
	else
		rc = frame_reader_new(&s.frames, p->store, err);
	for (i = 0; rc == 0 && i < p->late_count; i++) {
		prune_tell(p, "damaged packs", i, p->late_count);
		rc = sift_pack(&s, &p->late[i], err);
	}
	frame_reader_free(s.frames);
	free(s.raw);
	return rc;
}

/* ---- points ---- */

const struct hurt_disk *
prune_hurt_of(const struct prune *p, const uint8_t *point, const char *target)
{
	const struct damage_mark *mark;
	size_t i, k;

	for (i = 0; i < p->damage.count; i++) {
		mark = &p->damage.marks[i];
		if (!mark->of_point ||
		    memcmp(mark->subject, point, OBJECT_ID_BYTES) != 0)
			continue;
		for (k = 0; k < mark->disk_count; k++)
			if (strcmp(mark->disks[k].target, target) == 0)
				return &mark->disks[k];
	}
	return NULL;
}

bool
prune_told(
    const struct hurt_disk *hurt, uint64_t first_block, uint64_t block_count)
{
	const struct store_range *r;
	uint64_t from, to, size;
	size_t i;

	if (hurt == NULL || ckd_mul(&from, first_block, STORE_BLOCK_BYTES) ||
	    ckd_add(&to, first_block, block_count))
		return false;
	size = hurt->size_bytes;
	if (ckd_mul(&to, to, STORE_BLOCK_BYTES) || to > size)
		to = size;
	for (i = 0; i < hurt->count; i++) {
		r = &hurt->ranges[i];
		if (from >= r->offset && to <= r->offset + r->bytes)
			return true;
	}
	/* Behind those that found room. */
	if (!hurt->more || hurt->count == 0)
		return false;
	r = &hurt->ranges[hurt->count - 1];
	return from >= r->offset + r->bytes;
}
