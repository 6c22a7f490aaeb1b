/* SPDX-License-Identifier: Apache-2.0 */
/* Options, suggestions, sizes: what a person types and reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/cli/cli.h"
#include "agent/cli/format.h"
#include "agent/cli/options.h"
#include "common/err.h"
#include "common/log.h"
#include "common/words.h"

struct seen {
	bool flag;
	const char *value;
	bool named;
	const char *name;
};

static int
set(void *state, int key, const char *value, struct err *err)
{
	struct seen *seen = state;

	if (key == 500)
		seen->flag = true;
	if (key == 501)
		seen->value = value;
	if (key == 502) {
		seen->named = true;
		seen->name = value;
	}
	if (value != NULL && strcmp(value, "bad") == 0)
		return err_set(err, ERR_ARG, "bad value");
	return 0;
}

static const struct cli_option options[] = {
	{ "flag", 500, NULL, false, "a flag" },
	{ "value", 501, "V", false, "a value" },
	{ "named", 502, "NAME", true, "an optional value" },
	{ NULL, 0, NULL, false, NULL },
};
static const struct cli_command command = {
	.name = "try", .arguments = "", .summary = "", .options = options
};

/* Reads up to seven words; NULL ends them. */
static int
parse(struct cli *cli, struct seen *seen, struct cli_arguments *out,
    struct err *err, char *a, char *b, char *c, char *d)
{
	char *argv[] = { (char *)"try", a, b, c, d, NULL };
	int argc = 1;

	memset(cli, 0, sizeof(*cli));
	memset(seen, 0, sizeof(*seen));
	while (argv[argc] != NULL)
		argc++;
	return options_read(cli, &command, argc, argv, set, seen, out, err);
}
#define W(text) ((char *)(uintptr_t)(text))

static void
test_options_mix_with_arguments(void **state)
{
	struct cli_arguments arguments;
	struct err err = ERR_INIT;
	struct seen seen;
	struct cli cli;

	(void)state;
	assert_int_equal(parse(&cli, &seen, &arguments, &err, W("one"),
			     W("--flag"), W("--value=x"), W("two")),
	    0);
	assert_true(seen.flag);
	assert_string_equal(seen.value, "x");
	assert_int_equal(arguments.count, 2);
	assert_string_equal(arguments.word[0], "one");
	assert_string_equal(arguments.word[1], "two");
	free(arguments.word);
}

static void
test_options_global_ones_go_anywhere(void **state)
{
	struct cli_arguments arguments;
	struct err err = ERR_INIT;
	struct seen seen;
	struct cli cli;

	(void)state;
	assert_int_equal(parse(&cli, &seen, &arguments, &err, W("--json"),
			     W("one"), W("--repo"), W("/r")),
	    0);
	assert_true(cli.json);
	assert_string_equal(cli.repository, "/r");
	free(arguments.word);
}

static void
test_options_optional_value_needs_an_argument_before(void **state)
{
	struct cli_arguments arguments;
	struct err err = ERR_INIT;
	struct seen seen;
	struct cli cli;

	(void)state;
	assert_int_equal(parse(&cli, &seen, &arguments, &err, W("point"),
			     W("--named"), W("new"), NULL),
	    0);
	assert_string_equal(seen.name, "new");
	assert_int_equal(arguments.count, 1);
	free(arguments.word);
	assert_int_equal(parse(&cli, &seen, &arguments, &err, W("--named"),
			     W("point"), W("--flag"), NULL),
	    0);
	assert_true(seen.named);
	assert_null(seen.name);
	assert_string_equal(arguments.word[0], "point");
	free(arguments.word);
}

static void
test_options_mistakes_are_named(void **state)
{
	struct cli_arguments arguments;
	struct err err = ERR_INIT;
	struct seen seen;
	struct cli cli;

	(void)state;
	assert_int_equal(
	    parse(&cli, &seen, &arguments, &err, W("--flga"), NULL, NULL, NULL),
	    -1);
	assert_true(cli.usage_error);
	assert_non_null(strstr(err.text, "'--flga'"));
	assert_non_null(strstr(err.hint, "--flag"));
	assert_int_equal(parse(&cli, &seen, &arguments, &err, W("--value"),
			     NULL, NULL, NULL),
	    -1);
	assert_non_null(strstr(err.text, "needs a value"));
	assert_int_equal(parse(&cli, &seen, &arguments, &err, W("--value"),
			     W("bad"), NULL, NULL),
	    -1);
	assert_true(cli.usage_error);
}

/* 0: both the options and what they say together are taken. */
static int
read_freeze_test(struct err *err, char *a, char *b, char *c, char *d)
{
	char *argv[] = { W("guest"), W("freeze-test"), W("db1"), a, b, c, d,
		NULL };
	struct cli_arguments arguments = { .count = 0 };
	void *state = malloc(cmd_guest.state_size);
	struct cli cli;
	int argc = 3, rc;

	memset(&cli, 0, sizeof(cli));
	assert_non_null(state);
	memcpy(state, cmd_guest.defaults, cmd_guest.state_size);
	while (argv[argc] != NULL)
		argc++;
	rc = options_read(&cli, &cmd_guest, argc, argv, cmd_guest.set, state,
	    &arguments, err);
	if (rc == 0)
		rc = cmd_guest.check(&cli, state, &arguments, err);
	free(arguments.word);
	free(state);
	return rc;
}

static void
test_cli_freeze_test_takes_a_lease_that_holds(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(read_freeze_test(&err, W("--lease"), W("20"),
			     W("--hold"), W("19999")),
	    0);
	assert_int_equal(
	    read_freeze_test(&err, W("--hold"), W("30000"), NULL, NULL), 0);
	assert_int_equal(read_freeze_test(&err, W("--lease"), W("20"),
			     W("--hold"), W("20000")),
	    -1);
	assert_non_null(strstr(err.text, "thaw before"));
	assert_int_equal(
	    read_freeze_test(&err, W("--lease"), W("61"), NULL, NULL), -1);
	assert_non_null(strstr(err.text, "from 1 to 60"));
}

static const char *
nearest(const char *word)
{
	static const char *const words[] = { "backup", "restore", "list" };

	return words_nearest(word, CLI_NEAR_EDITS, words, 3, sizeof(words[0]));
}

static void
test_cli_suggests_near_words_only(void **state)
{
	(void)state;
	assert_string_equal(nearest("bakup"), "backup");
	assert_string_equal(nearest("restroe"), "restore");
	assert_null(nearest("encrypt"));
	assert_null(nearest("a-very-long-word-that-is-longer-than-any-known"));
}

static void
test_format_bytes_never_shows_1024(void **state)
{
	char text[FORMAT_SIZE];

	(void)state;
	assert_string_equal(format_bytes(text, 0), "0 B");
	assert_string_equal(format_bytes(text, 1023), "1023 B");
	assert_string_equal(format_bytes(text, 1024), "1.0 KiB");
	assert_string_equal(format_bytes(text, (1 << 20) - 1), "1.0 MiB");
	assert_string_equal(format_bytes(text, 4ull << 30), "4.0 GiB");
	assert_string_equal(format_bytes(text, UINT64_MAX), "16.0 EiB");
}

static void
test_format_duration_by_size(void **state)
{
	char text[FORMAT_SIZE];

	(void)state;
	assert_string_equal(format_duration(text, 999), "999 ms");
	assert_string_equal(format_duration(text, 12400), "12.4 s");
	assert_string_equal(format_duration(text, 185000), "3:05");
	assert_string_equal(format_duration(text, 3723000), "1:02:03");
}

static void
test_cli_number_bounds(void **state)
{
	static const char *const wrong[] = { "", "x", "-1", "61", "1x", "0",
		"99999999999999999999" };
	struct err err = ERR_INIT;
	unsigned int number;
	size_t i;

	(void)state;
	assert_int_equal(cli_number(&number, "lease", "60", 1, 60, &err), 0);
	assert_int_equal(number, 60);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(
		    cli_number(&number, "lease", wrong[i], 1, 60, &err), -1);
		assert_non_null(strstr(err.text, "--lease"));
	}
}

static void
test_cli_rates(void **state)
{
	static const char *const wrong[] = { "", "0", "1023", "-1M", "20MB" };
	struct err err = ERR_INIT;
	uint64_t rate;
	size_t i;

	(void)state;
	assert_int_equal(cli_rate(&rate, "limit-rate", "20M", &err), 0);
	assert_int_equal(rate, 20 << 20);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(
		    cli_rate(&rate, "limit-rate", wrong[i], &err), -1);
		assert_non_null(strstr(err.text, "--limit-rate"));
		assert_int_equal(err.class, ERR_ARG);
	}
}

static void
test_cli_exit_codes(void **state)
{
	struct err err = ERR_INIT;
	struct cli cli = { 0 };

	(void)state;
	err_set(&err, ERR_IO, "x");
	assert_int_equal(cli_exit_code(&cli, &err), CLI_FAILED);
	err_set(&err, ERR_BUSY, "x");
	assert_int_equal(cli_exit_code(&cli, &err), CLI_BUSY);
	cli_usage(&cli, &err, "x");
	assert_int_equal(cli_exit_code(&cli, &err), CLI_USAGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_mix_with_arguments),
		cmocka_unit_test(test_options_global_ones_go_anywhere),
		cmocka_unit_test(
		    test_options_optional_value_needs_an_argument_before),
		cmocka_unit_test(test_options_mistakes_are_named),
		cmocka_unit_test(test_cli_freeze_test_takes_a_lease_that_holds),
		cmocka_unit_test(test_cli_suggests_near_words_only),
		cmocka_unit_test(test_format_bytes_never_shows_1024),
		cmocka_unit_test(test_format_duration_by_size),
		cmocka_unit_test(test_cli_number_bounds),
		cmocka_unit_test(test_cli_rates),
		cmocka_unit_test(test_cli_exit_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
