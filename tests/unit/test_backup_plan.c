/* SPDX-License-Identifier: Apache-2.0 */
/* Which disks are read, and how: each demotion hits its disk only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/job/backup_internal.h"
#include "agent/job/context.h"
#include "catalog/catalog.h"
#include "common/err.h"
#include "store/store.h"

#define UUID "11111111-2222-3333-4444-555555555555"
#define BASE_ID "0123456789abcdef0123456789abcdef"
#define STORE_ID "fedcba9876543210fedcba9876543210"

/* ---- what the world answers, set by each test ---- */

static struct domain_disk disks_now[4];
static size_t disks_now_count;
static bool have_base, base_unreadable;
static const char *base_checkpoint;
static const char *unusable_disk;
/* What the repository has lost of vda's base. */
static bool any_damage, map_lost;
static unsigned int lost_ranges, looks;

int
domain_disks(struct domain_disk **out, size_t *out_count, struct domain *d,
    struct err *err)
{
	(void)d;
	(void)err;
	*out = disks_now;
	*out_count = disks_now_count;
	return 0;
}

const char *
domain_name(const struct domain *d)
{
	(void)d;
	return "web";
}

const char *
domain_uuid(const struct domain *d)
{
	(void)d;
	return UUID;
}

int
domain_definition(char **out, struct domain *d, struct err *err)
{
	(void)d;
	(void)err;
	*out = strdup("<domain/>");
	return 0;
}

int
domain_checkpoint_usable(struct domain *d, const char *checkpoint,
    const char *target, char *out_reason, size_t reason_size, struct err *err)
{
	(void)d;
	(void)err;
	assert_string_equal(checkpoint, base_checkpoint);
	snprintf(out_reason, reason_size, "%s",
	    unusable_disk != NULL && strcmp(unusable_disk, target) == 0
		? "its bitmap is gone"
		: "");
	return 0;
}

int
catalog_points(struct catalog *c, const char *repository_id, const char *domain,
    catalog_point_fn *fn, void *arg, struct err *err)
{
	struct manifest m = { .id = BASE_ID, .uuid = (char *)UUID };
	struct manifest other = { .id = "ff", .uuid = (char *)"another" };

	(void)c;
	(void)repository_id;
	(void)domain;
	(void)err;
	if (have_base && fn(arg, &m) != 0)
		return 0;
	/* A machine of the same name that is another one. */
	fn(arg, &other);
	return 0;
}

const char *
store_id(const struct store *s)
{
	(void)s;
	return STORE_ID;
}

int
store_any_damage(bool *out, struct store *s, struct err *err)
{
	(void)s;
	(void)err;
	*out = any_damage;
	return 0;
}

static bool is_host;

bool
store_is_host(const struct store *s)
{
	(void)s;
	return is_host;
}

/* A mark of the base, after one of another point that has lost more. */
int
store_marks(struct store *s, store_hurt_fn *fn, void *arg, struct err *err)
{
	const struct store_range range[] = { { 0, STORE_BLOCK_BYTES },
		{ 2 * (uint64_t)STORE_BLOCK_BYTES, STORE_BLOCK_BYTES } };
	struct store_hurt hurt = { .point = "another",
		.disk = "vda",
		.ranges = range,
		.range_count = 2,
		.more = true };

	(void)s;
	(void)err;
	fn(arg, &hurt);
	hurt.point = BASE_ID;
	hurt.range_count = lost_ranges;
	hurt.more = map_lost;
	fn(arg, &hurt);
	return 0;
}

int
store_disk_lost(struct store *s, const struct manifest_disk *disk,
    bool *out_map_lost, store_range_fn *fn, void *arg, struct err *err)
{
	unsigned int i;

	(void)s;
	looks++;
	*out_map_lost = map_lost && strcmp(disk->target, "vda") == 0;
	if (strcmp(disk->target, "vda") != 0)
		return 0;
	for (i = 0; i < lost_ranges; i++)
		assert_int_equal(fn(arg, i * 2 * (uint64_t)STORE_BLOCK_BYTES,
				     STORE_BLOCK_BYTES, err),
		    0);
	return 0;
}

static void
base_disk(struct manifest_disk *disk, const char *target, const char *path)
{
	disk->target = strdup(target);
	disk->format = strdup("qcow2");
	disk->path = strdup(path);
	disk->reason = strdup("");
	disk->size_bytes = 1 << 30;
}

int
store_manifest_read(
    struct manifest **out, struct store *s, const char *id, struct err *err)
{
	struct manifest *m;

	(void)s;
	assert_string_equal(id, BASE_ID);
	if (base_unreadable)
		return err_set(err, ERR_CORRUPT, "flipped byte");
	m = manifest_new();
	memcpy(m->id, BASE_ID, sizeof(m->id));
	m->checkpoint = strdup(base_checkpoint);
	m->disks = calloc(2, sizeof(*m->disks));
	m->disk_count = 2;
	base_disk(&m->disks[0], "vda", "/img/a");
	base_disk(&m->disks[1], "vdb", "/img/b");
	*out = m;
	return 0;
}

/* ---- bed ---- */

static void
disk_now(const char *target, const char *path, const char *format)
{
	struct domain_disk *disk = &disks_now[disks_now_count++];

	memset(disk, 0, sizeof(*disk));
	disk->target = (char *)(uintptr_t)target;
	disk->path = (char *)(uintptr_t)path;
	disk->format = (char *)(uintptr_t)format;
	disk->type = (char *)(uintptr_t) "file";
	disk->serial = (char *)(uintptr_t) "";
	disk->size_bytes = 1 << 30;
	disk->writable = disk->is_disk = true;
}

static int
set_up(void **state)
{
	(void)state;
	disks_now_count = 0;
	disk_now("vda", "/img/a", "qcow2");
	disk_now("vdb", "/img/b", "qcow2");
	have_base = true;
	base_unreadable = false;
	base_checkpoint = "holdstill-fedcba98-0";
	unusable_disk = NULL;
	any_damage = map_lost = is_host = false;
	lost_ranges = looks = 0;
	return 0;
}

static struct job_context context;

static int
plan(struct backup *b, const struct backup_options *options, struct err *err)
{
	memset(b, 0, sizeof(*b));
	b->ctx = &context;
	b->options = options;
	b->manifest = manifest_new();
	return backup_plan(b, err);
}

static void
plan_free(struct backup *b)
{
	size_t i;

	for (i = 0; i < b->disk_count; i++)
		free(b->disks[i].heal);
	free(b->disks);
	manifest_free(b->manifest);
	manifest_free(b->base);
}

static const struct backup_options usual = { .job = "" };

/* ---- cases ---- */

static void
test_backup_plan_first_is_full_without_demotion(void **state)
{
	struct err err = ERR_INIT;
	struct backup b;

	(void)state;
	have_base = false;
	assert_int_equal(plan(&b, &usual, &err), 0);
	assert_int_equal(b.disk_count, 2);
	assert_null(b.disks[0].base);
	assert_false(b.disks[0].demoted);
	assert_string_equal(b.manifest->parent, "");
	assert_non_null(strstr(b.disks[1].reason, "first backup"));
	plan_free(&b);
}

static void
test_backup_plan_all_incremental_when_tracked(void **state)
{
	struct err err = ERR_INIT;
	struct backup b;

	(void)state;
	assert_int_equal(plan(&b, &usual, &err), 0);
	assert_non_null(b.disks[0].base);
	assert_non_null(b.disks[1].base);
	assert_string_equal(b.disks[0].reason, "");
	assert_string_equal(b.manifest->parent, BASE_ID);
	assert_int_equal(strncmp(b.checkpoint, "holdstill-fedcba98-", 19), 0);
	plan_free(&b);
}

static void
test_backup_plan_demotes_only_the_disk_that_lost_tracking(void **state)
{
	struct err err = ERR_INIT;
	struct backup b;

	(void)state;
	unusable_disk = "vdb";
	assert_int_equal(plan(&b, &usual, &err), 0);
	assert_non_null(b.disks[0].base);
	assert_null(b.disks[1].base);
	assert_true(b.disks[1].demoted);
	assert_string_equal(b.disks[1].reason, "its bitmap is gone");
	plan_free(&b);
}

/* The same target on another file has another file's bitmap. */
static void
test_backup_plan_another_file_is_full(void **state)
{
	struct err err = ERR_INIT;
	struct backup b;

	(void)state;
	disks_now[0].path = (char *)(uintptr_t) "/img/b";
	disks_now[1].path = (char *)(uintptr_t) "/img/a";
	assert_int_equal(plan(&b, &usual, &err), 0);
	assert_null(b.disks[0].base);
	assert_null(b.disks[1].base);
	assert_true(b.disks[0].demoted);
	plan_free(&b);
}

static void
test_backup_plan_resized_disk_is_full(void **state)
{
	struct err err = ERR_INIT;
	struct backup b;

	(void)state;
	disks_now[1].size_bytes = 2u << 30;
	assert_int_equal(plan(&b, &usual, &err), 0);
	assert_non_null(b.disks[0].base);
	assert_null(b.disks[1].base);
	assert_non_null(strstr(b.disks[1].reason, "resized"));
	plan_free(&b);
}

static void
test_backup_plan_new_and_raw_disks_are_no_demotion(void **state)
{
	struct err err = ERR_INIT;
	struct backup b;

	(void)state;
	disks_now[1].format = (char *)(uintptr_t) "raw";
	disk_now("vdc", "/img/c", "qcow2");
	assert_int_equal(plan(&b, &usual, &err), 0);
	assert_non_null(b.disks[0].base);
	assert_null(b.disks[1].base);
	assert_false(b.disks[1].demoted);
	assert_null(b.disks[2].base);
	assert_false(b.disks[2].demoted);
	plan_free(&b);
}

static void
test_backup_plan_only_raw_disks_make_no_checkpoint(void **state)
{
	struct err err = ERR_INIT;
	struct backup b;

	(void)state;
	disks_now[0].format = disks_now[1].format = (char *)(uintptr_t) "raw";
	assert_int_equal(plan(&b, &usual, &err), 0);
	assert_string_equal(b.checkpoint, "");
	assert_string_equal(b.manifest->checkpoint, "");
	plan_free(&b);
}

static void
test_backup_plan_damaged_manifest_makes_a_full(void **state)
{
	struct err err = ERR_INIT;
	struct backup b;

	(void)state;
	base_unreadable = true;
	assert_int_equal(plan(&b, &usual, &err), 0);
	assert_null(b.base);
	assert_non_null(strstr(b.disks[0].reason, "flipped byte"));
	assert_true(b.disks[0].demoted);
	plan_free(&b);
}

static void
test_backup_plan_asked_full_is_no_demotion(void **state)
{
	const struct backup_options full = { .job = "", .full = true };
	struct err err = ERR_INIT;
	struct backup b;

	(void)state;
	assert_int_equal(plan(&b, &full, &err), 0);
	assert_null(b.disks[0].base);
	assert_false(b.disks[0].demoted);
	plan_free(&b);
}

static void
test_backup_plan_leaves_out_what_is_no_disk_of_its_own(void **state)
{
	struct err err = ERR_INIT;
	struct backup b;

	(void)state;
	disks_now[0].shareable = true;
	disk_now("sda", "/img/cd", "raw");
	disks_now[2].is_disk = false;
	assert_int_equal(plan(&b, &usual, &err), 0);
	assert_int_equal(b.disk_count, 1);
	assert_string_equal(b.disks[0].disk->target, "vdb");
	plan_free(&b);
}

static void
test_backup_plan_misspelt_exclude_is_refused(void **state)
{
	const char *const excludes[] = { "vdx" };
	const struct backup_options options = {
		.job = "",
		.exclude_disks = excludes,
		.exclude_count = 1,
	};
	struct err err = ERR_INIT;
	struct backup b;

	(void)state;
	assert_int_equal(plan(&b, &options, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	assert_non_null(strstr(err.text, "'vdx'"));
	plan_free(&b);
}

static void
test_backup_plan_network_disk_is_refused_by_name(void **state)
{
	struct err err = ERR_INIT;
	struct backup b;

	(void)state;
	disks_now[1].type = (char *)(uintptr_t) "network";
	assert_int_equal(plan(&b, &usual, &err), -1);
	assert_non_null(strstr(err.hint, "--exclude-disk vdb"));
	plan_free(&b);
}

static void
test_backup_plan_reads_again_what_the_base_lost(void **state)
{
	struct err err = ERR_INIT;
	struct backup b;

	(void)state;
	assert_int_equal(plan(&b, &usual, &err), 0);
	assert_int_equal(looks, 0); /* It costs a walk: only if need be. */
	plan_free(&b);
	any_damage = true;
	lost_ranges = 5;
	assert_int_equal(plan(&b, &usual, &err), 0);
	assert_non_null(b.disks[0].base);
	assert_false(b.disks[0].demoted);
	assert_int_equal(b.disks[0].heal_count, 5);
	assert_int_equal(b.disks[0].heal[4].offset, 8 * STORE_BLOCK_BYTES);
	assert_int_equal(b.disks[1].heal_count, 0);
	plan_free(&b);
}

static void
test_backup_plan_lost_map_makes_a_full(void **state)
{
	struct err err = ERR_INIT;
	struct backup b;

	(void)state;
	any_damage = map_lost = true;
	assert_int_equal(plan(&b, &usual, &err), 0);
	assert_null(b.disks[0].base);
	assert_true(b.disks[0].demoted);
	assert_non_null(strstr(b.disks[0].reason, "damaged"));
	assert_non_null(b.disks[1].base);
	plan_free(&b);
}

#define CASE(name) cmocka_unit_test_setup(test_backup_plan_##name, set_up)

static void
test_backup_plan_host_goes_by_the_mark_of_its_base(void **state)
{
	struct err err = ERR_INIT;
	struct backup b;

	(void)state;
	any_damage = is_host = true;
	lost_ranges = 1;
	assert_int_equal(plan(&b, &usual, &err), 0);
	assert_int_equal(looks, 0);
	assert_non_null(b.disks[0].base);
	assert_int_equal(b.disks[0].heal_count, 1);
	assert_int_equal(b.disks[1].heal_count, 0);
	plan_free(&b);
	map_lost = true;
	assert_int_equal(plan(&b, &usual, &err), 0);
	assert_null(b.disks[0].base);
	assert_non_null(b.disks[1].base);
	plan_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(first_is_full_without_demotion),
		CASE(all_incremental_when_tracked),
		CASE(demotes_only_the_disk_that_lost_tracking),
		CASE(another_file_is_full),
		CASE(resized_disk_is_full),
		CASE(new_and_raw_disks_are_no_demotion),
		CASE(only_raw_disks_make_no_checkpoint),
		CASE(damaged_manifest_makes_a_full),
		CASE(reads_again_what_the_base_lost),
		CASE(lost_map_makes_a_full),
		CASE(host_goes_by_the_mark_of_its_base),
		CASE(asked_full_is_no_demotion),
		CASE(leaves_out_what_is_no_disk_of_its_own),
		CASE(misspelt_exclude_is_refused),
		CASE(network_disk_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
