/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sealed repository whole: nothing readable, each kind of forgery told by
 * its words, wrong keys, caches of others, and no nonce used twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hexid.h"
#include "common/io.h"
#include "store/config.h"
#include "store/digest.h"
#include "store/envelope.h"
#include "store/pack.h"
#include "store/seal/aead.h"
#include "store/seal/slot.h"
#include "tests/unit/store_rig.h"

#define BLOCK STORE_BLOCK_BYTES
#define MARK "words that nobody else may read"

static struct rig rig;
static struct keys keys;
static struct image im;
static struct manifest *point;

/* ---- what is sealed under which key and nonce ---- */

struct sealed {
	uint8_t key[AEAD_KEY_BYTES];
	uint64_t offset;
};
struct context {
	const struct aead *aead;
	uint8_t key[AEAD_KEY_BYTES];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sealed sealed[4096];
static size_t sealed_count;
static struct context context[256];
static size_t context_count;

/* The linker puts these in the place of the real ones (--wrap). */
int __real_aead_set_key(
    struct aead *a, const uint8_t key[AEAD_KEY_BYTES], struct err *err);
int __real_aead_seal(struct aead *a, uint8_t *out, uint64_t offset,
    const void *ad, size_t ad_size, const void *in, size_t size,
    struct err *err);
int __wrap_aead_set_key(
    struct aead *a, const uint8_t key[AEAD_KEY_BYTES], struct err *err);
int __wrap_aead_seal(struct aead *a, uint8_t *out, uint64_t offset,
    const void *ad, size_t ad_size, const void *in, size_t size,
    struct err *err);

static struct context *
context_of(const struct aead *a)
{
	size_t i;

	for (i = 0; i < context_count; i++) {
		if (context[i].aead == a)
			return &context[i];
	}
	assert_true(context_count < sizeof(context) / sizeof(context[0]));
	context[context_count].aead = a;
	return &context[context_count++];
}

int
__wrap_aead_set_key(
    struct aead *a, const uint8_t key[AEAD_KEY_BYTES], struct err *err)
{
	pthread_mutex_lock(&lock);
	memcpy(context_of(a)->key, key, AEAD_KEY_BYTES);
	pthread_mutex_unlock(&lock);
	return __real_aead_set_key(a, key, err);
}

int
__wrap_aead_seal(struct aead *a, uint8_t *out, uint64_t offset, const void *ad,
    size_t ad_size, const void *in, size_t size, struct err *err)
{
	struct sealed *s;

	pthread_mutex_lock(&lock);
	assert_true(sealed_count < sizeof(sealed) / sizeof(sealed[0]));
	s = &sealed[sealed_count++];
	memcpy(s->key, context_of(a)->key, AEAD_KEY_BYTES);
	s->offset = offset;
	pthread_mutex_unlock(&lock);
	return __real_aead_seal(a, out, offset, ad, ad_size, in, size, err);
}

static int
compare_sealed(const void *a, const void *b)
{
	const struct sealed *x = a, *y = b;
	int rc = memcmp(x->key, y->key, AEAD_KEY_BYTES);

	if (rc != 0)
		return rc;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* ---- a repository with one point ---- */

static int
setup(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	sealed_count = context_count = 0;
	rig_init(&rig, "mem");
	image_init(&im, 40 * BLOCK);
	image_fill(&im, 0, 20 * BLOCK, 1, false);
	image_fill(&im, 20 * BLOCK, 10 * BLOCK, 2, true);
	memcpy(im.bytes + 5 * BLOCK + 77, MARK, strlen(MARK));
	assert_int_equal(
	    rig_backup(&rig, rig.store, &point, &im, NULL, NULL, &err), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	manifest_free(point);
	image_fini(&im);
	rig_fini(&rig);
	return 0;
}

/* Puts bytes under a key, NULL removes what is there. */
static void
place(const char *key, const void *bytes, size_t size)
{
	struct backend *b = rig_backend(&rig);
	struct err err = ERR_INIT;

	backend_remove(b, key, &err);
	if (bytes != NULL)
		assert_int_equal(backend_put(b, key, bytes, size, &err), 0);
	backend_close(b);
}

/* As somebody would who knows the format, but no key. */
static void
mend(const char *key, uint8_t *bytes, size_t size)
{
	const size_t foot = size - PACK_FOOTER_BYTES;
	struct err err = ERR_INIT;
	uint64_t at = 0;
	uint8_t *all;
	size_t i, n;

	if (strncmp(key, "packs/", 6) != 0) {
		digest_once(bytes + size - DIGEST_BYTES, bytes,
		    size - DIGEST_BYTES, &err);
		return;
	}
	for (i = 0; i < 8; i++)
		at = at << 8 | bytes[foot + 8 + i];
	n = 80 + (foot - at) + 32;
	all = malloc(n);
	memcpy(all, bytes, 80);
	memcpy(all + 80, bytes + at, foot - at + 32);
	digest_once(bytes + size - DIGEST_BYTES, all, n, &err);
	free(all);
}

struct words {
	char text[16][300];
	unsigned int count;
};

static void
note(void *arg, const struct store_damage *d)
{
	struct words *w = arg;

	if (w->count < 16)
		snprintf(w->text[w->count++], sizeof(w->text[0]), "%s: %s",
		    d->object, d->what);
}

static bool
verify_says(const char *part)
{
	struct store_verify_options options = { .threads = 1 };
	struct store_verify_result result;
	struct words w = { .count = 0 };
	struct err err = ERR_INIT;
	unsigned int i;

	assert_int_equal(
	    store_verify(rig.store, &options, note, &w, &result, &err), 0);
	for (i = 0; i < w.count; i++) {
		if (strstr(w.text[i], part) != NULL)
			return true;
	}
	return false;
}

static void
test_sealed_tells_nothing_of_content(void **state)
{
	uint8_t hash[DIGEST_BYTES], *bytes;
	struct err err = ERR_INIT;
	size_t i, size;

	(void)state;
	assert_int_equal(
	    digest_once(hash, im.bytes + 5 * BLOCK, BLOCK, &err), 0);
	rig_keys(&rig, &keys, "");
	assert_true(keys.count >= 5);
	for (i = 0; i < keys.count; i++) {
		bytes = rig_load(&rig, keys.key[i], &size);
		assert_null(memmem(bytes, size, MARK, strlen(MARK)));
		assert_null(memmem(bytes, size, im.bytes + 2 * BLOCK, 64));
		assert_null(memmem(bytes, size, hash, 16));
		assert_null(memmem(bytes, size, "\"domain\"", 8));
		assert_null(memmem(bytes, size, "HSM1", 4));
		free(bytes);
	}
	/* Nor does the root in the manifest tell: it is keyed, too. */
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	rig_expect(rig.store, point, &im);
}

/* The same disk in two repositories has nothing in common. */
static void
test_sealed_names_differ_by_repository(void **state)
{
	struct err err = ERR_INIT;
	struct manifest *m;
	struct rig other;

	(void)state;
	rig_init(&other, "mem");
	assert_int_equal(
	    rig_backup(&other, other.store, &m, &im, NULL, NULL, &err), 0);
	assert_memory_not_equal(
	    m->disks[0].root, point->disks[0].root, DIGEST_BYTES);
	/* But in one repository a block is known again. */
	manifest_free(m);
	assert_int_equal(
	    rig_backup(&rig, rig.store, &m, &im, NULL, NULL, &err), 0);
	assert_memory_equal(
	    m->disks[0].root, point->disks[0].root, DIGEST_BYTES);
	assert_int_equal(m->disks[0].new_bytes, 0);
	manifest_free(m);
	rig_fini(&other);
}

static void
test_sealed_tampering_with_each_object_is_told(void **state)
{
	static const char *const kinds[] = { "index/", "points/", "packs/" };
	uint8_t *bytes, *whole;
	size_t i, j, k, size;

	(void)state;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		rig_keys(&rig, &keys, kinds[i]);
		for (j = 0; j < keys.count; j++) {
			whole = rig_load(&rig, keys.key[j], &size);
			bytes = malloc(size);
			/* S; the last bytes of the message or table. */
			for (k = 0; k < 2; k++) {
				memcpy(bytes, whole, size);
				bytes[k == 0 ? 60
					     : size - PACK_FOOTER_BYTES - 1] ^=
				    1;
				mend(keys.key[j], bytes, size);
				place(keys.key[j], bytes, size);
				assert_true(verify_says("was tampered with"));
			}
			place(keys.key[j], whole, size);
			free(bytes);
			free(whole);
		}
	}
	assert_int_equal(rig_verify(rig.store, NULL), 0);
}

/* The head's bytes that no hash of ours would tell: sizes, coding, flags. */
static void
test_sealed_head_is_bound(void **state)
{
	static const size_t at[] = { 12, 13, 47 };
	uint8_t *bytes;
	size_t i, size;

	(void)state;
	rig_keys(&rig, &keys, "points/");
	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		bytes = rig_load(&rig, keys.key[0], &size);
		bytes[at[i]] ^= 1;
		mend(keys.key[0], bytes, size);
		place(keys.key[0], bytes, size);
		assert_true(verify_says("was tampered with"));
		bytes[at[i]] ^= 1;
		mend(keys.key[0], bytes, size);
		place(keys.key[0], bytes, size);
		free(bytes);
	}
	assert_int_equal(rig_verify(rig.store, NULL), 0);
}

/* A frame changed so that nobody sees it but the seal. */
static void
test_sealed_frame_is_never_read_wrong(void **state)
{
	struct err err = ERR_INIT;
	struct image got;
	uint8_t *bytes;
	size_t i, size;

	(void)state;
	rig_keys(&rig, &keys, "packs/");
	for (i = 0; i < keys.count; i++) {
		bytes = rig_load(&rig, keys.key[i], &size);
		bytes[200] ^= 1;
		place(keys.key[i], bytes, size);
		rig_reopen(&rig);
		assert_int_equal(rig_read(rig.store, point, &got, &err), -1);
		assert_int_equal(err.class, ERR_CORRUPT);
		assert_non_null(strstr(err.text, "tampered with"));
		image_fini(&got);
		bytes[200] ^= 1;
		place(keys.key[i], bytes, size);
		free(bytes);
	}
	rig_expect(rig.store, point, &im);
}

static void
test_sealed_replayed_and_renamed_are_told_apart(void **state)
{
	static const char other[] = "points/00112233445566778899aabbccddeeff";
	char key[OBJECT_KEY_SIZE];
	uint8_t *bytes, id[OBJECT_ID_BYTES];
	size_t size;

	(void)state;
	snprintf(key, sizeof(key), "points/%s", point->id);
	bytes = rig_load(&rig, key, &size);
	place(other, bytes, size);
	assert_true(verify_says("it is a copy of 'points/"));
	assert_true(verify_says("replayed under a new name"));
	place(key, NULL, 0);
	assert_true(verify_says(", renamed"));
	assert_false(verify_says("replayed"));
	/* Who mends the id in the head, too, is told by the seal. */
	hex_decode(id, sizeof(id), other + strlen("points/"));
	memcpy(bytes + 16, id, sizeof(id));
	mend(other, bytes, size);
	place(other, bytes, size);
	assert_true(verify_says("was tampered with"));
	free(bytes);
}

/* Who can write, but has no key, slips nothing in. */
static void
test_sealed_takes_no_plain_objects(void **state)
{
	static const char text[] = "{}";
	struct backend *b = rig_backend(&rig);
	uint8_t id[OBJECT_ID_BYTES];
	char key[OBJECT_KEY_SIZE];
	struct err err = ERR_INIT;
	struct pack *p;

	(void)state;
	hexid_random(id, sizeof(id), &err);
	object_key(key, OBJECT_MANIFEST, id);
	assert_int_equal(envelope_put(b, NULL, key, OBJECT_MANIFEST, id, text,
			     strlen(text), false, &err),
	    0);
	assert_true(verify_says("it is not sealed, though the repository"));
	place(key, NULL, 0);
	assert_int_equal(pack_new(&p, NULL, &err), 0);
	assert_int_equal(pack_finish(p, &err), 0);
	object_key(key, OBJECT_PACK, p->id);
	place(key, p->data, p->size);
	pack_free(p);
	assert_true(verify_says("it is not sealed, though the repository"));
	backend_close(b);
}

/* ---- keys ---- */

static int
open_with(struct store **out, const struct slot_secret *secret, const char *url,
    struct err *err)
{
	struct store_open_options options = { .secret = secret };
	struct backend *b;

	if (backend_open(&b, url, BACKEND_OPEN, err) == -1)
		return -1;
	if (store_open(out, b, rig.cache, &options, err) == 0)
		return 0;
	backend_close(b);
	return -1;
}

static void
test_sealed_keys_that_do_not_fit(void **state)
{
	const struct slot_secret file = { SLOT_FILE,
		"another 32 bytes of a key file..", SLOT_SECRET_BYTES };
	const struct slot_secret pass = { SLOT_PASSPHRASE, "guess", 5 };
	struct err err = ERR_INIT;
	struct store *s;

	(void)state;
	assert_int_equal(open_with(&s, &file, rig.url, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	assert_string_equal(err.text, "wrong key file");
	assert_int_equal(open_with(&s, &pass, rig.url, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	assert_non_null(strstr(err.text, "no key slot for a passphrase"));
	assert_int_equal(open_with(&s, NULL, rig.url, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	assert_non_null(strstr(err.text, "no key is given"));
	assert_non_null(strstr(err.hint, "--passphrase-file"));
}

static void
test_sealed_key_for_a_plain_repository(void **state)
{
	const struct slot_secret file = { SLOT_FILE,
		"another 32 bytes of a key file..", SLOT_SECRET_BYTES };
	struct err err = ERR_INIT;
	struct backend *b;
	struct store *s;

	(void)state;
	assert_int_equal(
	    backend_open(&b, "mem:plain", BACKEND_CREATE, &err), 0);
	assert_int_equal(store_init(b, NULL, &err), 0);
	backend_close(b);
	assert_int_equal(open_with(&s, &file, "mem:plain", &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	assert_non_null(strstr(err.text, "say that it is not encrypted"));
	assert_int_equal(open_with(&s, NULL, "mem:plain", &err), 0);
	assert_int_equal(store_key_remove(s, point->id, &err), -1);
	assert_int_equal(err.class, ERR_ARG);
	store_close(s);
}

static void
test_sealed_config_is_proved_by_the_key(void **state)
{
	struct err err = ERR_INIT;
	uint8_t *bytes;
	char *at;
	size_t size;

	(void)state;
	bytes = rig_load(&rig, "config", &size);
	at = memmem(bytes, size, "\"secret\"", 8);
	assert_non_null(at);
	memcpy(at, "\"public\"", 8);
	mend("config", bytes, size);
	place("config", bytes, size);
	free(bytes);
	store_close(rig.store);
	rig.store = NULL;
	assert_int_equal(rig_try_open(&rig, &rig.store, rig.cache, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	assert_non_null(strstr(err.text, "'config' was tampered with"));
}

/* Nobody is asked for a passphrase then, and none would be missed. */
static void
test_sealed_host_remembers_that_it_was_sealed(void **state)
{
	struct backend *b = rig_backend(&rig);
	struct err err = ERR_INIT;
	struct config c;
	struct store *s;

	(void)state;
	assert_int_equal(config_get(&c, b, &err), 0);
	c.seal.mode = SEAL_NONE;
	assert_int_equal(backend_remove(b, "config", &err), 0);
	assert_int_equal(config_put(b, &c, &err), 0);
	backend_close(b);
	store_close(rig.store);
	rig.store = NULL;
	assert_int_equal(open_with(&s, NULL, rig.url, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	assert_non_null(strstr(err.text, "knows the repository as encrypted"));
}

static void
test_sealed_slots_come_and_go(void **state)
{
	const struct slot_secret file = { SLOT_FILE,
		"another 32 bytes of a key file..", SLOT_SECRET_BYTES };
	char first[HEXID_SIZE], id[HEXID_SIZE];
	struct err err = ERR_INIT;
	struct slot_list list;
	struct store *s;

	(void)state;
	store_key_opened(first, rig.store);
	assert_int_equal(
	    store_key_add(rig.store, id, &file, "other", NULL, &err), 0);
	assert_int_equal(store_key_list(&list, rig.store, &err), 0);
	assert_int_equal(list.count, 2);
	slot_list_fini(&list);
	assert_int_equal(open_with(&s, &file, rig.url, &err), 0);
	rig_expect(s, point, &im);
	assert_int_equal(store_key_remove(s, first, &err), 0);
	assert_int_equal(store_key_remove(s, id, &err), -1);
	assert_int_equal(err.class, ERR_BUSY);
	assert_int_equal(rig_verify(s, NULL), 0);
	store_close(s);
}

/* ---- the local index ---- */

/* A cache is of one key: another's is thrown away, not believed. */
static void
test_sealed_cache_of_another_key_is_not_used(void **state)
{
	char folder[512], other[512];
	struct err err = ERR_INIT;
	struct manifest *m;
	struct rig second;

	(void)state;
	rig_init(&second, "mem");
	assert_int_equal(
	    rig_backup(&second, second.store, &m, &im, NULL, NULL, &err), 0);
	manifest_free(m);
	snprintf(
	    folder, sizeof(folder), "%s/%s", rig.cache, store_id(rig.store));
	snprintf(other, sizeof(other), "%s/%s", second.cache,
	    store_id(second.store));
	store_close(rig.store);
	store_close(second.store);
	/* As if somebody had moved it there. */
	assert_int_equal(io_remove_tree(folder, &err), 0);
	assert_int_equal(rename(other, folder), 0);
	rig.store = rig_open_store(&rig, rig.cache);
	second.store = rig_open_store(&second, second.cache);
	rig_expect(rig.store, point, &im);
	assert_int_equal(
	    rig_backup(&rig, rig.store, &m, &im, NULL, NULL, &err), 0);
	assert_int_equal(m->disks[0].new_bytes, 0);
	manifest_free(m);
	rig_fini(&second);
}

static void
again(struct err *err)
{
	static const uint8_t master[SEAL_KEY_BYTES], id[OBJECT_ID_BYTES];
	struct seal_settings settings = { .mode = SEAL_SECRET };
	struct backend *b = rig_backend(&rig);
	struct seal *s;

	assert_int_equal(seal_settings_sign(&settings, master, err), 0);
	assert_int_equal(seal_open_master(&s, &settings, master, err), 0);
	assert_int_equal(envelope_put(b, s, "points/again", OBJECT_MANIFEST, id,
			     "x", 1, false, err),
	    0);
	assert_int_equal(backend_remove(b, "points/again", err), 0);
	seal_free(s);
	backend_close(b);
}

static void
test_sealed_uses_no_nonce_twice(void **state)
{
	struct err err = ERR_INIT;
	struct manifest *m;
	struct image next;
	size_t i, j;

	(void)state;
	for (j = 0; j < 4; j++) {
		image_copy(&next, &im);
		for (i = j; i < 40; i += 3)
			image_fill(&next, i * BLOCK, BLOCK,
			    (unsigned int)(100 * j + i), i % 2 == 0);
		assert_int_equal(
		    rig_backup(&rig, rig.store, &m, &next, point, &im, &err),
		    0);
		rig_expect(rig.store, m, &next);
		manifest_free(m);
		image_fini(&next);
	}
	/* The same object put again, as after an answer that was lost. */
	again(&err);
	again(&err);
	/* Each backup: a frame and a table of data and of maps, an index, a
	 * manifest; and the first, and the key slot. */
	assert_true(sealed_count >= 4 * 6 + 7);
	qsort(sealed, sealed_count, sizeof(sealed[0]), compare_sealed);
	for (i = 1; i < sealed_count; i++)
		assert_int_not_equal(
		    compare_sealed(&sealed[i - 1], &sealed[i]), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_sealed_tells_nothing_of_content),
		CASE(test_sealed_names_differ_by_repository),
		CASE(test_sealed_tampering_with_each_object_is_told),
		CASE(test_sealed_head_is_bound),
		CASE(test_sealed_frame_is_never_read_wrong),
		CASE(test_sealed_replayed_and_renamed_are_told_apart),
		CASE(test_sealed_takes_no_plain_objects),
		CASE(test_sealed_keys_that_do_not_fit),
		CASE(test_sealed_key_for_a_plain_repository),
		CASE(test_sealed_config_is_proved_by_the_key),
		CASE(test_sealed_host_remembers_that_it_was_sealed),
		CASE(test_sealed_slots_come_and_go),
		CASE(test_sealed_cache_of_another_key_is_not_used),
		CASE(test_sealed_uses_no_nonce_twice),
	};

	setenv(RIG_SEAL, "aes-256-gcm", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
