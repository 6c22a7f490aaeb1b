/* SPDX-License-Identifier: Apache-2.0 */
/* An object that has its name, in a folder that then cannot be synced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/err.h"
#include "tests/unit/store_rig.h"

#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)

static struct rig rig;
static struct image im;
static struct rig_start start = {
	.rig = &rig, .kind = "dir", .im = &im, .size_bytes = 64 * BLOCK
};
static struct keys keys;
/* How many syncs of folders whose path ends so are to fail. */
static const char *fails_in;
static atomic_int fails;

/* In the place of the C library's. */
int
fsync(int fd)
{
	char link[64], path[PATH_MAX];
	size_t tail = fails_in == NULL ? 0 : strlen(fails_in);
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	if (fails_in == NULL || (size_t)(n < 0 ? 0 : n) < tail ||
	    strcmp(path + n - tail, fails_in) != 0)
		return (int)syscall(SYS_fsync, fd);
	if (atomic_fetch_sub(&fails, 1) <= 0)
		return (int)syscall(SYS_fsync, fd);
	errno = EIO;
	return -1;
}

/* Of the object "others/a". */
static int forgotten;

/* In the place of the C library's. */
int
posix_fadvise(int fd, off_t offset, off_t size, int advice)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	forgotten += offset == 0 && size == 0 &&
		     advice == POSIX_FADV_DONTNEED &&
		     strstr(path, "/others/a") != NULL;
	return 0;
}

static int
teardown(void **state)
{
	fails_in = NULL;
	return rig_tear_down(state);
}

static void
fail_in(const char *folder, int count)
{
	fails_in = folder;
	atomic_store(&fails, count);
}

/* Another may have seen it, settled it and built on it. */
static void
test_unsynced_object_stays(void **state)
{
	struct backend *b = rig_backend(&rig);
	struct err err = ERR_INIT;
	uint64_t size = 0;
	char byte;

	(void)state;
	fail_in("/others", 1);
	assert_int_equal(backend_put(b, "others/a", "x", 1, &err), -1);
	assert_int_equal(err.class, ERR_IO);
	assert_int_equal(backend_stat(b, "others/a", &size, &err), 0);
	assert_int_equal(backend_get(b, "others/a", 0, &byte, 1, &err), 0);
	assert_int_equal(byte, 'x');
	assert_int_equal(backend_settle(b, "others/a", &err), 0);
	assert_int_equal(backend_put(b, "others/a", "y", 1, &err), -1);
	assert_int_equal(err.class, ERR_EXISTS);
	backend_close(b);
}

/* What memory has of it is no proof that a disk has it. */
static void
test_unsynced_object_is_read_from_the_disk(void **state)
{
	struct backend *b = rig_backend(&rig);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(backend_put(b, "others/a", "x", 1, &err), 0);
	assert_int_equal(backend_settle(b, "others/a", &err), 0);
	assert_int_equal(forgotten, 0);
	fail_in("/others", 1);
	assert_int_equal(backend_settle(b, "others/a", &err), -1);
	assert_int_equal(forgotten, 1);
	backend_close(b);
}

static void
test_unsynced_point_is_settled(void **state)
{
	struct err err = ERR_INIT;
	struct manifest *m;

	(void)state;
	fail_in("/points", 1);
	if (rig_backup(&rig, rig.store, &m, &im, NULL, NULL, &err) == -1)
		fail_msg("backup: %s", err.text);
	assert_true(atomic_load(&fails) < 0);
	rig_expect(rig.store, m, &im);
	manifest_free(m);
}

/* It is there, but a power cut could take it: nobody is told that it was
 * made. */
static void
test_unsynced_point_is_not_told_as_made(void **state)
{
	struct err err = ERR_INIT;
	struct manifest *m;

	(void)state;
	fail_in("/points", INT_MAX);
	assert_int_equal(
	    rig_backup(&rig, rig.store, &m, &im, NULL, NULL, &err), -1);
	assert_non_null(strstr(err.text, "not known whether"));
	fail_in(NULL, 0);
	/* Whichever it is, the repository is well. */
	rig_reopen(&rig);
	assert_int_equal(rig_verify(rig.store, NULL), 0);
	m = rig_point(&rig, &im, NULL, NULL);
	rig_expect(rig.store, m, &im);
	manifest_free(m);
}

static int
repair(struct err *err)
{
	struct store_repair_options options = { .threads = 1 };
	struct store_repair_result result;

	err_clear(err);
	return store_repair(rig.store, &options, NULL, NULL, &result, err);
}

/* An index that cannot be read; its bytes. */
static uint8_t *
spoil_index(char key[BACKEND_KEY_MAX + 1], size_t *size)
{
	snprintf(key, BACKEND_KEY_MAX + 1, "%s",
	    rig_only_key(&rig, &keys, "index/"));
	rig_flip(&rig, key, 60);
	return rig_load(&rig, key, size);
}

static bool
is_there(const char *key)
{
	rig_keys(&rig, &keys, key);
	return keys.count > 0;
}

/* What is set aside goes only when its copy is durable, whoever made that. */
static void
test_unsynced_copy_aside_is_settled(void **state)
{
	char key[BACKEND_KEY_MAX + 1];
	struct err err = ERR_INIT;
	struct manifest *m = rig_point(&rig, &im, NULL, NULL);
	size_t size;
	int i;

	(void)state;
	free(spoil_index(key, &size));
	for (i = 0; i < 2; i++) {
		fail_in("/aside/index", INT_MAX);
		assert_int_equal(repair(&err), -1);
		fail_in(NULL, 0);
		assert_true(is_there(key));
	}
	assert_int_equal(repair(&err), 0);
	assert_false(is_there(key));
	rig_expect(rig.store, m, &im);
	manifest_free(m);
}

/* Of another copy under its name only a part is there. */
static void
test_unsynced_copy_aside_is_no_other(void **state)
{
	char key[BACKEND_KEY_MAX + 1], aside[BACKEND_KEY_MAX + 1];
	struct backend *b = rig_backend(&rig);
	struct manifest *m = rig_point(&rig, &im, NULL, NULL);
	struct err err = ERR_INIT;
	uint8_t *bytes, *copy;
	bool found = false;
	size_t size, i, n;

	(void)state;
	bytes = spoil_index(key, &size);
	snprintf(aside, sizeof(aside), "aside/%.150s", key);
	assert_int_equal(backend_put(b, aside, bytes, 10, &err), 0);
	backend_close(b);
	assert_int_equal(repair(&err), 0);
	assert_false(is_there(key));
	rig_keys(&rig, &keys, "aside/");
	assert_int_equal(keys.count, 2);
	for (i = 0; i < keys.count; i++) {
		copy = rig_load(&rig, keys.key[i], &n);
		found = found || (n == size && memcmp(copy, bytes, n) == 0);
		free(copy);
	}
	assert_true(found);
	free(bytes);
	manifest_free(m);
}

int
main(void)
{
#define UNSYNCED(name) \
	cmocka_unit_test_prestate_setup_teardown( \
	    test_unsynced_##name, rig_set_up, teardown, &start)
	const struct CMUnitTest tests[] = {
		UNSYNCED(object_stays),
		UNSYNCED(object_is_read_from_the_disk),
		UNSYNCED(point_is_settled),
		UNSYNCED(point_is_not_told_as_made),
		UNSYNCED(copy_aside_is_settled),
		UNSYNCED(copy_aside_is_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
