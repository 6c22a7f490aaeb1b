/* SPDX-License-Identifier: Apache-2.0 */
/* Options, suggestions, sizes: what a person types and reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/cli/cli.h"
#include "agent/cli/format.h"
#include "agent/cli/options.h"
#include "agent/job/backup.h"
#include "agent/job/run.h"
#include "common/err.h"
#include "common/io.h"
#include "common/json/json.h"
#include "common/log.h"
#include "common/words.h"
#include "store/manifest.h"
#include "tests/unit/temp_dir.h"

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

/* ---- whole lines: status and what is said ---- */

static const char *dir;

static int
setup(void **state)
{
	assert_int_equal(temp_dir_setup(state), 0);
	dir = *state;
	return 0;
}

/* Runs "holdstill LINE"; what goes to the stream is the caller's *out. */
static int
run_line(char **out, FILE *stream, const char *line)
{
	char words[512], path[96], *argv[32] = { W("holdstill") },
				   *rest = words;
	int argc = 1, fd = fileno(stream), saved = dup(fd), rc;
	struct err err = ERR_INIT;
	size_t size;

	assert_true(strlen(line) < sizeof(words));
	strcpy(words, line);
	while ((argv[argc] = strtok_r(rest, " ", &rest)) != NULL)
		argc++;
	snprintf(path, sizeof(path), "%s/said", dir);
	fflush(stream);
	assert_non_null(freopen(path, "w", stream));
	rc = cli_main(argc, argv);
	fflush(stream);
	assert_int_equal(dup2(saved, fd), fd);
	close(saved);
	assert_int_equal(io_read_file(out, &size, path, 65536, &err), 0);
	return rc;
}

/* Nothing of a line that is wrong usage touches a repository or libvirt. */
static void
wrong_usage(const char *line, const char *what)
{
	char whole[512], *said = NULL;
	int rc;

	snprintf(whole, sizeof(whole),
	    "--config %s/conf --connect test:///none --repo %s/none %s", dir,
	    dir, line);
	rc = run_line(&said, stderr, whole);
	if (rc != CLI_USAGE || strstr(said, what) == NULL)
		fail_msg("%s: %d, not '%s' but:\n%s", line, rc, what, said);
	free(said);
}

static void
put_conf(const char *text)
{
	struct err err = ERR_INIT;
	char path[96];

	snprintf(path, sizeof(path), "%s/conf", dir);
	assert_int_equal(
	    io_replace_file(path, text, strlen(text), 0644, &err), 0);
}

static void
test_cli_options_that_would_do_nothing_are_refused(void **state)
{
	(void)state;
	put_conf("");
	wrong_usage("guest status db --hold 50", "'--hold' goes with 'guest "
						 "freeze-test'");
	wrong_usage("guest writers db --lease 5", "'--lease' goes with");
	wrong_usage("restore db@latest --disk vda=/x --same-identity",
	    "goes with '--to DIR'");
	wrong_usage("prune --max-repack 101%", "a size or a share");
	wrong_usage("prune --max-repack 5%%", "a size or a share");
	wrong_usage("prune --max-repack many", "a size or a share");
	wrong_usage("forget db --keep-last 0", "nothing would be kept");
	wrong_usage("forget db --keep-last 0 --keep-daily 0 --dry-run",
	    "nothing would be kept");
	wrong_usage("backup db --require filesystem --prefer crash",
	    "'--prefer crash' is less than '--require filesystem'");
}

static void
test_cli_folders_are_absolute(void **state)
{
	(void)state;
	put_conf("");
	wrong_usage("--state-dir state list",
	    "'--state-dir' takes a path from the root, not 'state'");
	wrong_usage("backup db --scratch-dir ../scratch",
	    "'--scratch-dir' takes a path from the root");
	assert_int_equal(setenv("HOLDSTILL_STATE_DIR", "state", 1), 0);
	wrong_usage("list", "HOLDSTILL_STATE_DIR takes a path from the root");
	assert_int_equal(unsetenv("HOLDSTILL_STATE_DIR"), 0);
}

static void
test_cli_repository_is_a_url_that_is_served(void **state)
{
	(void)state;
	put_conf("[repository main]\nurl = /srv/backup\n"
		 "[repository far]\nurl = s3://bucket/prefix\n"
		 "[job nightly]\nrepository = far\ndomains = *\n");
	wrong_usage("--repo main list", "hint: give its url: --repo "
					"/srv/backup");
	wrong_usage("--repo far init", "hint: give its url: --repo s3://");
	wrong_usage("--repo s3://bucket/prefix init", "not in this build");
	wrong_usage("--repo ftp://host/x list", "no known kind");
}

/* The name of the job's repository is no excuse for its URL. */
static void
test_cli_run_needs_a_repository_that_is_served(void **state)
{
	char line[128], *said = NULL;

	(void)state;
	put_conf("[global]\nrepository = near\n"
		 "[repository near]\nurl = /nonexistent/near\n"
		 "[repository far]\nurl = s3://bucket/prefix\n"
		 "[job nightly]\nrepository = far\ndomains = *\n");
	snprintf(line, sizeof(line), "--config %s/conf run nightly", dir);
	assert_int_equal(run_line(&said, stderr, line), CLI_USAGE);
	assert_non_null(strstr(said, "not in this build"));
	free(said);
}

/* ---- the status of a job ---- */

static struct run_result job_result;
static enum err_class job_failure; /* Of what comes after the backups. */

int __wrap_job_run(struct job_context *ctx, const struct config_job *job,
    run_fn *fn, void *arg, struct run_result *out, struct err *err);
int
__wrap_job_run(struct job_context *ctx, const struct config_job *job,
    run_fn *fn, void *arg, struct run_result *out, struct err *err)
{
	struct manifest *m = manifest_new();
	struct backup_result made = { .manifest = m };

	(void)ctx;
	(void)job;
	assert_non_null(m);
	m->domain = strdup("db");
	if (job_result.done > 0)
		fn(arg, "db", &made, NULL);
	manifest_free(m);
	*out = job_result;
	if (job_failure == ERR_NONE)
		return 0;
	return err_set(err, job_failure, "afterwards");
}

static int
status_of(size_t demoted, size_t failed, size_t busy, enum err_class failure)
{
	char line[128], *said = NULL;
	int rc;

	job_result = (struct run_result){ 1, demoted, failed, busy };
	job_failure = failure;
	snprintf(line, sizeof(line), "--config %s/conf run nightly", dir);
	rc = run_line(&said, stderr, line);
	free(said);
	return rc;
}

/* What is durable is told, whatever comes after it. */
static void
test_cli_run_json_keeps_points_of_a_failure(void **state)
{
	struct err err = ERR_INIT;
	char line[128], *said = NULL;
	json_t *json;

	(void)state;
	put_conf("[repository r]\nurl = /nonexistent/r\n"
		 "[job nightly]\ndomains = *\n");
	job_result = (struct run_result){ .done = 1 };
	job_failure = ERR_CORRUPT;
	snprintf(
	    line, sizeof(line), "--config %s/conf run nightly --json", dir);
	assert_int_equal(run_line(&said, stdout, line), CLI_FAILED);
	if (json_parse(&json, said, strlen(said), &err) == -1)
		fail_msg("%s:\n%s", err.text, said);
	assert_int_equal(json_array_size(json_object_get(json, "points")), 1);
	assert_non_null(
	    json_object_get(json_object_get(json, "error"), "text"));
	json_decref(json);
	free(said);
}

/* The worst of all domains counts, and being in another run's way least. */
static void
test_cli_run_status_is_of_the_worst(void **state)
{
	(void)state;
	put_conf("[repository r]\nurl = /nonexistent/r\n"
		 "[job nightly]\ndomains = *\n");
	assert_int_equal(status_of(0, 0, 0, ERR_NONE), CLI_DONE);
	assert_int_equal(status_of(1, 0, 0, ERR_NONE), CLI_DEMOTED);
	assert_int_equal(status_of(1, 0, 1, ERR_NONE), CLI_BUSY);
	assert_int_equal(status_of(1, 1, 1, ERR_NONE), CLI_FAILED);
	assert_int_equal(status_of(0, 0, 0, ERR_BUSY), CLI_BUSY);
	assert_int_equal(status_of(1, 0, 0, ERR_CORRUPT), CLI_FAILED);
	assert_int_equal(status_of(0, 1, 0, ERR_BUSY), CLI_FAILED);
}

static void
test_cli_version_goes_behind_a_command(void **state)
{
	char *said = NULL;

	(void)state;
	assert_int_equal(run_line(&said, stdout, "list --version"), CLI_DONE);
	assert_memory_equal(said, "holdstill ", strlen("holdstill "));
	free(said);
}

/* 0: taken, and so much of it is read. */
static int
sampled(const char *value, unsigned int *out)
{
	struct err err = ERR_INIT;

	*out = 0;
	return cmd_verify.set(out, cmd_verify.options[0].key, value, &err);
}

static void
test_cli_sample_may_have_a_percent_sign(void **state)
{
	unsigned int percent;

	(void)state;
	assert_int_equal(sampled("5", &percent), 0);
	assert_int_equal(percent, 5);
	assert_int_equal(sampled("100%", &percent), 0);
	assert_int_equal(percent, 100);
	assert_int_equal(sampled("0%", &percent), -1);
	assert_int_equal(sampled("%", &percent), -1);
	assert_int_equal(sampled("5%%", &percent), -1);
	assert_int_equal(sampled("00000005%", &percent), -1);
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

#define LINE(name) \
	cmocka_unit_test_setup_teardown(name, setup, temp_dir_teardown)

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
		LINE(test_cli_options_that_would_do_nothing_are_refused),
		LINE(test_cli_folders_are_absolute),
		LINE(test_cli_repository_is_a_url_that_is_served),
		LINE(test_cli_run_needs_a_repository_that_is_served),
		LINE(test_cli_run_status_is_of_the_worst),
		LINE(test_cli_run_json_keeps_points_of_a_failure),
		LINE(test_cli_version_goes_behind_a_command),
		cmocka_unit_test(test_cli_sample_may_have_a_percent_sign),
		cmocka_unit_test(test_cli_suggests_near_words_only),
		cmocka_unit_test(test_format_bytes_never_shows_1024),
		cmocka_unit_test(test_format_duration_by_size),
		cmocka_unit_test(test_cli_number_bounds),
		cmocka_unit_test(test_cli_rates),
		cmocka_unit_test(test_cli_exit_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
