/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sessions and prunes tell one another, missing or damaged: no point that
 * is there loses anything, and a repair closes the gap (docs/prune.md).
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
#include "common/log.h"
#include "store/manifest.h"
#include "store/sessions.h"
#include "tests/unit/store_rig.h"

#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)
#define BLOCKS 24u

static struct rig rig;
static struct keys keys;
static struct image im;
static struct manifest *m;
static struct rig_start start = {
	.rig = &rig, .im = &im, .size_bytes = BLOCKS * BLOCK, .m = &m
};

/* Warnings are half of what happens here. */
static void
keep_silent(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static int
setup(void **state)
{
	rig_set_up(state);
	log_set_sink(keep_silent, NULL);
	return 0;
}

static int
teardown(void **state)
{
	log_set_sink(NULL, NULL);
	return rig_tear_down(state);
}

static void
remove_all(const char *prefix)
{
	size_t i;

	rig_keys(&rig, &keys, prefix);
	assert_true(keys.count > 0);
	for (i = 0; i < keys.count; i++)
		rig_replace(&rig, keys.key[i], NULL, 0);
}

static void
prune_refuses(const char *word, const char *hint)
{
	struct store_prune_result result;
	struct err err = ERR_INIT;

	assert_int_equal(rig_prune(rig.store, &result, &err), -1);
	if (strstr(err.text, word) == NULL || strstr(err.hint, hint) == NULL)
		fail_msg("prune: %s (%s)", err.text, err.hint);
}

/* Says that there is a new epoch, before it is put and after. */
static void
repair_begins_anew(void)
{
	assert_true(rig_repaired(rig.store, true).epoch_begun);
	assert_true(rig_repaired(rig.store, false).epoch_begun);
	assert_false(rig_repaired(rig.store, false).epoch_begun);
}

/* All that a repair is for: the rest goes on as if nothing had been. */
static void
expect_whole(void)
{
	struct manifest *next;

	assert_int_equal(rig_verify(rig.store, NULL), 0);
	rig_pruned(rig.store);
	rig_expect(rig.store, m, &im);
	next = rig_point(&rig, &im, NULL, NULL);
	rig_expect(rig.store, next, &im);
	manifest_free(next);
	rig_pruned(rig.store);
	rig_expect(rig.store, m, &im);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
}

/* ---- points that nobody names ---- */

struct told {
	unsigned int count;
	char object[BACKEND_KEY_MAX + 1];
	char what[512];
};

static void
take_down(void *arg, const struct store_damage *damage)
{
	struct told *told = arg;

	told->count++;
	snprintf(told->object, sizeof(told->object), "%s", damage->object);
	snprintf(told->what, sizeof(told->what), "%s", damage->what);
}

static struct told
verify(void)
{
	struct store_verify_options options = { .threads = 2 };
	struct store_verify_result result;
	struct told told = { .count = 0 };
	struct err err = ERR_INIT;

	if (store_verify(
		rig.store, &options, take_down, &told, &result, &err) == -1)
		fail_msg("verify: %s", err.text);
	return told;
}

static void
test_strays_keep_their_packs(void **state)
{
	struct store_prune_result result;
	unsigned int i;

	(void)state;
	remove_all("sessions/");
	for (i = 0; i < 3; i++) {
		result = rig_pruned(rig.store);
		assert_int_equal(result.packs_removed, 0);
		assert_int_equal(result.points_stray, 1);
		rig_expect(rig.store, m, &im);
	}
}

/* Since the last prune: the roll has the older one. */
static void
test_strays_beside_a_roll(void **state)
{
	struct manifest *garbage, *late;
	struct image image;
	struct err err = ERR_INIT;

	(void)state;
	image_init(&image, BLOCKS * BLOCK);
	image_fill(&image, 0, image.size, 2, false);
	garbage = rig_point(&rig, &image, NULL, NULL);
	assert_int_equal(store_point_forget(rig.store, garbage->id, &err), 0);
	assert_true(rig_pruned(rig.store).packs_removed > 0);
	late = rig_point(&rig, &image, m, &im);
	remove_all("sessions/");
	assert_int_equal(rig_pruned(rig.store).points_stray, 1);
	rig_pruned(rig.store);
	rig_expect(rig.store, m, &im);
	rig_expect(rig.store, late, &image);
	manifest_free(garbage);
	manifest_free(late);
	image_fini(&image);
}

static void
test_strays_are_told_and_entered(void **state)
{
	struct told told;
	char key[64];

	(void)state;
	remove_all("sessions/");
	told = verify();
	snprintf(key, sizeof(key), "points/%s", m->id);
	assert_int_equal(told.count, 1);
	assert_string_equal(told.object, key);
	assert_non_null(strstr(told.what, "no session"));
	assert_int_equal(rig_repaired(rig.store, false).points_entered, 1);
	assert_int_equal(verify().count, 0);
	assert_int_equal(rig_repaired(rig.store, false).points_entered, 0);
	assert_int_equal(rig_pruned(rig.store).points_stray, 0);
	expect_whole();
}

/* It might need anything. */
static void
test_strays_that_cannot_be_read(void **state)
{
	char key[64];

	(void)state;
	remove_all("sessions/");
	snprintf(key, sizeof(key), "points/%s", m->id);
	rig_flip(&rig, key, 60);
	prune_refuses(m->id, "holdstill repair");
	rig_keys(&rig, &keys, "packs/");
	assert_int_equal(keys.count, 2);
	/* What the repair has set aside is no point any more. */
	assert_int_equal(rig_repaired(rig.store, false).objects_aside, 1);
	rig_pruned(rig.store);
	rig_keys(&rig, &keys, "packs/");
	assert_int_equal(keys.count, 0);
}

/* Forgotten, and its time is up: it goes like any other. */
static void
test_strays_that_are_gone(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	remove_all("sessions/");
	assert_int_equal(store_point_forget(rig.store, m->id, &err), 0);
	rig_pruned(rig.store);
	rig_keys(&rig, &keys, "packs/");
	assert_int_equal(keys.count, 0);
}

/* Backups that were given up long ago are no points. */
static void
test_strays_are_no_tombstones(void **state)
{
	struct store_session *session;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(
	    store_session_begin(&session, rig.store,
		&(struct store_session_options){ .points = 3 }, &err),
	    0);
	store_session_end(session);
	remove_all("sessions/");
	assert_int_equal(rig_pruned(rig.store).points_stray, 1);
	assert_int_equal(verify().count, 1);
}

/* ---- what sessions and prunes tell one another ---- */

/* Two epochs and some: what there is to be damaged. */
static void
make_epochs(void)
{
	struct manifest *garbage;
	struct image image;
	struct err err = ERR_INIT;

	image_init(&image, BLOCKS * BLOCK);
	image_fill(&image, 0, image.size, 3, false);
	garbage = rig_point(&rig, &image, NULL, NULL);
	assert_int_equal(store_point_forget(rig.store, garbage->id, &err), 0);
	assert_true(rig_pruned(rig.store).packs_removed > 0);
	rig_expect(rig.store, m, &im);
	manifest_free(garbage);
	image_fini(&image);
}

static const char *
last_of(const char *prefix)
{
	rig_keys(&rig, &keys, prefix);
	assert_true(keys.count > 0);
	return keys.key[keys.count - 1];
}

static void
backup_refuses(const char *hint)
{
	struct manifest *next;
	struct err err = ERR_INIT;

	assert_int_equal(
	    rig_backup(&rig, rig.store, &next, &im, NULL, NULL, &err), -1);
	if (strstr(err.hint, hint) == NULL)
		fail_msg("backup: %s (%s)", err.text, err.hint);
}

static void
test_strays_damaged_session(void **state)
{
	(void)state;
	rig_flip(&rig, "sessions/0/0", 70);
	assert_int_equal(rig_verify(rig.store, NULL), 1);
	prune_refuses("sessions/0/0", "holdstill repair");
	assert_int_equal(rig_repaired(rig.store, false).objects_aside, 1);
	rig_keys(&rig, &keys, "aside/sessions/0/0");
	assert_int_equal(keys.count, 1);
	expect_whole();
}

/* The last of a sealed epoch was its seal, for all that one can see. */
static void
test_strays_damaged_seal(void **state)
{
	struct session_name name = { .epoch = 0 };
	struct session_object o;
	struct err err = ERR_INIT;

	(void)state;
	make_epochs();
	rig_keys(&rig, &keys, "sessions/0/");
	name.number = keys.count;
	rig_flip(&rig, keys.key[keys.count - 1], 70);
	assert_int_equal(rig_repaired(rig.store, false).objects_aside, 1);
	assert_int_equal(sessions_get(&o, rig.store, &name, &err), 0);
	assert_true(o.seal);
	session_object_fini(&o);
	expect_whole();
}

static void
damage_newest(const char *prefix)
{
	char key[BACKEND_KEY_MAX + 1];

	snprintf(key, sizeof(key), "%s", last_of(prefix));
	rig_flip(&rig, key, 80);
	assert_int_equal(rig_verify(rig.store, NULL), 1);
	backup_refuses("holdstill repair");
	prune_refuses(key, "holdstill repair");
	repair_begins_anew();
	expect_whole();
}

static void
test_strays_damaged_roll(void **state)
{
	(void)state;
	make_epochs();
	damage_newest("rolls/");
}

static void
test_strays_damaged_epoch(void **state)
{
	(void)state;
	make_epochs();
	damage_newest("epochs/");
}

static void
test_strays_lost_epoch(void **state)
{
	(void)state;
	make_epochs();
	rig_replace(&rig, last_of("epochs/"), NULL, 0);
	rig_reopen(&rig);
	backup_refuses("holdstill repair");
	assert_int_equal(rig_verify(rig.store, NULL), 1);
	repair_begins_anew();
	expect_whole();
}

static void
test_strays_lost_epochs(void **state)
{
	(void)state;
	make_epochs();
	remove_all("epochs/");
	rig_reopen(&rig);
	backup_refuses("holdstill repair");
	prune_refuses("epochs/", "holdstill repair");
	assert_int_equal(rig_verify(rig.store, NULL), 1);
	repair_begins_anew();
	expect_whole();
}

/* All of it: what is left is points, packs and indexes. */
static void
test_strays_nothing_else_is_left(void **state)
{
	(void)state;
	make_epochs();
	remove_all("epochs/");
	remove_all("rolls/");
	remove_all("sessions/");
	rig_reopen(&rig);
	repair_begins_anew();
	rig_expect(rig.store, m, &im);
	expect_whole();
}

/* A seal that no prune has put, for there is no next epoch. */
static void
test_strays_sealed_too_soon(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(sessions_seal(rig.store, 0, &err), 0);
	backup_refuses("holdstill repair");
	assert_int_equal(rig_verify(rig.store, NULL), 1);
	repair_begins_anew();
	rig_keys(&rig, &keys, "epochs/");
	assert_int_equal(keys.count, 2);
	expect_whole();
}

static void
test_strays_garbage_in_sessions(void **state)
{
	struct store_repair_result result;
	struct err err = ERR_INIT;
	struct backend *b = rig_backend(&rig);

	(void)state;
	assert_int_equal(backend_put(b, "sessions/0/1", "rubbish", 7, &err), 0);
	backend_close(b);
	backup_refuses("holdstill repair");
	prune_refuses("sessions/0/1", "holdstill repair");
	assert_false(rig_repaired(rig.store, true).epoch_begun);
	result = rig_repaired(rig.store, false);
	assert_int_equal(result.objects_aside, 1);
	assert_false(result.epoch_begun);
	expect_whole();
}

/* Whoever may add can put what he likes, and so far from all others. */
static void
test_strays_garbage_far_away(void **state)
{
	static const char *const names[] = { "sessions/0/999999999999999999",
		"sessions/999999999999999999/0", "epochs/999999999999999999",
		"epochs/5", "rolls/999999999999999999/1" };
	struct backend *b = rig_backend(&rig);
	struct err err = ERR_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(
		    backend_put(b, names[i], "rubbish", 7, &err), 0);
	backend_close(b);
	rig_reopen(&rig);
	backup_refuses("holdstill repair");
	rig_repaired(rig.store, false);
	expect_whole();
}

static void
test_strays_gap_in_sessions(void **state)
{
	struct manifest *next = rig_point(&rig, &im, NULL, NULL);

	(void)state;
	rig_replace(&rig, "sessions/0/0", NULL, 0);
	/* What is behind the gap is found. */
	assert_int_equal(rig_pruned(rig.store).points_stray, 1);
	assert_int_equal(rig_repaired(rig.store, false).points_entered, 1);
	rig_keys(&rig, &keys, "sessions/0/0");
	assert_int_equal(keys.count, 1);
	manifest_free(next);
	expect_whole();
}

/* What it said nobody knows: the point is there. */
static void
test_strays_damaged_word(void **state)
{
	struct err err = ERR_INIT;
	char key[96];

	(void)state;
	assert_int_equal(store_point_forget(rig.store, m->id, &err), 0);
	snprintf(key, sizeof(key), "forgotten/%s/0", m->id);
	rig_flip(&rig, key, 70);
	prune_refuses(key, "holdstill repair");
	assert_int_equal(rig_repaired(rig.store, false).objects_aside, 1);
	rig_pruned(rig.store);
	rig_expect(rig.store, m, &im);
	assert_int_equal(store_point_was_forgotten(rig.store, m->id, &err), 0);
	assert_int_equal(store_point_forget(rig.store, m->id, &err), 0);
	rig_pruned(rig.store);
	rig_keys(&rig, &keys, "packs/");
	assert_int_equal(keys.count, 0);
}

/* No prune has waited for it, so it makes no point. */
static void
test_strays_session_lost_at_work(void **state)
{
	struct store_session *session;
	struct manifest *late = manifest_new();
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(
	    store_session_begin(&session, rig.store,
		&(struct store_session_options){ .threads = 1 }, &err),
	    0);
	rig_replace(&rig, "sessions/0/1", NULL, 0);
	assert_int_equal(store_session_commit(session, late, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	assert_non_null(strstr(err.text, "sessions/0/1"));
	store_session_end(session);
	manifest_free(late);
	rig_expect(rig.store, m, &im);
}

/* Somebody is at work, and nobody knows on which points. */
static void
test_strays_beats_of_nobody(void **state)
{
	const struct session_name name = { .epoch = 0, .number = 7 };
	struct store_prune_options options = { .dry_run = true };
	struct store_prune_result result;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(sessions_beat(rig.store, &name, 0, &err), 0);
	assert_int_equal(store_prune(rig.store, &options, &result, &err), 0);
	assert_int_equal(result.sessions_alive, 1);
	/* It stays silent. */
	result = rig_pruned(rig.store);
	assert_int_equal(result.sessions_dead, 1);
	assert_int_equal(result.sessions_alive, 0);
	rig_keys(&rig, &keys, "beats/");
	assert_int_equal(keys.count, 0);
	/* Of another the first is missing: no prune waits for it twice. */
	assert_int_equal(sessions_beat(rig.store, &name, 3, &err), 0);
	assert_int_equal(rig_pruned(rig.store).sessions_dead, 1);
	assert_int_equal(rig_pruned(rig.store).sessions_dead, 0);
}

int
main(void)
{
#define STRAYS(name) \
	cmocka_unit_test_prestate_setup_teardown( \
	    test_strays_##name, setup, teardown, &start)
	const struct CMUnitTest tests[] = {
		STRAYS(keep_their_packs),
		STRAYS(beside_a_roll),
		STRAYS(are_told_and_entered),
		STRAYS(that_cannot_be_read),
		STRAYS(that_are_gone),
		STRAYS(are_no_tombstones),
		STRAYS(damaged_session),
		STRAYS(damaged_seal),
		STRAYS(damaged_roll),
		STRAYS(damaged_epoch),
		STRAYS(lost_epoch),
		STRAYS(lost_epochs),
		STRAYS(nothing_else_is_left),
		STRAYS(sealed_too_soon),
		STRAYS(garbage_in_sessions),
		STRAYS(garbage_far_away),
		STRAYS(gap_in_sessions),
		STRAYS(damaged_word),
		STRAYS(session_lost_at_work),
		STRAYS(beats_of_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
