/* SPDX-License-Identifier: Apache-2.0 */
/* Packs and indexes that lie, in a repository of mode public. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "store/damage.h"
#include "store/store_internal.h"
#include "tests/unit/public_rig.h"

/* A prune that ends without an error. */
static void
prune_within(uint64_t repack_bytes)
{
	const struct store_prune_options options = { .silence_ms = 1,
		.live_percent = 99,
		.repack_bytes = repack_bytes };
	struct store_prune_result result;
	struct err err = ERR_INIT;

	if (store_prune(public_rig.store, &options, &result, &err) == -1)
		fail_msg("prune: %s", err.text);
}

static void
prune_all(void)
{
	prune_within(0);
}

static void
repair(struct store_repair_result *result)
{
	const struct store_repair_options options = { .threads = 1 };
	struct err err = ERR_INIT;

	if (store_repair(
		public_rig.store, &options, NULL, NULL, result, &err) == -1)
		fail_msg("repair: %s", err.text);
}

/* The same disk, by a host that knows nothing of the first. */
static struct manifest *
backup_elsewhere(void)
{
	struct manifest *m;
	struct store *other;

	public_make_host("b");
	other = public_open_host("b");
	m = public_backup(other, &public_im, NULL, NULL);
	store_close(other);
	return m;
}

/* Every frame and, if asked, the table of each pack of a list. */
static void
spoil(const struct keys *packs, bool frames, bool tables)
{
	uint8_t *bytes;
	size_t i, at, size;

	for (i = 0; i < packs->count; i++) {
		bytes = rig_load(&public_rig, packs->key[i], &size);
		for (at = 100; frames && at + 4096 < size; at += 512)
			bytes[at] ^= 1;
		if (frames)
			bytes[100] ^= 2;
		if (tables)
			bytes[size - 80] ^= 1;
		public_place(packs->key[i], bytes, size);
		free(bytes);
	}
}

/* Packs that say they have the blocks of the disk, and come first. */
static void
put_liars(unsigned int count)
{
	uint8_t id[OBJECT_ID_BYTES] = { 0 };
	unsigned int i;

	for (i = 0; i < count; i++) {
		id[2] = (uint8_t)(i + 1);
		public_put_liar(id);
	}
}

static void
drop_indexes(void)
{
	size_t i;

	rig_keys(&public_rig, &public_keys, "index/");
	for (i = 0; i < public_keys.count; i++)
		public_place(public_keys.key[i], NULL, 0);
}

static void
test_liars_of_any_number_hide_no_copy(void **state)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL);
	struct store_verify_result found;
	struct store_repair_result result;

	(void)state;
	put_liars(9);
	/* Packs are asked in the order of their ids then. */
	drop_indexes();
	rig_reopen(&public_rig);
	public_expect(m->id, &public_im);
	rig_verify(public_rig.store, &found);
	assert_int_equal(found.damaged_objects, 9);
	assert_int_equal(found.damaged_points, 0);
	repair(&result);
	assert_int_equal(result.packs_marked, 9);
	public_expect(m->id, &public_im);
	manifest_free(m);
}

static void
take_out(struct keys *from, const struct keys *what)
{
	size_t i, kept = 0;

	for (i = 0; i < from->count; i++)
		if (!rig_has_key(what, from->key[i]) && kept++ != i)
			strcpy(from->key[kept - 1], from->key[i]);
	from->count = kept;
}

static void
test_liars_indexes_hide_no_copy(void **state)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL),
			*second;
	static struct keys packs[2];
	struct store_verify_result found;
	unsigned int i;

	(void)state;
	rig_keys(&public_rig, &packs[0], "packs/");
	second = backup_elsewhere();
	rig_keys(&public_rig, &packs[1], "packs/");
	take_out(&packs[1], &packs[0]);
	public_put_lying_indexes(12);
	for (i = 0; i < 2; i++) {
		spoil(&packs[i], true, false);
		rig_reopen(&public_rig);
		public_expect(m->id, &public_im);
		public_expect(second->id, &public_im);
		rig_verify(public_rig.store, &found);
		assert_int_equal(found.damaged_points, 0);
		spoil(&packs[i], true, false);
	}
	manifest_free(second);
	manifest_free(m);
}

/* Of a damaged table all indexes are asked. */
static void
test_liars_indexes_lose_nothing_to_a_repair(void **state)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL);
	struct store_repair_result result;
	static struct keys packs;

	(void)state;
	rig_keys(&public_rig, &packs, "packs/");
	public_put_lying_indexes(12);
	spoil(&packs, false, true);
	repair(&result);
	public_expect(m->id, &public_im);
	manifest_free(m);
}

static void
mark(const struct keys *packs)
{
	struct store *s = public_rig.store;
	uint8_t id[OBJECT_ID_BYTES];
	struct err err = ERR_INIT;
	size_t i;

	for (i = 0; i < packs->count; i++) {
		object_key_parse(id, OBJECT_PACK, packs->key[i]);
		assert_int_equal(
		    damage_put_pack(s->backend, s->seal, id, &err), 0);
	}
}

static void
expect_gone(const struct keys *packs)
{
	size_t i, k;

	rig_keys(&public_rig, &public_keys, "packs/");
	for (i = 0; i < packs->count; i++)
		for (k = 0; k < public_keys.count; k++)
			assert_string_not_equal(
			    packs->key[i], public_keys.key[k]);
}

/* As a repair leaves them that was killed before it copied anything. */
static void
expect_moved(struct keys *packs, bool tables, uint64_t repack_bytes)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL);
	struct store_repair_result result;

	rig_keys(&public_rig, packs, "packs/");
	mark(packs);
	public_put_lying_indexes(12);
	spoil(packs, false, tables);
	prune_within(repack_bytes);
	expect_gone(packs);
	rig_reopen(&public_rig);
	public_expect(m->id, &public_im);
	repair(&result);
	rig_keys(&public_rig, &public_keys, "damage/");
	assert_int_equal(public_keys.count, 0);
	manifest_free(m);
}

static void
test_liars_marked_packs_are_moved(void **state)
{
	static struct keys packs;

	(void)state;
	expect_moved(&packs, false, 0);
}

/* Which is for what is wasted, not for what is damaged. */
static void
test_liars_marked_packs_are_moved_past_the_limit(void **state)
{
	static struct keys packs;

	(void)state;
	expect_moved(&packs, false, 1);
}

static void
test_liars_marked_packs_without_a_table_are_moved(void **state)
{
	static struct keys packs;

	(void)state;
	expect_moved(&packs, true, 0);
}

/* What lies has nothing that is to be kept. */
static void
test_liars_that_are_marked_go(void **state)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL);
	struct store_repair_result result;
	static struct keys liars;
	size_t i;

	(void)state;
	put_liars(3);
	rig_keys(&public_rig, &public_keys, "packs/00/");
	liars = public_keys;
	for (i = 0; i < 3; i++)
		assert_true(liars.count >= 3);
	repair(&result);
	assert_int_equal(result.packs_marked, 3);
	prune_all();
	prune_all();
	expect_gone(&liars);
	public_expect(m->id, &public_im);
	assert_int_equal(rig_verify(public_rig.store, NULL), 0);
	repair(&result);
	rig_keys(&public_rig, &public_keys, "damage/");
	assert_int_equal(public_keys.count, 0);
	manifest_free(m);
}

/* A nuisance: what looks like a mark that was damaged. */
static void
test_liars_mark_ends_backups_until_a_repair(void **state)
{
	const char *const key = "damage/00112233445566778899aabbccddeeff";
	struct store_repair_result result;
	struct err err = ERR_INIT;
	struct manifest *m;

	(void)state;
	manifest_free(public_backup(public_host, &public_im, NULL, NULL));
	public_place(key, "?", 1);
	assert_int_equal(rig_backup(&public_rig, public_host, &m, &public_im,
			     NULL, NULL, &err),
	    -1);
	public_expect_words(&err, ERR_CORRUPT, key);
	repair(&result);
	assert_int_equal(result.objects_aside, 1);
	m = public_backup(public_host, &public_im, NULL, NULL);
	assert_int_equal(m->disks[0].new_bytes, 0);
	manifest_free(m);
}

/* A host remembers packs by their ids, too. */
static void
expect_host_not_fooled(unsigned int epochs_lost)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL);
	uint8_t id[OBJECT_ID_BYTES];
	static struct keys packs;
	struct err err = ERR_INIT;
	size_t i;

	rig_keys(&public_rig, &packs, "packs/");
	assert_int_equal(store_point_forget(public_rig.store, m->id, &err), 0);
	prune_all();
	expect_gone(&packs);
	for (i = 0; i < packs.count; i++) {
		object_key_parse(id, OBJECT_PACK, packs.key[i]);
		public_put_liar(id);
	}
	rig_keys(&public_rig, &public_keys, "rolls/");
	for (i = 0; i < epochs_lost && i + 1 < public_keys.count; i++)
		public_place(public_keys.key[i], NULL, 0);
	manifest_free(m);
	m = public_backup(public_host, &public_im, NULL, NULL);
	assert_int_equal(m->disks[0].new_bytes, 40 * BLOCK);
	for (i = 0; i < packs.count; i++)
		public_place(packs.key[i], NULL, 0);
	rig_reopen(&public_rig);
	public_expect(m->id, &public_im);
	manifest_free(m);
}

static void
test_liars_under_freed_ids_fool_no_host(void **state)
{
	(void)state;
	expect_host_not_fooled(0);
}

/* So much later that the lists are gone. */
static void
test_liars_under_freed_ids_fool_no_late_host(void **state)
{
	(void)state;
	expect_host_not_fooled(9);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, public_setup, public_teardown)
		CASE(test_liars_of_any_number_hide_no_copy),
		CASE(test_liars_indexes_hide_no_copy),
		CASE(test_liars_indexes_lose_nothing_to_a_repair),
		CASE(test_liars_marked_packs_are_moved),
		CASE(test_liars_marked_packs_are_moved_past_the_limit),
		CASE(test_liars_marked_packs_without_a_table_are_moved),
		CASE(test_liars_that_are_marked_go),
		CASE(test_liars_mark_ends_backups_until_a_repair),
		CASE(test_liars_under_freed_ids_fool_no_host),
		CASE(test_liars_under_freed_ids_fool_no_late_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
