/* SPDX-License-Identifier: Apache-2.0 */
/* What forgeries come to in a repository of mode public. */
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
#include "tests/unit/public_rig.h"

/* ---- forgeries ---- */

static char *
point_key(char out[OBJECT_KEY_SIZE], const struct manifest *m)
{
	snprintf(out, OBJECT_KEY_SIZE, "points/%s", m->id);
	return out;
}

static void
test_forged_public_forged_points_are_told(void **state)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL),
			*read;
	struct manifest *old =
	    public_backup(public_host, &public_im, NULL, NULL);
	char key[OBJECT_KEY_SIZE], other[OBJECT_KEY_SIZE];
	struct err err = ERR_INIT;
	size_t size, other_size;
	uint8_t *bytes = rig_load(&public_rig, point_key(key, m), &size), *copy;

	(void)state;
	point_key(other, old);
	/* Its mark's MAC, its number, its host, its body. */
	bytes[size - DIGEST_BYTES - 1] ^= 1;
	public_mend(bytes, size);
	public_place(key, bytes, size);
	assert_int_equal(
	    store_manifest_read(&read, public_rig.store, m->id, &err), -1);
	public_expect_words(&err, ERR_CORRUPT, "its mark does not fit");
	bytes[size - DIGEST_BYTES - 1] ^= 1;
	bytes[size - DIGEST_BYTES - DIGEST_BYTES - 1] ^= 1;
	public_mend(bytes, size);
	public_place(key, bytes, size);
	assert_int_equal(
	    store_manifest_read(&read, public_rig.store, m->id, &err), -1);
	public_expect_words(&err, ERR_CORRUPT, "its mark does not fit");
	bytes[size - DIGEST_BYTES - DIGEST_BYTES - 1] ^= 1;
	bytes[100] ^= 1;
	public_mend(bytes, size);
	public_place(key, bytes, size);
	assert_int_equal(
	    store_manifest_read(&read, public_rig.store, m->id, &err), -1);
	public_expect_words(&err, ERR_CORRUPT, "its mark does not fit");
	/* The host itself sees that it is not what it put. */
	assert_int_equal(
	    store_manifest_read(&read, public_host, m->id, &err), -1);
	public_expect_words(&err, ERR_CORRUPT, "somebody has replaced it");
	bytes[100] ^= 1;
	/* Damage is another thing. */
	bytes[100] ^= 1;
	public_place(key, bytes, size - 1);
	assert_int_equal(
	    store_manifest_read(&read, public_rig.store, m->id, &err), -1);
	public_expect_words(&err, ERR_CORRUPT, "its checksum is wrong");
	/* An old one under a new name. */
	copy = rig_load(&public_rig, other, &other_size);
	public_place(key, copy, other_size);
	assert_int_equal(
	    store_manifest_read(&read, public_rig.store, m->id, &err), -1);
	public_expect_words(&err, ERR_CORRUPT, "replayed under a new name");
	public_place(other, NULL, 0);
	assert_int_equal(
	    store_manifest_read(&read, public_rig.store, m->id, &err), -1);
	public_expect_words(&err, ERR_CORRUPT, ", renamed");
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
test_forged_public_points_of_no_host_are_told(void **state)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL),
			*read;
	struct backend *b = rig_backend(&public_rig);
	uint8_t id[OBJECT_ID_BYTES] = { 7 }, *object, *real;
	struct envelope_body body = { "{}", 2, false };
	struct envelope_marks marks = { .make = no_mark };
	struct store_verify_result result;
	char key[OBJECT_KEY_SIZE], hex[HEXID_SIZE];
	struct err err = ERR_INIT;
	size_t size;

	(void)state;
	real = rig_load(&public_rig, point_key(key, m), &size);
	marks.arg = real + size - DIGEST_BYTES - 56;
	hex_encode(hex, id, sizeof(id));
	object_key(key, OBJECT_MANIFEST, id);
	assert_int_equal(envelope_make(&object, &size, public_host->seal,
			     &marks, key, OBJECT_MANIFEST, id, &body, &err),
	    0);
	public_place(key, object, size);
	assert_int_equal(
	    store_manifest_read(&read, public_rig.store, hex, &err), -1);
	public_expect_words(
	    &err, ERR_CORRUPT, "no host of this repository made it");
	/* As a verify says, too. */
	assert_int_equal(rig_verify(public_rig.store, &result), 2);
	assert_int_equal(result.damaged_points, 1);
	free(object);
	free(real);
	/* One that is not sealed at all. */
	public_place(key, NULL, 0);
	assert_int_equal(envelope_put(b, NULL, key, OBJECT_MANIFEST, id, "{}",
			     2, false, &err),
	    0);
	assert_int_equal(
	    store_manifest_read(&read, public_rig.store, hex, &err), -1);
	public_expect_words(&err, ERR_CORRUPT, "it is not sealed");
	backend_close(b);
	manifest_free(m);
}

static void
test_forged_public_forged_epochs_are_told(void **state)
{
	struct store_session_options options = { .threads = 1 };
	struct store_session *session;
	struct err err = ERR_INIT;
	struct backend *b = rig_backend(&public_rig);
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
	    store_session_begin(&session, public_host, &options, &err), -1);
	public_expect_words(&err, ERR_CORRUPT, "it is not signed");
	/* The first one again, under another number. */
	bytes = rig_load(&public_rig, "epochs/0", &size);
	public_place("epochs/1", bytes, size);
	assert_int_equal(
	    store_session_begin(&session, public_host, &options, &err), -1);
	public_expect_words(&err, ERR_CORRUPT, "its signature does not fit");
	/* Changed. */
	public_place("epochs/1", NULL, 0);
	bytes[60] ^= 1;
	public_mend(bytes, size);
	public_place("epochs/0", bytes, size);
	store_close(public_host);
	public_host = public_open_host("a");
	assert_int_equal(
	    store_session_begin(&session, public_host, &options, &err), -1);
	public_expect_words(&err, ERR_CORRUPT, "its signature does not fit");
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

	rig_keys(&public_rig, &public_keys, "points/");
	for (i = 0; i < public_keys.count; i++) {
		snprintf(id, sizeof(id), "%.32s", public_keys.key[i] + 7);
		assert_int_equal(store_point_forget(s, id, &err), 0);
	}
	assert_int_equal(rig_prune(s, &pruned, &err), 0);
}

static void
test_forged_public_host_sees_that_a_repository_was_set_back(void **state)
{
	struct store_session_options options = { .threads = 1 };
	struct store_session *session;
	struct err err = ERR_INIT;
	unsigned int i;
	char index[400];

	(void)state;
	manifest_free(public_backup(public_host, &public_im, NULL, NULL));
	forget_all(public_rig.store);
	manifest_free(public_backup(public_host, &public_im, NULL, NULL));
	rig_keys(&public_rig, &public_keys, "epochs/");
	assert_true(public_keys.count > 1);
	for (i = 0; i < public_keys.count; i++) {
		if (strcmp(public_keys.key[i], "epochs/0") != 0)
			public_place(public_keys.key[i], NULL, 0);
	}
	snprintf(index, sizeof(index), "%.390s", public_host->cache_dir);
	store_close(public_host);
	public_host = public_open_host("a");
	assert_int_equal(
	    store_session_begin(&session, public_host, &options, &err), -1);
	public_expect_words(&err, ERR_CORRUPT, "the repository was set back");
	/* Nor is that in its cache, which two backups that are killed throw
	 * away. */
	store_close(public_host);
	err_clear(&err);
	assert_int_equal(io_remove_tree(index, &err), 0);
	public_host = public_open_host("a");
	assert_int_equal(
	    store_session_begin(&session, public_host, &options, &err), -1);
	public_expect_words(&err, ERR_CORRUPT, "the repository was set back");
}

/* A host whose state was put back makes a number twice. */
static void
test_forged_public_chain_set_back_is_told(void **state)
{
	char path[300], hex[HEXID_SIZE], chain[400];
	struct store_verify_result result;
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL);
	struct err err = ERR_INIT;
	struct hostkey key;
	char *text;
	size_t size;

	(void)state;
	manifest_free(m);
	assert_int_equal(
	    hostkey_read(&key, public_path_of(path, "a"), &err), 0);
	hex_encode(hex, key.host, sizeof(key.host));
	snprintf(chain, sizeof(chain), "%.200s/state-a/hosts/%s/chain",
	    public_rig.root, hex);
	assert_int_equal(io_read_file(&text, &size, chain, 4096, &err), 0);
	manifest_free(public_backup(public_host, &public_im, NULL, NULL));
	assert_int_equal(rig_verify(public_rig.store, NULL), 0);
	assert_int_equal(io_replace_file(chain, text, size, 0600, &err), 0);
	manifest_free(public_backup(public_host, &public_im, NULL, NULL));
	assert_int_equal(rig_verify(public_rig.store, &result), 1);
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
test_forged_public_points_that_are_missing_are_told(void **state)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL);
	struct manifest *second =
	    public_backup(public_host, &public_im, NULL, NULL);
	struct store_prune_result pruned;
	char key[OBJECT_KEY_SIZE];
	struct err err = ERR_INIT;

	(void)state;
	manifest_free(public_backup(public_host, &public_im, NULL, NULL));
	log_set_level(LOG_WARNING);
	log_set_sink(note_said, NULL);
	said[0] = '\0';
	/* Forgotten and pruned: no word of it. */
	assert_int_equal(store_point_forget(public_rig.store, m->id, &err), 0);
	assert_int_equal(rig_prune(public_rig.store, &pruned, &err), 0);
	assert_int_equal(rig_verify(public_rig.store, NULL), 0);
	assert_string_equal(said, "");
	public_place(point_key(key, second), NULL, 0);
	assert_int_equal(rig_verify(public_rig.store, NULL), 0);
	assert_non_null(strstr(said, "1 points that hosts"));
	log_set_sink(NULL, NULL);
	log_set_level(LOG_ERROR);
	manifest_free(m);
	manifest_free(second);
}

/* ---- a host that was taken ---- */

static void
prune_all(void)
{
	const struct store_prune_options options = { .silence_ms = 1,
		.live_percent = 99 };
	struct store_prune_result result;
	struct err err = ERR_INIT;

	if (store_prune(public_rig.store, &options, &result, &err) == -1)
		fail_msg("prune: %s", err.text);
}

static void
test_forged_public_lying_pack_displaces_nothing(void **state)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL),
			*next;
	char key[OBJECT_KEY_SIZE];
	uint8_t id[OBJECT_ID_BYTES];
	struct err err = ERR_INIT;
	struct image now;

	(void)state;
	image_copy(&now, &public_im);
	image_fill(&now, 2 * BLOCK, BLOCK, 70, false);
	next = public_backup(public_host, &now, m, &public_im);
	hexid_random(id, sizeof(id), &err);
	public_put_liar(id);
	prune_all();
	prune_all();
	/* Once it is out of the way, nothing is missing. */
	public_place(object_key(key, OBJECT_PACK, id), NULL, 0);
	prune_all();
	public_expect(m->id, &public_im);
	public_expect(next->id, &now);
	assert_int_equal(rig_verify(public_rig.store, NULL), 0);
	image_fini(&now);
	manifest_free(m);
	manifest_free(next);
}

static void
test_forged_public_lying_index_is_not_believed(void **state)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL);

	(void)state;
	/* Of several that name a pack the first is taken, by its id. */
	public_put_lying_indexes(12);
	prune_all();
	public_expect(m->id, &public_im);
	rig_reopen(&public_rig);
	public_expect(m->id, &public_im);
	assert_int_equal(rig_verify(public_rig.store, NULL), 0);
	manifest_free(m);
}

/* What a prune has written anew is not written anew again, and the old goes,
 * though another prune comes between. */
static void
test_forged_public_prune_trusts_its_own_packs(void **state)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL),
			*next;
	struct store_prune_result pruned;
	struct err err = ERR_INIT;
	struct image now;
	uint64_t bytes;

	(void)state;
	image_copy(&now, &public_im);
	image_fill(&now, 0, 25 * BLOCK, 71, false);
	next = public_backup(public_host, &now, m, &public_im);
	assert_int_equal(store_point_forget(public_rig.store, m->id, &err), 0);
	assert_int_equal(rig_prune(public_rig.store, &pruned, &err), 0);
	assert_true(pruned.packs_rewritten > 0);
	rig_keys(&public_rig, &public_keys, "packs/");
	bytes = public_keys.bytes;
	assert_true(bytes < 50 * BLOCK);
	assert_int_equal(rig_prune(public_rig.store, &pruned, &err), 0);
	assert_int_equal(pruned.packs_rewritten, 0);
	rig_keys(&public_rig, &public_keys, "packs/");
	assert_int_equal(public_keys.bytes, bytes);
	public_expect(next->id, &now);
	image_fini(&now);
	manifest_free(m);
	manifest_free(next);
}

/* ---- ids that come free again ---- */

/* Packs that a prune of the owner's has put, as they were. */
struct own {
	char key[4][OBJECT_KEY_SIZE];
	uint8_t *bytes[4];
	size_t size[4];
	size_t count;
};

/* The host's point is forgotten but for its first blocks, and written anew. */
static void
make_own(struct own *own, char point[HEXID_SIZE])
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL),
			*next;
	struct store_prune_result pruned;
	static struct keys before;
	struct err err = ERR_INIT;
	struct image now;
	size_t i;

	memset(own, 0, sizeof(*own));
	image_copy(&now, &public_im);
	image_fill(&now, 0, 25 * BLOCK, 71, false);
	next = public_backup(public_host, &now, m, &public_im);
	rig_keys(&public_rig, &before, "packs/");
	assert_int_equal(store_point_forget(public_rig.store, m->id, &err), 0);
	assert_int_equal(rig_prune(public_rig.store, &pruned, &err), 0);
	assert_true(pruned.packs_rewritten > 0);
	rig_keys(&public_rig, &public_keys, "packs/");
	for (i = 0; i < public_keys.count; i++) {
		if (rig_has_key(&before, public_keys.key[i]))
			continue;
		assert_true(own->count < 4);
		strcpy(own->key[own->count], public_keys.key[i]);
		own->bytes[own->count] = rig_load(
		    &public_rig, public_keys.key[i], &own->size[own->count]);
		own->count++;
	}
	assert_true(own->count > 0);
	snprintf(point, HEXID_SIZE, "%s", next->id);
	image_fini(&now);
	manifest_free(m);
	manifest_free(next);
}

static void
own_fini(struct own *own)
{
	while (own->count > 0)
		free(own->bytes[--own->count]);
}

/* A prune of s removes them. */
static void
prune_own_away(struct store *s, const struct own *own, const char *point)
{
	struct store_prune_result pruned;
	struct err err = ERR_INIT;
	size_t i;

	assert_int_equal(store_point_forget(s, point, &err), 0);
	assert_int_equal(rig_prune(s, &pruned, &err), 0);
	rig_keys(&public_rig, &public_keys, "packs/");
	for (i = 0; i < own->count; i++)
		assert_false(rig_has_key(&public_keys, own->key[i]));
}

/* Lying packs under all of those ids; then nothing is missing without them. */
static void
expect_nothing_lost_to_liars(const struct own *own)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL);
	uint8_t id[OBJECT_ID_BYTES];
	size_t i;

	for (i = 0; i < own->count; i++) {
		object_key_parse(id, OBJECT_PACK, own->key[i]);
		public_put_liar(id);
	}
	prune_all();
	prune_all();
	for (i = 0; i < own->count; i++)
		public_place(own->key[i], NULL, 0);
	prune_all();
	public_expect(m->id, &public_im);
	assert_int_equal(rig_verify(public_rig.store, NULL), 0);
	manifest_free(m);
}

static void
test_forged_public_freed_id_is_not_trusted(void **state)
{
	char point[HEXID_SIZE];
	struct own own;

	(void)state;
	make_own(&own, point);
	prune_own_away(public_rig.store, &own, point);
	expect_nothing_lost_to_liars(&own);
	own_fini(&own);
}

/* Another machine's prune, of which this one has nothing but the lists. */
static void
test_forged_public_id_freed_elsewhere_is_not_trusted(void **state)
{
	char point[HEXID_SIZE], dir[300];
	struct store *other;
	struct own own;

	(void)state;
	make_own(&own, point);
	other =
	    rig_open_store(&public_rig, public_path_of(dir, "another-owner"));
	prune_own_away(other, &own, point);
	expect_nothing_lost_to_liars(&own);
	store_close(other);
	own_fini(&own);
}

/* The genuine table before frames of noise: who takes a host can have read
 * the pack while it was there. */
static void
put_hollow(struct own *own, struct index_set *set)
{
	uint8_t id[OBJECT_ID_BYTES], index[OBJECT_ID_BYTES];
	struct backend *b = rig_backend(&public_rig);
	struct pack_table table;
	struct err err = ERR_INIT;
	uint64_t size;
	size_t i, at;

	for (i = 0; i < own->count; i++) {
		/* Maps that lie end a prune, which asks for a repair. */
		if (own->size[i] < BLOCK)
			continue;
		object_key_parse(id, OBJECT_PACK, own->key[i]);
		public_place(own->key[i], own->bytes[i], own->size[i]);
		assert_int_equal(pack_read_table(&table, &size, b,
				     public_rig.store->seal, id, &err),
		    0);
		for (at = table.frames[0].offset;
		     at < table.frames[table.frame_count - 1].offset +
			      table.frames[table.frame_count - 1].stored_size;
		     at++)
			own->bytes[i][at] ^= 0x5a;
		public_place(own->key[i], own->bytes[i], own->size[i]);
		index_set_add(set, id, size, &table);
	}
	assert_int_equal(index_put(b, public_host->seal, set, index, &err), 0);
	backend_close(b);
}

static void
hollow_packs(bool lists_gone)
{
	struct index_set *set = calloc(1, sizeof(*set));
	char point[HEXID_SIZE], dir[300];
	struct manifest *m;
	struct image now;
	struct store *other;
	struct own own;
	size_t i;

	make_own(&own, point);
	other =
	    rig_open_store(&public_rig, public_path_of(dir, "another-owner"));
	prune_own_away(other, &own, point);
	/* The very blocks that they had. */
	image_copy(&now, &public_im);
	image_fill(&now, 0, 25 * BLOCK, 71, false);
	m = public_backup(public_host, &now, NULL, NULL);
	put_hollow(&own, set);
	rig_keys(&public_rig, &public_keys, "rolls/");
	for (i = 0; lists_gone && i + 1 < public_keys.count; i++)
		public_place(public_keys.key[i], NULL, 0);
	prune_all();
	prune_all();
	for (i = 0; i < own.count; i++)
		public_place(own.key[i], NULL, 0);
	prune_all();
	public_expect(m->id, &now);
	manifest_free(m);
	image_fini(&now);
	store_close(other);
	index_set_free(set);
	own_fini(&own);
}

static void
test_forged_public_hollow_pack_is_not_trusted(void **state)
{
	(void)state;
	hollow_packs(false);
}

/* So many epochs later that nobody knows what they doomed. */
static void
test_forged_public_hollow_pack_is_read(void **state)
{
	(void)state;
	hollow_packs(true);
}

/* Views of this machine are thrown away when two commands end badly. */
static void
test_forged_public_trust_outlives_the_views(void **state)
{
	char point[HEXID_SIZE], dir[300];
	struct err err = ERR_INIT;
	struct manifest *m;
	struct image now;
	struct own own;
	uint64_t bytes;

	(void)state;
	make_own(&own, point);
	snprintf(
	    dir, sizeof(dir), "%.200s/prune-0", public_rig.store->cache_dir);
	assert_int_equal(io_remove_tree(dir, &err), 0);
	rig_keys(&public_rig, &public_keys, "packs/");
	bytes = public_keys.bytes;
	/* The host stores anew what was moved, and that goes again. */
	image_copy(&now, &public_im);
	image_fill(&now, 0, 25 * BLOCK, 71, false);
	m = public_backup(public_host, &now, NULL, NULL);
	rig_keys(&public_rig, &public_keys, "packs/");
	assert_true(public_keys.bytes > bytes + 5 * BLOCK);
	prune_all();
	rig_keys(&public_rig, &public_keys, "packs/");
	assert_true(public_keys.bytes < bytes + BLOCK);
	public_expect(m->id, &now);
	image_fini(&now);
	manifest_free(m);
	own_fini(&own);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, public_setup, public_teardown)
		CASE(test_forged_public_forged_points_are_told),
		CASE(test_forged_public_points_of_no_host_are_told),
		CASE(test_forged_public_forged_epochs_are_told),
		CASE(
		    test_forged_public_host_sees_that_a_repository_was_set_back),
		CASE(test_forged_public_chain_set_back_is_told),
		CASE(test_forged_public_points_that_are_missing_are_told),
		CASE(test_forged_public_lying_pack_displaces_nothing),
		CASE(test_forged_public_lying_index_is_not_believed),
		CASE(test_forged_public_prune_trusts_its_own_packs),
		CASE(test_forged_public_freed_id_is_not_trusted),
		CASE(test_forged_public_id_freed_elsewhere_is_not_trusted),
		CASE(test_forged_public_hollow_pack_is_not_trusted),
		CASE(test_forged_public_hollow_pack_is_read),
		CASE(test_forged_public_trust_outlives_the_views),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
