/* SPDX-License-Identifier: Apache-2.0 */
/* One backup session: begun, fed disk by disk, committed or ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/host.h"
#include "store/pending.h"
#include "store/points.h"
#include "store/session_internal.h"

void
session_fail(struct store_session *session, const struct err *err)
{
	pthread_mutex_lock(&session->lock);
	if (!session->failed) {
		session->failed = true;
		session->failure = *err;
	}
	pthread_cond_broadcast(&session->work);
	pthread_cond_broadcast(&session->done);
	pthread_cond_broadcast(&session->room);
	pthread_mutex_unlock(&session->lock);
}

static void
upload_failed(void *arg, const struct err *err)
{
	session_fail(arg, err);
}

static int
make_buffers(struct store_session *s, struct err *err)
{
	unsigned int i;

	/* Their pages come into being when touched. */
	for (i = 0; i < SESSION_CHUNKS; i++) {
		s->jobs[i].chunk.data = malloc(FRAME_RAW_MAX);
		s->jobs[i].frame = malloc(FRAME_RAW_MAX);
		if (s->jobs[i].chunk.data == NULL || s->jobs[i].frame == NULL)
			return err_no_memory(err);
	}
	s->claims = claims_new();
	s->map_codec = frame_codec_new();
	s->map_raw = malloc(2 * MAP_FRAME_PIECES * MAP_PIECE_BYTES);
	if (store_is_host(s->store)) {
		s->kept_raw = malloc((size_t)KEPT_PIECES * MAP_PIECE_BYTES);
		s->kept_hash = calloc(KEPT_PIECES, sizeof(*s->kept_hash));
	}
	if (s->claims == NULL || s->map_codec == NULL || s->map_raw == NULL ||
	    (s->kept_raw == NULL) != (s->kept_hash == NULL) ||
	    (s->kept_raw == NULL && store_is_host(s->store)))
		return err_no_memory(err);
	return uploader_new(&s->uploader, s->store, s->claims, s->usable,
	    s->epoch.number, upload_failed, s, err);
}

static int
start_threads(struct store_session *s, unsigned int threads, struct err *err)
{
	int code = 0;

	if (threads == 0)
		threads = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	if (threads > SESSION_THREADS_MAX)
		threads = SESSION_THREADS_MAX;
	while (code == 0 && s->worker_count < threads) {
		code = pthread_create(
		    &s->workers[s->worker_count], NULL, session_worker, s);
		if (code == 0)
			s->worker_count++;
	}
	s->thread_count = s->worker_count;
	if (code == 0)
		code =
		    pthread_create(&s->committer, NULL, session_committer, s);
	if (code != 0)
		return err_errno(err, code, "cannot start a thread");
	s->committer_started = true;
	return 0;
}

int
store_session_begin(struct store_session **out, struct store *store,
    const struct store_session_options *options, struct err *err)
{
	struct store_session *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return err_no_memory(err);
	s->store = store;
	level_init(&s->level, options->compression != NULL
				  ? options->compression
				  : &store->compression);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	pthread_cond_init(&s->done, NULL);
	pthread_cond_init(&s->room, NULL);
	/* Registering first: what is found before may go meanwhile. */
	s->host_fd = -1;
	if (host_session_begin(&s->host_fd, store, err) == -1 ||
	    session_register(s, options, err) == -1 ||
	    usable_new(&s->usable, store, &s->epoch, err) == -1 ||
	    store_sync_session(store, &s->epoch, err) == -1 ||
	    pending_adopt(store, s->usable, err) == -1 ||
	    make_buffers(s, err) == -1 ||
	    start_threads(s, options->threads, err) == -1) {
		store_session_end(s);
		return -1;
	}
	*out = s;
	return 0;
}

static void
stop_threads(struct store_session *s)
{
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->work);
	pthread_cond_broadcast(&s->done);
	pthread_mutex_unlock(&s->lock);
	while (s->worker_count > 0)
		pthread_join(s->workers[--s->worker_count], NULL);
	if (s->committer_started)
		pthread_join(s->committer, NULL);
	s->committer_started = false;
}

void
store_session_end(struct store_session *session)
{
	struct err ignored = ERR_INIT;
	unsigned int i;

	if (session == NULL)
		return;
	stop_threads(session);
	uploader_free(session->uploader);
	session_unregister(session);
	if (session->usable != NULL)
		usable_note(session->usable, &ignored);
	usable_free(session->usable);
	epoch_fini(&session->epoch);
	free(session->bases);
	claims_free(session->claims);
	frame_codec_free(session->map_codec);
	pack_free(session->data_pack);
	pack_free(session->map_pack);
	free(session->map_raw);
	free(session->kept_raw);
	free(session->kept_hash);
	host_session_end(session->host_fd);
	for (i = 0; i < SESSION_CHUNKS; i++) {
		free(session->jobs[i].chunk.data);
		free(session->jobs[i].frame);
	}
	pthread_mutex_destroy(&session->lock);
	pthread_cond_destroy(&session->work);
	pthread_cond_destroy(&session->done);
	pthread_cond_destroy(&session->room);
	free(session);
}

/* With the lock held: the pipeline's failure, if it has one. */
static int
check_failed(const struct store_session *s, struct err *err)
{
	if (!s->failed)
		return 0;
	*err = s->failure;
	return -1;
}

int
store_disk_begin(struct store_disk **out, struct store_session *session,
    uint64_t size_bytes, const uint8_t *base_root, uint64_t base_size_bytes,
    struct err *err)
{
	struct store_disk *d;

	if (session->disk != NULL)
		return err_set(err, ERR_BUG, "a disk is being written already");
	if (base_root != NULL && !session_base_known(session, base_root))
		return err_set(err, ERR_BUG,
		    "a disk is to be built on what was not asked for");
	if ((d = calloc(1, sizeof(*d))) == NULL)
		return err_no_memory(err);
	d->session = session;
	d->size_bytes = size_bytes;
	if (piece_reader_new(&d->pieces, session->store, err) == -1 ||
	    map_build_new(&d->map, d->pieces, size_bytes, base_root,
		base_size_bytes, session_emit_piece, session, err) == -1) {
		piece_reader_free(d->pieces);
		free(d);
		return -1;
	}
	session->disk = d;
	*out = d;
	return 0;
}

/* Would a wait for room wait for the caller itself? */
static bool
caller_holds_oldest(const struct store_session *s)
{
	return s->jobs[s->next_commit % SESSION_CHUNKS].state == JOB_FILLING;
}

int
store_chunk_get(
    struct store_chunk **out, struct store_disk *disk, struct err *err)
{
	struct store_session *s = disk->session;
	struct job *job;
	int rc;

	pthread_mutex_lock(&s->lock);
	job = &s->jobs[s->next_get % SESSION_CHUNKS];
	while (!s->failed && job->state != JOB_FREE && !caller_holds_oldest(s))
		pthread_cond_wait(&s->room, &s->lock);
	if ((rc = check_failed(s, err)) == 0 && job->state != JOB_FREE)
		rc = err_set(err, ERR_BUSY,
		    "all buffers wait for a chunk "
		    "that is not yet submitted");
	if (rc == 0) {
		job->state = JOB_FILLING;
		job->chunk.count = 0;
		job->chunk.zero_bytes = 0;
		s->next_get++;
		*out = &job->chunk;
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static int
check_chunk(
    const struct store_disk *disk, const struct store_chunk *c, struct err *err)
{
	unsigned int i;

	if (c->count > STORE_CHUNK_BLOCKS)
		return err_set(err, ERR_BUG, "a chunk has too many blocks");
	for (i = 0; i < c->count; i++) {
		if (c->offset[i] % STORE_BLOCK_BYTES != 0 ||
		    c->offset[i] >= disk->size_bytes)
			return err_set(err, ERR_BUG,
			    "a chunk's offset is "
			    "wrong");
	}
	if (c->zero_bytes > 0 &&
	    (c->zero_offset % STORE_BLOCK_BYTES != 0 ||
		c->zero_offset > disk->size_bytes ||
		c->zero_bytes > disk->size_bytes - c->zero_offset ||
		(c->zero_bytes % STORE_BLOCK_BYTES != 0 &&
		    c->zero_offset + c->zero_bytes != disk->size_bytes)))
		return err_set(err, ERR_BUG,
		    "a chunk's range of zeros is "
		    "wrong");
	return 0;
}

int
store_chunk_submit(
    struct store_disk *disk, struct store_chunk *chunk, struct err *err)
{
	struct store_session *s = disk->session;
	struct job *job = (struct job *)chunk;
	int rc = check_chunk(disk, chunk, err);

	if (rc == -1)
		session_fail(s, err);
	pthread_mutex_lock(&s->lock);
	if (rc == 0)
		rc = check_failed(s, err);
	if (rc == 0) {
		job->state = JOB_QUEUED;
		pthread_cond_signal(&s->work);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static int
wait_committed(struct store_session *s, struct err *err)
{
	int rc;

	pthread_mutex_lock(&s->lock);
	while (!s->failed && s->next_commit < s->next_get &&
	       !caller_holds_oldest(s))
		pthread_cond_wait(&s->room, &s->lock);
	rc = check_failed(s, err);
	if (rc == 0 && s->next_commit < s->next_get)
		rc = err_set(err, ERR_BUG, "a chunk was never submitted");
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static void
disk_free(struct store_disk *disk)
{
	map_build_free(disk->map);
	piece_reader_free(disk->pieces);
	free(disk);
}

int
store_disk_end(
    struct store_disk *disk, struct manifest_disk *out, struct err *err)
{
	struct store_session *s = disk->session;

	if (wait_committed(s, err) == -1 ||
	    map_build_finish(disk->map, out->root, err) == -1 ||
	    session_flush_kept(s, err) == -1) {
		session_fail(s, err);
		store_disk_abort(disk);
		return -1;
	}
	out->new_bytes = disk->new_bytes;
	out->stored_bytes = disk->stored_bytes;
	s->disk = NULL;
	disk_free(disk);
	return 0;
}

void
store_disk_abort(struct store_disk *disk)
{
	struct err err = ERR_INIT;

	if (disk == NULL)
		return;
	err_set(&err, ERR_CANCELLED, "a disk of the backup was given up");
	session_fail(disk->session, &err);
	/* The committer may be at work on this disk. */
	stop_threads(disk->session);
	disk->session->disk = NULL;
	disk_free(disk);
}

int
store_session_commit(
    struct store_session *session, struct manifest *m, struct err *err)
{
	struct err ignored = ERR_INIT;
	int rc, point;

	if (session->disk != NULL)
		return err_set(err, ERR_BUG,
		    "a session is committed at a "
		    "wrong moment");
	if ((point = session_point(session, m, err)) == -1)
		return -1;
	pthread_mutex_lock(&session->lock);
	rc = check_failed(session, err);
	pthread_mutex_unlock(&session->lock);
	if (rc == -1)
		return -1;
	/* R1: packs, then index, then the manifest that makes the point. */
	m->epoch = session->epoch.number;
	if (session_flush_packs(session, err) == -1 ||
	    uploader_flush(session->uploader, err) == -1 ||
	    sessions_still_named(session->store, &session->name, err) == -1 ||
	    points_commit(session->store, m, err) == -1) {
		session_fail(session, err);
		return -1;
	}
	session->used[point] = true;
	usable_note(session->usable, &ignored);
	return 0;
}
