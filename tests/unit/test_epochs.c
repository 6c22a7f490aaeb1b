/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions, points and words (docs/prune.md), one rule at a time; all of them
 * at once are in test_prune.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/err.h"
#include "store/points.h"
#include "store/sessions.h"
#include "store/usable.h"
#include "tests/unit/store_rig.h"

#define MIB (UINT64_C(1) << 20)
#define DAY_MS (24 * 3600 * INT64_C(1000))

static struct rig rig;
static struct image image; /* A disk that is not backed up yet. */
static struct rig_start start = {
	.rig = &rig, .im = &image, .size_bytes = MIB
};
static struct keys keys;
static const struct wrap_fault_plan no_fault = { .ops = 0 };

static size_t
count(const char *prefix)
{
	rig_keys(&rig, &keys, prefix);
	return keys.count;
}

/* A tombstone is a name without a point. */
static int
count_point(void *arg, const char *id)
{
	if (!store_point_gone(rig.store, id))
		++*(unsigned int *)arg;
	return 0;
}

static int
count_forgotten(void *arg, const char *id, int64_t time_ms)
{
	(void)id;
	assert_true(time_ms > 0);
	++*(unsigned int *)arg;
	return 0;
}

static void
expect_points(unsigned int listed, unsigned int forgotten)
{
	unsigned int points = 0, others = 0;
	struct err err = ERR_INIT;

	assert_int_equal(
	    store_points(rig.store, count_point, &points, &err), 0);
	assert_int_equal(
	    store_forgotten(rig.store, count_forgotten, &others, &err), 0);
	assert_int_equal(points, listed);
	assert_int_equal(others, forgotten);
}

/* ---- words ---- */

static void
test_epochs_forgotten_point_is_whole_until_its_time_ends(void **state)
{
	struct store_prune_options options = { .undelete_ms = DAY_MS };
	struct store_prune_result result;
	struct err err = ERR_INIT;
	struct manifest *m;

	(void)state;
	m = rig_point(&rig, &image, NULL, NULL);
	expect_points(1, 0);
	assert_int_equal(store_point_forget(rig.store, m->id, &err), 0);
	assert_int_equal(store_point_forget(rig.store, m->id, &err), 0);
	expect_points(0, 1);
	assert_int_equal(store_prune(rig.store, &options, &result, &err), 0);
	assert_int_equal(result.points_removed, 0);
	rig_expect(rig.store, m, &image);
	assert_int_equal(store_point_unforget(rig.store, m->id, &err), 0);
	expect_points(1, 0);
	rig_pruned(rig.store);
	rig_expect(rig.store, m, &image);
	assert_int_equal(store_point_forget(rig.store, m->id, &err), 0);
	rig_pruned(rig.store);
	expect_points(0, 0);
	assert_true(store_point_gone(rig.store, m->id));
	assert_int_equal(count("packs/"), 0);
	assert_int_equal(store_point_unforget(rig.store, m->id, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	manifest_free(m);
}

/* The word was put and its point not yet removed: any prune does it. */
static void
test_epochs_another_prune_ends_what_one_began(void **state)
{
	uint8_t id[OBJECT_ID_BYTES];
	struct err err = ERR_INIT;
	struct manifest *m;

	(void)state;
	m = rig_point(&rig, &image, NULL, NULL);
	hex_decode(id, sizeof(id), m->id);
	assert_int_equal(
	    forgotten_say(rig.store, id, 0, FORGOTTEN_FORGOTTEN, &err), 0);
	assert_int_equal(
	    forgotten_say(rig.store, id, 1, FORGOTTEN_GONE, &err), 0);
	assert_int_equal(
	    forgotten_say(rig.store, id, 1, FORGOTTEN_KEPT, &err), -1);
	assert_int_equal(err.class, ERR_EXISTS);
	assert_int_equal(store_point_unforget(rig.store, m->id, &err), -1);
	rig_pruned(rig.store);
	assert_true(store_point_gone(rig.store, m->id));
	assert_int_equal(count("packs/"), 0);
	manifest_free(m);
}

/* ---- the commit ---- */

/* Every put in turn is done, and told as failed; then only that one. */
static void
test_epochs_lost_answers_of_a_commit_are_asked_for(void **state)
{
	struct wrap_fault_plan plan = { .ops = WRAP_FAULT_PUT,
		.class = ERR_IO,
		.once = true,
		.after = true };
	struct err err = ERR_INIT;
	struct manifest *m;
	unsigned int made = 0;
	int rc;

	(void)state;
	for (plan.fail_at = 1; plan.fail_at < 12; plan.fail_at++) {
		image_fill(&image, 0, MIB, (unsigned int)plan.fail_at, true);
		wrap_fault_set(&rig.fault, &plan);
		rc = rig_backup(&rig, rig.store, &m, &image, NULL, NULL, &err);
		wrap_fault_set(&rig.fault, &no_fault);
		err_clear(&err);
		made += rc == 0;
		expect_points(made, 0);
		if (rc == 0) {
			rig_expect(rig.store, m, &image);
			manifest_free(m);
		}
	}
	/* The session's, the manifest's; none is there after that. */
	assert_true(made >= 2);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
}

static struct store_session *
begin(int64_t beat_ms)
{
	const struct store_session_options options = { .threads = 1,
		.beat_ms = beat_ms };
	struct store_session *session;
	struct err err = ERR_INIT;

	if (store_session_begin(&session, rig.store, &options, &err) == -1)
		fail_msg("begin: %s", err.text);
	return session;
}

static void
write_disk(struct store_session *session, struct manifest_disk *d,
    const struct image *im)
{
	struct err err = ERR_INIT;
	struct store_chunk *c;
	struct store_disk *disk;

	d->size_bytes = im->size;
	assert_int_equal(
	    store_disk_begin(&disk, session, im->size, NULL, 0, &err), 0);
	assert_int_equal(store_chunk_get(&c, disk, &err), 0);
	for (c->count = 0; c->count * STORE_BLOCK_BYTES < im->size; c->count++)
		c->offset[c->count] = (uint64_t)c->count * STORE_BLOCK_BYTES;
	memcpy(c->data, im->bytes, im->size);
	assert_int_equal(store_chunk_submit(disk, c, &err), 0);
	assert_int_equal(store_disk_end(disk, d, &err), 0);
}

/* Between a put without an answer and the look the point may have been made,
 * forgotten and removed: it must not come back without its packs. */
static void
test_epochs_commit_asks_whether_it_is_forgotten(void **state)
{
	const struct wrap_fault_plan plan = { .ops = WRAP_FAULT_PUT,
		.class = ERR_IO,
		.fail_at = 1,
		.once = true };
	struct manifest m = { .disk_count = 0 };
	uint8_t id[OBJECT_ID_BYTES];
	struct store_session *session;
	struct err err = ERR_INIT;

	(void)state;
	session = begin(0);
	store_session_point(session, 0, m.id);
	hex_decode(id, sizeof(id), m.id);
	assert_int_equal(
	    forgotten_say(rig.store, id, 0, FORGOTTEN_FORGOTTEN, &err), 0);
	wrap_fault_set(&rig.fault, &plan);
	assert_int_equal(store_session_commit(session, &m, &err), -1);
	wrap_fault_set(&rig.fault, &no_fault);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	store_session_end(session);
	assert_true(store_point_gone(rig.store, m.id));
}

static void
test_epochs_silent_session_is_given_up_and_fails(void **state)
{
	struct manifest_disk d = { .size_bytes = 0 };
	struct manifest m = { .disks = &d, .disk_count = 1 }, *next;
	struct store_session *session;
	struct err err = ERR_INIT;

	(void)state;
	session = begin(3600 * 1000);
	write_disk(session, &d, &image);
	rig_pruned(rig.store);
	assert_int_equal(store_session_commit(session, &m, &err), -1);
	assert_int_equal(err.class, ERR_TIMEOUT);
	assert_non_null(strstr(err.text, "given up"));
	store_session_end(session);
	expect_points(0, 0);
	assert_true(store_point_gone(rig.store, m.id));
	/* What it stored serves the next one. */
	next = rig_point(&rig, &image, NULL, NULL);
	assert_int_equal(next->disks[0].new_bytes, 0);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	manifest_free(next);
}

static void
test_epochs_living_session_is_left_in_peace(void **state)
{
	const struct store_prune_options options = { .silence_ms = 60000 };
	struct manifest_disk d = { .size_bytes = 0 };
	struct manifest m = { .disks = &d, .disk_count = 1 };
	struct store_prune_result result;
	struct store_session *session;
	struct err err = ERR_INIT;
	struct epoch e;

	(void)state;
	session = begin(5);
	write_disk(session, &d, &image);
	assert_int_equal(store_prune(rig.store, &options, &result, &err), 0);
	assert_int_equal(result.sessions_alive, 1);
	assert_int_equal(result.sessions_dead, 0);
	/* Nor are its packs condemned. */
	assert_int_equal(epochs_newest(&e, rig.store, &err), 0);
	assert_int_equal(e.list_count, 0);
	epoch_fini(&e);
	assert_int_equal(store_session_commit(session, &m, &err), 0);
	store_session_end(session);
	rig_expect(rig.store, &m, &image);
	assert_int_equal(count("beats/"), 0);
}

/* Each session's last word is there when it ends. */
static void
test_epochs_session_without_a_point_says_so(void **state)
{
	const struct store_prune_options options = { .silence_ms = 3600000 };
	struct store_prune_result result;
	struct err err = ERR_INIT;

	(void)state;
	store_session_end(begin(0));
	assert_int_equal(count("points/"), 1);
	assert_int_equal(store_prune(rig.store, &options, &result, &err), 0);
	assert_int_equal(result.sessions_alive + result.sessions_dead, 0);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
}

/* ---- registering ---- */

static void
test_epochs_nobody_joins_a_sealed_epoch(void **state)
{
	struct session_object o = { .seal = false };
	struct session_name name;
	struct err err = ERR_INIT;
	struct epoch e, next = { .number = 1 };

	(void)state;
	assert_int_equal(sessions_register(&name, &e, rig.store, &o, &err), 0);
	assert_int_equal(name.epoch, 0);
	epoch_fini(&e);
	assert_int_equal(epochs_put(rig.store, &next, &err), 0);
	assert_int_equal(epochs_put(rig.store, &next, &err), -1);
	assert_int_equal(err.class, ERR_EXISTS);
	assert_int_equal(sessions_seal(rig.store, 0, &err), 0);
	assert_int_equal(sessions_seal(rig.store, 0, &err), 0);
	assert_int_equal(count("sessions/0/"), 2);
	/* Who has looked before sees the seal, and begins again. */
	assert_int_equal(sessions_register(&name, &e, rig.store, &o, &err), 0);
	assert_int_equal(name.epoch, 1);
	assert_int_equal(e.number, 1);
	epoch_fini(&e);
}

/* ---- what is known ---- */

static void
next_epoch(uint64_t number, const uint8_t *pack, bool doomed)
{
	struct epoch_entry entry = { .since = number, .doomed = doomed };
	struct epoch e = { .number = number };
	struct err err = ERR_INIT;

	if (pack != NULL) {
		memcpy(entry.pack, pack, OBJECT_ID_BYTES);
		e.list = &entry;
		e.list_count = 1;
	}
	assert_int_equal(epochs_put(rig.store, &e, &err), 0);
}

/* New bytes of the same image again: 0 if all of it is known. */
static uint64_t
again(const struct image *im)
{
	struct manifest *m = rig_point(&rig, im, NULL, NULL);
	uint64_t bytes = m->disks[0].new_bytes;

	rig_expect(rig.store, m, im);
	manifest_free(m);
	return bytes;
}

static uint64_t
stats_of(const struct image *im)
{
	struct wrap_fault_plan plan = { .ops = WRAP_FAULT_STAT };
	uint64_t calls;

	wrap_fault_set(&rig.fault, &plan);
	assert_int_equal(again(im), 0);
	calls = wrap_fault_calls(&rig.fault);
	wrap_fault_set(&rig.fault, &no_fault);
	return calls;
}

static void
name_of(uint8_t out[DIGEST_BYTES], const struct image *im)
{
	struct err err = ERR_INIT;
	struct digest *d;

	assert_int_equal(digest_new(&d, rig.store->seal, &err), 0);
	assert_int_equal(
	    digest_of(d, out, im->bytes, STORE_BLOCK_BYTES, &err), 0);
	digest_free(d);
}

static void
data_pack(uint8_t id[OBJECT_ID_BYTES], const struct image *im)
{
	uint8_t hash[DIGEST_BYTES];
	struct err err = ERR_INIT;
	struct blob_place place;

	name_of(hash, im);
	assert_int_equal(
	    localindex_find(rig.store->index, BLOB_DATA, hash, &place, &err),
	    1);
	memcpy(id, place.pack, OBJECT_ID_BYTES);
}

static void
test_epochs_listed_pack_is_not_used(void **state)
{
	uint8_t pack[OBJECT_ID_BYTES];

	(void)state;
	assert_int_equal(again(&image), MIB);
	assert_int_equal(again(&image), 0);
	data_pack(pack, &image);
	next_epoch(1, pack, false);
	assert_int_equal(again(&image), MIB);
}

static int
known(const struct image *im)
{
	uint8_t hash[DIGEST_BYTES];
	struct localindex_view v;
	struct err err = ERR_INIT;
	struct usable *u;
	struct epoch e;
	int rc;

	name_of(hash, im);
	assert_int_equal(epochs_newest(&e, rig.store, &err), 0);
	assert_int_equal(usable_new(&u, rig.store, &e, &err), 0);
	assert_int_equal(localindex_view_begin(&v, rig.store->index, &err), 0);
	rc = usable_blob(u, &v, BLOB_DATA, hash, &err);
	localindex_view_end(&v);
	usable_free(u);
	epoch_fini(&e);
	return rc;
}

static void
remove_pack(const uint8_t *pack)
{
	struct backend *b = rig_backend(&rig);
	char key[OBJECT_KEY_SIZE];
	struct err err = ERR_INIT;

	assert_int_equal(
	    backend_remove(b, object_key(key, OBJECT_PACK, pack), &err), 0);
	backend_close(b);
}

/* One that slept through the epochs that listed a pack looks for it. */
static void
test_epochs_local_index_sees_all_lists(void **state)
{
	uint8_t pack[OBJECT_ID_BYTES];
	uint64_t looks;

	(void)state;
	again(&image);
	looks = stats_of(&image);
	/* A new epoch alone costs no look at packs. */
	next_epoch(1, NULL, false);
	assert_true(stats_of(&image) <= looks + 1);
	assert_int_equal(known(&image), 1);
	data_pack(pack, &image);
	next_epoch(2, pack, false);
	next_epoch(3, pack, true);
	next_epoch(4, NULL, false);
	remove_pack(pack);
	/* An index names it, and epoch 4 does not list it. */
	assert_int_equal(known(&image), 0);
	assert_int_equal(again(&image), MIB);
}

/* ---- bases ---- */

static int
may_build_on(const struct manifest *m)
{
	struct store_session *session = begin(0);
	struct err err = ERR_INIT;
	int rc = store_session_base(session, m, &err);

	store_session_end(session);
	return rc;
}

static void
test_epochs_base_is_not_about_to_go(void **state)
{
	uint8_t pack[OBJECT_ID_BYTES];
	struct err err = ERR_INIT;
	struct manifest *m;

	(void)state;
	m = rig_point(&rig, &image, NULL, NULL);
	assert_int_equal(may_build_on(m), 1);
	/* A list that has none of it: each blob is looked for. */
	memset(pack, 7, sizeof(pack));
	next_epoch(1, pack, false);
	assert_int_equal(may_build_on(m), 1);
	data_pack(pack, &image);
	next_epoch(2, pack, false);
	assert_int_equal(may_build_on(m), 0);
	assert_int_equal(store_point_forget(rig.store, m->id, &err), 0);
	rig_pruned(rig.store);
	assert_int_equal(may_build_on(m), 0);
	manifest_free(m);
}

int
main(void)
{
#define EPOCHS(name) RIG_CASE(test_epochs_##name, &start)
	const struct CMUnitTest tests[] = {
		EPOCHS(forgotten_point_is_whole_until_its_time_ends),
		EPOCHS(another_prune_ends_what_one_began),
		EPOCHS(lost_answers_of_a_commit_are_asked_for),
		EPOCHS(commit_asks_whether_it_is_forgotten),
		EPOCHS(silent_session_is_given_up_and_fails),
		EPOCHS(living_session_is_left_in_peace),
		EPOCHS(session_without_a_point_says_so),
		EPOCHS(nobody_joins_a_sealed_epoch),
		EPOCHS(listed_pack_is_not_used),
		EPOCHS(local_index_sees_all_lists),
		EPOCHS(base_is_not_about_to_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
