/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workers of a session: zeros, hashes, "known?", compression.  No lock is
 * held meanwhile.  And the committer, which takes their results in order.
 */
#include <string.h>

#include "common/clock.h"
#include "store/session_internal.h"

struct worker {
	struct store_session *session;
	struct digest *digest;
	struct frame_codec *codec;
};

/* Compares the block with itself, shifted by the first word. */
static bool
block_is_zero(const uint8_t *block)
{
	uint64_t first;

	memcpy(&first, block, sizeof(first));
	return first == 0 && memcmp(block, block + sizeof(first),
				 STORE_BLOCK_BYTES - sizeof(first)) == 0;
}

static int
hash_blocks(struct worker *w, struct job *job, struct err *err)
{
	const uint8_t *block = job->chunk.data;
	unsigned int i;

	for (i = 0; i < job->chunk.count; i++, block += STORE_BLOCK_BYTES) {
		if (block_is_zero(block))
			memset(job->hash[i], 0, DIGEST_BYTES);
		else if (digest_of(w->digest, job->hash[i], block,
			     STORE_BLOCK_BYTES, err) == -1)
			return -1;
	}
	return 0;
}

/* Bit i of *unknown: block i is in no pack that may be used. */
static int
find_unknown(
    struct worker *w, struct job *job, uint32_t *unknown, struct err *err)
{
	struct localindex_view v;
	unsigned int i;
	int rc = 0;

	*unknown = 0;
	if (localindex_view_begin(&v, w->session->store->index, err) == -1)
		return -1;
	for (i = 0; rc != -1 && i < job->chunk.count; i++) {
		if (digest_is_zero(job->hash[i]))
			continue;
		rc = usable_blob(
		    w->session->usable, &v, BLOB_DATA, job->hash[i], err);
		if (rc == 0)
			*unknown |= UINT32_C(1) << i;
	}
	localindex_view_end(&v);
	return rc == -1 ? -1 : 0;
}

/* Moves the blocks that are this job's to write to the front. */
static int
gather_new(struct worker *w, struct job *job, uint32_t unknown, struct err *err)
{
	uint8_t *data = job->chunk.data;
	unsigned int i, n = 0;
	int rc;

	for (i = 0; i < job->chunk.count; i++) {
		if ((unknown >> i & 1) == 0)
			continue;
		rc = claims_take(
		    w->session->claims, BLOB_DATA, job->hash[i], err);
		if (rc == -1)
			return -1;
		if (rc == 0)
			continue;
		if (n != i)
			memcpy(data + (size_t)n * STORE_BLOCK_BYTES,
			    data + (size_t)i * STORE_BLOCK_BYTES,
			    STORE_BLOCK_BYTES);
		job->blobs[n].type = BLOB_DATA;
		job->blobs[n].offset = n * STORE_BLOCK_BYTES;
		job->blobs[n].size = STORE_BLOCK_BYTES;
		memcpy(job->blobs[n].hash, job->hash[i], DIGEST_BYTES);
		n++;
	}
	job->blob_count = n;
	return 0;
}

static int
work_on(struct worker *w, struct job *job, struct err *err)
{
	uint32_t unknown;

	job->blob_count = 0;
	job->raw_size = job->stored_size = 0;
	if (job->chunk.count == 0)
		return 0;
	if (hash_blocks(w, job, err) == -1 ||
	    find_unknown(w, job, &unknown, err) == -1 ||
	    gather_new(w, job, unknown, err) == -1)
		return -1;
	if (job->blob_count == 0)
		return 0;
	job->raw_size = (size_t)job->blob_count * STORE_BLOCK_BYTES;
	job->stored_size = job->raw_size;
	frame_codec_level(w->codec, level_now(&w->session->level));
	job->coding = frame_compress(w->codec, job->frame, &job->stored_size,
	    job->chunk.data, job->raw_size);
	return 0;
}

/* The oldest queued job; called with the lock held. */
static struct job *
take_queued(struct store_session *s)
{
	struct job *job;
	uint64_t n;

	for (n = s->next_commit; n < s->next_get; n++) {
		job = &s->jobs[n % SESSION_CHUNKS];
		if (job->state == JOB_QUEUED) {
			job->state = JOB_WORKING;
			return job;
		}
	}
	return NULL;
}

/* With the lock held. */
static void
wait_for_work(struct store_session *s)
{
	uint64_t since = clock_monotonic_ns();

	pthread_cond_wait(&s->work, &s->lock);
	s->idle_ns += clock_monotonic_ns() - since;
}

static void
work_loop(struct worker *w)
{
	struct store_session *s = w->session;
	struct err err = ERR_INIT;
	struct job *job;
	int rc;

	pthread_mutex_lock(&s->lock);
	while (!s->stop && !s->failed) {
		if ((job = take_queued(s)) == NULL) {
			wait_for_work(s);
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		if ((rc = work_on(w, job, &err)) == -1)
			session_fail(s, &err);
		pthread_mutex_lock(&s->lock);
		if (rc == 0) {
			job->state = JOB_DONE;
			pthread_cond_signal(&s->done);
		}
	}
	pthread_mutex_unlock(&s->lock);
}

void *
session_worker(void *session)
{
	struct worker w = { .session = session };
	struct err err = ERR_INIT;

	if (digest_new(&w.digest, w.session->store->seal, &err) == -1)
		session_fail(session, &err);
	else if ((w.codec = frame_codec_new()) == NULL) {
		err_no_memory(&err);
		session_fail(session, &err);
	} else {
		work_loop(&w);
	}
	digest_free(w.digest);
	frame_codec_free(w.codec);
	return NULL;
}

void *
session_committer(void *session)
{
	struct store_session *s = session;
	struct err err = ERR_INIT;
	struct job *job;
	int rc;

	pthread_mutex_lock(&s->lock);
	while (!s->stop && !s->failed) {
		job = &s->jobs[s->next_commit % SESSION_CHUNKS];
		if (job->state != JOB_DONE) {
			pthread_cond_wait(&s->done, &s->lock);
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		if ((rc = session_commit_job(s, job, &err)) == -1)
			session_fail(s, &err);
		pthread_mutex_lock(&s->lock);
		if (rc == -1)
			break;
		job->state = JOB_FREE;
		s->next_commit++;
		pthread_cond_broadcast(&s->room);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}
