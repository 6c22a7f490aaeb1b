/* SPDX-License-Identifier: Apache-2.0 */
/* Damage found and never restored; prune and backups under failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "tests/unit/store_rig.h"

#define MIB (UINT64_C(1) << 20)
#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)

static struct rig rig;
static struct rig_start start = { .rig = &rig };
static struct keys keys, after;

struct history { /* Three points of one disk. */
	struct image im[3];
	struct manifest *m[3];
};

static void
history_init(struct history *h, uint64_t size)
{
	struct err err = ERR_INIT;
	unsigned int i;

	image_init(&h->im[0], size);
	image_fill(&h->im[0], 0, size / 2, 1, true);
	for (i = 0; i < 3; i++) {
		if (i > 0) {
			image_copy(&h->im[i], &h->im[i - 1]);
			image_fill(
			    &h->im[i], i * size / 5, size / 4, i * 10, true);
		}
		if (rig_backup(&rig, rig.store, &h->m[i], &h->im[i],
			i > 0 ? h->m[i - 1] : NULL,
			i > 0 ? &h->im[i - 1] : NULL, &err) == -1)
			fail_msg("backup: %s", err.text);
	}
}

static void
history_fini(struct history *h)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		manifest_free(h->m[i]);
		image_fini(&h->im[i]);
	}
}

/* Right bytes or an error (R7); returns how many points cannot be read. */
static unsigned int
read_all(const struct history *h)
{
	unsigned int i, broken = 0;
	struct err err = ERR_INIT;
	struct manifest *m;
	struct image got;

	for (i = 0; i < 3; i++) {
		if (store_manifest_read(&m, rig.store, h->m[i]->id, &err) ==
		    -1) {
			assert_true(err.class == ERR_CORRUPT ||
				    err.class == ERR_NOT_FOUND);
			broken++;
			continue;
		}
		if (rig_read(rig.store, m, &got, &err) == 0) {
			assert_memory_equal(
			    got.bytes, h->im[i].bytes, got.size);
		} else {
			assert_int_equal(err.class, ERR_CORRUPT);
			broken++;
		}
		image_fini(&got);
		manifest_free(m);
	}
	return broken;
}

static void
test_care_flipped_byte_is_found_everywhere(void **state)
{
	struct history h;
	uint8_t *bytes;
	size_t size, i, at, step;

	(void)state;
	history_init(&h, MIB);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	rig_keys(&rig, &keys, "");
	for (i = 0; i < keys.count; i++) {
		if (strcmp(keys.key[i], "config") == 0)
			continue; /* Without it there is no repository. */
		bytes = rig_load(&rig, keys.key[i], &size);
		for (at = i % 3; at < size; at += step) {
			/* Head and end closely, every so often between. */
			step = at < 64 || at + 120 > size ? 3 : size / 12 + 1;
			step *= rig_slow() ? 7 : 1;
			bytes[at] ^= 0x20;
			rig_replace(&rig, keys.key[i], bytes, size);
			if (rig_verify(rig.store, NULL) == 0)
				fail_msg("%s: byte %zu of %zu", keys.key[i], at,
				    size);
			read_all(&h);
			bytes[at] ^= 0x20;
			rig_replace(&rig, keys.key[i], bytes, size);
		}
		free(bytes);
	}
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	assert_int_equal(read_all(&h), 0);
	history_fini(&h);
}

/* Each bears its own name: one in another's place is seen (R5). */
static void
swap_first_two(const char *prefix)
{
	uint8_t *a, *b;
	size_t na, nb;

	rig_keys(&rig, &keys, prefix);
	assert_true(keys.count >= 2);
	a = rig_load(&rig, keys.key[0], &na);
	b = rig_load(&rig, keys.key[1], &nb);
	rig_replace(&rig, keys.key[0], b, nb);
	rig_replace(&rig, keys.key[1], a, na);
	free(a);
	free(b);
}

static void
test_care_swapped_objects_are_found(void **state)
{
	struct store_verify_result result;
	struct history h;

	(void)state;
	history_init(&h, MIB);
	swap_first_two("points/");
	rig_verify(rig.store, &result);
	assert_int_equal(result.damaged_objects, 2);
	assert_int_equal(result.damaged_points, 2);
	assert_int_equal(read_all(&h), 2);
	swap_first_two("points/");
	swap_first_two("index/");
	rig_verify(rig.store, &result);
	assert_int_equal(result.damaged_objects, 2);
	assert_int_equal(read_all(&h), 0);
	swap_first_two("index/");
	swap_first_two("packs/");
	rig_verify(rig.store, &result);
	assert_int_equal(result.damaged_objects, 2);
	read_all(&h);
	swap_first_two("packs/");
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	history_fini(&h);
}

static void
test_care_truncated_and_missing_are_found(void **state)
{
	struct history h;
	uint8_t *bytes;
	size_t size, i;

	(void)state;
	history_init(&h, MIB);
	rig_keys(&rig, &keys, "packs/");
	assert_true(keys.count >= 4);
	for (i = 0; i < keys.count; i++) {
		bytes = rig_load(&rig, keys.key[i], &size);
		rig_replace(&rig, keys.key[i], bytes, size - 1);
		assert_int_not_equal(rig_verify(rig.store, NULL), 0);
		read_all(&h);
		rig_replace(&rig, keys.key[i], NULL, 0);
		assert_int_not_equal(rig_verify(rig.store, NULL), 0);
		assert_int_not_equal(read_all(&h), 0);
		rig_replace(&rig, keys.key[i], bytes, size);
		free(bytes);
	}
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	history_fini(&h);
}

struct named {
	unsigned int objects, points;
	char point[8][HEXID_SIZE];
	char object[BACKEND_KEY_MAX + 1];
};

static void
note_damage(void *arg, const struct store_damage *d)
{
	struct named *n = arg;

	if (d->point[0] == '\0') {
		n->objects++;
		snprintf(n->object, sizeof(n->object), "%s", d->object);
		return;
	}
	assert_string_equal(d->disk, "vda");
	assert_string_equal(d->object, n->object);
	assert_true(n->points < 8);
	snprintf(n->point[n->points++], HEXID_SIZE, "%s", d->point);
}

/* A pack that only the last point uses hurts only the last point. */
static void
test_care_damage_is_mapped_to_its_points(void **state)
{
	struct store_verify_options options = { .threads = 1 };
	struct store_verify_result result;
	struct named named = { .objects = 0 };
	struct err err = ERR_INIT;
	struct history h;
	struct manifest *m;
	struct image im;
	size_t size, i;

	(void)state;
	history_init(&h, MIB);
	rig_keys(&rig, &keys, "packs/");
	image_copy(&im, &h.im[2]);
	image_fill(&im, 5 * BLOCK, BLOCK, 99, false);
	assert_int_equal(
	    rig_backup(&rig, rig.store, &m, &im, h.m[2], &h.im[2], &err), 0);
	rig_keys(&rig, &after, "packs/");
	for (i = 0; i < after.count; i++) {
		free(rig_load(&rig, after.key[i], &size));
		/* Its data pack. */
		if (!rig_has_key(&keys, after.key[i]) && size > BLOCK)
			rig_flip(&rig, after.key[i], 100);
	}
	assert_int_equal(store_verify(rig.store, &options, note_damage, &named,
			     &result, &err),
	    0);
	assert_int_equal(named.objects, 1);
	assert_int_equal(named.points, 1);
	assert_string_equal(named.point[0], m->id);
	assert_int_equal(result.damaged_objects, 1);
	assert_int_equal(result.damaged_points, 1);
	assert_int_equal(read_all(&h), 0);
	/* The other points alone are well. */
	options.points = (const char *const[]){ h.m[0]->id, h.m[1]->id };
	options.point_count = 2;
	assert_int_equal(
	    store_verify(rig.store, &options, NULL, NULL, &result, &err), 0);
	assert_int_equal(result.damaged_objects + result.damaged_points, 0);
	assert_int_equal(result.points_checked, 2);
	manifest_free(m);
	image_fini(&im);
	history_fini(&h);
}

static void
test_care_backup_heals_a_missing_pack(void **state)
{
	struct err err = ERR_INIT;
	struct manifest *m;
	struct history h;
	size_t i;

	(void)state;
	history_init(&h, MIB);
	rig_keys(&rig, &keys, "packs/");
	for (i = 0; i < keys.count; i++)
		rig_replace(&rig, keys.key[i], NULL, 0);
	/* Nothing is taken for known that is in a pack no longer there. */
	assert_int_equal(
	    rig_backup(&rig, rig.store, &m, &h.im[2], NULL, NULL, &err), 0);
	rig_expect(rig.store, m, &h.im[2]);
	/* And the old point of the same blocks is whole again. */
	rig_expect(rig.store, h.m[2], &h.im[2]);
	manifest_free(m);
	history_fini(&h);
}

static void
test_care_index_damage_does_not_stop_a_backup(void **state)
{
	struct err err = ERR_INIT;
	struct manifest *m;
	struct history h;
	uint8_t *bytes;
	size_t size, i;

	(void)state;
	history_init(&h, MIB);
	rig_keys(&rig, &keys, "index/");
	for (i = 0; i < keys.count; i++) {
		bytes = rig_load(&rig, keys.key[i], &size);
		bytes[size / 2] ^= 1;
		rig_replace(&rig, keys.key[i], bytes, size);
		free(bytes);
	}
	assert_int_equal(rig_verify(rig.store, NULL), keys.count);
	assert_int_equal(read_all(&h), 0);
	assert_int_equal(
	    rig_backup(&rig, rig.store, &m, &h.im[2], NULL, NULL, &err), 0);
	assert_int_equal(m->disks[0].new_bytes, 0);
	rig_expect(rig.store, m, &h.im[2]);
	manifest_free(m);
	history_fini(&h);
}

/* Each put fails once, before and after it is done: no point, no harm. */
static void
backup_failing(enum err_class class, bool after_put)
{
	struct wrap_fault_plan plan = {
		.ops = WRAP_FAULT_PUT, .class = class, .after = after_put
	};
	struct err err = ERR_INIT;
	struct manifest *m = NULL;
	struct history h;
	struct image im;
	size_t points;

	history_init(&h, MIB);
	image_copy(&im, &h.im[2]);
	image_fill(&im, 0, 600 * 1024, 77, false);
	rig_keys(&rig, &keys, "points/");
	points = keys.count;
	for (plan.fail_at = 1;; plan.fail_at++) {
		wrap_fault_set(&rig.fault, &plan);
		if (rig_backup(
			&rig, rig.store, &m, &im, h.m[2], &h.im[2], &err) == 0)
			break;
		assert_int_equal(err.class, class);
		plan.ops = 0;
		wrap_fault_set(&rig.fault, &plan);
		plan.ops = WRAP_FAULT_PUT;
		rig_keys(&rig, &keys, "points/");
		if (!after_put)
			assert_int_equal(keys.count, points);
		assert_int_equal(rig_verify(rig.store, NULL), 0);
		assert_int_equal(read_all(&h), 0);
		assert_true(plan.fail_at < 50);
	}
	assert_true(plan.fail_at >= 2);
	rig_expect(rig.store, m, &im);
	manifest_free(m);
	image_fini(&im);
	history_fini(&h);
}

static void
test_care_failing_puts_leave_no_point(void **state)
{
	(void)state;
	backup_failing(ERR_IO, false);
}

static void
test_care_full_disk_leaves_a_sound_repository(void **state)
{
	(void)state;
	backup_failing(ERR_NO_SPACE, false);
}

static void
test_care_puts_that_fail_late_do_no_harm(void **state)
{
	(void)state;
	backup_failing(ERR_IO, true);
}

static void
test_care_prune_gives_back_space(void **state)
{
	const struct store_prune_options dry_run = { .dry_run = true,
		.silence_ms = 1 };
	struct store_prune_result dry, done;
	struct err err = ERR_INIT;
	struct history h;

	(void)state;
	history_init(&h, 8 * MIB);
	assert_int_equal(rig_prune(rig.store, &done, &err), 0);
	assert_int_equal(done.packs_removed + done.packs_rewritten, 0);
	assert_int_equal(done.bytes_freed, 0);
	assert_int_equal(store_point_forget(rig.store, h.m[0]->id, &err), 0);
	assert_int_equal(store_point_forget(rig.store, h.m[1]->id, &err), 0);
	rig_keys(&rig, &keys, "");
	assert_int_equal(store_prune(rig.store, &dry_run, &dry, &err), 0);
	rig_keys(&rig, &after, "");
	assert_int_equal(keys.bytes, after.bytes);
	assert_int_equal(rig_prune(rig.store, &done, &err), 0);
	rig_keys(&rig, &after, "");
	assert_true(after.bytes < keys.bytes);
	assert_int_equal(dry.bytes_freed, done.bytes_freed);
	assert_true(done.packs_rewritten + done.packs_removed > 0);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	rig_expect(rig.store, h.m[2], &h.im[2]);
	assert_int_equal(store_point_forget(rig.store, h.m[2]->id, &err), 0);
	assert_int_equal(rig_prune(rig.store, &done, &err), 0);
	rig_keys(&rig, &after, "packs/");
	assert_int_equal(after.count, 0);
	rig_keys(&rig, &after, "index/");
	assert_int_equal(after.count, 0);
	history_fini(&h);
}

/* Dies at each write or removal in turn; the point stays whole. */
static void
test_care_prune_may_die_anywhere(void **state)
{
	struct wrap_fault_plan plan = {
		.ops = WRAP_FAULT_PUT | WRAP_FAULT_REMOVE, .class = ERR_IO
	};
	struct store_prune_result done;
	struct err err = ERR_INIT;
	struct history h;
	int rc;

	(void)state;
	for (plan.fail_at = 1;; plan.fail_at += rig_slow() ? 4 : 1) {
		history_init(&h, 4 * MIB);
		assert_int_equal(
		    store_point_forget(rig.store, h.m[0]->id, &err), 0);
		assert_int_equal(
		    store_point_forget(rig.store, h.m[1]->id, &err), 0);
		wrap_fault_set(&rig.fault, &plan);
		rc = rig_prune(rig.store, &done, &err);
		wrap_fault_set(
		    &rig.fault, &(struct wrap_fault_plan){ .ops = 0 });
		assert_int_equal(rig_verify(rig.store, NULL), 0);
		rig_expect(rig.store, h.m[2], &h.im[2]);
		assert_int_equal(rig_prune(rig.store, &done, &err), 0);
		assert_int_equal(rig_verify(rig.store, NULL), 0);
		rig_expect(rig.store, h.m[2], &h.im[2]);
		assert_int_equal(
		    store_point_forget(rig.store, h.m[2]->id, &err), 0);
		assert_int_equal(rig_prune(rig.store, &done, &err), 0);
		rig_keys(&rig, &after, "packs/");
		assert_int_equal(after.count, 0);
		history_fini(&h);
		if (rc == 0)
			break;
		assert_true(plan.fail_at < 100);
	}
	assert_true(plan.fail_at > 4);
}

static void
test_care_prune_refuses_over_a_damaged_point(void **state)
{
	struct store_prune_result done;
	struct err err = ERR_INIT;
	struct history h;
	uint8_t *bytes;
	size_t size;

	(void)state;
	history_init(&h, MIB);
	rig_keys(&rig, &keys, "points/");
	bytes = rig_load(&rig, keys.key[1], &size);
	bytes[size - 1] ^= 1;
	rig_replace(&rig, keys.key[1], bytes, size);
	rig_keys(&rig, &keys, "");
	assert_int_equal(rig_prune(rig.store, &done, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	rig_keys(&rig, &after, "");
	assert_int_equal(keys.count, after.count);
	free(bytes);
	history_fini(&h);
}

int
main(void)
{
#define CARE(name) RIG_CASE(test_care_##name, &start)
	const struct CMUnitTest tests[] = {
		CARE(flipped_byte_is_found_everywhere),
		CARE(swapped_objects_are_found),
		CARE(truncated_and_missing_are_found),
		CARE(damage_is_mapped_to_its_points),
		CARE(backup_heals_a_missing_pack),
		CARE(index_damage_does_not_stop_a_backup),
		CARE(failing_puts_leave_no_point),
		CARE(full_disk_leaves_a_sound_repository),
		CARE(puts_that_fail_late_do_no_harm),
		CARE(prune_gives_back_space),
		CARE(prune_may_die_anywhere),
		CARE(prune_refuses_over_a_damaged_point),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
