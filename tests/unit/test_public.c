/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository of mode public: hosts that may only add, the owner who reads,
 * and what each kind of forgery comes to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hexid.h"
#include "common/io.h"
#include "common/log.h"
#include "store/envelope.h"
#include "store/host_sweep.h"
#include "store/hostmemory.h"
#include "store/points.h"
#include "store/seal/hostkey.h"
#include "store/seal/slot.h"
#include "tests/unit/store_rig.h"

#define BLOCK STORE_BLOCK_BYTES

static struct rig rig;
static struct keys keys;
static struct image im;
static struct store *host;

static struct slot_secret
secret_of(const char *path)
{
	return (struct slot_secret){ SLOT_HOST, path, strlen(path) };
}

static char *
path_of(char out[300], const char *name)
{
	snprintf(out, 300, "%.200s/%.60s", rig.root, name);
	return out;
}

static void
make_host(const char *name)
{
	char path[300], id[HEXID_SIZE];
	struct err err = ERR_INIT;

	assert_int_equal(
	    store_key_host(rig.store, id, path_of(path, name), &err), 0);
}

static int
try_host(
    struct store **out, const char *name, const char *state, struct err *err)
{
	char path[300], dir[300];
	struct slot_secret secret = secret_of(path_of(path, name));

	return rig_open_with(&rig, out, path_of(dir, state), &secret, err);
}

static struct store *
open_host(const char *name)
{
	struct err err = ERR_INIT;
	struct store *s;

	if (try_host(&s, name, name[0] == 'a' ? "state-a" : "state-b", &err) ==
	    -1)
		fail_msg("host: %s", err.text);
	return s;
}

static int
setup(void **state)
{
	(void)state;
	rig_init_public(&rig);
	make_host("a");
	host = open_host("a");
	image_init(&im, 200 * BLOCK);
	image_fill(&im, 0, 30 * BLOCK, 1, false);
	image_fill(&im, 150 * BLOCK, 10 * BLOCK, 2, true);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	store_close(host);
	image_fini(&im);
	rig_fini(&rig);
	return 0;
}

static struct manifest *
backup(struct store *s, const struct image *now, const struct manifest *parent,
    const struct image *base)
{
	struct err err = ERR_INIT;
	struct manifest *m;

	if (rig_backup(&rig, s, &m, now, parent, base, &err) == -1)
		fail_msg("backup: %s", err.text);
	return m;
}

/* As the owner has it, from the repository alone. */
static void
expect(const char *id, const struct image *now)
{
	struct err err = ERR_INIT;
	struct manifest *m;

	if (store_manifest_read(&m, rig.store, id, &err) == -1)
		fail_msg("%s", err.text);
	rig_expect(rig.store, m, now);
	manifest_free(m);
}

static uint8_t *
load(const char *key, size_t *size)
{
	struct backend *b = rig_backend(&rig);
	struct err err = ERR_INIT;
	void *bytes;

	assert_int_equal(
	    backend_get_all(b, key, 64 << 20, &bytes, size, &err), 0);
	backend_close(b);
	return bytes;
}

/* Puts bytes under a key, NULL removes what is there. */
static void
place(const char *key, const void *bytes, size_t size)
{
	struct backend *b = rig_backend(&rig);
	struct err err = ERR_INIT;

	backend_remove(b, key, &err);
	err_clear(&err);
	if (bytes != NULL)
		assert_int_equal(backend_put(b, key, bytes, size, &err), 0);
	backend_close(b);
}

/* As somebody would who knows the format, but no key. */
static void
mend(uint8_t *bytes, size_t size)
{
	struct err err = ERR_INIT;

	digest_once(
	    bytes + size - DIGEST_BYTES, bytes, size - DIGEST_BYTES, &err);
}

static void
expect_words(const struct err *err, enum err_class class, const char *words)
{
	assert_int_equal(err->class, class);
	if (strstr(err->text, words) == NULL)
		fail_msg("'%s' does not say '%s'", err->text, words);
}

/* ---- adding and reading ---- */

static void
test_public_host_adds_full_points(void **state)
{
	struct store_verify_result result;
	struct manifest *m;

	(void)state;
	m = backup(host, &im, NULL, NULL);
	expect(m->id, &im);
	manifest_free(m);
	/* The same again costs nothing: it knows what it has put. */
	rig_keys(&rig, &keys, "packs/");
	m = backup(host, &im, NULL, NULL);
	expect(m->id, &im);
	assert_int_equal(m->disks[0].new_bytes, 0);
	manifest_free(m);
	assert_int_equal(rig_verify(rig.store, &result), 0);
	assert_int_equal(result.points_checked, 2);
}

static void
test_public_host_adds_incrementals(void **state)
{
	struct manifest *m = backup(host, &im, NULL, NULL), *next, *read;
	struct err err = ERR_INIT;
	struct image now;
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		/* As another process of the host, without its parent. */
		store_close(host);
		host = open_host("a");
		assert_int_equal(
		    store_manifest_read(&read, host, m->id, &err), 0);
		image_copy(&now, &im);
		image_fill(&now, (7 + 40 * i) * BLOCK, 2 * BLOCK, 9 + i, false);
		next = backup(host, &now, read, &im);
		expect(next->id, &now);
		assert_int_equal(next->disks[0].new_bytes, 2 * BLOCK);
		assert_string_equal(next->parent, m->id);
		manifest_free(read);
		manifest_free(m);
		image_fini(&im);
		m = next;
		im = now;
	}
	manifest_free(m);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
}

static void
test_public_owner_adds_points_beside_hosts(void **state)
{
	struct manifest *mine = backup(rig.store, &im, NULL, NULL);
	struct manifest *theirs = backup(host, &im, NULL, NULL);
	struct err err = ERR_INIT;
	struct manifest *next;
	struct store *other;
	struct image now;

	(void)state;
	/* What the owner has put is not known to the host. */
	assert_int_equal(theirs->disks[0].new_bytes, 40 * BLOCK);
	expect(mine->id, &im);
	expect(theirs->id, &im);
	/* Nor where it has the owner's state folder. */
	make_host("b");
	assert_int_equal(try_host(&other, "b", "cache", &err), 0);
	next = backup(other, &im, NULL, NULL);
	assert_int_equal(next->disks[0].new_bytes, 40 * BLOCK);
	manifest_free(next);
	store_close(other);
	image_copy(&now, &im);
	image_fill(&now, 0, BLOCK, 77, false);
	next = backup(rig.store, &now, theirs, &im);
	expect(next->id, &now);
	image_fini(&now);
	manifest_free(next);
	manifest_free(mine);
	manifest_free(theirs);
}

/* ---- what a host cannot ---- */

static void
test_public_host_reads_nothing(void **state)
{
	struct manifest *m = backup(host, &im, NULL, NULL), *read;
	struct manifest *other = backup(rig.store, &im, NULL, NULL);
	struct err err = ERR_INIT;
	struct image out;

	(void)state;
	assert_int_equal(rig_read(host, m, &out, &err), -1);
	expect_words(&err, ERR_AUTH, "a host key");
	assert_true(err.hint[0] != '\0');
	image_fini(&out);
	err_clear(&err);
	assert_int_equal(store_manifest_read(&read, host, other->id, &err), -1);
	expect_words(&err, ERR_AUTH, "a host key opens nothing");
	manifest_free(m);
	manifest_free(other);
}

static void
test_public_host_says_what_it_cannot_do(void **state)
{
	const struct store_verify_options verify = { .points = NULL };
	const struct store_repair_options repair = { .dry_run = true };
	struct store_verify_result verified;
	struct store_repair_result repaired;
	struct store_prune_result pruned;
	struct manifest *m = backup(host, &im, NULL, NULL);
	char id[HEXID_SIZE], path[300];
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(
	    store_verify(host, &verify, NULL, NULL, &verified, &err), -1);
	expect_words(&err, ERR_AUTH, "nothing can be verified");
	assert_int_equal(
	    store_repair(host, &repair, NULL, NULL, &repaired, &err), -1);
	expect_words(&err, ERR_AUTH, "a host key");
	assert_int_equal(rig_prune(host, &pruned, &err), -1);
	expect_words(&err, ERR_AUTH, "nothing can be pruned");
	assert_int_equal(store_point_forget(host, m->id, &err), -1);
	expect_words(&err, ERR_AUTH, "no point can be forgotten");
	assert_int_equal(
	    store_key_host(host, id, path_of(path, "c"), &err), -1);
	expect_words(&err, ERR_AUTH, "no host key can be made");
	assert_int_equal(
	    store_key_add(host, id, &rig_key, "x", NULL, &err), -1);
	expect_words(&err, ERR_AUTH, "makes no key slot");
	store_key_opened(id, rig.store);
	assert_int_equal(store_key_remove(host, id, &err), -1);
	expect_words(&err, ERR_AUTH, "no key can be removed");
	manifest_free(m);
}

/* No word of a host's is a word: it is not signed. */
static void
test_public_host_cannot_forget(void **state)
{
	const char *text = "{\"word\": \"gone\", \"time\": "
			   "\"2026-01-01T00:00:00Z\", \"key\": \"x\"}";
	struct manifest *m = backup(host, &im, NULL, NULL);
	struct backend *b = rig_backend(&rig);
	uint8_t id[OBJECT_ID_BYTES] = { 1 };
	struct store_prune_result pruned;
	char key[OBJECT_KEY_SIZE];
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(store_point_forget(rig.store, m->id, &err), 0);
	assert_int_equal(store_point_unforget(rig.store, m->id, &err), 0);
	expect(m->id, &im);
	/* A host's key makes no signature, whatever the program does. */
	snprintf(key, sizeof(key), "forgotten/%s/2", m->id);
	assert_int_equal(envelope_put(b, host->seal, key, OBJECT_WORD, id, text,
			     strlen(text), false, &err),
	    -1);
	expect_words(&err, ERR_AUTH, "a host key signs nothing");
	err_clear(&err);
	/* Nor is a plain one taken. */
	assert_int_equal(envelope_put(b, NULL, key, OBJECT_WORD, id, text,
			     strlen(text), false, &err),
	    0);
	backend_close(b);
	assert_int_equal(store_point_was_forgotten(rig.store, m->id, &err), -1);
	expect_words(&err, ERR_CORRUPT, "it is not signed");
	err_clear(&err);
	assert_int_equal(rig_prune(rig.store, &pruned, &err), -1);
	expect_words(&err, ERR_CORRUPT, "it is not signed");
	manifest_free(m);
}

/* ---- keys ---- */

static void
test_public_wrong_and_missing_keys_are_told(void **state)
{
	struct err err = ERR_INIT;
	struct rig other;
	struct store *s;
	char path[300], key[300], id[HEXID_SIZE];
	struct slot_secret secret;

	(void)state;
	assert_int_equal(rig_open_with(&rig, &s, rig.cache, NULL, &err), -1);
	expect_words(&err, ERR_AUTH, "encrypted (public, ");
	rig_init_public(&other);
	snprintf(key, sizeof(key), "%.200s/k", other.root);
	assert_int_equal(store_key_host(other.store, id, key, &err), 0);
	secret = secret_of(key);
	assert_int_equal(rig_open_with(&rig, &s, rig.cache, &secret, &err), -1);
	expect_words(&err, ERR_AUTH, "of another repository");
	rig_fini(&other);
	/* A file of that name stays. */
	assert_int_equal(
	    store_key_host(rig.store, id, path_of(path, "a"), &err), -1);
	expect_words(&err, ERR_EXISTS, "cannot make");
	assert_int_equal(try_host(&s, "none", "state-a", &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
}

/* What it has begun with is in its state alone. */
static void
test_public_host_without_its_state_is_refused(void **state)
{
	struct err err = ERR_INIT;
	struct store *s;

	(void)state;
	assert_int_equal(try_host(&s, "a", "state-c", &err), -1);
	expect_words(&err, ERR_NOT_FOUND, "is lost");
	assert_true(strstr(err.hint, "new host key") != NULL);
}

/* ---- forgeries ---- */

static char *
point_key(char out[OBJECT_KEY_SIZE], const struct manifest *m)
{
	snprintf(out, OBJECT_KEY_SIZE, "points/%s", m->id);
	return out;
}

static void
test_public_forged_points_are_told(void **state)
{
	struct manifest *m = backup(host, &im, NULL, NULL), *read;
	struct manifest *old = backup(host, &im, NULL, NULL);
	char key[OBJECT_KEY_SIZE], other[OBJECT_KEY_SIZE];
	struct err err = ERR_INIT;
	size_t size, other_size;
	uint8_t *bytes = load(point_key(key, m), &size), *copy;

	(void)state;
	point_key(other, old);
	/* Its mark's MAC, its number, its host, its body. */
	bytes[size - DIGEST_BYTES - 1] ^= 1;
	mend(bytes, size);
	place(key, bytes, size);
	assert_int_equal(
	    store_manifest_read(&read, rig.store, m->id, &err), -1);
	expect_words(&err, ERR_CORRUPT, "its mark does not fit");
	bytes[size - DIGEST_BYTES - 1] ^= 1;
	bytes[size - DIGEST_BYTES - DIGEST_BYTES - 1] ^= 1;
	mend(bytes, size);
	place(key, bytes, size);
	assert_int_equal(
	    store_manifest_read(&read, rig.store, m->id, &err), -1);
	expect_words(&err, ERR_CORRUPT, "its mark does not fit");
	bytes[size - DIGEST_BYTES - DIGEST_BYTES - 1] ^= 1;
	bytes[100] ^= 1;
	mend(bytes, size);
	place(key, bytes, size);
	assert_int_equal(
	    store_manifest_read(&read, rig.store, m->id, &err), -1);
	expect_words(&err, ERR_CORRUPT, "its mark does not fit");
	/* The host itself sees that it is not what it put. */
	assert_int_equal(store_manifest_read(&read, host, m->id, &err), -1);
	expect_words(&err, ERR_CORRUPT, "somebody has replaced it");
	bytes[100] ^= 1;
	/* Damage is another thing. */
	bytes[100] ^= 1;
	place(key, bytes, size - 1);
	assert_int_equal(
	    store_manifest_read(&read, rig.store, m->id, &err), -1);
	expect_words(&err, ERR_CORRUPT, "its checksum is wrong");
	/* An old one under a new name. */
	copy = load(other, &other_size);
	place(key, copy, other_size);
	assert_int_equal(
	    store_manifest_read(&read, rig.store, m->id, &err), -1);
	expect_words(&err, ERR_CORRUPT, "replayed under a new name");
	place(other, NULL, 0);
	assert_int_equal(
	    store_manifest_read(&read, rig.store, m->id, &err), -1);
	expect_words(&err, ERR_CORRUPT, ", renamed");
	free(copy);
	free(bytes);
	manifest_free(m);
	manifest_free(old);
}

/* Who has all that a repository shows, but no key of a host, and who has the
 * public key, but no chain. */
static int
no_mark(
    void *arg, uint8_t *out, const void *object, size_t size, struct err *err)
{
	(void)object;
	(void)size;
	(void)err;
	memcpy(out, arg, 56);
	return 0;
}

static void
test_public_points_of_no_host_are_told(void **state)
{
	struct manifest *m = backup(host, &im, NULL, NULL), *read;
	struct backend *b = rig_backend(&rig);
	uint8_t id[OBJECT_ID_BYTES] = { 7 }, *object, *real;
	struct envelope_body body = { "{}", 2, false };
	struct envelope_marks marks = { .make = no_mark };
	struct store_verify_result result;
	char key[OBJECT_KEY_SIZE], hex[HEXID_SIZE];
	struct err err = ERR_INIT;
	size_t size;

	(void)state;
	real = load(point_key(key, m), &size);
	marks.arg = real + size - DIGEST_BYTES - 56;
	hex_encode(hex, id, sizeof(id));
	object_key(key, OBJECT_MANIFEST, id);
	assert_int_equal(envelope_make(&object, &size, host->seal, &marks, key,
			     OBJECT_MANIFEST, id, &body, &err),
	    0);
	place(key, object, size);
	assert_int_equal(store_manifest_read(&read, rig.store, hex, &err), -1);
	expect_words(&err, ERR_CORRUPT, "no host of this repository made it");
	/* As a verify says, too. */
	assert_int_equal(rig_verify(rig.store, &result), 2);
	assert_int_equal(result.damaged_points, 1);
	free(object);
	free(real);
	/* One that is not sealed at all. */
	place(key, NULL, 0);
	assert_int_equal(envelope_put(b, NULL, key, OBJECT_MANIFEST, id, "{}",
			     2, false, &err),
	    0);
	assert_int_equal(store_manifest_read(&read, rig.store, hex, &err), -1);
	expect_words(&err, ERR_CORRUPT, "it is not sealed");
	backend_close(b);
	manifest_free(m);
}

static void
test_public_forged_epochs_are_told(void **state)
{
	struct store_session_options options = { .threads = 1 };
	struct store_session *session;
	struct err err = ERR_INIT;
	struct backend *b = rig_backend(&rig);
	uint8_t id[OBJECT_ID_BYTES] = { 9 }, *bytes;
	const char *text = "{\"epoch\": 1, \"decided\": 0, \"roll\": \"\", "
			   "\"key\": \"epochs/1\"}";
	size_t size;

	(void)state;
	/* Of who knows no key. */
	assert_int_equal(envelope_put(b, NULL, "epochs/1", OBJECT_EPOCH, id,
			     text, strlen(text), false, &err),
	    0);
	assert_int_equal(
	    store_session_begin(&session, host, &options, &err), -1);
	expect_words(&err, ERR_CORRUPT, "it is not signed");
	/* The first one again, under another number. */
	bytes = load("epochs/0", &size);
	place("epochs/1", bytes, size);
	assert_int_equal(
	    store_session_begin(&session, host, &options, &err), -1);
	expect_words(&err, ERR_CORRUPT, "its signature does not fit");
	/* Changed. */
	place("epochs/1", NULL, 0);
	bytes[60] ^= 1;
	mend(bytes, size);
	place("epochs/0", bytes, size);
	store_close(host);
	host = open_host("a");
	assert_int_equal(
	    store_session_begin(&session, host, &options, &err), -1);
	expect_words(&err, ERR_CORRUPT, "its signature does not fit");
	free(bytes);
	backend_close(b);
}

static void
forget_all(struct store *s)
{
	struct store_prune_result pruned;
	struct err err = ERR_INIT;
	unsigned int i;
	char id[HEXID_SIZE];

	rig_keys(&rig, &keys, "points/");
	for (i = 0; i < keys.count; i++) {
		snprintf(id, sizeof(id), "%.32s", keys.key[i] + 7);
		assert_int_equal(store_point_forget(s, id, &err), 0);
	}
	assert_int_equal(rig_prune(s, &pruned, &err), 0);
}

static void
test_public_host_sees_that_a_repository_was_set_back(void **state)
{
	struct store_session_options options = { .threads = 1 };
	struct store_session *session;
	struct err err = ERR_INIT;
	unsigned int i;

	(void)state;
	manifest_free(backup(host, &im, NULL, NULL));
	forget_all(rig.store);
	manifest_free(backup(host, &im, NULL, NULL));
	rig_keys(&rig, &keys, "epochs/");
	assert_true(keys.count > 1);
	for (i = 0; i < keys.count; i++) {
		if (strcmp(keys.key[i], "epochs/0") != 0)
			place(keys.key[i], NULL, 0);
	}
	store_close(host);
	host = open_host("a");
	assert_int_equal(
	    store_session_begin(&session, host, &options, &err), -1);
	expect_words(&err, ERR_CORRUPT, "the repository was set back");
}

/* A host whose state was put back makes a number twice. */
static void
test_public_chain_set_back_is_told(void **state)
{
	char path[300], hex[HEXID_SIZE], chain[400];
	struct store_verify_result result;
	struct manifest *m = backup(host, &im, NULL, NULL);
	struct err err = ERR_INIT;
	struct hostkey key;
	char *text;
	size_t size;

	(void)state;
	manifest_free(m);
	assert_int_equal(hostkey_read(&key, path_of(path, "a"), &err), 0);
	hex_encode(hex, key.host, sizeof(key.host));
	snprintf(chain, sizeof(chain), "%.200s/state-a/hosts/%s/chain",
	    rig.root, hex);
	assert_int_equal(io_read_file(&text, &size, chain, 4096, &err), 0);
	manifest_free(backup(host, &im, NULL, NULL));
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	assert_int_equal(io_replace_file(chain, text, size, 0600, &err), 0);
	manifest_free(backup(host, &im, NULL, NULL));
	assert_int_equal(rig_verify(rig.store, &result), 1);
	assert_int_equal(result.damaged_objects, 1);
	free(text);
}

static char said[512];

static void
note_said(void *arg, enum log_level level, const char *text)
{
	(void)arg;
	if (level == LOG_WARNING)
		snprintf(said, sizeof(said), "%s", text);
}

static void
test_public_points_that_are_missing_are_told(void **state)
{
	struct manifest *m = backup(host, &im, NULL, NULL);
	struct manifest *second = backup(host, &im, NULL, NULL);
	struct store_prune_result pruned;
	char key[OBJECT_KEY_SIZE];
	struct err err = ERR_INIT;

	(void)state;
	manifest_free(backup(host, &im, NULL, NULL));
	log_set_level(LOG_WARNING);
	log_set_sink(note_said, NULL);
	said[0] = '\0';
	/* Forgotten and pruned: no word of it. */
	assert_int_equal(store_point_forget(rig.store, m->id, &err), 0);
	assert_int_equal(rig_prune(rig.store, &pruned, &err), 0);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	assert_string_equal(said, "");
	place(point_key(key, second), NULL, 0);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	assert_non_null(strstr(said, "1 points that hosts"));
	log_set_sink(NULL, NULL);
	log_set_level(LOG_ERROR);
	manifest_free(m);
	manifest_free(second);
}

/* ---- beside prunes and repairs ---- */

static void
test_public_prune_beside_hosts(void **state)
{
	struct manifest *first = backup(host, &im, NULL, NULL), *m;
	struct store_prune_result pruned;
	struct err err = ERR_INIT;
	struct image now;

	(void)state;
	make_host("b");
	image_copy(&now, &im);
	image_fill(&now, 0, 30 * BLOCK, 50, false);
	m = backup(host, &now, first, &im);
	assert_int_equal(store_point_forget(rig.store, first->id, &err), 0);
	assert_int_equal(rig_prune(rig.store, &pruned, &err), 0);
	assert_true(pruned.bytes_freed > 0);
	manifest_free(first);
	expect(m->id, &now);
	/* The next builds on it, though packs were written anew. */
	first = m;
	image_fini(&im);
	image_copy(&im, &now);
	image_fill(&now, 100 * BLOCK, BLOCK, 51, false);
	m = backup(host, &now, first, &im);
	assert_int_equal(m->disks[0].new_bytes, BLOCK);
	expect(m->id, &now);
	/* What has gone is stored anew. */
	manifest_free(first);
	image_fill(&im, 0, 30 * BLOCK, 1, false);
	first = backup(host, &im, NULL, NULL);
	expect(first->id, &im);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	manifest_free(first);
	manifest_free(m);
	image_fini(&now);
}

static void
test_public_prune_waits_for_a_host(void **state)
{
	struct store_session_options options = { .points = 1, .threads = 1 };
	struct manifest *first = backup(host, &im, NULL, NULL), *m;
	struct store_prune_options prune = { .silence_ms = 1 };
	struct store_prune_result pruned;
	struct store_session *session;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(
	    store_session_begin(&session, host, &options, &err), 0);
	assert_int_equal(store_session_base(session, first, &err), 1);
	assert_int_equal(store_point_forget(rig.store, first->id, &err), 0);
	/* It is given up, for it does not beat, and told so. */
	assert_int_equal(store_prune(rig.store, &prune, &pruned, &err), 0);
	assert_int_equal(pruned.sessions_dead, 1);
	m = manifest_new();
	m->domain = strdup("vm");
	m->uuid = strdup("u");
	m->host = strdup("h");
	m->consistency_reason = strdup("");
	m->checkpoint = strdup("");
	m->definition_xml = strdup("");
	assert_int_equal(store_session_commit(session, m, &err), -1);
	expect_words(&err, ERR_TIMEOUT, "given up");
	store_session_end(session);
	manifest_free(m);
	manifest_free(first);
}

/* A host cannot look, but it reads the owner's marks. */
static void
test_public_host_stores_anew_what_a_repair_marked(void **state)
{
	const struct store_repair_options options = { .threads = 1 };
	struct manifest *m = backup(host, &im, NULL, NULL), *next;
	struct store_repair_result result;
	struct err err = ERR_INIT;
	uint8_t *bytes;
	size_t size, i;

	(void)state;
	rig_keys(&rig, &keys, "packs/");
	for (i = 0; i < keys.count; i++) {
		bytes = load(keys.key[i], &size);
		if (size > 20 * BLOCK) {
			bytes[size / 2] ^= 1;
			place(keys.key[i], bytes, size);
		}
		free(bytes);
	}
	assert_int_equal(
	    store_repair(rig.store, &options, NULL, NULL, &result, &err), 0);
	assert_int_equal(result.packs_marked, 1);
	assert_int_equal(result.points_marked, 1);
	next = backup(host, &im, NULL, NULL);
	assert_true(next->disks[0].new_bytes > 0);
	expect(next->id, &im);
	/* The older point is healed by it. */
	expect(m->id, &im);
	manifest_free(next);
	manifest_free(m);
}

/* ---- a host that was taken ---- */

/* A pack that says it has the blocks of im, and has nothing of them. */
static void
put_lying_pack(uint8_t pack_id[OBJECT_ID_BYTES])
{
	struct index_set *set = calloc(1, sizeof(*set));
	char key[OBJECT_KEY_SIZE];
	uint8_t id[OBJECT_ID_BYTES], *junk = calloc(1, BLOCK);
	struct backend *b = rig_backend(&rig);
	struct err err = ERR_INIT;
	struct pack_blob blob = { .type = BLOB_DATA, .size = BLOCK };
	struct digest *d;
	struct pack *p;
	unsigned int i;

	assert_int_equal(digest_new(&d, host->seal, &err), 0);
	assert_int_equal(pack_new(&p, host->seal, &err), 0);
	for (i = 0; i < 30; i++) {
		digest_of(d, blob.hash, im.bytes + i * BLOCK, BLOCK, &err);
		assert_int_equal(pack_add_frame(p, FRAME_RAW, junk, BLOCK,
				     BLOCK, &blob, 1, &err),
		    0);
	}
	assert_int_equal(pack_finish(p, &err), 0);
	memcpy(pack_id, p->id, OBJECT_ID_BYTES);
	assert_int_equal(backend_put(b, object_key(key, OBJECT_PACK, p->id),
			     p->data, p->size, &err),
	    0);
	index_set_add(set, p->id, p->size, &p->table);
	assert_int_equal(index_put(b, host->seal, set, id, &err), 0);
	index_set_free(set);
	pack_free(p);
	digest_free(d);
	backend_close(b);
	free(junk);
}

/* An index that says of each pack that there is nothing in it. */
static void
put_lying_index(void)
{
	struct index_set *set = calloc(1, sizeof(*set));
	struct backend *b = rig_backend(&rig);
	struct pack_table table;
	struct err err = ERR_INIT;
	uint8_t id[OBJECT_ID_BYTES];
	unsigned int i;

	rig_keys(&rig, &keys, "packs/");
	for (i = 0; i < keys.count; i++) {
		table = (struct pack_table){ .frames = NULL };
		assert_int_equal(
		    object_key_parse(id, OBJECT_PACK, keys.key[i]), 0);
		index_set_add(set, id, 1 << 20, &table);
	}
	assert_int_equal(index_put(b, host->seal, set, id, &err), 0);
	index_set_free(set);
	backend_close(b);
}

static void
prune_all(void)
{
	const struct store_prune_options options = { .silence_ms = 1,
		.live_percent = 99 };
	struct store_prune_result result;
	struct err err = ERR_INIT;

	if (store_prune(rig.store, &options, &result, &err) == -1)
		fail_msg("prune: %s", err.text);
}

static void
test_public_lying_pack_displaces_nothing(void **state)
{
	struct manifest *m = backup(host, &im, NULL, NULL), *next;
	char key[OBJECT_KEY_SIZE];
	uint8_t id[OBJECT_ID_BYTES];
	struct image now;

	(void)state;
	image_copy(&now, &im);
	image_fill(&now, 2 * BLOCK, BLOCK, 70, false);
	next = backup(host, &now, m, &im);
	put_lying_pack(id);
	prune_all();
	prune_all();
	/* Once it is out of the way, nothing is missing. */
	place(object_key(key, OBJECT_PACK, id), NULL, 0);
	prune_all();
	expect(m->id, &im);
	expect(next->id, &now);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	image_fini(&now);
	manifest_free(m);
	manifest_free(next);
}

static void
test_public_lying_index_is_not_believed(void **state)
{
	struct manifest *m = backup(host, &im, NULL, NULL);

	unsigned int i;

	(void)state;
	/* Of several that name a pack the first is taken, by its id. */
	for (i = 0; i < 12; i++)
		put_lying_index();
	prune_all();
	expect(m->id, &im);
	rig_reopen(&rig);
	expect(m->id, &im);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	manifest_free(m);
}

/* What a prune has written anew is not written anew again, and the old goes,
 * though another prune comes between. */
static void
test_public_prune_trusts_its_own_packs(void **state)
{
	struct manifest *m = backup(host, &im, NULL, NULL), *next;
	struct store_prune_result pruned;
	struct err err = ERR_INIT;
	struct image now;
	uint64_t bytes;

	(void)state;
	image_copy(&now, &im);
	image_fill(&now, 0, 25 * BLOCK, 71, false);
	next = backup(host, &now, m, &im);
	assert_int_equal(store_point_forget(rig.store, m->id, &err), 0);
	assert_int_equal(rig_prune(rig.store, &pruned, &err), 0);
	assert_true(pruned.packs_rewritten > 0);
	rig_keys(&rig, &keys, "packs/");
	bytes = keys.bytes;
	assert_true(bytes < 50 * BLOCK);
	assert_int_equal(rig_prune(rig.store, &pruned, &err), 0);
	assert_int_equal(pruned.packs_rewritten, 0);
	rig_keys(&rig, &keys, "packs/");
	assert_int_equal(keys.bytes, bytes);
	expect(next->id, &now);
	image_fini(&now);
	manifest_free(m);
	manifest_free(next);
}

/* ---- lost answers and lost memory ---- */

static void
test_public_host_settles_a_lost_answer(void **state)
{
	struct wrap_fault_plan plan = { .ops = WRAP_FAULT_PUT,
		.once = true,
		.after = true,
		.class = ERR_IO };
	const struct wrap_fault_plan none = { .ops = 0 };
	struct manifest *m;
	struct err err = ERR_INIT;
	unsigned int done = 0;

	(void)state;
	/* Each put in turn is done, and the answer lost. */
	for (plan.fail_at = 1; plan.fail_at < 8; plan.fail_at++) {
		image_fill(&im, 0, BLOCK, (unsigned int)plan.fail_at, false);
		wrap_fault_set(&rig.fault, &plan);
		if (rig_backup(&rig, host, &m, &im, NULL, NULL, &err) == 0) {
			wrap_fault_set(&rig.fault, &none);
			expect(m->id, &im);
			manifest_free(m);
			done++;
		}
		err_clear(&err);
	}
	wrap_fault_set(&rig.fault, &none);
	/* All but those of packs and indexes, which fail the run. */
	assert_true(done >= 3);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
}

static void
test_public_memory_is_swept(void **state)
{
	struct manifest *m = backup(host, &im, NULL, NULL), *next;
	static uint8_t raw[5000][MAP_PIECE_BYTES], hash[5000][DIGEST_BYTES];
	struct err err = ERR_INIT;
	uint64_t now, swept;
	struct idset points;
	struct image later;
	unsigned int i;

	(void)state;
	for (i = 0; i < 5000; i++) {
		hash[i][0] = (uint8_t)i;
		hash[i][1] = (uint8_t)(i >> 8);
		hash[i][2] = 77;
	}
	for (i = 0; i < 3; i++) {
		image_copy(&later, &im);
		image_fill(&later, 40 * BLOCK, BLOCK, 60 + i, false);
		next = backup(host, &later, m, &im);
		manifest_free(m);
		image_fini(&im);
		im = later;
		m = next;
	}
	assert_int_equal(hostmemory_keep_pieces(host->index,
			     (const uint8_t(*)[DIGEST_BYTES])hash,
			     (const uint8_t *)raw, 5000, &err),
	    0);
	/* The next session begins with it. */
	image_copy(&later, &im);
	image_fill(&later, 41 * BLOCK, BLOCK, 90, false);
	next = backup(host, &later, m, &im);
	expect(next->id, &later);
	assert_int_equal(hostmemory_pieces(&now, &swept, host->index, &err), 0);
	assert_true(swept > 0 && now < 40);
	assert_int_equal(hostmemory_points(&points, host->index, &err), 0);
	assert_int_equal(points.count, HOSTMEMORY_POINTS + 1);
	idset_fini(&points);
	image_fini(&later);
	manifest_free(next);
	manifest_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		CASE(test_public_host_adds_full_points),
		CASE(test_public_host_adds_incrementals),
		CASE(test_public_owner_adds_points_beside_hosts),
		CASE(test_public_host_reads_nothing),
		CASE(test_public_host_says_what_it_cannot_do),
		CASE(test_public_host_cannot_forget),
		CASE(test_public_wrong_and_missing_keys_are_told),
		CASE(test_public_host_without_its_state_is_refused),
		CASE(test_public_forged_points_are_told),
		CASE(test_public_points_of_no_host_are_told),
		CASE(test_public_forged_epochs_are_told),
		CASE(test_public_host_sees_that_a_repository_was_set_back),
		CASE(test_public_chain_set_back_is_told),
		CASE(test_public_points_that_are_missing_are_told),
		CASE(test_public_prune_beside_hosts),
		CASE(test_public_prune_waits_for_a_host),
		CASE(test_public_host_stores_anew_what_a_repair_marked),
		CASE(test_public_lying_pack_displaces_nothing),
		CASE(test_public_lying_index_is_not_believed),
		CASE(test_public_prune_trusts_its_own_packs),
		CASE(test_public_host_settles_a_lost_answer),
		CASE(test_public_memory_is_swept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
