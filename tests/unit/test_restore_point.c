/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused before the first disk, and what stays when libvirt fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/domain/domain.h"
#include "agent/job/context.h"
#include "agent/job/restore_point.h"
#include "common/err.h"
#include "store/store.h"
#include "tests/unit/temp_dir.h"

#define UUID "11111111-2222-3333-4444-555555555555"

/* ---- what the world answers, set by each test ---- */

static const char *refused_target, *taken_name, *taken_uuid;
static bool define_fails, start_fails;
static bool marked, healed; /* vdb. */
static unsigned int written, defined, started;
static uint64_t lost_bytes, lost_at; /* Of the result. */

int
job_find_point(struct manifest **out, struct job_context *ctx,
    const char *point, struct err *err)
{
	struct manifest *m = calloc(1, sizeof(*m));

	(void)ctx;
	(void)point;
	(void)err;
	assert_non_null(m);
	strcpy(m->id, "0123456789abcdef0123456789abcdef");
	m->domain = strdup("db");
	m->uuid = strdup(UUID);
	m->definition_xml = strdup("<domain/>");
	m->disks = calloc(2, sizeof(*m->disks));
	m->disk_count = 2;
	m->disks[0].target = strdup("vda");
	m->disks[1].target = strdup("vdb");
	*out = m;
	return 0;
}

int
restore_check(const struct manifest_disk *disk,
    const struct restore_options *options, struct err *err)
{
	(void)disk;
	if (refused_target == NULL ||
	    strstr(options->target, refused_target) == NULL)
		return 0;
	return err_set(err, ERR_NO_SPACE, "'%s' is too small", refused_target);
}

int
restore_disk(struct store *s, const struct manifest_disk *disk,
    const struct restore_options *options, struct err *err)
{
	FILE *f = fopen(options->target, "we");

	(void)s;
	assert_non_null(f);
	fclose(f);
	written++;
	if (options->lost != NULL && strcmp(disk->target, "vda") == 0)
		return options->lost(options->arg, 65536, 4096, err);
	return 0;
}

const char *
restore_format_name(enum restore_format format)
{
	return format == RESTORE_RAW ? "raw" : "qcow2";
}

int
definition_rewrite(char **out, const char *xml,
    const struct definition_options *options, struct err *err)
{
	(void)options;
	(void)err;
	*out = strdup(xml);
	return 0;
}

int
domain_disks_parse(struct domain_disk **out, size_t *out_count, const char *xml,
    struct err *err)
{
	(void)xml;
	(void)err;
	*out = NULL;
	*out_count = 0;
	return 0;
}

void
domain_disks_free(struct domain_disk *disks, size_t count)
{
	(void)disks;
	(void)count;
}

int
domain_open(struct domain **out, struct domain_connection *c,
    const char *name_or_uuid, struct err *err)
{
	(void)c;
	*out = NULL;
	if ((taken_name != NULL && strcmp(name_or_uuid, taken_name) == 0) ||
	    (taken_uuid != NULL && strcmp(name_or_uuid, taken_uuid) == 0))
		return 0;
	return err_set(err, ERR_NOT_FOUND, "no domain '%s'", name_or_uuid);
}

const char *
domain_name(const struct domain *d)
{
	(void)d;
	return "db";
}

void
domain_close(struct domain *d)
{
	(void)d;
}

int
domain_define(struct domain_connection *c, const char *xml, struct err *err)
{
	(void)c;
	(void)xml;
	if (define_fails)
		return err_set(err, ERR_IO, "cannot define the domain: no");
	defined++;
	return 0;
}

int
domain_start(struct domain_connection *c, const char *name, struct err *err)
{
	(void)c;
	if (start_fails)
		return err_set(err, ERR_IO, "cannot start '%s': no", name);
	started++;
	return 0;
}

int
store_marks(struct store *s, store_hurt_fn *fn, void *arg, struct err *err)
{
	struct store_hurt hurt = { .point = "0123456789abcdef0123456789abcdef",
		.disk = "vdb",
		.bytes = 65536 };

	(void)s;
	(void)err;
	if (marked)
		fn(arg, &hurt);
	return 0;
}

int
store_point_whole(
    bool *out, struct store *s, const struct manifest *m, struct err *err)
{
	(void)s;
	(void)m;
	(void)err;
	*out = healed;
	return 0;
}

bool
store_point_gone(struct store *s, const char *id)
{
	(void)s;
	(void)id;
	return false;
}

/* ---- the tests ---- */

static const char *dir;

static int
setup(void **state)
{
	refused_target = taken_name = taken_uuid = NULL;
	define_fails = start_fails = marked = healed = false;
	written = defined = started = 0;
	assert_int_equal(temp_dir_setup(state), 0);
	dir = *state;
	return 0;
}

static bool
there_is(const char *name)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/to/%s", dir, name);
	return access(path, F_OK) == 0;
}

static int
restore_to_dir(struct restore_point_options *options, struct err *err)
{
	struct job_context ctx = { .state_dir = dir };
	struct restore_point_result result;
	char to[128];
	int rc;

	err_clear(err);
	snprintf(to, sizeof(to), "%s/to", dir);
	options->point = "db@latest";
	options->dir = to;
	options->define = true;
	rc = job_restore(&ctx, options, &result, err);
	lost_bytes = result.lost_bytes;
	lost_at = result.lost != NULL && result.lost[0].count > 0
		      ? result.lost[0].ranges[0].offset
		      : 0;
	restore_point_result_fini(&result);
	return rc;
}

static void
says(const char *text, const char *what)
{
	if (strstr(text, what) == NULL)
		fail_msg("'%s' is not in: %s", what, text);
}

static void
test_restore_point_files_stay_when_define_fails(void **state)
{
	struct restore_point_options options = { .start = true };
	struct err err = ERR_INIT;

	(void)state;
	define_fails = true;
	assert_int_equal(restore_to_dir(&options, &err), -1);
	says(err.text, "the disks are restored, but not the domain: cannot");
	says(err.hint, "virsh define ");
	says(err.hint, "/to/domain.xml");
	assert_true(there_is("vda.qcow2") && there_is("vdb.qcow2"));
	assert_true(there_is("domain.xml"));
	assert_int_equal(started, 0);
}

static void
test_restore_point_domain_stays_when_start_fails(void **state)
{
	struct restore_point_options options = { .start = true, .name = "db2" };
	struct err err = ERR_INIT;

	(void)state;
	start_fails = true;
	assert_int_equal(restore_to_dir(&options, &err), -1);
	assert_int_equal(defined, 1);
	says(err.text, "is defined, but not started: cannot start 'db2'");
	says(err.hint, "virsh start db2");
	assert_true(there_is("vda.qcow2") && there_is("domain.xml"));
	start_fails = false;
	assert_int_equal(restore_to_dir(&options, &err), 0);
	assert_int_equal(started, 1);
}

/* Nothing is written, and the hint helps at the first try. */
static void
test_restore_point_taken_identity_is_found_first(void **state)
{
	struct restore_point_options options = { .start = false };
	struct err err = ERR_INIT;

	(void)state;
	taken_name = "db";
	taken_uuid = UUID;
	assert_int_equal(restore_to_dir(&options, &err), -1);
	assert_int_equal(err.class, ERR_EXISTS);
	says(err.hint, "--define NAME");
	assert_null(strstr(err.hint, "undefine"));
	options.same_identity = true;
	assert_int_equal(restore_to_dir(&options, &err), -1);
	says(err.hint, "undefine it first, or leave out --same-identity and");
	options.name = "db2";
	assert_int_equal(restore_to_dir(&options, &err), -1);
	says(err.text, "has the point's UUID");
	says(err.hint, "undefine it first, or leave out --same-identity");
	assert_false(there_is("."));
	assert_int_equal(written, 0);
}

/* The second of two targets is judged before the first is written. */
static void
test_restore_point_all_targets_are_judged_first(void **state)
{
	char first[96], second[96];
	struct restore_point_target targets[] = { { "vda", first },
		{ "vdb", second } };
	struct restore_point_options options = {
		.point = "db@latest",
		.targets = targets,
		.target_count = 2,
	};
	struct job_context ctx = { .state_dir = dir };
	struct restore_point_result result;
	struct err err = ERR_INIT;

	(void)state;
	snprintf(first, sizeof(first), "%s/first", dir);
	snprintf(second, sizeof(second), "%s/second", dir);
	refused_target = "second";
	assert_int_equal(job_restore(&ctx, &options, &result, &err), -1);
	assert_int_equal(err.class, ERR_NO_SPACE);
	says(err.text, "disk 'vdb': 'second' is too small");
	assert_int_equal(written, 0);
	restore_point_result_fini(&result);
	refused_target = NULL;
	assert_int_equal(job_restore(&ctx, &options, &result, &err), 0);
	restore_point_result_fini(&result);
	assert_int_equal(written, 2);
}

/* What the disks lack is known to nobody else. */
static void
test_restore_point_lost_ranges_outlive_a_failure(void **state)
{
	struct restore_point_options options = { .salvage = true };
	struct err err = ERR_INIT;

	(void)state;
	define_fails = true;
	assert_int_equal(restore_to_dir(&options, &err), -1);
	assert_int_equal(lost_bytes, 4096);
	assert_int_equal(lost_at, 65536);
}

/* Hours would pass until the range that is lost. */
static void
test_restore_point_marked_is_refused_first(void **state)
{
	struct restore_point_options options = { .start = false };
	struct err err = ERR_INIT;

	(void)state;
	marked = true;
	assert_int_equal(restore_to_dir(&options, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	says(err.text, "65536 bytes of disk 'vdb' are lost");
	says(err.hint, "--salvage");
	assert_int_equal(written, 0);
	healed = true;
	assert_int_equal(restore_to_dir(&options, &err), 0);
	assert_int_equal(written, 2);
}

int
main(void)
{
#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, setup, temp_dir_teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_restore_point_files_stay_when_define_fails),
		CASE(test_restore_point_domain_stays_when_start_fails),
		CASE(test_restore_point_taken_identity_is_found_first),
		CASE(test_restore_point_all_targets_are_judged_first),
		CASE(test_restore_point_lost_ranges_outlive_a_failure),
		CASE(test_restore_point_marked_is_refused_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
