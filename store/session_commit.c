/* SPDX-License-Identifier: Apache-2.0 */
/* Results of the workers, in order, into packs and the map. */
#include <string.h>

#include "common/clock.h"
#include "store/hostmemory.h"
#include "store/session_internal.h"

/*
 * Waits for room before the backend.  How long, against how long the workers
 * had nothing to do since the last pack: that says which of them is the limit.
 */
static int
hand_over(struct store_session *s, struct pack *pack, struct err *err)
{
	uint64_t before = clock_monotonic_ns(), now, idle;
	struct level_times times = { .queued = uploader_queued(s->uploader) };
	int rc = uploader_put(s->uploader, pack, err);

	now = clock_monotonic_ns();
	pthread_mutex_lock(&s->lock);
	idle = s->idle_ns;
	pthread_mutex_unlock(&s->lock);
	times.passed_ns = now - s->pack_ns;
	times.blocked_ns = now - before;
	times.idle_ns = (idle - s->pack_idle_ns) / s->thread_count;
	/* The first finds every queue empty. */
	if (s->pack_ns != 0)
		level_learn(&s->level, &times);
	s->pack_ns = now;
	s->pack_idle_ns = idle;
	return rc;
}

/* The pack that is being filled, a new one if need be. */
static int
add_frame(struct store_session *s, struct pack **pack, enum frame_coding coding,
    const void *stored, size_t stored_size, size_t raw_size,
    const struct pack_blob *blobs, unsigned int count, struct err *err)
{
	struct pack *full;

	if (*pack == NULL) {
		if (pack_new(pack, s->store->seal, err) == -1)
			return -1;
		session_tag_pack(s, *pack);
	}
	if (pack_add_frame(*pack, coding, stored, stored_size, raw_size, blobs,
		count, err) == -1)
		return -1;
	if (!pack_full(*pack))
		return 0;
	full = *pack;
	*pack = NULL;
	return hand_over(s, full, err);
}

static int
flush_map_frame(struct store_session *s, struct err *err)
{
	size_t raw_size = (size_t)s->map_count * MAP_PIECE_BYTES;
	uint8_t *out = s->map_raw + MAP_FRAME_PIECES * MAP_PIECE_BYTES;
	unsigned int count = s->map_count;
	size_t stored = raw_size;
	enum frame_coding coding;

	if (count == 0)
		return 0;
	s->map_count = 0;
	coding =
	    frame_compress(s->map_codec, out, &stored, s->map_raw, raw_size);
	return add_frame(s, &s->map_pack, coding,
	    coding == FRAME_RAW ? s->map_raw : out, stored, raw_size,
	    s->map_blobs, count, err);
}

/* 1: it has to be written. */
static int
piece_is_new(struct store_session *s, const uint8_t *hash, struct err *err)
{
	struct localindex_view v;
	int rc;

	if (localindex_view_begin(&v, s->store->index, err) == -1)
		return -1;
	rc = usable_blob(s->usable, &v, BLOB_MAP, hash, err);
	localindex_view_end(&v);
	if (rc != 0)
		return rc == -1 ? -1 : 0;
	return claims_take(s->claims, BLOB_MAP, hash, err);
}

int
session_flush_kept(struct store_session *session, struct err *err)
{
	unsigned int count = session->kept_count;

	if (count == 0)
		return 0;
	session->kept_count = 0;
	return hostmemory_keep_pieces(session->store->index,
	    (const uint8_t(*)[DIGEST_BYTES])session->kept_hash,
	    session->kept_raw, count, err);
}

/* Also of what is stored already, for a host cannot read that. */
static int
keep_piece(struct store_session *s, const uint8_t *hash, const uint8_t *piece,
    struct err *err)
{
	unsigned int at = s->kept_count;

	if (s->kept_raw == NULL)
		return 0;
	memcpy(s->kept_hash[at], hash, DIGEST_BYTES);
	memcpy(
	    s->kept_raw + (size_t)at * MAP_PIECE_BYTES, piece, MAP_PIECE_BYTES);
	return ++s->kept_count == KEPT_PIECES ? session_flush_kept(s, err) : 0;
}

int
session_emit_piece(void *arg, const uint8_t hash[DIGEST_BYTES],
    const uint8_t piece[MAP_PIECE_BYTES], struct err *err)
{
	struct store_session *s = arg;
	struct pack_blob *blob;
	int rc = keep_piece(s, hash, piece, err);

	if (rc == 0)
		rc = piece_is_new(s, hash, err);
	if (rc != 1)
		return rc;
	blob = &s->map_blobs[s->map_count];
	blob->type = BLOB_MAP;
	blob->offset = s->map_count * MAP_PIECE_BYTES;
	blob->size = MAP_PIECE_BYTES;
	memcpy(blob->hash, hash, DIGEST_BYTES);
	memcpy(s->map_raw + blob->offset, piece, MAP_PIECE_BYTES);
	if (++s->map_count < MAP_FRAME_PIECES)
		return 0;
	return flush_map_frame(s, err);
}

static int
set_entries(struct store_disk *disk, const struct job *job, struct err *err)
{
	const struct store_chunk *c = &job->chunk;
	unsigned int i;

	for (i = 0; i < c->count; i++) {
		if (map_build_set(disk->map, c->offset[i] / STORE_BLOCK_BYTES,
			job->hash[i], err) == -1)
			return -1;
	}
	if (c->zero_bytes == 0)
		return 0;
	return map_build_zero(disk->map, c->zero_offset / STORE_BLOCK_BYTES,
	    map_block_count(c->zero_bytes), err);
}

int
session_commit_job(
    struct store_session *session, struct job *job, struct err *err)
{
	struct store_disk *disk = session->disk;

	if (job->blob_count > 0) {
		disk->new_bytes += job->raw_size;
		disk->stored_bytes += job->stored_size;
		if (add_frame(session, &session->data_pack, job->coding,
			job->coding == FRAME_RAW ? job->chunk.data : job->frame,
			job->stored_size, job->raw_size, job->blobs,
			job->blob_count, err) == -1)
			return -1;
	}
	return set_entries(disk, job, err);
}

static int
flush_pack(struct store_session *s, struct pack **pack, struct err *err)
{
	struct pack *last = *pack;

	*pack = NULL;
	return last == NULL ? 0 : uploader_put(s->uploader, last, err);
}

int
session_flush_packs(struct store_session *session, struct err *err)
{
	if (flush_map_frame(session, err) == -1 ||
	    flush_pack(session, &session->data_pack, err) == -1)
		return -1;
	return flush_pack(session, &session->map_pack, err);
}
