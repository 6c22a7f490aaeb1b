/* SPDX-License-Identifier: Apache-2.0 */
/* A repository for tests, and disks that are arrays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"
#include "common/log.h"
#include "store/seal/slot.h"
#include "tests/unit/plain_manifest.h"
#include "tests/unit/store_rig.h"

static unsigned int serial;

/* Opens the repositories of a run with RIG_SEAL. */
const struct slot_secret rig_key = { .kind = SLOT_FILE,
	.bytes = "0123456789abcdef0123456789abcdef",
	.size = SLOT_SECRET_BYTES };

bool
rig_sealed(void)
{
	return getenv(RIG_SEAL) != NULL;
}

static void
init_options(const struct rig *rig, struct store_init_options *options,
    enum aead_cipher *cipher)
{
	memset(options, 0, sizeof(*options));
	if (!rig_sealed() && !rig->public_mode)
		return;
	if (rig_sealed()) {
		assert_int_equal(
		    aead_cipher_parse(cipher, getenv(RIG_SEAL)), 0);
		options->cipher = cipher;
	}
	options->mode = rig->public_mode ? SEAL_PUBLIC : SEAL_SECRET;
	options->secret = &rig_key;
	options->label = "rig";
}

int
rig_open_with(struct rig *rig, struct store **out, const char *cache,
    const struct slot_secret *secret, struct err *err)
{
	struct store_open_options options = { .secret = secret };
	struct backend *inner, *b;

	assert_int_equal(backend_open(&inner, rig->url, BACKEND_OPEN, err), 0);
	assert_int_equal(wrap_fault_open(&b, inner, &rig->fault, err), 0);
	if (store_open(out, b, cache, &options, err) == 0)
		return 0;
	backend_close(b);
	return -1;
}

int
rig_try_open(
    struct rig *rig, struct store **out, const char *cache, struct err *err)
{
	return rig_open_with(rig, out, cache,
	    rig_sealed() || rig->public_mode ? &rig_key : NULL, err);
}

struct store *
rig_open_store(struct rig *rig, const char *cache)
{
	struct err err = ERR_INIT;
	struct store *s;

	if (rig_try_open(rig, &s, cache, &err) == -1)
		fail_msg("store_open: %s", err.text);
	return s;
}

struct backend *
rig_backend(struct rig *rig)
{
	struct err err = ERR_INIT;
	struct backend *b;

	assert_int_equal(backend_open(&b, rig->url, BACKEND_OPEN, &err), 0);
	return b;
}

static void
make(struct rig *rig)
{
	struct store_init_options options;
	enum aead_cipher cipher;
	struct err err = ERR_INIT;
	struct backend *b;

	log_set_level(LOG_ERROR);
	wrap_fault_init(&rig->fault);
	snprintf(rig->cache, sizeof(rig->cache), "%.200s/cache", rig->root);
	assert_int_equal(backend_open(&b, rig->url, BACKEND_CREATE, &err), 0);
	init_options(rig, &options, &cipher);
	assert_int_equal(store_init(b, &options, &err), 0);
	backend_close(b);
	rig->store = rig_open_store(rig, rig->cache);
}

static void
init(struct rig *rig, const char *kind)
{
	/* In memory where the test does not ask for a real disk. */
	snprintf(rig->root, sizeof(rig->root), "%s/holdstill-test-XXXXXX",
	    strcmp(kind, "mem") == 0 && access("/dev/shm", W_OK) == 0
		? "/dev/shm"
		: "/tmp");
	assert_non_null(mkdtemp(rig->root));
	if (strcmp(kind, "mem") == 0)
		snprintf(rig->url, sizeof(rig->url), "mem:rig%u", ++serial);
	else
		snprintf(rig->url, sizeof(rig->url), "%.200s/repo", rig->root);
	make(rig);
}

bool
rig_slow(void)
{
	const char *rounds = getenv("HOLDSTILL_ROUNDS");

	return rounds != NULL && strcmp(rounds, "1") == 0;
}

void
rig_init(struct rig *rig, const char *kind)
{
	memset(rig, 0, sizeof(*rig));
	init(rig, kind);
}

void
rig_init_public(struct rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	rig->public_mode = true;
	init(rig, "mem");
}

static void
init_in(struct rig *rig, const char *folder)
{
	snprintf(rig->root, sizeof(rig->root), "%s", folder);
	snprintf(rig->url, sizeof(rig->url), "%.200s/repo", rig->root);
	make(rig);
}

void
rig_init_in(struct rig *rig, const char *folder)
{
	memset(rig, 0, sizeof(*rig));
	init_in(rig, folder);
}

void
rig_init_public_in(struct rig *rig, const char *folder)
{
	memset(rig, 0, sizeof(*rig));
	rig->public_mode = true;
	init_in(rig, folder);
}

void
rig_fini(struct rig *rig)
{
	struct err err = ERR_INIT;

	store_close(rig->store);
	io_remove_tree(rig->root, &err);
	wrap_fault_fini(&rig->fault);
}

void
rig_reopen(struct rig *rig)
{
	store_close(rig->store);
	rig->store = rig_open_store(rig, rig->cache);
}

void
image_init(struct image *im, uint64_t size)
{
	uint64_t padded = (size + STORE_BLOCK_BYTES - 1) / STORE_BLOCK_BYTES *
			  STORE_BLOCK_BYTES;

	im->size = size;
	im->bytes = calloc(1, padded + 1);
	assert_non_null(im->bytes);
}

void
image_fini(struct image *im)
{
	free(im->bytes);
}

void
image_copy(struct image *out, const struct image *im)
{
	image_init(out, im->size);
	memcpy(out->bytes, im->bytes, im->size);
}

void
image_fill(struct image *im, uint64_t offset, uint64_t size, unsigned int seed,
    bool compressible)
{
	uint64_t i, v = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

	for (i = offset; i < offset + size && i < im->size; i++) {
		v ^= v << 13;
		v ^= v >> 7;
		v ^= v << 17;
		im->bytes[i] =
		    compressible ? (uint8_t) "abcd"[v >> 20 & 3] : (uint8_t)v;
	}
}

struct feeder {
	struct store_disk *disk;
	struct store_chunk *chunk;
	struct err *err;
};

static int
feed_flush(struct feeder *f)
{
	struct store_chunk *c = f->chunk;

	f->chunk = NULL;
	return c == NULL ? 0 : store_chunk_submit(f->disk, c, f->err);
}

static int
feed_room(struct feeder *f)
{
	if (f->chunk != NULL &&
	    (f->chunk->count == STORE_CHUNK_BLOCKS ||
		f->chunk->zero_bytes > 0) &&
	    feed_flush(f) == -1)
		return -1;
	return f->chunk != NULL ? 0
				: store_chunk_get(&f->chunk, f->disk, f->err);
}

static bool
all_zero(const uint8_t *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static int
feed_block(struct feeder *f, const struct image *im, uint64_t at)
{
	struct store_chunk *c;
	uint64_t left = im->size - at;

	if (feed_room(f) == -1)
		return -1;
	c = f->chunk;
	/* Every other zero block goes as a range, the rest as data. */
	if (all_zero(im->bytes + at, STORE_BLOCK_BYTES) &&
	    at / STORE_BLOCK_BYTES % 2 == 0) {
		c->zero_offset = at;
		c->zero_bytes =
		    left < STORE_BLOCK_BYTES ? left : STORE_BLOCK_BYTES;
		return 0;
	}
	memcpy(c->data + (size_t)c->count * STORE_BLOCK_BYTES, im->bytes + at,
	    STORE_BLOCK_BYTES);
	c->offset[c->count++] = at;
	return 0;
}

static bool
differs(const struct image *im, const struct image *base, uint64_t at)
{
	uint64_t end = at + STORE_BLOCK_BYTES;

	if (base == NULL)
		return true;
	if (end > base->size || end > im->size)
		return at >= base->size
			   ? !all_zero(im->bytes + at, STORE_BLOCK_BYTES)
			   : true;
	return memcmp(im->bytes + at, base->bytes + at, STORE_BLOCK_BYTES) != 0;
}

static int
feed(struct store_disk *disk, const struct image *im, const struct image *base,
    struct err *err)
{
	struct feeder f = { .disk = disk, .err = err };
	uint64_t at;

	for (at = 0; at < im->size; at += STORE_BLOCK_BYTES) {
		if (differs(im, base, at) && feed_block(&f, im, at) == -1)
			return -1;
	}
	return feed_flush(&f);
}

static struct manifest *
describe(
    const struct image *im, unsigned int count, const struct manifest *parent)
{
	struct manifest *m = plain_manifest("vm", "u", "h", count, parent);
	unsigned int i;

	for (i = 0; i < count; i++)
		m->disks[i].size_bytes = im[i].size;
	return m;
}

/* parent: the disk as the parent point has it, or NULL. */
static int
backup_disk(struct store_session *session, struct manifest_disk *out,
    const struct image *im, const struct manifest_disk *parent,
    const struct image *base, struct err *err)
{
	struct store_disk *disk;

	if (store_disk_begin(&disk, session, im->size,
		parent == NULL ? NULL : parent->root,
		parent == NULL ? 0 : parent->size_bytes, err) == -1)
		return -1;
	if (feed(disk, im, base, err) == -1) {
		store_disk_abort(disk);
		return -1;
	}
	return store_disk_end(disk, out, err);
}

int
rig_backup_disks(struct store *s, struct manifest **out, const struct image *im,
    unsigned int count, const struct manifest *parent, const struct image *base,
    struct err *err)
{
	struct store_session_options options = { .threads = 2 };
	struct manifest *m = describe(im, count, parent);
	struct store_session *session = NULL;
	unsigned int i;
	int rc, usable;

	rc = store_session_begin(&session, s, &options, err);
	/* A base that is about to go makes a full, as with a real disk. */
	if (rc == 0 && parent != NULL) {
		usable = store_session_base(session, parent, err);
		if (usable == -1)
			rc = -1;
		if (usable == 0)
			parent = NULL, base = NULL;
	}
	for (i = 0; rc == 0 && i < count; i++)
		rc = backup_disk(session, &m->disks[i], &im[i],
		    parent == NULL ? NULL : &parent->disks[i],
		    base == NULL ? NULL : &base[i], err);
	if (rc == 0)
		rc = store_session_commit(session, m, err);
	if (rc == 0)
		*out = m;
	else
		manifest_free(m);
	store_session_end(session);
	return rc;
}

int
rig_backup(struct rig *rig, struct store *s, struct manifest **out,
    const struct image *im, const struct manifest *parent,
    const struct image *base, struct err *err)
{
	(void)rig;
	return rig_backup_disks(s, out, im, 1, parent, base, err);
}

int
rig_prune(struct store *s, struct store_prune_result *out, struct err *err)
{
	const struct store_prune_options options = { .silence_ms = 1 };

	return store_prune(s, &options, out, err);
}

struct store_prune_result
rig_pruned(struct store *s)
{
	struct store_prune_result result;
	struct err err = ERR_INIT;

	if (rig_prune(s, &result, &err) == -1)
		fail_msg("prune: %s", err.text);
	return result;
}

struct store_repair_result
rig_repaired(struct store *s, bool dry_run)
{
	struct store_repair_options options = { .dry_run = dry_run,
		.threads = 2 };
	struct store_repair_result result;
	struct err err = ERR_INIT;

	if (store_repair(s, &options, NULL, NULL, &result, &err) == -1)
		fail_msg("repair: %s", err.text);
	return result;
}

uint64_t
rig_verify(struct store *s, struct store_verify_result *result)
{
	struct store_verify_options options = { .threads = 2 };
	struct store_verify_result own;
	struct err err = ERR_INIT;

	if (result == NULL)
		result = &own;
	if (store_verify(s, &options, NULL, NULL, result, &err) == -1)
		fail_msg("verify: %s", err.text);
	return result->damaged_objects + result->damaged_points;
}

struct sink {
	struct image *im;
	pthread_mutex_t lock;
	uint8_t *seen;
};

static int
take(void *arg, uint64_t offset, const void *buf, size_t size, struct err *err)
{
	struct sink *k = arg;
	uint64_t at;

	if (offset % STORE_BLOCK_BYTES != 0 || offset > k->im->size ||
	    size > k->im->size - offset)
		return err_set(err, ERR_BUG, "reader out of range");
	memcpy(k->im->bytes + offset, buf, size);
	pthread_mutex_lock(&k->lock);
	for (at = offset; at < offset + size; at += STORE_BLOCK_BYTES)
		k->seen[at / STORE_BLOCK_BYTES]++;
	pthread_mutex_unlock(&k->lock);
	return 0;
}

int
rig_read(struct store *s, const struct manifest *m, struct image *out,
    struct err *err)
{
	struct sink k = { .im = out };
	struct store_reader *r = NULL;
	uint64_t i, blocks = m->disks[0].size_bytes / STORE_BLOCK_BYTES + 1;
	uint64_t data = 0, counted = 0;
	int rc = -1;

	image_init(out, m->disks[0].size_bytes);
	pthread_mutex_init(&k.lock, NULL);
	k.seen = calloc(1, blocks);
	if (store_reader_open(&r, s, &m->disks[0], err) == 0 &&
	    store_reader_data_bytes(r, &data, err) == 0)
		rc = store_reader_stream(r, 2, take, &k, err);
	store_reader_close(r);
	for (i = 0; i < blocks; i++) {
		assert_true(k.seen[i] <= 1);
		if (k.seen[i])
			counted += out->size - i * STORE_BLOCK_BYTES <
					   STORE_BLOCK_BYTES
				       ? out->size - i * STORE_BLOCK_BYTES
				       : STORE_BLOCK_BYTES;
	}
	if (rc == 0)
		assert_int_equal(counted, data);
	free(k.seen);
	pthread_mutex_destroy(&k.lock);
	return rc;
}

void
rig_expect(struct store *s, const struct manifest *m, const struct image *im)
{
	struct err err = ERR_INIT;
	struct image got;

	if (rig_read(s, m, &got, &err) == -1)
		fail_msg("read: %s", err.text);
	assert_int_equal(got.size, im->size);
	assert_memory_equal(got.bytes, im->bytes, im->size);
	image_fini(&got);
}

static int
add_key(void *arg, const char *key, uint64_t size_bytes)
{
	struct keys *k = arg;

	assert_true(k->count < sizeof(k->key) / sizeof(k->key[0]));
	strcpy(k->key[k->count++], key);
	k->bytes += size_bytes;
	return 0;
}

void
rig_keys(struct rig *rig, struct keys *out, const char *prefix)
{
	struct backend *b = rig_backend(rig);
	struct err err = ERR_INIT;

	out->count = 0;
	out->bytes = 0;
	assert_int_equal(backend_list(b, prefix, add_key, out, &err), 0);
	backend_close(b);
}

bool
rig_has_key(const struct keys *keys, const char *key)
{
	size_t i;

	for (i = 0; i < keys->count; i++)
		if (strcmp(keys->key[i], key) == 0)
			return true;
	return false;
}

const char *
rig_only_key(struct rig *rig, struct keys *keys, const char *prefix)
{
	rig_keys(rig, keys, prefix);
	assert_int_equal(keys->count, 1);
	return keys->key[0];
}

const char *
rig_pack_of(struct rig *rig, struct keys *keys, bool data)
{
	size_t size, i;

	rig_keys(rig, keys, "packs/");
	assert_int_equal(keys->count, 2);
	for (i = 0; i < keys->count; i++) {
		free(rig_load(rig, keys->key[i], &size));
		if ((size > STORE_BLOCK_BYTES) == data)
			return keys->key[i];
	}
	fail();
	return NULL;
}

struct manifest *
rig_point(struct rig *rig, const struct image *im,
    const struct manifest *parent, const struct image *base)
{
	struct err err = ERR_INIT;
	struct manifest *m;

	if (rig_backup(rig, rig->store, &m, im, parent, base, &err) == -1)
		fail_msg("backup: %s", err.text);
	return m;
}

int
rig_set_up(void **state)
{
	const struct rig_start *start = *state;

	if (start->public_mode)
		rig_init_public(start->rig);
	else
		rig_init(start->rig, start->kind ? start->kind : "mem");
	if (start->im == NULL)
		return 0;
	image_init(start->im, start->size_bytes);
	image_fill(start->im, 0, start->size_bytes, 1, false);
	if (start->m != NULL)
		*start->m = rig_point(start->rig, start->im, NULL, NULL);
	return 0;
}

int
rig_tear_down(void **state)
{
	const struct rig_start *start = *state;

	if (start->m != NULL)
		manifest_free(*start->m);
	if (start->im != NULL)
		image_fini(start->im);
	rig_fini(start->rig);
	return 0;
}

uint8_t *
rig_load(struct rig *rig, const char *key, size_t *size)
{
	struct backend *b = rig_backend(rig);
	struct err err = ERR_INIT;
	void *bytes;

	assert_int_equal(
	    backend_get_all(b, key, 64 << 20, &bytes, size, &err), 0);
	backend_close(b);
	return bytes;
}

void
rig_replace(struct rig *rig, const char *key, const void *bytes, size_t size)
{
	struct backend *b = rig_backend(rig);
	struct err err = ERR_INIT;

	assert_int_equal(backend_remove(b, key, &err), 0);
	if (size > 0)
		assert_int_equal(backend_put(b, key, bytes, size, &err), 0);
	backend_close(b);
}

void
rig_flip(struct rig *rig, const char *key, size_t at)
{
	size_t size;
	uint8_t *bytes = rig_load(rig, key, &size);

	assert_true(at < size);
	bytes[at] ^= 1;
	rig_replace(rig, key, bytes, size);
	free(bytes);
}
