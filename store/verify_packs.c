/* SPDX-License-Identifier: Apache-2.0 */
/* Every byte of every chosen pack, read and checked in threads. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/checksum.h"
#include "store/unseal.h"
#include "store/verify_internal.h"

#define THREADS_MAX 64u

struct checker {
	struct verify *verify;
	const struct idset *chosen;
	atomic_size_t next;
	atomic_bool failed;
	struct err failure; /* Guarded by the verify's lock. */
};

struct buffers { /* Of one thread. */
	struct digest *digest;
	struct unseal *unseal; /* NULL: the repository is plain. */
	struct frame_codec *codec;
	uint8_t *stored, *raw; /* A frame each, the first with a tag. */
};

static int
buffers_init(struct buffers *b, struct store *s, struct err *err)
{
	memset(b, 0, sizeof(*b));
	b->codec = frame_codec_new();
	b->stored = malloc(FRAME_RAW_MAX + AEAD_TAG_BYTES);
	b->raw = malloc(FRAME_RAW_MAX);
	if (b->codec == NULL || b->stored == NULL || b->raw == NULL)
		return err_no_memory(err);
	if (unseal_new(&b->unseal, s, err) == -1)
		return -1;
	return digest_new(&b->digest, s->seal, err);
}

static void
buffers_fini(struct buffers *b)
{
	digest_free(b->digest);
	unseal_free(b->unseal);
	frame_codec_free(b->codec);
	free(b->stored);
	free(b->raw);
}

static int
note_bad(struct verify *v, const uint8_t *pack, uint32_t frame_offset,
    struct err *err)
{
	struct verify_bad *grown;
	int rc = 0;

	pthread_mutex_lock(&v->lock);
	grown =
	    verify_grow(v->bad, v->bad_count, &v->bad_capacity, sizeof(*grown));
	if (grown == NULL) {
		rc = err_no_memory(err);
	} else {
		v->bad = grown;
		memcpy(grown[v->bad_count].pack, pack, OBJECT_ID_BYTES);
		grown[v->bad_count++].frame_offset = frame_offset;
	}
	pthread_mutex_unlock(&v->lock);
	return rc;
}

/* Points that need the pack are looked at again. */
static int
note_gone(struct verify *v)
{
	pthread_mutex_lock(&v->lock);
	v->hurt = true;
	pthread_mutex_unlock(&v->lock);
	return 0;
}

/* The stored bytes, their seal, then each blob against its name. */
static int
check_frame(struct verify *v, struct buffers *b, const uint8_t *id,
    const char *key, const struct pack_table *t, const struct pack_frame *f,
    struct err *err)
{
	uint8_t hash[DIGEST_BYTES];
	const struct pack_blob *blob;
	uint32_t stored_size = f->stored_size;
	uint32_t i;

	if (backend_get(v->store->backend, key, f->offset, b->stored,
		f->stored_size, err) == -1)
		return -1;
	if (checksum_of(b->stored, f->stored_size) != f->checksum)
		return err_set(err, ERR_CORRUPT, "wrong checksum");
	if (b->unseal != NULL) {
		if (unseal_frame(b->unseal, b->stored, id, f->offset, b->stored,
			f->stored_size, err) == -1)
			return envelope_tampered(err);
		stored_size -= AEAD_TAG_BYTES;
	}
	if (frame_decompress(b->codec, f->coding, b->raw, f->raw_size,
		b->stored, stored_size, err) == -1)
		return -1;
	for (i = 0; i < f->blob_count; i++) {
		blob = &t->blobs[f->first_blob + i];
		if (digest_of(b->digest, hash, b->raw + blob->offset,
			blob->size, err) == -1)
			return -1;
		if (memcmp(hash, blob->hash, sizeof(hash)) != 0)
			return err_set(err, ERR_CORRUPT,
			    "a blob does not have "
			    "its hash");
	}
	return 0;
}

static int
check_frames(struct verify *v, struct buffers *b, const uint8_t *id,
    const char *key, const struct pack_table *t, struct err *err)
{
	uint32_t i, bad = 0;
	char what[256];

	for (i = 0; i < t->frame_count; i++) {
		if (check_frame(v, b, id, key, t, &t->frames[i], err) == 0)
			continue;
		if (err->class == ERR_NOT_FOUND) {
			err_clear(err);
			return note_gone(v);
		}
		if (!store_worth_resync(err) ||
		    note_bad(v, id, t->frames[i].offset, err) == -1)
			return -1;
		if (bad++ == 0)
			snprintf(what, sizeof(what), "frame at %u: %.200s",
			    t->frames[i].offset, err->text);
		err_clear(err);
	}
	if (bad > 0)
		verify_tell_object(v, key, what);
	return 0;
}

static int
check_pack(
    struct verify *v, struct buffers *b, const uint8_t *id, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	struct pack_table t;
	uint64_t size = 0;
	int rc;

	object_key(key, OBJECT_PACK, id);
	if (pack_read_table(
		&t, &size, v->store->backend, v->store->seal, id, err) == -1) {
		if (err->class == ERR_NOT_FOUND) {
			/* A prune has removed it since it was listed. */
			err_clear(err);
			return note_gone(v);
		}
		if (!store_worth_resync(err) && err->class != ERR_UNSUPPORTED)
			return -1;
		verify_tell_object(v, key, err->text);
		err_clear(err);
		return note_bad(v, id, 0, err);
	}
	rc = check_frames(v, b, id, key, &t, err);
	pack_table_fini(&t);
	pthread_mutex_lock(&v->lock);
	v->result->objects_checked++;
	v->result->bytes_checked += size;
	pthread_mutex_unlock(&v->lock);
	return rc;
}

static void *
check_loop(void *arg)
{
	struct checker *c = arg;
	struct err err = ERR_INIT;
	struct buffers b;
	size_t i;
	int rc = buffers_init(&b, c->verify->store, &err);

	while (rc == 0 && !atomic_load(&c->failed) &&
	       (i = atomic_fetch_add(&c->next, 1)) < c->chosen->count)
		rc = check_pack(c->verify, &b, c->chosen->ids[i], &err);
	buffers_fini(&b);
	if (rc == -1) {
		pthread_mutex_lock(&c->verify->lock);
		c->failure = err;
		pthread_mutex_unlock(&c->verify->lock);
		atomic_store(&c->failed, true);
	}
	return NULL;
}

/* All packs, or those that the points use; of them the sample. */
static int
choose(struct verify *v, struct idset *chosen, struct err *err)
{
	unsigned int percent = v->options->sample_percent;
	size_t i, n = 0, total = 0;
	uint32_t luck = 0;
	bool all = percent == 0 || percent >= 100;

	if (!all && hexid_random(&luck, sizeof(luck), err) == -1)
		return -1;
	for (i = 0; i < v->packs.count; i++)
		total += v->options->points == NULL || marks_any(&v->marks, i);
	for (i = 0; i < v->packs.count; i++) {
		if (v->options->points != NULL && !marks_any(&v->marks, i))
			continue;
		/* Evenly spread, from a random start: at least one. */
		if (!all && (n++ + luck % total) * percent % 100 >= percent &&
		    !(n == total && chosen->count == 0))
			continue;
		if (idset_add(chosen, v->packs.ids[i], err) == -1)
			return -1;
	}
	return 0;
}

int
verify_packs(struct verify *v, struct err *err)
{
	struct checker c = { .verify = v };
	struct idset chosen = { .ids = NULL };
	pthread_t extra[THREADS_MAX];
	unsigned int threads = v->options->threads, started = 0;

	if (choose(v, &chosen, err) == -1) {
		idset_fini(&chosen);
		return -1;
	}
	c.chosen = &chosen;
	if (threads == 0)
		threads = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	while (started + 1 < threads && started < THREADS_MAX &&
	       pthread_create(&extra[started], NULL, check_loop, &c) == 0)
		started++;
	check_loop(&c);
	while (started > 0)
		pthread_join(extra[--started], NULL);
	idset_fini(&chosen);
	if (!atomic_load(&c.failed))
		return 0;
	*err = c.failure;
	return -1;
}
