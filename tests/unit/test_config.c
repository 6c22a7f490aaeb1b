/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: what is read, and that nothing wrong is let through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/config/config.h"
#include "common/err.h"
#include "common/io.h"
#include "tests/unit/ini_fixture.h"

#define R "[repository r]\nurl = /srv/r\n"
#define J R "[job j]\ndomains = a\n"

static struct ini_fixture file = { .name = "holdstill.conf" };

static int
load(struct config **out, const char *text, size_t size, struct err *err)
{
	ini_fixture_write(&file, text, size);
	return config_load(out, file.path, err);
}

static struct config *
loaded(const char *text)
{
	struct config *config = NULL;
	struct err err = ERR_INIT;

	if (load(&config, text, strlen(text), &err) == -1)
		fail_msg("%s (%s)", err.text, err.hint);
	return config;
}

static void
refused(const char *text, unsigned int line, const char *what, const char *hint)
{
	struct config *config = NULL;
	struct err err = ERR_INIT;

	if (load(&config, text, strlen(text), &err) == 0)
		fail_msg("was let through:\n%s", text);
	ini_fixture_expect_refusal(&file, &err, line, what, hint);
}

static void
test_config_reads_every_key(void **state)
{
	struct config *c = loaded(
	    "# a comment\n; another\n"
	    "[global]\nrepository = two\nconnect = qemu+ssh://h/system\n"
	    "state-dir = /var/lib/x\n\n"
	    "[repository one]\nurl=/srv/one\n"
	    "[ repository  two ]\r\nurl = /srv/two ; remark\r\n"
	    "[job nightly]\nrepository = one\n"
	    "domains = db1, web-*\n   mail  ; last = one\n"
	    "exclude-domains = web-test\nexclude-disks = vdb vdc\n"
	    "require = crash\nprefer = filesystem\nlease = 20\n"
	    "keep-last = 1\nkeep-hourly = 2\nkeep-daily = 3\n"
	    "keep-weekly = 4\nkeep-monthly = 5\nkeep-yearly = 6\n"
	    "verify = 5%\nverify-budget = 20m\naudit = 5\ngroup = yes\nspread = 1500\n"
	    "limit-rate = 20M\nlimit-read = 1GiB\n"
	    "scratch-dir = /fast/scratch\n");
	const struct config_job *job;
	struct err err = ERR_INIT;

	(void)state;
	assert_string_equal(c->connect, "qemu+ssh://h/system");
	assert_string_equal(c->state_dir, "/var/lib/x");
	assert_string_equal(c->repository->url, "/srv/two");
	assert_int_equal(config_find_job(&job, c, "nightly", &err), 0);
	assert_string_equal(job->repository->url, "/srv/one");
	assert_int_equal(job->domains.count, 3);
	assert_string_equal(job->domains.word[2], "mail");
	assert_int_equal(job->exclude_disks.count, 2);
	assert_true(job->has_require && job->has_prefer);
	assert_int_equal(job->require, MANIFEST_CRASH);
	assert_int_equal(job->prefer, MANIFEST_FILESYSTEM);
	assert_true(job->group);
	assert_int_equal(job->spread_ms, 1500);
	assert_true(job->limit_rate == UINT64_C(20) << 20);
	assert_true(job->limit_read == UINT64_C(1) << 30);
	assert_string_equal(job->scratch_dir, "/fast/scratch");
	assert_int_equal(job->lease_seconds, 20);
	assert_int_equal(job->keep_last, 1);
	assert_int_equal(job->keep_hourly, 2);
	assert_int_equal(job->keep_daily, 3);
	assert_int_equal(job->keep_weekly, 4);
	assert_int_equal(job->keep_monthly, 5);
	assert_int_equal(job->keep_yearly, 6);
	assert_int_equal(job->verify_percent, 5);
	assert_int_equal(job->verify_budget_ms, 1200000);
	assert_int_equal(job->audit_permille, 5);
	assert_false(job->no_audit);
	config_free(c);
}

static void
test_config_has_defaults(void **state)
{
	struct config *c = loaded("\xef\xbb\xbf" J);
	const struct config_job *job = c->jobs[0];

	(void)state;
	assert_ptr_equal(job->repository, c->repositories[0]);
	assert_ptr_equal(c->repository, c->repositories[0]);
	assert_null(c->connect);
	assert_null(c->state_dir);
	assert_false(job->has_require || job->has_prefer);
	assert_false(job->group);
	assert_int_equal(job->spread_ms, CONFIG_SPREAD_DEFAULT_MS);
	assert_null(job->scratch_dir);
	assert_int_equal(job->lease_seconds, CONFIG_LEASE_DEFAULT_SECONDS);
	assert_int_equal(job->keep_last, 0);
	assert_int_equal(job->verify_percent, 0);
	config_free(c);
	c = loaded("");
	assert_int_equal(c->job_count, 0);
	config_free(c);
	c = loaded(J "verify = no");
	config_free(c);
}

static void
test_config_job_chooses_domains(void **state)
{
	struct config *c = loaded(R "[job j]\ndomains = db?, web-* x\n"
				    "exclude-domains = web-t*\n");
	const struct config_job *job = c->jobs[0];

	(void)state;
	assert_true(config_job_wants(job, "db1"));
	assert_true(config_job_wants(job, "web-a"));
	assert_true(config_job_wants(job, "x"));
	assert_false(config_job_wants(job, "web-test"));
	assert_false(config_job_wants(job, "db12"));
	assert_true(config_is_glob("web-*"));
	assert_false(config_is_glob("x"));
	config_free(c);
}

static void
test_config_refuses_what_it_does_not_know(void **state)
{
	(void)state;
	refused("a = b\n", 1, "before the first section", "[global]");
	refused("\n[jobs x]\n", 2, "unknown section [jobs x]", "[job NAME]");
	refused("[global x]\n", 1, "unknown section", "[global]");
	refused(J "keep-dayly = 3\n", 5, "unknown key 'keep-dayly' in [job j]",
	    "'keep-daily'");
	refused(J "zzzzzzzzz = 3\n", 5, "unknown key", "allowed: repository,");
	refused(R "domains = x\n", 3, "unknown key 'domains'", "url");
	refused(J "nonsense\n", 5, "neither", "");
	refused(J "[job k\n", 5, "']' is missing", "");
}

static void
test_config_refuses_wrong_values(void **state)
{
	(void)state;
	refused(J "keep-last = many\n", 5, "keep-last: 'many'", "number");
	refused(J "keep-last = -1\n", 5, "'-1' is no number", "");
	refused(J "keep-last = 4294967297\n", 5, "is no number", "");
	refused(J "keep-last = 3x\n", 5, "'3x'", "");
	refused(J "lease = 61\n", 5, "from 1 to 60", "");
	refused(J "lease = 0\n", 5, "from 1 to 60", "");
	refused(J "group = 1\n", 5, "neither 'yes' nor 'no'", "yes or no");
	refused(J "verify = 101\n", 5, "percentage", "100");
	refused(J "verify = %\n", 5, "percentage", "");
	refused(J "verify = 10000005%\n", 5, "percentage", "");
	refused(J "verify = yes\n", 5, "percentage", "no");
	refused(J "audit = 1001\n", 5, "1001", "auto");
	refused(J "verify-budget = 20\n", 5, "length of time", "20m");
	refused(J "require = fs\n", 5, "'fs' is no level", "filesystem");
	refused(
	    J "prefer = crash\nrequire = filesystem\n", 3, "prefers less", "");
	refused(J "exclude-disks = ,\n", 5, "empty", "");
	refused(J "require =\n", 5, "no value", "");
	refused("[global]\nstate-dir = x\n", 2, "absolute", "");
	refused("[repository r]\nurl = srv/x\n", 2, "absolute", "'/'");
	refused("[repository r]\nurl = ./a:b\n", 2, "absolute", "");
	refused("[repository r]\nurl = dir:x\n", 2, "absolute", "");
	refused("[repository r]\nurl = file://srv/x\n", 2, "absolute", "");
	refused(J "scratch-dir = x\n", 5, "absolute", "");
	refused(J "limit-rate = 20\n", 5, "at least 1K", "as in 20M");
	refused(J "limit-read = fast\n", 5, "at least 1K", "as in 20M");
	refused(J "scratch-dir = /x # fast\n", 5, "begins with '#'", "';'");
	refused(J "exclude-disks = vdb\n   vdc # swap\n", 6, "'#'", "';'");
	refused(J "exclude-disks = # none\n", 5, "'#'", "';'");
	refused(J "spread = 60001\n", 5, "from 0 to 60000", "");
	refused(J "spread = 500\n", 3, "'spread' goes with", "");
	refused(J "group = yes\nlease = 2\nspread = 2001\n", 3,
	    "2001 ms, and the lease 2 s", "");
}

static void
test_config_refuses_wrong_sections(void **state)
{
	(void)state;
	refused("[job]\n", 1, "needs a name", "[job NAME]");
	refused("[job a b]\n", 1, "needs a name", "");
	refused("[job ../x]\n", 1, "needs a name", "");
	refused(J R, 5, "a second section [repository r]", "");
	refused(J "[job j]\n", 5, "a second section [job j]", "");
	refused("[global]\n[global]\n", 2, "a second", "");
	refused("[repository r]\n[job j]\n", 1, "has no 'url'", "");
	refused(R "[job j]\n", 3, "has no 'domains'", "");
	refused("[job j]\ndomains = a\n", 1, "no 'repository'", "default");
	refused(J "repository = q\n", 5, "no [repository q]", "are: r");
	refused("[global]\nrepository = q\n", 2, "no [repository q]", "add");
	refused(J "domains = b\n", 5, "twice, first in line 4", "");
}

/* inih would read these silently as something else. */
static void
test_config_refuses_what_inih_would_swallow(void **state)
{
	char text[512];

	(void)state;
	refused(J "  keep-last = 3\n", 5, "indented", "blanks");
	refused(J "  keep-last: 3\n", 5, "indented", "blanks");
	refused(J "  [job k]\n", 5, "indented", "blanks");
	refused(J "lease = 5\n  6\n", 6, "no list", "");
	snprintf(text, sizeof(text), J "exclude-domains = %0250d\n", 0);
	refused(text, 5, "longer than 198", "indented");
}

static void
test_config_refuses_files(void **state)
{
	struct config *config = NULL;
	struct err err = ERR_INIT;

	(void)state;
	unlink(file.path);
	assert_int_equal(config_load(&config, file.path, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	assert_int_equal(config_load(&config, file.dir, &err), -1);
	assert_int_equal(err.class, ERR_ARG);
	assert_int_equal(load(&config, "[global]\n\0", 10, &err), -1);
	assert_non_null(strstr(err.text, "no text file"));
	assert_int_equal(load(&config, J, strlen(J), &err), 0);
	config_free(config);
	assert_int_equal(chmod(file.path, 0666), 0);
	assert_int_equal(config_load(&config, file.path, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	assert_non_null(strstr(err.hint, "chmod"));
}

static void
test_config_example_is_valid(void **state)
{
	struct err err = ERR_INIT;
	size_t size;
	char *text;

	(void)state;
	if (io_read_file(&text, &size, EXAMPLE_PATH, 1 << 16, &err) == -1)
		fail_msg("%s", err.text);
	config_free(loaded(text));
	free(text);
}

static void
test_config_find_job_names_those_there_are(void **state)
{
	struct config *c = loaded(J "[job k]\ndomains = b\n");
	const struct config_job *job;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(config_find_job(&job, c, "x", &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	assert_non_null(strstr(err.hint, "j, k"));
	config_free(c);
}

/* Any cut and any changed byte of a good file is read or refused with a
 * line, and never harms (sanitizers watch). */
static void
test_config_survives_damage(void **state)
{
	static const char good[] =
	    "[global]\nrepository = r\n" J
	    "   b, c\nkeep-last = 3 ; x\n[job k]\ndomains = *\n";
	static const unsigned char bytes[] = { '\n', ' ', '[', ']', '=', ';',
		0x80, '\t' };
	struct config *config;
	struct err err = ERR_INIT;
	char text[sizeof(good)];
	size_t i, k;

	(void)state;
	for (i = 0; i + 1 < sizeof(good); i++) {
		for (k = 0; k <= sizeof(bytes); k++) {
			memcpy(text, good, sizeof(good));
			text[i] = k < sizeof(bytes) ? (char)bytes[k] : '\0';
			if (load(&config, text, strlen(text), &err) == 0)
				config_free(config);
			else
				assert_non_null(strstr(err.text, ".conf:"));
		}
	}
}

#define CASE(name) INI_FIXTURE_CASE(name, &file)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_config_reads_every_key),
		CASE(test_config_has_defaults),
		CASE(test_config_job_chooses_domains),
		CASE(test_config_refuses_what_it_does_not_know),
		CASE(test_config_refuses_wrong_values),
		CASE(test_config_refuses_wrong_sections),
		CASE(test_config_refuses_what_inih_would_swallow),
		CASE(test_config_refuses_files),
		CASE(test_config_example_is_valid),
		CASE(test_config_find_job_names_those_there_are),
		CASE(test_config_survives_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
