/* SPDX-License-Identifier: Apache-2.0 */
/* Records of freezes, and what is made of damaged ones. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/io.h"
#include "guest-helper/record.h"

static const struct mounts_paths nothing = { "/dev/null", "/dev/null", NULL,
	NULL };

static struct {
	char dir[64];
	int fd;
	struct marks marks;
	char id[HEXID_SIZE];
	struct err err;
} r;

static int
set_up_in(const char *pattern)
{
	memset(&r, 0, sizeof(r));
	strcpy(r.dir, pattern);
	assert_non_null(mkdtemp(r.dir));
	r.fd = open(r.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_not_equal(r.fd, -1);
	assert_int_equal(marks_open(&r.marks, &r.err), 0);
	return 0;
}

static int
set_up(void **state)
{
	(void)state;
	return set_up_in("/tmp/holdstill-record.XXXXXX");
}

static int
tear_down(void **state)
{
	(void)state;
	marks_close(&r.marks);
	close(r.fd);
	return io_remove_tree(r.dir, &r.err);
}

static size_t
files(void)
{
	DIR *dir = opendir(r.dir);
	struct dirent *entry;
	size_t count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static void
prepare(void)
{
	struct mounts_filesystem fs[3] = {
		{ .fd = 0, .major = 250, .minor = 1 },
		{ .fd = -1, .major = 250, .minor = 2 },
		{ .fd = 0, .major = 250, .minor = 3 },
	};
	struct mounts m = { .items = fs, .count = 3 };

	assert_int_equal(
	    record_prepare(r.id, &r.marks, r.dir, "boot", &m, true, &r.err), 0);
	assert_true(hexid_valid(r.id));
}

/* Of the record's state: RECORD_FROZEN, or before. */
static void
assert_text(const char *kind, const char *text)
{
	char path[160], *got;
	size_t size;

	snprintf(path, sizeof(path), "%s/%s.%s", r.dir, kind, r.id);
	assert_int_equal(io_read_file(&got, &size, path, 4096, &r.err), 0);
	assert_string_equal(got, text);
	free(got);
}

static void
write_file(const char *name, const void *bytes, size_t size)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", r.dir, name);
	assert_int_equal(io_replace_file(path, bytes, size, 0600, &r.err), 0);
}

static void
test_record_counts_when_armed(void **state)
{
	(void)state;
	prepare();
	assert_int_equal(files(), 1);
	assert_int_equal(record_arm(r.fd, r.id, &r.err), 0);
	assert_int_equal(files(), 1);
	record_remove(r.fd, r.id);
	assert_int_equal(files(), 0);
	prepare();
	record_remove(r.fd, r.id);
	assert_int_equal(files(), 0);
	/* Nothing, and nowhere. */
	record_remove(r.fd, "");
	record_remove(-1, r.id);
}

static void
test_record_has_the_marks_where_it_can(void **state)
{
	struct statfs st;

	(void)state;
	tear_down(state);
	if (statfs("/dev/shm", &st) == -1 || st.f_type != TMPFS_MAGIC) {
		set_up(state);
		skip();
	}
	set_up_in("/dev/shm/holdstill-record.XXXXXX");
	prepare();
	assert_int_equal(record_arm(r.fd, r.id, &r.err), 0);
	assert_text(RECORD_FROZEN, "boot\n---\n250:1\n250:3\n");
	marks_set(&r.marks, MARKS_EXPEDITED, MARKS_FROZEN);
	marks_set(&r.marks, MARKS_FS(1), MARKS_TRIED);
	assert_text(RECORD_FROZEN, "boot\nF-?\n250:1\n250:3\n");
	marks_set(&r.marks, MARKS_FS(1), MARKS_REFUSED);
	assert_text(RECORD_FROZEN, "boot\nF-x\n250:1\n250:3\n");
	assert_int_equal(marks_get(&r.marks, MARKS_FS(1)), MARKS_REFUSED);
}

/* A disk may be frozen when a mark is to be written. */
static void
test_record_on_a_disk_says_that_all_were_tried(void **state)
{
	struct statfs st;

	(void)state;
	if (statfs(r.dir, &st) == -1 || st.f_type == TMPFS_MAGIC)
		skip();
	prepare();
	marks_set(&r.marks, MARKS_FS(0), MARKS_REFUSED);
	assert_text(RECORD_PREPARED, "boot\n???\n250:1\n250:3\n");
	assert_int_equal(marks_get(&r.marks, MARKS_FS(0)), MARKS_REFUSED);
}

static void
test_record_survives_damage(void **state)
{
	char expedite[96], bytes[3000], boot[MESSAGE_NAME_SIZE], text[160];
	const char *id = "frozen.0123456789abcdef0123456789abcdef";
	size_t i;

	(void)state;
	snprintf(expedite, sizeof(expedite), "%s/expedite", r.dir);
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 2654435761u >> 13);
	record_boot_id(boot, sizeof(boot));
	for (i = 0; i < 40; i++) {
		/* Right to the end, cut off, and dirt behind that. */
		snprintf(
		    text, sizeof(text), "%s\n--?\n1:\n:\n9999999999:1\n", boot);
		text[strlen(text) - i] = '\0';
		memcpy(bytes, text, strlen(text) + i % 2);
		write_file(id, bytes, i < 20 ? strlen(text) : sizeof(bytes));
		write_file("frozen.short", bytes, sizeof(bytes));
		write_file("prepared.x.new", "", 0);
		write_file("timing", "", 0);
		assert_int_equal(
		    record_thaw_leftovers(r.dir, expedite, &nothing), 0);
		/* All but what is none of these. */
		assert_int_equal(files(), 1);
	}
}

/* Somebody else's: of a boot that is over, or not armed. */
static void
test_record_undoes_only_what_counts(void **state)
{
	static const struct {
		const char *name, *boot, *marks, *after;
	} cases[] = {
		{ "frozen.0123456789abcdef0123456789abcdef", "", "F\n", "0" },
		{ "frozen.0123456789abcdef0123456789abcdef", "", "?\n", "0" },
		{ "frozen.0123456789abcdef0123456789abcdef", "", "x\n", "1" },
		{ "frozen.0123456789abcdef0123456789abcdef", "x", "F\n", "1" },
		{ "prepared.0123456789abcdef0123456789abcdef", "", "F\n", "1" },
	};
	char path[96], boot[MESSAGE_NAME_SIZE], text[160], *got;
	size_t size, i;

	(void)state;
	snprintf(path, sizeof(path), "%s/expedite", r.dir);
	record_boot_id(boot, sizeof(boot));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_file("expedite", "1", 1);
		snprintf(text, sizeof(text), "%s%s\n%s", boot, cases[i].boot,
		    cases[i].marks);
		write_file(cases[i].name, text, strlen(text));
		record_thaw_leftovers(r.dir, path, &nothing);
		assert_int_equal(
		    io_read_file(&got, &size, path, 16, &r.err), 0);
		assert_string_equal(got, cases[i].after);
		free(got);
	}
}

/* What cannot be reached now may be so later. */
static void
test_record_stays_while_something_may_be_frozen(void **state)
{
	static const struct {
		const char *text;
		size_t left;
	} cases[] = {
		{ "-F\n250:1\n", 1 },
		{ "-tF\n250:1\n250:2\n", 1 },
		{ "\n250:1\n", 1 },
		{ "-tx-\n250:1\n250:2\n250:3\n", 0 },
		{ "-F\n250:x\n", 0 },
	};
	char boot[MESSAGE_NAME_SIZE], text[160];
	size_t i;

	(void)state;
	record_boot_id(boot, sizeof(boot));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), "%s\n%s", boot, cases[i].text);
		write_file("frozen.0123456789abcdef0123456789abcdef", text,
		    strlen(text));
		assert_int_equal(
		    record_thaw_leftovers(r.dir, "/dev/null", &nothing), 0);
		assert_int_equal(files(), cases[i].left);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_record_counts_when_armed),
		CASE(test_record_has_the_marks_where_it_can),
		CASE(test_record_on_a_disk_says_that_all_were_tried),
		CASE(test_record_survives_damage),
		CASE(test_record_undoes_only_what_counts),
		CASE(test_record_stays_while_something_may_be_frozen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
