/* SPDX-License-Identifier: Apache-2.0 */
/* While one member of a group is read, the scratch space of all is watched,
 * and one that runs out lets every guest go.  And tracking that lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/job/backup_internal.h"
#include "agent/job/context.h"
#include "agent/source/source.h"
#include "catalog/catalog.h"
#include "store/store.h"

#define COUNT 3
#define MIB (UINT64_C(1) << 20)

/* ---- the members, as each test sets them up ---- */

struct scratch {
	unsigned int looks;
	unsigned int looks_until_full; /* 0: it never is. */
};

static struct scratch scratches[COUNT];
static struct backup members[COUNT];
static struct backup_disk disks[COUNT];
static struct domain_disk disks_now[COUNT];
static struct backup_set set;
static struct job_context ctx;
static struct backup_options options;
static struct manifest_disk base = { .target = (char *)(uintptr_t) "vda",
	.size_bytes = MIB };
static unsigned int stopped, ended, copied, aborted;
static uint64_t last_done, last_total;
static struct source_disk last_source; /* Of the last copy. */
static bool has_base;                  /* Of the last disk begun. */

const char *
scratch_socket(const struct scratch *s)
{
	(void)s;
	return "/scratch/nbd.sock";
}

int
scratch_check(struct scratch *s, struct err *err)
{
	s->looks++;
	if (s->looks_until_full != 0 && s->looks >= s->looks_until_full)
		return err_set(err, ERR_NO_SPACE, "scratch space runs out");
	return 0;
}

int
backup_stop_job(struct backup *b, struct err *err)
{
	(void)b;
	(void)err;
	stopped++;
	return 0;
}

int
backup_end_job(struct backup *b, struct err *err)
{
	(void)err;
	ended++;
	b->scratch = NULL;
	return 0;
}

int
source_size(
    const struct source_disk *source, uint64_t *out_bytes, struct err *err)
{
	(void)source;
	(void)err;
	*out_bytes = MIB;
	return 0;
}

/* A copy of two looks. */
int
source_copy(const struct source_disk *source, struct store_disk *disk,
    source_tick_fn *tick, void *arg, struct source_result *result,
    struct err *err)
{
	(void)disk;
	last_source = *source;
	if (tick(arg, 0, MIB, err) == -1 || tick(arg, MIB, MIB, err) == -1)
		return -1;
	result->read_bytes = MIB;
	copied++;
	return 0;
}

int
store_disk_begin(struct store_disk **out, struct store_session *session,
    uint64_t size_bytes, const uint8_t *base_root, uint64_t base_size_bytes,
    struct err *err)
{
	(void)session;
	(void)size_bytes;
	(void)base_size_bytes;
	(void)err;
	has_base = base_root != NULL;
	*out = NULL;
	return 0;
}

int
store_disk_end(
    struct store_disk *disk, struct manifest_disk *out, struct err *err)
{
	(void)disk;
	(void)out;
	(void)err;
	return 0;
}

void
store_disk_abort(struct store_disk *disk)
{
	(void)disk;
	aborted++;
}

/* ---- the audit ---- */

/* A source of four blocks whose bitmap calls them clean; those of lies are
 * not what they were. */
static unsigned int lies, audits, audited_permille;
static bool base_damaged;
static uint64_t recorded_audited, recorded_missed;

int
source_audit(const struct source_disk *source, unsigned int permille,
    source_same_fn *same, source_tick_fn *tick, void *arg,
    struct source_audit *out, struct err *err)
{
	uint8_t block[4] = { 0 };
	unsigned int i;
	int rc;

	audits++;
	audited_permille = permille;
	assert_true(source->incremental);
	memset(out, 0, sizeof(*out));
	if (tick(arg, 0, 0, err) == -1)
		return -1;
	for (i = 0; i < 4; i++) {
		block[0] = i >= 4 - lies;
		if ((rc = same(arg, i, block, err)) == -1)
			return -1;
		out->audited_blocks++;
		if (rc == 0 && out->missed_blocks++ == 0)
			out->first_missed = i;
	}
	return 0;
}

int
store_comparer_new(struct store_comparer **out, struct store *s,
    const struct manifest_disk *disk, struct err *err)
{
	(void)s;
	(void)err;
	assert_string_equal(disk->target, "vda");
	*out = NULL;
	return 0;
}

void
store_comparer_free(struct store_comparer *c)
{
	(void)c;
}

int
store_compare_block(
    struct store_comparer *c, uint64_t block, const void *data, struct err *err)
{
	(void)c;
	(void)block;
	if (base_damaged)
		return err_set(err, ERR_CORRUPT, "no pack holds map piece");
	return *(const uint8_t *)data == 0;
}

int
catalog_run_audit(struct catalog *c, const char *run_id, uint64_t audited,
    uint64_t missed, struct err *err)
{
	(void)c;
	(void)run_id;
	(void)err;
	recorded_audited += audited;
	recorded_missed += missed;
	return 0;
}

/* ---- bed ---- */

static void
progress(void *arg, const char *disk, uint64_t disk_done, uint64_t disk_total,
    uint64_t all_done, uint64_t all_total)
{
	(void)arg;
	(void)disk;
	(void)disk_done;
	(void)disk_total;
	assert_true(all_done >= last_done);
	last_done = all_done;
	last_total = all_total;
}

static int
setup(void **state)
{
	static const char *const names[COUNT] = { "web", "app", "db" };
	size_t i;

	(void)state;
	memset(scratches, 0, sizeof(scratches));
	memset(members, 0, sizeof(members));
	memset(disks, 0, sizeof(disks));
	stopped = ended = copied = aborted = 0;
	lies = audits = audited_permille = 0;
	base_damaged = false;
	recorded_audited = recorded_missed = 0;
	options = (struct backup_options){ .job = "" };
	last_done = last_total = 0;
	ctx.events.progress = progress;
	set = (struct backup_set){
		.ctx = &ctx, .members = members, .count = COUNT
	};
	strcpy(set.group, "0123456789abcdef0123456789abcdef");
	for (i = 0; i < COUNT; i++) {
		disks_now[i] = (struct domain_disk){ .target = (char *)"vda",
			.path = (char *)"/vda",
			.format = (char *)"qcow2",
			.size_bytes = MIB };
		disks[i].disk = &disks_now[i];
		members[i].ctx = &ctx;
		members[i].options = &options;
		members[i].name = names[i];
		members[i].scratch = &scratches[i];
		members[i].disks = &disks[i];
		members[i].disk_count = 1;
		members[i].manifest = manifest_new();
	}
	return 0;
}

static int
teardown(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT; i++)
		manifest_free(members[i].manifest);
	return 0;
}

/* ---- cases ---- */

static void
test_backup_stream_reads_all_and_ends_each_job(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(backup_stream(&set, &err), 0);
	assert_int_equal(copied, COUNT);
	assert_int_equal(ended, COUNT);
	assert_int_equal(last_total, COUNT * MIB);
	assert_int_equal(last_done, COUNT * MIB);
	/* Each as long as its job lasts, and no longer. */
	assert_int_equal(scratches[0].looks, 2);
	assert_int_equal(scratches[1].looks, 4);
	assert_int_equal(scratches[2].looks, 6);
}

static void
test_backup_stream_watches_those_that_wait(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	scratches[2].looks_until_full = 1;
	assert_int_equal(backup_stream(&set, &err), -1);
	assert_int_equal(err.class, ERR_NO_SPACE);
	assert_non_null(strstr(err.text, "domain 'db'"));
	/* The guests first: all of them, at once. */
	assert_int_equal(stopped, COUNT);
	assert_int_equal(copied, 0);
	assert_int_equal(aborted, 1);
}

static void
test_backup_stream_gives_up_all_for_one_in_the_middle(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	scratches[1].looks_until_full = 3;
	assert_int_equal(backup_stream(&set, &err), -1);
	assert_int_equal(copied, 1);
	assert_int_equal(ended, 1);
	assert_int_equal(stopped, COUNT);
}

/* ---- tracking ---- */

static void
stream_with_base(void)
{
	struct err err = ERR_INIT;

	set.count = 1;
	disks[0].base = &base;
	if (backup_stream(&set, &err) == -1)
		fail_msg("%s", err.text);
}

static void
test_backup_stream_audit_leaves_a_true_bitmap_alone(void **state)
{
	(void)state;
	options.audit_permille = 7;
	disks[0].heal = (struct store_range[]){ { 65536, 65536 } };
	disks[0].heal_count = 1;
	stream_with_base();
	disks[0].heal = NULL;
	assert_int_equal(audits, 1);
	assert_int_equal(audited_permille, 7);
	assert_true(last_source.incremental);
	assert_int_equal(last_source.also_count, 1);
	assert_true(has_base);
	assert_false(disks[0].demoted);
	assert_int_equal(
	    members[0].manifest->disks[0].source, MANIFEST_SOURCE_BITMAP);
	assert_int_equal(recorded_audited, 4);
	assert_int_equal(recorded_missed, 0);
}

static void
test_backup_stream_audit_reads_whole_what_lies(void **state)
{
	const struct manifest_disk *disk;

	(void)state;
	lies = 2;
	stream_with_base();
	disk = &members[0].manifest->disks[0];
	assert_false(last_source.incremental);
	assert_false(has_base);
	assert_true(disks[0].demoted);
	assert_int_equal(disk->source, MANIFEST_SOURCE_FULL);
	assert_int_equal(members[0].manifest->kind, MANIFEST_FULL);
	assert_non_null(strstr(disk->reason, "2 of 4 blocks"));
	assert_non_null(strstr(disk->reason, "byte 131072"));
	assert_int_equal(recorded_audited, 4);
	assert_int_equal(recorded_missed, 2);
}

static void
test_backup_stream_audit_of_a_damaged_base_is_a_full(void **state)
{
	(void)state;
	base_damaged = true;
	stream_with_base();
	assert_false(has_base);
	assert_true(disks[0].demoted);
	assert_non_null(
	    strstr(members[0].manifest->disks[0].reason, "damaged"));
}

static void
test_backup_stream_audit_can_be_left_out(void **state)
{
	(void)state;
	lies = 4;
	options.no_audit = true;
	stream_with_base();
	assert_int_equal(audits, 0);
	assert_true(has_base);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_backup_stream_reads_all_and_ends_each_job),
		CASE(test_backup_stream_watches_those_that_wait),
		CASE(test_backup_stream_gives_up_all_for_one_in_the_middle),
		CASE(test_backup_stream_audit_leaves_a_true_bitmap_alone),
		CASE(test_backup_stream_audit_reads_whole_what_lies),
		CASE(test_backup_stream_audit_of_a_damaged_base_is_a_full),
		CASE(test_backup_stream_audit_can_be_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
