/* SPDX-License-Identifier: Apache-2.0 */
/* A repository of mode public: hosts that may only add, the owner who reads. */
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
#include "store/localindex_internal.h"
#include "store/points.h"
#include "store/seal/hostkey.h"
#include "store/seal/slot.h"
#include "tests/unit/plain_manifest.h"
#include "tests/unit/public_rig.h"

/* ---- adding and reading ---- */

static void
test_public_host_adds_full_points(void **state)
{
	struct store_verify_result result;
	struct manifest *m;

	(void)state;
	m = public_backup(public_host, &public_im, NULL, NULL);
	public_expect(m->id, &public_im);
	manifest_free(m);
	/* The same again costs nothing: it knows what it has put. */
	rig_keys(&public_rig, &public_keys, "packs/");
	m = public_backup(public_host, &public_im, NULL, NULL);
	public_expect(m->id, &public_im);
	assert_int_equal(m->disks[0].new_bytes, 0);
	manifest_free(m);
	assert_int_equal(rig_verify(public_rig.store, &result), 0);
	assert_int_equal(result.points_checked, 2);
}

static void
test_public_host_adds_incrementals(void **state)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL),
			*next, *read;
	struct err err = ERR_INIT;
	struct image now;
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		/* As another process of the host, without its parent. */
		store_close(public_host);
		public_host = public_open_host("a");
		assert_int_equal(
		    store_manifest_read(&read, public_host, m->id, &err), 0);
		image_copy(&now, &public_im);
		image_fill(&now, (7 + 40 * i) * BLOCK, 2 * BLOCK, 9 + i, false);
		next = public_backup(public_host, &now, read, &public_im);
		public_expect(next->id, &now);
		assert_int_equal(next->disks[0].new_bytes, 2 * BLOCK);
		assert_string_equal(next->parent, m->id);
		manifest_free(read);
		manifest_free(m);
		image_fini(&public_im);
		m = next;
		public_im = now;
	}
	manifest_free(m);
	assert_int_equal(rig_verify(public_rig.store, NULL), 0);
}

static void
test_public_owner_adds_points_beside_hosts(void **state)
{
	struct manifest *mine =
	    public_backup(public_rig.store, &public_im, NULL, NULL);
	struct manifest *theirs =
	    public_backup(public_host, &public_im, NULL, NULL);
	struct err err = ERR_INIT;
	struct manifest *next;
	struct store *other;
	struct image now;

	(void)state;
	/* What the owner has put is not known to the host. */
	assert_int_equal(theirs->disks[0].new_bytes, 40 * BLOCK);
	public_expect(mine->id, &public_im);
	public_expect(theirs->id, &public_im);
	/* Nor where it has the owner's state folder. */
	public_make_host("b");
	assert_int_equal(public_try_host(&other, "b", "cache", &err), 0);
	next = public_backup(other, &public_im, NULL, NULL);
	assert_int_equal(next->disks[0].new_bytes, 40 * BLOCK);
	manifest_free(next);
	store_close(other);
	image_copy(&now, &public_im);
	image_fill(&now, 0, BLOCK, 77, false);
	next = public_backup(public_rig.store, &now, theirs, &public_im);
	public_expect(next->id, &now);
	image_fini(&now);
	manifest_free(next);
	manifest_free(mine);
	manifest_free(theirs);
}

/* ---- what a host cannot ---- */

static void
test_public_host_reads_nothing(void **state)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL),
			*read;
	struct manifest *other =
	    public_backup(public_rig.store, &public_im, NULL, NULL);
	struct err err = ERR_INIT;
	struct image out;

	(void)state;
	assert_int_equal(rig_read(public_host, m, &out, &err), -1);
	public_expect_words(&err, ERR_AUTH, "a host key");
	assert_true(err.hint[0] != '\0');
	image_fini(&out);
	err_clear(&err);
	assert_int_equal(
	    store_manifest_read(&read, public_host, other->id, &err), -1);
	public_expect_words(&err, ERR_AUTH, "a host key opens nothing");
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
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL);
	char id[HEXID_SIZE], path[300];
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(
	    store_verify(public_host, &verify, NULL, NULL, &verified, &err),
	    -1);
	public_expect_words(&err, ERR_AUTH, "nothing can be verified");
	assert_int_equal(
	    store_repair(public_host, &repair, NULL, NULL, &repaired, &err),
	    -1);
	public_expect_words(&err, ERR_AUTH, "a host key");
	assert_int_equal(rig_prune(public_host, &pruned, &err), -1);
	public_expect_words(&err, ERR_AUTH, "nothing can be pruned");
	assert_int_equal(store_point_forget(public_host, m->id, &err), -1);
	public_expect_words(&err, ERR_AUTH, "no point can be forgotten");
	assert_int_equal(
	    store_key_host(public_host, id, public_path_of(path, "c"), &err),
	    -1);
	public_expect_words(&err, ERR_AUTH, "no host key can be made");
	assert_int_equal(
	    store_key_add(public_host, id, &rig_key, "x", NULL, &err), -1);
	public_expect_words(&err, ERR_AUTH, "makes no key slot");
	store_key_opened(id, public_rig.store);
	assert_int_equal(store_key_remove(public_host, id, &err), -1);
	public_expect_words(&err, ERR_AUTH, "no key can be removed");
	manifest_free(m);
}

/* No word of a host's is a word: it is not signed. */
static void
test_public_host_cannot_forget(void **state)
{
	const char *text = "{\"word\": \"gone\", \"time\": "
			   "\"2026-01-01T00:00:00Z\", \"key\": \"x\"}";
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL);
	struct backend *b = rig_backend(&public_rig);
	uint8_t id[OBJECT_ID_BYTES] = { 1 };
	struct store_prune_result pruned;
	char key[OBJECT_KEY_SIZE];
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(store_point_forget(public_rig.store, m->id, &err), 0);
	assert_int_equal(
	    store_point_unforget(public_rig.store, m->id, &err), 0);
	public_expect(m->id, &public_im);
	/* A host's key makes no signature, whatever the program does. */
	snprintf(key, sizeof(key), "forgotten/%s/2", m->id);
	assert_int_equal(envelope_put(b, public_host->seal, key, OBJECT_WORD,
			     id, text, strlen(text), false, &err),
	    -1);
	public_expect_words(&err, ERR_AUTH, "a host key signs nothing");
	err_clear(&err);
	/* Nor is a plain one taken. */
	assert_int_equal(envelope_put(b, NULL, key, OBJECT_WORD, id, text,
			     strlen(text), false, &err),
	    0);
	backend_close(b);
	assert_int_equal(
	    store_point_was_forgotten(public_rig.store, m->id, &err), -1);
	public_expect_words(&err, ERR_CORRUPT, "it is not signed");
	err_clear(&err);
	assert_int_equal(rig_prune(public_rig.store, &pruned, &err), -1);
	public_expect_words(&err, ERR_CORRUPT, "it is not signed");
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
	assert_int_equal(
	    rig_open_with(&public_rig, &s, public_rig.cache, NULL, &err), -1);
	public_expect_words(&err, ERR_AUTH, "encrypted (public-key, ");
	rig_init_public(&other);
	snprintf(key, sizeof(key), "%.200s/k", other.root);
	assert_int_equal(store_key_host(other.store, id, key, &err), 0);
	secret = public_secret_of(key);
	assert_int_equal(
	    rig_open_with(&public_rig, &s, public_rig.cache, &secret, &err),
	    -1);
	public_expect_words(&err, ERR_AUTH, "of another repository");
	rig_fini(&other);
	/* A file of that name stays. */
	assert_int_equal(store_key_host(public_rig.store, id,
			     public_path_of(path, "a"), &err),
	    -1);
	public_expect_words(&err, ERR_EXISTS, "cannot make");
	assert_int_equal(public_try_host(&s, "none", "state-a", &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
}

/* What it has begun with is in its state alone. */
static void
test_public_host_without_its_state_is_refused(void **state)
{
	struct err err = ERR_INIT;
	struct store *s;

	(void)state;
	manifest_free(public_backup(public_host, &public_im, NULL, NULL));
	assert_int_equal(public_try_host(&s, "a", "state-c", &err), -1);
	public_expect_words(&err, ERR_NOT_FOUND, "is not there");
	assert_true(strstr(err.hint, "new host key") != NULL);
}

/* ---- beside prunes and repairs ---- */

static void
test_public_prune_beside_hosts(void **state)
{
	struct manifest *first =
			    public_backup(public_host, &public_im, NULL, NULL),
			*m;
	struct store_prune_result pruned;
	struct err err = ERR_INIT;
	struct image now;

	(void)state;
	public_make_host("b");
	image_copy(&now, &public_im);
	image_fill(&now, 0, 30 * BLOCK, 50, false);
	m = public_backup(public_host, &now, first, &public_im);
	assert_int_equal(
	    store_point_forget(public_rig.store, first->id, &err), 0);
	assert_int_equal(rig_prune(public_rig.store, &pruned, &err), 0);
	assert_true(pruned.bytes_freed > 0);
	manifest_free(first);
	public_expect(m->id, &now);
	/* The next builds on it, though packs were written anew. */
	first = m;
	image_fini(&public_im);
	image_copy(&public_im, &now);
	image_fill(&now, 100 * BLOCK, BLOCK, 51, false);
	m = public_backup(public_host, &now, first, &public_im);
	assert_int_equal(m->disks[0].new_bytes, BLOCK);
	public_expect(m->id, &now);
	/* What has gone is stored anew. */
	manifest_free(first);
	image_fill(&public_im, 0, 30 * BLOCK, 1, false);
	first = public_backup(public_host, &public_im, NULL, NULL);
	public_expect(first->id, &public_im);
	assert_int_equal(rig_verify(public_rig.store, NULL), 0);
	manifest_free(first);
	manifest_free(m);
	image_fini(&now);
}

static void
test_public_prune_waits_for_a_host(void **state)
{
	struct store_session_options options = { .points = 1, .threads = 1 };
	struct manifest *first =
			    public_backup(public_host, &public_im, NULL, NULL),
			*m;
	struct store_prune_options prune = { .silence_ms = 1 };
	struct store_prune_result pruned;
	struct store_session *session;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(
	    store_session_begin(&session, public_host, &options, &err), 0);
	assert_int_equal(store_session_base(session, first, &err), 1);
	assert_int_equal(
	    store_point_forget(public_rig.store, first->id, &err), 0);
	/* It is given up, for it does not beat, and told so. */
	assert_int_equal(
	    store_prune(public_rig.store, &prune, &pruned, &err), 0);
	assert_int_equal(pruned.sessions_dead, 1);
	m = plain_manifest("vm", "u", "h", 0, NULL);
	assert_int_equal(store_session_commit(session, m, &err), -1);
	public_expect_words(&err, ERR_TIMEOUT, "given up");
	store_session_end(session);
	manifest_free(m);
	manifest_free(first);
}

/* A host cannot look, but it reads the owner's marks. */
static void
test_public_host_stores_anew_what_a_repair_marked(void **state)
{
	const struct store_repair_options options = { .threads = 1 };
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL),
			*next;
	struct store_repair_result result;
	struct err err = ERR_INIT;
	uint8_t *bytes;
	size_t size, i;

	(void)state;
	rig_keys(&public_rig, &public_keys, "packs/");
	for (i = 0; i < public_keys.count; i++) {
		bytes = rig_load(&public_rig, public_keys.key[i], &size);
		if (size > 20 * BLOCK) {
			bytes[size / 2] ^= 1;
			public_place(public_keys.key[i], bytes, size);
		}
		free(bytes);
	}
	assert_int_equal(
	    store_repair(public_rig.store, &options, NULL, NULL, &result, &err),
	    0);
	assert_int_equal(result.packs_marked, 1);
	assert_int_equal(result.points_marked, 1);
	next = public_backup(public_host, &public_im, NULL, NULL);
	assert_true(next->disks[0].new_bytes > 0);
	public_expect(next->id, &public_im);
	/* The older point is healed by it. */
	public_expect(m->id, &public_im);
	manifest_free(next);
	manifest_free(m);
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
		image_fill(
		    &public_im, 0, BLOCK, (unsigned int)plan.fail_at, false);
		wrap_fault_set(&public_rig.fault, &plan);
		if (rig_backup(&public_rig, public_host, &m, &public_im, NULL,
			NULL, &err) == 0) {
			wrap_fault_set(&public_rig.fault, &none);
			public_expect(m->id, &public_im);
			manifest_free(m);
			done++;
		}
		err_clear(&err);
	}
	wrap_fault_set(&public_rig.fault, &none);
	/* All but those of packs and indexes, which fail the run. */
	assert_true(done >= 3);
	assert_int_equal(rig_verify(public_rig.store, NULL), 0);
}

static void
test_public_memory_is_swept(void **state)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL),
			*next;
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
		image_copy(&later, &public_im);
		image_fill(&later, 40 * BLOCK, BLOCK, 60 + i, false);
		next = public_backup(public_host, &later, m, &public_im);
		manifest_free(m);
		image_fini(&public_im);
		public_im = later;
		m = next;
	}
	assert_int_equal(hostmemory_keep_pieces(public_host->index,
			     (const uint8_t(*)[DIGEST_BYTES])hash,
			     (const uint8_t *)raw, 5000, &err),
	    0);
	/* The next session begins with it. */
	image_copy(&later, &public_im);
	image_fill(&later, 41 * BLOCK, BLOCK, 90, false);
	next = public_backup(public_host, &later, m, &public_im);
	public_expect(next->id, &later);
	assert_int_equal(
	    hostmemory_pieces(&now, &swept, public_host->index, &err), 0);
	assert_true(swept > 0 && now < 40);
	assert_int_equal(
	    hostmemory_points(&points, public_host->index, &err), 0);
	assert_int_equal(points.count, HOSTMEMORY_POINTS + 1);
	idset_fini(&points);
	image_fini(&later);
	manifest_free(next);
	manifest_free(m);
}

static void
test_public_damaged_memory_is_cleared(void **state)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL),
			*next;
	struct image now;

	(void)state;
	localindex_note_damage(public_host->index, "a test says so");
	image_copy(&now, &public_im);
	image_fill(&now, 3 * BLOCK, BLOCK, 91, false);
	/* What was known is not known any more, but the base is. */
	next = public_backup(public_host, &now, m, &public_im);
	assert_int_equal(next->disks[0].new_bytes, BLOCK);
	assert_false(localindex_damaged(public_host->index));
	public_expect(next->id, &now);
	manifest_free(m);
	m = public_backup(public_host, &now, NULL, NULL);
	assert_int_equal(m->disks[0].new_bytes, 39 * BLOCK);
	public_expect(m->id, &now);
	image_fini(&now);
	manifest_free(next);
	manifest_free(m);
}

/* ---- runs that were cut short ---- */

#define LONG_BLOCKS 1200 /* Two packs and a part of one. */
#define PACK_BLOCKS (PACK_TARGET_BYTES / BLOCK)

/* Two packs of it are put, and then the storage fails. */
static void
cut_short(const struct image *im)
{
	const struct wrap_fault_plan plan = {
		.ops = WRAP_FAULT_PUT, .fail_at = 4, .class = ERR_IO
	};
	const struct wrap_fault_plan none = { .ops = 0 };
	struct manifest *m;
	struct err err = ERR_INIT;

	wrap_fault_set(&public_rig.fault, &plan);
	assert_int_equal(
	    rig_backup(&public_rig, public_host, &m, im, NULL, NULL, &err), -1);
	wrap_fault_set(&public_rig.fault, &none);
	rig_keys(&public_rig, &public_keys, "packs/");
	assert_int_equal(public_keys.count, 2);
	rig_keys(&public_rig, &public_keys, "index/");
	assert_int_equal(public_keys.count, 0);
	store_close(public_host);
	public_host = public_open_host("a");
}

static void
test_public_host_goes_on_where_it_was_cut_short(void **state)
{
	struct manifest *m;
	struct image im;

	(void)state;
	image_init(&im, LONG_BLOCKS * BLOCK);
	image_fill(&im, 0, im.size, 5, false);
	cut_short(&im);
	m = public_backup(public_host, &im, NULL, NULL);
	assert_true(m->disks[0].new_bytes <=
		    (LONG_BLOCKS - 2 * PACK_BLOCKS + 32) * BLOCK);
	public_expect(m->id, &im);
	assert_int_equal(rig_verify(public_rig.store, NULL), 0);
	image_fini(&im);
	manifest_free(m);
}

/* A prune in between has taken the packs for garbage, and others come under
 * their names. */
static void
test_public_host_takes_no_strangers_for_its_own(void **state)
{
	struct store_prune_result pruned;
	uint8_t *bytes[2];
	struct err err = ERR_INIT;
	static struct keys packs;
	struct manifest *m;
	struct image im;
	size_t size[2];

	(void)state;
	image_init(&im, LONG_BLOCKS * BLOCK);
	image_fill(&im, 0, im.size, 5, false);
	cut_short(&im);
	rig_keys(&public_rig, &packs, "packs/");
	bytes[0] = rig_load(&public_rig, packs.key[0], &size[0]);
	bytes[1] = rig_load(&public_rig, packs.key[1], &size[1]);
	assert_int_equal(rig_prune(public_rig.store, &pruned, &err), 0);
	assert_int_equal(pruned.packs_removed, 2);
	memset(bytes[0] + 100, 0, size[0] / 2);
	memset(bytes[1] + 100, 0, size[1] / 2);
	public_place(packs.key[0], bytes[0], size[0]);
	public_place(packs.key[1], bytes[1], size[1]);
	m = public_backup(public_host, &im, NULL, NULL);
	assert_int_equal(m->disks[0].new_bytes, LONG_BLOCKS * BLOCK);
	public_expect(m->id, &im);
	free(bytes[0]);
	free(bytes[1]);
	image_fini(&im);
	manifest_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, public_setup, public_teardown)
		CASE(test_public_host_adds_full_points),
		CASE(test_public_host_adds_incrementals),
		CASE(test_public_owner_adds_points_beside_hosts),
		CASE(test_public_host_reads_nothing),
		CASE(test_public_host_says_what_it_cannot_do),
		CASE(test_public_host_cannot_forget),
		CASE(test_public_wrong_and_missing_keys_are_told),
		CASE(test_public_host_without_its_state_is_refused),
		CASE(test_public_prune_beside_hosts),
		CASE(test_public_prune_waits_for_a_host),
		CASE(test_public_host_stores_anew_what_a_repair_marked),
		CASE(test_public_host_settles_a_lost_answer),
		CASE(test_public_memory_is_swept),
		CASE(test_public_damaged_memory_is_cleared),
		CASE(test_public_host_goes_on_where_it_was_cut_short),
		CASE(test_public_host_takes_no_strangers_for_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
