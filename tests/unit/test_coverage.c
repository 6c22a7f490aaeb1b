/* SPDX-License-Identifier: Apache-2.0 */
/* Where paths lead to, and whether a backup has that. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "guest-helper/coverage.h"
#include "guest-helper/datapath.h"
#include "temp_dir.h"

#define ITEMS 3

static char dir[PATH_MAX]; /* Without links. */
static char reason[MESSAGE_REASON_SIZE];

/* The mounts of this machine, and what the test says of some. */
static struct mounts_filesystem items[ITEMS];
static struct mounts plan = { .items = items };
static struct coverage coverage;

static const char *
at(const char *name)
{
	static char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static const struct mountinfo_entry *
entry_of(const char *path)
{
	const struct mountinfo_entry *e;
	char place[PATH_MAX];

	assert_int_equal(
	    datapath_find(&e, place, sizeof(place), &coverage.table, path), 0);
	return e;
}

/* The plan has the file system of that path. */
static struct mounts_filesystem *
plan_for(const char *path)
{
	const struct mountinfo_entry *e = entry_of(path);
	struct mounts_filesystem *fs = &items[plan.count++];

	assert_true(plan.count <= ITEMS);
	memset(fs, 0, sizeof(*fs));
	fs->major = e->major;
	fs->minor = e->minor;
	fs->in_backup = true;
	fs->mount_point = dir;
	return fs;
}

/* A row of the table that the machine does not have. */
static struct mountinfo_entry *
add_row(const char *mount_point, const char *type)
{
	struct mountinfo *t = &coverage.table;
	struct mountinfo_entry *e;

	t->entries =
	    reallocarray(t->entries, t->count + 1, sizeof(*t->entries));
	assert_non_null(t->entries);
	e = memset(&t->entries[t->count++], 0, sizeof(*e));
	e->id = 1 << 30;
	e->major = 4095;
	e->minor = 1;
	e->root = strdup("/");
	e->mount_point = strdup(mount_point);
	e->type = strdup(type);
	e->source = strdup("none");
	e->options = strdup("rw");
	return e;
}

static int
set_up(void **state)
{
	static const struct mounts_paths paths = {
		.mountinfo = "/proc/self/mountinfo",
	};

	if (temp_dir_setup(state) == -1 || realpath(*state, dir) == NULL)
		return -1;
	plan.count = 0;
	reason[0] = '\0';
	coverage_init(&coverage, &plan, &paths);
	assert_true(coverage.table.count > 0);
	return 0;
}

static int
tear_down(void **state)
{
	coverage_fini(&coverage);
	return temp_dir_teardown(state);
}

/* ---- paths ---- */

static void
expect_place(const char *path, const char *place)
{
	const struct mountinfo_entry *e;
	char out[PATH_MAX];

	assert_int_equal(
	    datapath_find(&e, out, sizeof(out), &coverage.table, path), 0);
	assert_non_null(e);
	assert_string_equal(out, place);
}

static void
expect_errno(const char *path, int error)
{
	const struct mountinfo_entry *e;
	char out[PATH_MAX];

	assert_int_equal(
	    datapath_find(&e, out, sizeof(out), &coverage.table, path), error);
	assert_null(e);
}

static void
test_coverage_follows_a_path_to_its_end(void **state)
{
	char place[PATH_MAX];

	(void)state;
	assert_int_equal(mkdir(at("real"), 0700), 0);
	assert_int_equal(mkdir(at("real/b c"), 0700), 0);
	assert_int_equal(symlink("real/../real", at("relative")), 0);
	assert_int_equal(symlink(dir, at("absolute")), 0);
	assert_int_equal(symlink("loop", at("loop")), 0);
	snprintf(place, sizeof(place), "%.500s/real/b c", dir);
	expect_place(place, place);
	expect_place(at("relative//b c/."), place);
	expect_place(at("absolute/absolute/relative/b c/"), place);
	expect_place("/../..", "/");
	expect_errno(at("loop"), ELOOP);
	expect_errno(at("missing/x"), ENOENT);
	expect_errno("srv", EINVAL);
}

static void
test_coverage_touches_nothing_that_may_hang(void **state)
{
	(void)state;
	assert_int_equal(mkdir(at("net"), 0700), 0);
	assert_int_equal(symlink("net/x", at("link")), 0);
	/* Found out by looking, it would not be there. */
	expect_errno(at("net/x"), ENOENT);
	add_row(at("net"), "nfs4");
	expect_errno(at("net/x"), EREMOTE);
	expect_errno(at("net"), EREMOTE);
	expect_errno(at("link"), EREMOTE);
	expect_errno(at("net/.."), EREMOTE);
}

/* Somebody made the mount after the table was read: it is the mount that
 * counts, not its name. */
static void
test_coverage_stops_at_an_unknown_mount(void **state)
{
	struct mountinfo *t = &coverage.table;
	const struct mountinfo_entry *e = entry_of("/proc");
	size_t i = (size_t)(e - t->entries);

	(void)state;
	t->entries[i].id = 1 << 30;
	expect_errno("/proc", EREMOTE);
	expect_errno("/proc/sys", EREMOTE);
	free(t->entries[i].type);
	t->entries[i].id = e->id;
	t->entries[i].type = strdup("autofs");
	expect_errno("/proc/sys", EREMOTE);
}

/* ---- what the backup has ---- */

static void
expect_reason(const char *path, const char *part)
{
	assert_false(coverage_holds(&coverage, path, reason));
	if (strstr(reason, part) == NULL)
		fail_msg("'%s' instead of '%s'", reason, part);
}

static void
test_coverage_holds_what_is_frozen_and_backed_up(void **state)
{
	struct mounts_filesystem *fs = plan_for(dir);

	(void)state;
	assert_true(coverage_holds(&coverage, dir, reason));
	fs->in_backup = false;
	expect_reason(dir, "lies on a file system that is not in the backup");
	fs->in_backup = true;
	fs->state = MESSAGE_FS_SKIPPED;
	strcpy(fs->reason, "this file system knows no freeze");
	expect_reason(dir, "is not frozen: this file system knows no freeze");
	fs->state = MESSAGE_FS_FAILED;
	expect_reason(dir, "is not frozen");
	plan.count = 0;
	expect_reason(dir, "is not in the backup");
	expect_reason(at("missing"), "cannot be found: No such file");
	assert_non_null(strstr(reason, at("missing")));
}

static void
test_coverage_looks_below_as_well(void **state)
{
	struct mountinfo_entry *below = add_row(at("sub/b"), "ext4");
	struct mounts_filesystem *fs = plan_for(dir);

	(void)state;
	assert_int_equal(mkdir(at("sub"), 0700), 0);
	assert_int_equal(mkdir(at("su"), 0700), 0);
	assert_true(coverage_holds(&coverage, at("sub"), reason));
	fs = &items[plan.count++];
	memset(fs, 0, sizeof(*fs));
	fs->major = below->major;
	fs->minor = below->minor;
	fs->left_out = true;
	expect_reason(at("sub"), "below it, which is not in the backup");
	assert_true(coverage_holds(&coverage, at("su"), reason));
}

static void
test_coverage_looks_into_overlays(void **state)
{
	struct mountinfo_entry *e;
	char options[3 * PATH_MAX + 64];

	(void)state;
	plan_for(dir);
	e = &coverage.table.entries[entry_of("/proc") - coverage.table.entries];
	free(e->type);
	free(e->options);
	e->type = strdup("overlay");
	snprintf(options, sizeof(options), "rw,lowerdir=%s:%s,upperdir=%s", dir,
	    dir, dir);
	e->options = strdup(options);
	assert_true(coverage_holds(&coverage, "/proc/sys", reason));
	free(e->options);
	snprintf(options, sizeof(options), "rw,lowerdir=%s:/dev,upperdir=%s",
	    dir, dir);
	e->options = strdup(options);
	expect_reason("/proc/sys", "is not in the backup");
	/* One that lies on itself. */
	free(e->options);
	e->options = strdup("rw,lowerdir=/proc,upperdir=/proc");
	expect_reason("/proc/sys", "is not in the backup");
}

static void
test_coverage_of_an_unknown_place_needs_all(void **state)
{
	struct mounts_filesystem *fs = plan_for(dir);

	(void)state;
	assert_true(coverage_holds(&coverage, NULL, reason));
	fs->left_out = true;
	expect_reason(NULL, "does not say where its data lies, and '/");
	assert_non_null(strstr(reason, "' is not in the backup"));
}

static void
test_coverage_reasons_are_cut_and_whole(void **state)
{
	char path[MESSAGE_VALUE_SIZE];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	expect_reason(path, "cannot be found");
	plan_for("/")->state = MESSAGE_FS_FAILED;
	memset(items[0].reason, 'y', sizeof(items[0].reason) - 1);
	expect_reason("/./././././././././././././././././././././././././././",
	    "is not frozen: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_coverage_follows_a_path_to_its_end),
		CASE(test_coverage_touches_nothing_that_may_hang),
		CASE(test_coverage_stops_at_an_unknown_mount),
		CASE(test_coverage_holds_what_is_frozen_and_backed_up),
		CASE(test_coverage_looks_below_as_well),
		CASE(test_coverage_looks_into_overlays),
		CASE(test_coverage_of_an_unknown_place_needs_all),
		CASE(test_coverage_reasons_are_cut_and_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
