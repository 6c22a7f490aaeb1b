/* SPDX-License-Identifier: Apache-2.0 */
/* Files are replaced whole or not at all; folders come and go. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/err.h"
#include "common/hexid.h"
#include "common/io.h"
#include "tests/unit/temp_dir.h"

static void
test_io_replace_file_replaces(void **state)
{
	char *path = io_path(*state, "file"), *text = NULL;
	struct err err = ERR_INIT;
	struct stat st;
	size_t size;

	assert_int_equal(io_replace_file(path, "one", 3, 0600, &err), 0);
	assert_int_equal(io_replace_file(path, "second", 6, 0600, &err), 0);
	assert_int_equal(io_read_file(&text, &size, path, 100, &err), 0);
	assert_int_equal(size, 6);
	assert_string_equal(text, "second");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	free(text);
	free(path);
}

static void
test_io_replace_file_failure_keeps_the_old(void **state)
{
	char *path = io_path(*state, "dir"), *text = NULL;
	char *inner = NULL;
	struct err err = ERR_INIT;
	size_t size;

	/* A folder in the way cannot be replaced by a file. */
	assert_int_equal(io_make_dirs(path, 0700, &err), 0);
	inner = io_path(path, "file");
	assert_int_equal(io_replace_file(inner, "old", 3, 0600, &err), 0);
	assert_int_equal(io_replace_file(path, "new", 3, 0600, &err), -1);
	assert_int_equal(io_read_file(&text, &size, inner, 100, &err), 0);
	assert_string_equal(text, "old");
	free(text);
	free(inner);
	free(path);
}

static void
test_io_read_file_refuses_the_larger(void **state)
{
	char *path = io_path(*state, "big"), *text = NULL;
	struct err err = ERR_INIT;
	size_t size;

	assert_int_equal(io_replace_file(path, "12345", 5, 0600, &err), 0);
	assert_int_equal(io_read_file(&text, &size, path, 4, &err), -1);
	assert_int_equal(err.class, ERR_ARG);
	assert_int_equal(io_read_file(&text, &size, path, 5, &err), 0);
	free(text);
	free(path);
	assert_int_equal(
	    io_read_file(&text, &size, "/nonexistent/file", 5, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
}

static void
test_io_make_dirs_makes_parents(void **state)
{
	char *path = io_path(*state, "a/b/c");
	struct err err = ERR_INIT;
	struct stat st;

	assert_int_equal(io_make_dirs(path, 0755, &err), 0);
	assert_int_equal(io_make_dirs(path, 0755, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	free(path);
}

static void
test_io_remove_tree_leaves_what_links_point_to(void **state)
{
	char *outside = io_path(*state, "outside");
	char *tree = io_path(*state, "tree"), *link = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(io_replace_file(outside, "x", 1, 0600, &err), 0);
	assert_int_equal(io_make_dirs(tree, 0755, &err), 0);
	link = io_path(tree, "link");
	assert_int_equal(symlink(outside, link), 0);
	assert_int_equal(io_remove_tree(tree, &err), 0);
	assert_int_equal(access(tree, F_OK), -1);
	assert_int_equal(access(outside, F_OK), 0);
	assert_int_equal(io_remove_tree(tree, &err), 0);
	free(link);
	free(tree);
	free(outside);
}

static void
test_io_pread_stops_at_the_end(void **state)
{
	char *path = io_path(*state, "short"), buf[16];
	struct err err = ERR_INIT;
	int fd;

	assert_int_equal(io_replace_file(path, "abcdef", 6, 0600, &err), 0);
	fd = open(path, O_RDONLY);
	assert_int_equal(io_pread_full(fd, buf, sizeof(buf), 2), 4);
	assert_memory_equal(buf, "cdef", 4);
	close(fd);
	free(path);
}

static void
test_hexid_is_random_and_valid(void **state)
{
	char a[HEXID_SIZE], b[HEXID_SIZE];
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(hexid_new(a, &err), 0);
	assert_int_equal(hexid_new(b, &err), 0);
	assert_true(hexid_valid(a));
	assert_string_not_equal(a, b);
	a[5] = 'G';
	assert_false(hexid_valid(a));
	b[31] = '\0';
	assert_false(hexid_valid(b));
	assert_false(hexid_valid(""));
}

static void
test_hex_reads_what_it_writes(void **state)
{
	uint8_t bytes[256], again[256];
	char text[513];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	hex_encode(text, bytes, sizeof(bytes));
	assert_int_equal(hex_decode(again, sizeof(again), text), 0);
	assert_memory_equal(bytes, again, sizeof(bytes));
	text[100] = '\0';
	assert_int_equal(hex_decode(again, sizeof(again), text), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_io_replace_file_replaces),
		cmocka_unit_test(test_io_replace_file_failure_keeps_the_old),
		cmocka_unit_test(test_io_read_file_refuses_the_larger),
		cmocka_unit_test(test_io_make_dirs_makes_parents),
		cmocka_unit_test(
		    test_io_remove_tree_leaves_what_links_point_to),
		cmocka_unit_test(test_io_pread_stops_at_the_end),
		cmocka_unit_test(test_hexid_is_random_and_valid),
		cmocka_unit_test(test_hex_reads_what_it_writes),
	};

	return cmocka_run_group_tests(tests, temp_dir_setup, temp_dir_teardown);
}
