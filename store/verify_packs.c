/* SPDX-License-Identifier: Apache-2.0 */
/* Every byte of every chosen pack, read and checked in threads. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "store/checksum.h"
#include "store/unseal.h"
#include "store/verify_internal.h"

#define THREADS_MAX 64u
#define WHAT_SIZE 256

struct checker {
	struct verify *verify;
	const size_t *chosen; /* Indexes of the verify's packs. */
	size_t count;
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
    uint32_t blob_offset, struct err *err)
{
	struct verify_bad *grown;
	int rc = 0;

	pthread_mutex_lock(&v->lock);
	grown =
	    grow_array(v->bad, v->bad_count, &v->bad_capacity, sizeof(*grown));
	if (grown == NULL) {
		rc = err_no_memory(err);
	} else {
		v->bad = grown;
		memcpy(grown[v->bad_count].pack, pack, OBJECT_ID_BYTES);
		grown[v->bad_count].frame_offset = frame_offset;
		grown[v->bad_count++].blob_offset = blob_offset;
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

/* Reads a frame into b->raw; the checksum is the caller's to judge. */
static int
read_frame(struct verify *v, struct buffers *b, const uint8_t *id,
    const char *key, const struct pack_frame *f, bool *checksum_right,
    struct err *err)
{
	uint32_t stored_size = f->stored_size;

	if (backend_get(v->store->backend, key, f->offset, b->stored,
		f->stored_size, err) == -1)
		return -1;
	*checksum_right = checksum_of(b->stored, f->stored_size) == f->checksum;
	if (b->unseal != NULL) {
		if (unseal_frame(b->unseal, b->stored, id, f->offset, b->stored,
			f->stored_size, err) == -1)
			return envelope_tampered(err);
		stored_size -= AEAD_TAG_BYTES;
	}
	return frame_decompress(b->codec, f->coding, b->raw, f->raw_size,
	    b->stored, stored_size, err);
}

static int
check_blobs(struct verify *v, struct buffers *b, const uint8_t *id,
    const struct pack_table *t, const struct pack_frame *f, bool *good,
    struct err *err)
{
	uint8_t hash[DIGEST_BYTES];
	const struct pack_blob *blob;
	uint32_t i;

	for (i = 0; i < f->blob_count; i++) {
		blob = &t->blobs[f->first_blob + i];
		if (digest_of(b->digest, hash, b->raw + blob->offset,
			blob->size, err) == -1)
			return -1;
		if (memcmp(hash, blob->hash, sizeof(hash)) == 0)
			continue;
		*good = false;
		if (note_bad(v, id, f->offset, blob->offset, err) == -1)
			return -1;
	}
	return 0;
}

/* The stored bytes, then each blob against its name; *why: NULL if good. */
static int
check_frame(struct verify *v, struct buffers *b, const uint8_t *id,
    const char *key, const struct pack_table *t, const struct pack_frame *f,
    const char **why, struct err *err)
{
	bool checksum_right = true, good = true;

	*why = NULL;
	if (read_frame(v, b, id, key, f, &checksum_right, err) == -1) {
		if (err->class == ERR_NOT_FOUND || !verify_is_damage(v, err))
			return -1;
		*why = checksum_right ? err->text : "wrong checksum";
		return note_bad(v, id, f->offset, VERIFY_ALL, err);
	}
	if (check_blobs(v, b, id, t, f, &good, err) == -1)
		return -1;
	if (!checksum_right)
		*why = "wrong checksum";
	else if (!good)
		*why = "a blob does not have its hash";
	return 0;
}

/* The first damage goes to what, "" if there is none. */
static int
check_frames(struct verify *v, struct buffers *b, const uint8_t *id,
    const char *key, const struct pack_table *t, char what[WHAT_SIZE],
    struct err *err)
{
	const char *why;
	uint32_t i;

	for (i = 0; i < t->frame_count; i++) {
		if (check_frame(v, b, id, key, t, &t->frames[i], &why, err) ==
		    -1)
			return -1;
		if (why != NULL && what[0] == '\0')
			snprintf(what, WHAT_SIZE, "frame at %u: %.200s",
			    t->frames[i].offset, why);
		err_clear(err);
	}
	return 0;
}

/* Its own table, or what an index says of it; with neither all is lost. */
static int
table_of(struct pack_table *out, uint64_t *size, struct verify *v,
    const uint8_t *id, char what[WHAT_SIZE], struct err *err)
{
	int found;

	if (pack_read_table(
		out, size, v->store->backend, v->store->seal, id, err) == 0)
		return 1;
	if (err->class == ERR_NOT_FOUND || !verify_is_damage(v, err))
		return -1;
	snprintf(what, WHAT_SIZE, "%.255s", err->text);
	err_clear(err);
	found = verify_find_table(v, id, out, err);
	if (found == 0 && note_bad(v, id, VERIFY_ALL, VERIFY_ALL, err) == -1)
		return -1;
	return found;
}

static int
note_checked(
    struct verify *v, size_t i, uint64_t size, bool whole, struct err *err)
{
	const struct store_verify_memory *memory = v->options->memory;
	int rc = 0;

	pthread_mutex_lock(&v->lock);
	v->result->objects_checked++;
	v->result->packs_checked++;
	v->result->bytes_checked += size;
	if (!whole)
		rc = idset_add(&v->bad_packs, v->packs.ids[i], err);
	if (memory != NULL)
		memory->checked(memory->arg, i, whole);
	pthread_mutex_unlock(&v->lock);
	return rc;
}

static int
check_pack(struct verify *v, struct buffers *b, size_t i, struct err *err)
{
	const uint8_t *id = v->packs.ids[i];
	char key[OBJECT_KEY_SIZE], what[WHAT_SIZE] = "";
	struct pack_table t;
	uint64_t size = 0;
	int rc;

	object_key(key, OBJECT_PACK, id);
	rc = table_of(&t, &size, v, id, what, err);
	if (rc == 1) {
		rc = check_frames(v, b, id, key, &t, what, err);
		pack_table_fini(&t);
	}
	if (rc == -1 && err->class == ERR_NOT_FOUND) {
		/* A prune has removed it since it was listed. */
		err_clear(err);
		return note_gone(v);
	}
	if (rc == -1)
		return -1;
	if (what[0] != '\0')
		verify_tell_object(v, key, what);
	return note_checked(v, i, size, what[0] == '\0', err);
}

/* Is the time that the check may take used up? */
static bool
is_over(const struct verify *v)
{
	return v->deadline_ms > 0 &&
	       (uint64_t)clock_monotonic_ms() >= v->deadline_ms;
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
	       (i = atomic_fetch_add(&c->next, 1)) < c->count &&
	       (i == 0 || !is_over(c->verify)))
		rc = check_pack(c->verify, &b, c->chosen[i], &err);
	buffers_fini(&b);
	if (rc == -1) {
		pthread_mutex_lock(&c->verify->lock);
		c->failure = err;
		pthread_mutex_unlock(&c->verify->lock);
		atomic_store(&c->failed, true);
	}
	return NULL;
}

static int
compare_bad(const void *a, const void *b)
{
	const struct verify_bad *x = a, *y = b;
	int order = memcmp(x->pack, y->pack, OBJECT_ID_BYTES);

	if (order != 0)
		return order;
	if (x->frame_offset != y->frame_offset)
		return x->frame_offset < y->frame_offset ? -1 : 1;
	if (x->blob_offset != y->blob_offset)
		return x->blob_offset < y->blob_offset ? -1 : 1;
	return 0;
}

static bool
find_bad(const struct verify *v, const uint8_t *pack, uint32_t frame_offset,
    uint32_t blob_offset)
{
	struct verify_bad wanted = { .frame_offset = frame_offset,
		.blob_offset = blob_offset };

	memcpy(wanted.pack, pack, OBJECT_ID_BYTES);
	return bsearch(&wanted, v->bad, v->bad_count, sizeof(*v->bad),
		   compare_bad) != NULL;
}

bool
verify_is_bad(const struct verify *v, const struct blob_place *place)
{
	if (v->bad_count == 0)
		return false;
	return find_bad(v, place->pack, place->frame_offset, place->offset) ||
	       find_bad(v, place->pack, place->frame_offset, VERIFY_ALL) ||
	       find_bad(v, place->pack, VERIFY_ALL, VERIFY_ALL);
}

static void
run_threads(struct checker *c, unsigned int threads)
{
	pthread_t extra[THREADS_MAX];
	unsigned int started = 0;

	if (threads == 0)
		threads = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	while (started + 1 < threads && started < THREADS_MAX &&
	       pthread_create(&extra[started], NULL, check_loop, c) == 0)
		started++;
	check_loop(c);
	while (started > 0)
		pthread_join(extra[--started], NULL);
}

int
verify_packs(struct verify *v, struct err *err)
{
	struct checker c = { .verify = v };
	size_t *chosen;

	if (verify_choose(&chosen, &c.count, v, err) == -1)
		return -1;
	c.chosen = chosen;
	run_threads(&c, v->options->threads);
	free(chosen);
	if (v->bad_count > 1)
		qsort(v->bad, v->bad_count, sizeof(*v->bad), compare_bad);
	idset_sort(&v->bad_packs);
	if (!atomic_load(&c.failed))
		return 0;
	*err = c.failure;
	return -1;
}
