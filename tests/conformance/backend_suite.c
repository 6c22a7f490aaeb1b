/* SPDX-License-Identifier: Apache-2.0 */
/* The cases every backend has to pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "common/err.h"
#include "tests/conformance/backend_suite.h"

static const struct backend_fixture *fixture;
static char url[512];
static struct backend *b;

static int
setup(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	fixture->make(url, sizeof(url));
	if (backend_open(&b, url, BACKEND_CREATE, &err) == -1)
		fail_msg("open: %s", err.text);
	if (fixture->wrap != NULL)
		fixture->wrap(&b);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	backend_close(b);
	fixture->destroy(url);
	return 0;
}

static void
put_ok(const char *key, const void *buf, size_t size)
{
	struct err err = ERR_INIT;

	if (backend_put(b, key, buf, size, &err) == -1)
		fail_msg("put %s: %s", key, err.text);
}

static void
expect_object(const char *key, const void *bytes, size_t size)
{
	struct err err = ERR_INIT;
	size_t got_size;
	uint64_t stat_size;
	void *got;

	assert_int_equal(backend_stat(b, key, &stat_size, &err), 0);
	assert_int_equal(stat_size, size);
	assert_int_equal(
	    backend_get_all(b, key, 1 << 26, &got, &got_size, &err), 0);
	assert_int_equal(got_size, size);
	if (size > 0)
		assert_memory_equal(got, bytes, size);
	free(got);
}

static int
count_one(void *arg, const char *key, uint64_t size)
{
	(void)key;
	(void)size;
	++*(size_t *)arg;
	return 0;
}

static size_t
count(const char *prefix)
{
	struct err err = ERR_INIT;
	size_t n = 0;

	assert_int_equal(backend_list(b, prefix, count_one, &n, &err), 0);
	return n;
}

static void
expect_absent(const char *key)
{
	struct err err = ERR_INIT;
	uint64_t size;
	char byte;

	assert_int_equal(backend_stat(b, key, &size, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	err_clear(&err);
	assert_int_equal(backend_get(b, key, 0, &byte, 1, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
}

static void
backend_put_then_get(void **state)
{
	(void)state;
	expect_absent("packs/ab/x");
	put_ok("packs/ab/x", "hello", 5);
	expect_object("packs/ab/x", "hello", 5);
	assert_int_equal(count(""), 1);
}

static void
backend_objects_outlive_the_handle(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	put_ok("config", "c", 1);
	backend_close(b);
	assert_int_equal(backend_open(&b, url, BACKEND_OPEN, &err), 0);
	expect_object("config", "c", 1);
}

static void
backend_existing_key_is_refused(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	put_ok("index/1", "first", 5);
	assert_int_equal(backend_put(b, "index/1", "second", 6, &err), -1);
	assert_int_equal(err.class, ERR_EXISTS);
	expect_object("index/1", "first", 5);
	assert_int_equal(count(""), 1);
}

static void
backend_empty_object_is_an_object(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	put_ok("empty", "", 0);
	expect_object("empty", "", 0);
	assert_int_equal(backend_get(b, "empty", 0, NULL, 0, &err), 0);
	assert_int_equal(count(""), 1);
}

static void
backend_ranges_are_exact(void **state)
{
	struct err err = ERR_INIT;
	char got[8];

	(void)state;
	put_ok("r", "0123456789", 10);
	assert_int_equal(backend_get(b, "r", 3, got, 4, &err), 0);
	assert_memory_equal(got, "3456", 4);
	assert_int_equal(backend_get(b, "r", 6, got, 4, &err), 0);
	assert_memory_equal(got, "6789", 4);
	assert_int_equal(backend_get(b, "r", 10, got, 0, &err), 0);
}

static void
backend_short_object_is_corrupt(void **state)
{
	static const uint64_t from[] = { 7, 10, 11, 1 << 20 };
	struct err err = ERR_INIT;
	char got[8];
	size_t i;

	(void)state;
	put_ok("r", "0123456789", 10);
	for (i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		err_clear(&err);
		assert_int_equal(
		    backend_get(b, "r", from[i], got, 4, &err), -1);
		assert_int_equal(err.class, ERR_CORRUPT);
	}
	assert_int_equal(backend_get(b, "r", UINT64_MAX, got, 4, &err), -1);
	assert_int_equal(err.class, ERR_ARG);
}

static void
backend_remove_is_repeatable(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	put_ok("locks/1", "x", 1);
	assert_int_equal(backend_remove(b, "locks/1", &err), 0);
	expect_absent("locks/1");
	assert_int_equal(backend_remove(b, "locks/1", &err), 0);
	assert_int_equal(backend_remove(b, "never/was/here", &err), 0);
	put_ok("locks/1", "again", 5);
	expect_object("locks/1", "again", 5);
}

static void
backend_settle_wants_an_object(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	put_ok("packs/0f/1", "x", 1);
	assert_int_equal(backend_settle(b, "packs/0f/1", &err), 0);
	assert_int_equal(backend_settle(b, "packs/0f/2", &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	assert_int_equal(backend_settle(b, "never/was/here", &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	expect_object("packs/0f/1", "x", 1);
}

static void
backend_list_honours_prefixes(void **state)
{
	(void)state;
	put_ok("packs/aa/1", "1", 1);
	put_ok("packs/aa/2", "1", 1);
	put_ok("packs/ab/1", "1", 1);
	put_ok("packsx", "1", 1);
	put_ok("config", "1", 1);
	assert_int_equal(count(""), 5);
	assert_int_equal(count("packs/"), 3);
	assert_int_equal(count("packs"), 4);
	assert_int_equal(count("packs/a"), 3);
	assert_int_equal(count("packs/aa/"), 2);
	assert_int_equal(count("packs/aa/1"), 1);
	assert_int_equal(count("nothing/"), 0);
	assert_int_equal(count("config/"), 0);
}

static void
backend_has_tells_absent_from_unknown(void **state)
{
	struct err err = ERR_INIT;
	uint64_t size = 0;

	(void)state;
	put_ok("packs/aa/1", "four", 4);
	assert_int_equal(backend_has(b, "packs/aa/1", &size, &err), 1);
	assert_int_equal(size, 4);
	assert_int_equal(backend_has(b, "packs/aa/1", NULL, &err), 1);
	assert_int_equal(backend_has(b, "packs/aa/2", NULL, &err), 0);
	assert_int_equal(backend_has_any(b, "packs/", &err), 1);
	assert_int_equal(backend_has_any(b, "points/", &err), 0);
	assert_int_equal(err.class, ERR_NONE);
	assert_int_equal(backend_has(b, "No Key", NULL, &err), -1);
	assert_int_equal(err.class, ERR_ARG);
	assert_int_equal(backend_has_any(b, "No Key", &err), -1);
	assert_int_equal(err.class, ERR_ARG);
}

static int
stop_at_two(void *arg, const char *key, uint64_t size)
{
	(void)key;
	(void)size;
	return ++*(size_t *)arg == 2;
}

static int
remove_each(void *arg, const char *key, uint64_t size)
{
	struct err err = ERR_INIT;

	assert_int_equal(size, 3);
	assert_int_equal(backend_remove(b, key, &err), 0);
	++*(size_t *)arg;
	return 0;
}

static void
backend_visits_may_stop_and_remove(void **state)
{
	struct err err = ERR_INIT;
	char key[32];
	size_t n = 0;
	int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "points/%d", i);
		put_ok(key, "abc", 3);
	}
	assert_int_equal(backend_list(b, "", stop_at_two, &n, &err), 0);
	assert_int_equal(n, 2);
	n = 0;
	assert_int_equal(backend_list(b, "", remove_each, &n, &err), 0);
	assert_int_equal(n, 20);
	assert_int_equal(count(""), 0);
}

static void
backend_odd_keys(void **state)
{
	static const char *const good[] = { "a", "-", "_.-", "...", ".hidden",
		"a.b/c-d/e_f", "0/1/2/3/4/5/6/7/8/9", "temp", "tmp.x" };
	static const char *const bad[] = { "", "/", "/a", "a/", "a//b", ".",
		"..", "a/../b", "a/.", "A", "a b", "a\n", "tmp", "tmp/x",
		"\xc3\xa4" };
	char longest[BACKEND_KEY_MAX + 2];
	struct err err = ERR_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		put_ok(good[i], good[i], strlen(good[i]));
		expect_object(good[i], good[i], strlen(good[i]));
	}
	assert_int_equal(count(""), sizeof(good) / sizeof(good[0]));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err_clear(&err);
		assert_int_equal(backend_put(b, bad[i], "x", 1, &err), -1);
		assert_int_equal(err.class, ERR_ARG);
	}
	memset(longest, 'k', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(backend_put(b, longest, "x", 1, &err), -1);
	longest[BACKEND_KEY_MAX] = '\0';
	put_ok(longest, "x", 1);
	expect_object(longest, "x", 1);
}

static void
backend_large_object_comes_back_whole(void **state)
{
	size_t size = (33u << 20) + 17, i;
	uint8_t *bytes = malloc(size);

	(void)state;
	for (i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 24);
	put_ok("packs/00/large", bytes, size);
	expect_object("packs/00/large", bytes, size);
	free(bytes);
}

static void
backend_too_large_object_is_refused(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(
	    backend_put(b, "x", "", (size_t)BACKEND_OBJECT_MAX + 1, &err), -1);
	assert_int_equal(err.class, ERR_ARG);
	assert_int_equal(count(""), 0);
}

static void
backend_half_a_put_is_never_seen(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	if (fixture->half_put == NULL)
		skip();
	put_ok("config", "c", 1);
	fixture->half_put(url);
	assert_int_equal(count(""), 1);
	backend_close(b);
	assert_int_equal(backend_open(&b, url, BACKEND_OPEN, &err), 0);
	assert_int_equal(count(""), 1);
}

struct writer {
	struct backend *own;
	char text[8];
	unsigned int won;
};

#define RACES 50

static void *
write_all(void *arg)
{
	struct writer *w = arg;
	struct err err = ERR_INIT;
	char key[32];
	int i;

	for (i = 0; i < RACES; i++) {
		snprintf(key, sizeof(key), "race/%d", i);
		if (backend_put(w->own, key, w->text, 8, &err) == 0)
			w->won++;
		else if (err.class != ERR_EXISTS)
			return (void *)1;
	}
	return NULL;
}

static void
backend_of_two_writers_one_wins(void **state)
{
	struct writer w[2] = { { .text = "first" }, { .text = "second" } };
	struct err err = ERR_INIT;
	pthread_t t[2];
	char key[32], got[8];
	void *bad;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_int_equal(
		    backend_open(&w[i].own, url, BACKEND_OPEN, &err), 0);
		assert_int_equal(
		    pthread_create(&t[i], NULL, write_all, &w[i]), 0);
	}
	for (i = 0; i < 2; i++) {
		pthread_join(t[i], &bad);
		assert_null(bad);
		backend_close(w[i].own);
	}
	assert_int_equal(w[0].won + w[1].won, RACES);
	for (i = 0; i < RACES; i++) {
		snprintf(key, sizeof(key), "race/%d", i);
		assert_int_equal(backend_get(b, key, 0, got, 8, &err), 0);
		assert_true(memcmp(got, w[0].text, 8) == 0 ||
			    memcmp(got, w[1].text, 8) == 0);
	}
}

static void
backend_many_keys(void **state)
{
	char key[64];
	int i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "packs/%02x/%d", i % 256, i);
		put_ok(key, key, strlen(key));
	}
	assert_int_equal(count("packs/"), 1000);
	assert_int_equal(count("packs/07/"), 4);
	expect_object("packs/07/7", "packs/07/7", 10);
}

static void
backend_absent_place_is_not_found(void **state)
{
	struct err err = ERR_INIT;
	struct backend *other;
	char absent[600];

	(void)state;
	snprintf(absent, sizeof(absent), "%s-absent", url);
	assert_int_equal(backend_open(&other, absent, BACKEND_OPEN, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
backend_suite_run(const struct backend_fixture *f)
{
	const struct CMUnitTest tests[] = {
		CASE(backend_put_then_get),
		CASE(backend_objects_outlive_the_handle),
		CASE(backend_existing_key_is_refused),
		CASE(backend_empty_object_is_an_object),
		CASE(backend_ranges_are_exact),
		CASE(backend_short_object_is_corrupt),
		CASE(backend_remove_is_repeatable),
		CASE(backend_settle_wants_an_object),
		CASE(backend_list_honours_prefixes),
		CASE(backend_has_tells_absent_from_unknown),
		CASE(backend_visits_may_stop_and_remove),
		CASE(backend_odd_keys),
		CASE(backend_large_object_comes_back_whole),
		CASE(backend_too_large_object_is_refused),
		CASE(backend_half_a_put_is_never_seen),
		CASE(backend_of_two_writers_one_wins),
		CASE(backend_many_keys),
		CASE(backend_absent_place_is_not_found),
	};

	fixture = f;
	return cmocka_run_group_tests_name(f->name, tests, NULL, NULL);
}
