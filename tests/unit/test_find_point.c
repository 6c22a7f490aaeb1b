/* SPDX-License-Identifier: Apache-2.0 */
/* What a name of a point means where not all points can be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "agent/job/context.h"
#include "agent/job/forget.h"
#include "common/err.h"
#include "common/log.h"
#include "fake_store.h"
#include "store/manifest.h"
#include "store/store.h"
#include "tests/unit/temp_dir.h"

#define T0 INT64_C(1795238497500) /* 2026-11-21T05:21:37.5Z */
#define HOUR INT64_C(3600000)

static struct store s;
static struct job_context ctx;
static char forgotten_id[HEXID_SIZE];

/* ---- what job_find_point() opens ---- */

int
store_forgotten(
    struct store *store, store_forgotten_fn *fn, void *arg, struct err *err)
{
	(void)store;
	(void)err;
	if (forgotten_id[0] != '\0')
		fn(arg, forgotten_id, T0);
	return 0;
}

static int forgotten_count;

int
job_find_forgotten(char out_id[HEXID_SIZE], struct job_context *c,
    const char *point, struct err *err)
{
	char start[HEXID_SIZE];

	(void)c;
	(void)err;
	if (hexid_start(start, point) == -1 ||
	    strncmp(forgotten_id, start, strlen(start)) != 0)
		return 0;
	if (forgotten_count == 1)
		memcpy(out_id, forgotten_id, HEXID_SIZE);
	return forgotten_count;
}

static bool host_key;

bool
store_is_host(const struct store *store)
{
	(void)store;
	return host_key;
}

int
job_open_catalog(struct job_context *c, struct err *err)
{
	return catalog_sync(c->catalog, c->store, &c->synced, err);
}

static void
be_silent(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static int
setup(void **state)
{
	struct err err = ERR_INIT;

	temp_dir_setup(state);
	log_set_sink(be_silent, NULL);
	memset(&s, 0, sizeof(s));
	memset(s.id, 'f', HEXID_LENGTH);
	memset(forgotten_id, 0, sizeof(forgotten_id));
	forgotten_count = 1;
	host_key = false;
	ctx = (struct job_context){ .store = &s };
	assert_int_equal(catalog_open(&ctx.catalog, *state, &err), 0);
	fake_store_add(&s, 'a', "web1", T0);
	fake_store_add(&s, 'b', "web1", T0 + HOUR);
	fake_store_add(&s, 'c', "web1", T0 + 2 * HOUR);
	return 0;
}

static int
teardown(void **state)
{
	catalog_close(ctx.catalog);
	log_set_sink(NULL, NULL);
	return temp_dir_teardown(state);
}

/* The first digit of what is found, or '-'. */
static char
find(const char *point, struct err *err)
{
	struct manifest *m;
	char digit;

	err_clear(err);
	if (job_find_point(&m, &ctx, point, err) == -1)
		return '-';
	digit = m->id[0];
	manifest_free(m);
	return digit;
}

static void
refuses(const char *point, const char *instead)
{
	struct err err = ERR_INIT;

	assert_int_equal(find(point, &err), '-');
	assert_int_equal(err.class, ERR_CORRUPT);
	assert_non_null(strstr(err.text, "cccccccccccc cannot be read"));
	assert_non_null(strstr(err.hint, instead));
}

/* The newest is not taken for granted where one cannot say whose it is. */
static void
test_find_point_takes_no_older_one_silently(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(find("web1@latest", &err), 'c');
	s.points[2].damaged = true;
	catalog_remove(ctx.catalog, s.id, s.points[2].id, &err);
	refuses("web1@latest", "bbbbbbbbbbbb");
	refuses("web1@-1", "aaaaaaaaaaaa");
	refuses("web1@2026-11-22", "bbbbbbbbbbbb");
	refuses("other@latest", "repair");
	/* Who says which one has it. */
	assert_int_equal(find("bbbbbbbb", &err), 'b');
	assert_int_equal(find("cccccccc", &err), '-');
	assert_int_equal(err.class, ERR_CORRUPT);
	assert_non_null(strstr(err.hint, "holdstill repair"));
}

/* A repair is no remedy for what is not damaged. */
static void
test_find_point_of_a_newer_version(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	s.points[2].away = true;
	refuses("web1@latest", "bbbbbbbbbbbb");
	assert_int_equal(find("web1@latest", &err), '-');
	assert_null(strstr(err.hint, "repair"));
	s.points[2].newer = true;
	refuses("web1@latest", "bbbbbbbbbbbb");
	refuses("web1@latest", "newer holdstill");
	refuses("other@latest", "newer holdstill");
	refuses("cccccccc", "newer holdstill");
	assert_int_equal(find("cccccccc", &err), '-');
	assert_null(strstr(err.hint, "repair"));
}

/* Known from better days, it is named for what it is. */
static void
test_find_point_that_the_catalog_knows(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(find("web1@latest", &err), 'c');
	s.points[2].damaged = true;
	refuses("web1@latest", "holdstill list");
	assert_int_equal(find("web1@-1", &err), 'b');
}

static void
test_find_point_names_the_wrong_words_first(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	s.points[2].damaged = true;
	assert_int_equal(find("web1@yesterday", &err), '-');
	assert_int_equal(err.class, ERR_ARG);
}

static void
test_find_point_that_was_forgotten(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	memset(forgotten_id, 'd', HEXID_LENGTH);
	assert_int_equal(find("DDDDdd", &err), '-');
	assert_int_equal(err.class, ERR_NOT_FOUND);
	assert_non_null(strstr(err.text, "was forgotten"));
	assert_non_null(strstr(err.hint, "unforget dddddddd"));
	forgotten_count = 2;
	assert_int_equal(find("dddd", &err), '-');
	assert_int_equal(err.class, ERR_NOT_FOUND);
	assert_null(strstr(err.hint, "unforget"));
	assert_non_null(strstr(err.hint, "list --forgotten"));
	assert_int_equal(find("eeeeee", &err), '-');
	assert_non_null(strstr(err.text, "no point 'eeeeee'"));
	assert_int_equal(find("db1@latest", &err), '-');
	assert_non_null(strstr(err.hint, "--forgotten"));
}

/* It is no word on what the repository has. */
static void
test_find_point_with_the_key_of_a_host(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	host_key = true;
	assert_int_equal(find("db1@latest", &err), '-');
	assert_int_equal(err.class, ERR_AUTH);
	assert_int_equal(find("eeeeee", &err), '-');
	assert_int_equal(err.class, ERR_AUTH);
	assert_int_equal(find("web1@latest", &err), 'c');
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_find_point_takes_no_older_one_silently),
		CASE(test_find_point_of_a_newer_version),
		CASE(test_find_point_that_the_catalog_knows),
		CASE(test_find_point_names_the_wrong_words_first),
		CASE(test_find_point_that_was_forgotten),
		CASE(test_find_point_with_the_key_of_a_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
