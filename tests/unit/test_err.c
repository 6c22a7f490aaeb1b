/* SPDX-License-Identifier: Apache-2.0 */
/* Errors keep their class, and long texts are cut, never overrun. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "common/err.h"

static void
test_err_set_fills_class_and_text(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_hint(&err, "an old hint");
	assert_int_equal(err_set(&err, ERR_BUSY, "held by %d", 7), -1);
	assert_int_equal(err.class, ERR_BUSY);
	assert_string_equal(err.text, "held by 7");
	assert_string_equal(err.hint, "");
}

static void
test_err_errno_chooses_the_class(void **state)
{
	static const struct {
		int errnum;
		enum err_class class;
	} cases[] = {
		{ ENOENT, ERR_NOT_FOUND },
		{ EEXIST, ERR_EXISTS },
		{ EACCES, ERR_AUTH },
		{ ENOSPC, ERR_NO_SPACE },
		{ EDQUOT, ERR_NO_SPACE },
		{ ETIMEDOUT, ERR_TIMEOUT },
		{ EIO, ERR_IO },
		{ ECONNRESET, ERR_IO },
	};
	struct err err = ERR_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
		    err_errno(&err, cases[i].errnum, "cannot '%s'", "x"), -1);
		assert_int_equal(err.class, cases[i].class);
		assert_int_equal(err.sys_errno, cases[i].errnum);
		assert_non_null(strstr(err.text, "cannot 'x': "));
	}
}

static void
test_err_prefix_keeps_the_class(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, ERR_CORRUPT, "bad byte");
	err_hint(&err, "run verify");
	assert_int_equal(err_prefix(&err, "disk '%s'", "vda"), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	assert_string_equal(err.text, "disk 'vda': bad byte");
	assert_string_equal(err.hint, "run verify");
}

static void
test_err_long_texts_are_cut(void **state)
{
	struct err err = ERR_INIT;
	char longer[2000];

	(void)state;
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	err_errno(&err, EIO, "%s", longer);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	err_prefix(&err, "%s", longer);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	err_hint(&err, "%s", longer);
	assert_int_equal(strlen(err.hint), sizeof(err.hint) - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err_set_fills_class_and_text),
		cmocka_unit_test(test_err_errno_chooses_the_class),
		cmocka_unit_test(test_err_prefix_keeps_the_class),
		cmocka_unit_test(test_err_long_texts_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
