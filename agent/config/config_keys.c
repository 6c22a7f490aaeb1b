/* SPDX-License-Identifier: Apache-2.0 */
/* The sections and keys of the configuration, and how values are read. */
#include "agent/config/config_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/ini/ini_keys.h"
#include "common/ini/ini_value.h"
#include "common/rate.h"

#define KEEP_MAX 100000

/* ---- values ---- */

static int
set_text(char **out, const char *value, struct err *err)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return err_no_memory(err);
	free(*out);
	*out = copy;
	return 0;
}

static int
set_path(char **out, const char *value, struct err *err)
{
	if (value[0] != '/')
		return err_set(
		    err, ERR_ARG, "'%.100s' is no absolute path", value);
	return set_text(out, value, err);
}

static int
list_add(
    struct config_list *list, const char *word, size_t size, struct err *err)
{
	char **grown =
	    reallocarray(list->word, list->count + 1, sizeof(char *));

	if (grown == NULL)
		return err_no_memory(err);
	list->word = grown;
	if ((grown[list->count] = strndup(word, size)) == NULL)
		return err_no_memory(err);
	list->count++;
	return 0;
}

/* Appends the words of value, so that a list may go on in a next line. */
static int
set_list(struct config_list *list, const char *value, struct err *err)
{
	const char *word;
	size_t size;

	while ((word = ini_value_next(&value, &size)) != NULL)
		if (list_add(list, word, size, err) == -1)
			return -1;
	if (list->count == 0)
		return err_set(err, ERR_ARG, "the list is empty");
	return 0;
}

static int
set_level(enum manifest_consistency *out, bool *has, const char *value,
    struct err *err)
{
	if (manifest_consistency_parse(out, value) == -1) {
		err_set(err, ERR_ARG, "'%.100s' is no level", value);
		return err_hint(err, "write application, filesystem or crash");
	}
	*has = true;
	return 0;
}

/* ---- [global] ---- */

static int
global_connect(void *section, const char *value, struct err *err)
{
	return set_text(&((struct config *)section)->connect, value, err);
}

static int
global_state_dir(void *section, const char *value, struct err *err)
{
	return set_path(&((struct config *)section)->state_dir, value, err);
}

static const struct config_key global_keys[] = {
	{ .name = "repository" },
	{ .name = "connect", .set = global_connect },
	{ .name = "state-dir", .set = global_state_dir },
};

/* ---- [repository NAME] ---- */

/* cron, systemd and a person stand in different folders. */
static bool
is_relative(const char *url)
{
	if (strncmp(url, "file://", 7) == 0)
		return url[7] != '/';
	if (strncmp(url, "dir:", 4) == 0)
		return url[4] != '/';
	/* Of other URLs the backend is the judge. */
	return url[0] != '/' && url[strcspn(url, ":/")] != ':';
}

static int
repository_url(void *section, const char *value, struct err *err)
{
	if (is_relative(value)) {
		err_set(err, ERR_ARG, "'%.100s' is no absolute path and no URL",
		    value);
		return err_hint(err, "begin it with '/'");
	}
	return set_text(
	    &((struct config_repository *)section)->url, value, err);
}

static int
repository_passphrase_file(void *section, const char *value, struct err *err)
{
	struct config_repository *repository = section;

	return set_path(&repository->passphrase_file, value, err);
}

static int
repository_key_file(void *section, const char *value, struct err *err)
{
	struct config_repository *repository = section;

	return set_path(&repository->key_file, value, err);
}

static const struct config_key repository_keys[] = {
	{ .name = "url", .set = repository_url, .required = true },
	{ .name = "passphrase-file", .set = repository_passphrase_file },
	{ .name = "key-file", .set = repository_key_file },
};

/* ---- [job NAME] ---- */

static int
job_domains(void *section, const char *value, struct err *err)
{
	return set_list(&((struct config_job *)section)->domains, value, err);
}

static int
job_exclude_domains(void *section, const char *value, struct err *err)
{
	struct config_job *job = section;

	return set_list(&job->exclude_domains, value, err);
}

static int
job_exclude_disks(void *section, const char *value, struct err *err)
{
	struct config_job *job = section;

	return set_list(&job->exclude_disks, value, err);
}

static int
job_require(void *section, const char *value, struct err *err)
{
	struct config_job *job = section;

	return set_level(&job->require, &job->has_require, value, err);
}

static int
job_prefer(void *section, const char *value, struct err *err)
{
	struct config_job *job = section;

	return set_level(&job->prefer, &job->has_prefer, value, err);
}

static int
job_group(void *section, const char *value, struct err *err)
{
	return ini_value_yes_no(
	    &((struct config_job *)section)->group, value, err);
}

static int
job_spread(void *section, const char *value, struct err *err)
{
	struct config_job *job = section;

	job->has_spread = true;
	return ini_value_number(
	    &job->spread_ms, value, 0, CONFIG_LEASE_MAX_SECONDS * 1000, err);
}

static int
job_scratch_dir(void *section, const char *value, struct err *err)
{
	return set_path(
	    &((struct config_job *)section)->scratch_dir, value, err);
}

static int
job_lease(void *section, const char *value, struct err *err)
{
	return ini_value_number(&((struct config_job *)section)->lease_seconds,
	    value, 1, CONFIG_LEASE_MAX_SECONDS, err);
}

static int
job_verify(void *section, const char *value, struct err *err)
{
	struct config_job *job = section;
	size_t size = strlen(value);
	char digits[8];

	if (strcmp(value, "no") == 0) {
		job->verify_percent = 0;
		return 0;
	}
	if (size > 0 && value[size - 1] == '%')
		size--;
	snprintf(
	    digits, sizeof(digits), "%.*s", (int)(size < 7 ? size : 7), value);
	if (ini_value_number(&job->verify_percent, digits, 1, 100, err) == 0)
		return 0;
	err_set(
	    err, ERR_ARG, "'%.100s' is neither 'no' nor a percentage", value);
	return err_hint(err, "write no, or a whole number from 1 to 100");
}

static int
set_rate(uint64_t *out, const char *value, struct err *err)
{
	uint64_t rate;

	if (bytes_parse(&rate, value) == -1 || rate < RATE_MIN) {
		err_set(err, ERR_ARG,
		    "'%.100s' is no rate in bytes a second of at least 1K",
		    value);
		return err_hint(
		    err, "write a whole number with K, M or G, as in 20M");
	}
	*out = rate;
	return 0;
}

static int
job_limit_rate(void *section, const char *value, struct err *err)
{
	return set_rate(
	    &((struct config_job *)section)->limit_rate, value, err);
}

static int
job_limit_read(void *section, const char *value, struct err *err)
{
	return set_rate(
	    &((struct config_job *)section)->limit_read, value, err);
}

static int
job_verify_budget(void *section, const char *value, struct err *err)
{
	struct config_job *job = section;

	if (clock_parse_duration(&job->verify_budget_ms, value) == 0)
		return 0;
	err_set(err, ERR_ARG, "'%.100s' is no length of time", value);
	return err_hint(err, "write a number and s, m, h or d: 20m");
}

static int
job_audit(void *section, const char *value, struct err *err)
{
	struct config_job *job = section;

	job->no_audit = strcmp(value, "no") == 0;
	job->audit_permille = 0;
	if (job->no_audit || strcmp(value, "auto") == 0 ||
	    ini_value_number(&job->audit_permille, value, 1, 1000, err) == 0)
		return 0;
	return err_hint(err, "write no, auto, or a number from 1 to 1000");
}

#define KEEP_SETTER(what) \
	static int job_keep_##what( \
	    void *section, const char *value, struct err *err) \
	{ \
		struct config_job *job = section; \
\
		return ini_value_number( \
		    &job->keep_##what, value, 0, KEEP_MAX, err); \
	}
KEEP_SETTER(last)
KEEP_SETTER(hourly)
KEEP_SETTER(daily)
KEEP_SETTER(weekly)
KEEP_SETTER(monthly)
KEEP_SETTER(yearly)

static const struct config_key job_keys[] = {
	{ .name = "repository" },
	{ .name = "domains",
	    .set = job_domains,
	    .list = true,
	    .required = true },
	{ .name = "exclude-domains", .set = job_exclude_domains, .list = true },
	{ .name = "exclude-disks", .set = job_exclude_disks, .list = true },
	{ .name = "group", .set = job_group },
	{ .name = "spread", .set = job_spread },
	{ .name = "require", .set = job_require },
	{ .name = "prefer", .set = job_prefer },
	{ .name = "lease", .set = job_lease },
	{ .name = "audit", .set = job_audit },
	{ .name = "scratch-dir", .set = job_scratch_dir },
	{ .name = "keep-last", .set = job_keep_last },
	{ .name = "keep-hourly", .set = job_keep_hourly },
	{ .name = "keep-daily", .set = job_keep_daily },
	{ .name = "keep-weekly", .set = job_keep_weekly },
	{ .name = "keep-monthly", .set = job_keep_monthly },
	{ .name = "keep-yearly", .set = job_keep_yearly },
	{ .name = "verify", .set = job_verify },
	{ .name = "limit-rate", .set = job_limit_rate },
	{ .name = "limit-read", .set = job_limit_read },
	{ .name = "verify-budget", .set = job_verify_budget },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
_Static_assert(COUNT(job_keys) <= INI_KEYS_MAX, "a line for each");

const struct config_kind config_kinds[] = {
	[CONFIG_GLOBAL] = { "global", false, global_keys, COUNT(global_keys) },
	[CONFIG_REPOSITORY] = { "repository", true, repository_keys,
	    COUNT(repository_keys) },
	[CONFIG_JOB] = { "job", true, job_keys, COUNT(job_keys) },
};
const size_t config_kind_count = COUNT(config_kinds);
