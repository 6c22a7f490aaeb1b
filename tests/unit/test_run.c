/* SPDX-License-Identifier: Apache-2.0 */
/* Which domains a job takes, and that each is on its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/config/config.h"
#include "agent/domain/domain.h"
#include "agent/job/backup.h"
#include "agent/job/care.h"
#include "agent/job/context.h"
#include "agent/job/forget.h"
#include "agent/job/run.h"
#include "common/err.h"

/* ---- what the world answers, set by each test ---- */

static struct {
	const char *name;
	bool active;
	enum err_class outcome; /* Of its backup. */
	bool demoted;
} domains[8];
static size_t domain_count;
static enum err_class retention, verify;
static unsigned int points_hurt;        /* That a verify finds. */
static char tried[128], forgotten[128]; /* Names, each with a blank. */
static unsigned int verified;
static char *excluded; /* By name. */

static void
add(const char *name, bool active, enum err_class outcome)
{
	domains[domain_count].name = name;
	domains[domain_count].active = active;
	domains[domain_count].demoted = false;
	domains[domain_count++].outcome = outcome;
}

static void
note(char list[128], const char *name)
{
	size_t used = strlen(list);

	snprintf(list + used, 128 - used, "%s ", name);
}

int
domain_each(
    struct domain_connection *c, domain_name_fn *fn, void *arg, struct err *err)
{
	size_t i;

	(void)c;
	(void)err;
	for (i = 0; i < domain_count; i++)
		if (fn(arg, domains[i].name, domains[i].active) != 0)
			break;
	return 0;
}

int
job_backup(struct job_context *ctx, const char *domain,
    const struct backup_options *options, struct backup_result *out,
    struct err *err)
{
	size_t i;

	(void)ctx;
	(void)options;
	note(tried, domain);
	memset(out, 0, sizeof(*out));
	for (i = 0; i < domain_count; i++)
		if (strcmp(domains[i].name, domain) == 0)
			break;
	assert_true(i < domain_count);
	if (!domains[i].active)
		return err_set(err, ERR_NOT_FOUND, "'%s' is off", domain);
	if (domains[i].outcome != ERR_NONE)
		return err_set(err, domains[i].outcome, "'%s' failed", domain);
	out->manifest = calloc(1, sizeof(*out->manifest));
	assert_non_null(out->manifest);
	out->demoted = domains[i].demoted;
	return 0;
}

int
job_backup_group(struct job_context *ctx, const char *const *names,
    size_t count, const struct backup_options *options,
    struct backup_result *results, struct err *err)
{
	(void)ctx;
	(void)names;
	(void)count;
	(void)options;
	(void)results;
	return err_set(err, ERR_BUG, "no group here");
}

int
job_forget_policy(struct job_context *ctx, const char *domain,
    const struct retention_policy *policy, bool dry_run, forget_fn *fn,
    void *arg, struct err *err)
{
	(void)ctx;
	(void)policy;
	(void)dry_run;
	(void)fn;
	(void)arg;
	note(forgotten, domain);
	return retention == ERR_NONE ? 0 : err_set(err, retention, "retention");
}

int
job_verify(struct job_context *ctx, const struct job_verify_options *options,
    struct job_verify_result *out, struct err *err)
{
	(void)ctx;
	assert_int_equal(options->sample_percent, 5);
	verified++;
	memset(out, 0, sizeof(*out));
	out->found.damaged_points = points_hurt;
	return verify == ERR_NONE ? 0 : err_set(err, verify, "cannot verify");
}

/* ---- the tests ---- */

static int
setup(void **state)
{
	(void)state;
	domain_count = 0;
	retention = verify = ERR_NONE;
	points_hurt = 0;
	tried[0] = forgotten[0] = '\0';
	verified = 0;
	excluded = NULL;
	return 0;
}

static void
ignore(void *arg, const char *domain, const struct backup_result *result,
    const struct err *failure)
{
	(void)arg;
	(void)domain;
	assert_true((result == NULL) != (failure == NULL));
}

static int
run(struct run_result *out, struct err *err, char *first, char *second)
{
	char *words[] = { first, second };
	const struct config_job job = {
		.name = (char *)(uintptr_t) "nightly",
		.domains = { words, second == NULL ? 1 : 2 },
		.exclude_domains = { &excluded, excluded == NULL ? 0 : 1 },
		.lease_seconds = 10,
		.keep_last = 3,
		.verify_percent = 5,
	};
	struct job_context ctx = { .state_dir = "/nonexistent" };

	err_clear(err);
	return job_run(&ctx, &job, ignore, NULL, out, err);
}
#define W(text) ((char *)(uintptr_t)(text))

static void
test_run_pattern_takes_those_that_run(void **state)
{
	struct err err = ERR_INIT;
	struct run_result result;

	(void)state;
	add("db", true, ERR_NONE);
	add("off", false, ERR_NONE);
	add("web", true, ERR_NONE);
	assert_int_equal(run(&result, &err, W("*"), NULL), 0);
	assert_string_equal(tried, "db web ");
	assert_int_equal(result.done, 2);
	assert_int_equal(result.failed, 0);
	domains[0].active = domains[2].active = false;
	assert_int_equal(run(&result, &err, W("*"), NULL), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
}

static void
test_run_named_domain_that_is_off_fails(void **state)
{
	struct err err = ERR_INIT;
	struct run_result result;

	(void)state;
	add("db", true, ERR_NONE);
	add("off", false, ERR_NONE);
	assert_int_equal(run(&result, &err, W("*"), W("off")), 0);
	assert_string_equal(tried, "db off ");
	assert_int_equal(result.done, 1);
	assert_int_equal(result.failed, 1);
}

/* The others go on; a domain without a new point keeps its old ones; what
 * there is is verified. */
static void
test_run_each_domain_is_on_its_own(void **state)
{
	struct err err = ERR_INIT;
	struct run_result result;

	(void)state;
	add("busy", true, ERR_BUSY);
	add("broken", true, ERR_IO);
	add("lower", true, ERR_NONE);
	domains[2].demoted = true;
	add("well", true, ERR_NONE);
	assert_int_equal(run(&result, &err, W("*"), NULL), 0);
	assert_string_equal(tried, "busy broken lower well ");
	assert_string_equal(forgotten, "lower well ");
	assert_int_equal(result.done, 2);
	assert_int_equal(result.demoted, 1);
	assert_int_equal(result.failed, 1);
	assert_int_equal(result.busy, 1);
	assert_int_equal(verified, 1);
}

static void
test_run_leaves_out_what_is_excluded_by_name_too(void **state)
{
	struct err err = ERR_INIT;
	struct run_result result;

	(void)state;
	add("db", true, ERR_NONE);
	add("web", true, ERR_NONE);
	excluded = W("db");
	assert_int_equal(run(&result, &err, W("db"), W("web")), 0);
	assert_string_equal(tried, "web ");
}

static void
test_run_without_a_point_verifies_nothing(void **state)
{
	struct err err = ERR_INIT;
	struct run_result result;

	(void)state;
	add("broken", true, ERR_IO);
	assert_int_equal(run(&result, &err, W("*"), NULL), 0);
	assert_int_equal(verified, 0);
	assert_string_equal(forgotten, "");
}

/* What a repair has marked is no damaged object any more, and not well. */
static void
test_run_is_not_well_with_points_hurt(void **state)
{
	struct err err = ERR_INIT;
	struct run_result result;

	(void)state;
	add("web1", true, ERR_NONE);
	points_hurt = 2;
	assert_int_equal(run(&result, &err, W("web1"), NULL), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	assert_non_null(strstr(err.text, "points hurt: 2"));
}

/* A retention that fails is told at the end: the backups and the verify of
 * the others come first. */
static void
test_run_retention_that_fails_stops_nobody(void **state)
{
	struct err err = ERR_INIT;
	struct run_result result;

	(void)state;
	add("db", true, ERR_NONE);
	add("web", true, ERR_NONE);
	retention = ERR_BUSY;
	assert_int_equal(run(&result, &err, W("*"), NULL), -1);
	assert_int_equal(err.class, ERR_BUSY);
	assert_non_null(strstr(err.text, "retention of 'db'"));
	assert_string_equal(tried, "db web ");
	assert_int_equal(result.done, 2);
	assert_int_equal(verified, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    test_run_pattern_takes_those_that_run, setup),
		cmocka_unit_test_setup(
		    test_run_named_domain_that_is_off_fails, setup),
		cmocka_unit_test_setup(
		    test_run_each_domain_is_on_its_own, setup),
		cmocka_unit_test_setup(
		    test_run_leaves_out_what_is_excluded_by_name_too, setup),
		cmocka_unit_test_setup(
		    test_run_without_a_point_verifies_nothing, setup),
		cmocka_unit_test_setup(
		    test_run_is_not_well_with_points_hurt, setup),
		cmocka_unit_test_setup(
		    test_run_retention_that_fails_stops_nobody, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
