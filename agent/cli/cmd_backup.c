/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill backup: makes a point of each domain. */
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/report.h"
#include "agent/domain/domain.h"
#include "agent/job/backup.h"
#include "agent/quiesce/quiesce.h"
#include "common/err.h"
#include "common/json/json.h"
#include "common/log.h"
#include "store/store.h"

#define EXCLUDES_MAX 64

enum {
	KEY_ALL = 256,
	KEY_COMPRESSION,
	KEY_AUDIT,
	KEY_EXCLUDE_DISK,
	KEY_FULL,
	KEY_GROUP,
	KEY_LEASE,
	KEY_LIMIT_RATE,
	KEY_LIMIT_READ,
	KEY_PREFER,
	KEY_REQUIRE,
	KEY_SCRATCH_DIR,
	KEY_SPREAD,
};

static const struct cli_option options[] = {
	{ "all", KEY_ALL, NULL, false, "every running domain" },
	{ "group", KEY_GROUP, NULL, false,
	    "all of them held still as one instant" },
	{ "spread", KEY_SPREAD, "MS", false,
	    "a group's pictures are taken within this (1000)" },
	{ "full", KEY_FULL, NULL, false,
	    "read whole disks, whatever is tracked" },
	{ "require", KEY_REQUIRE, "LEVEL", false,
	    "fail below application, filesystem or crash" },
	{ "prefer", KEY_PREFER, "LEVEL", false,
	    "aim at LEVEL; say so (exit 3) below it" },
	{ "lease", KEY_LEASE, "SECONDS", false,
	    "the guest thaws itself after this (10)" },
	{ "audit", KEY_AUDIT, "PERMILLE", false,
	    "of what is called unchanged, read to see (auto, no)" },
	{ "exclude-disk", KEY_EXCLUDE_DISK, "DISK", false,
	    "leave a disk out; may be repeated" },
	{ "scratch-dir", KEY_SCRATCH_DIR, "DIR", false,
	    "where QEMU keeps what the guest overwrites" },
	{ "limit-rate", KEY_LIMIT_RATE, "RATE", false, CLI_LIMIT_RATE_HELP },
	{ "limit-read", KEY_LIMIT_READ, "RATE", false, CLI_LIMIT_READ_HELP },
	{ "compression", KEY_COMPRESSION, "HOW", false, CLI_COMPRESSION_HELP },
	{ NULL, 0, NULL, false, NULL },
};

struct request {
	struct backup_options backup;
	const char *excludes[EXCLUDES_MAX];
	const char *scratch_dir;
	uint64_t limit_rate, limit_read;
	struct store_compression compression;
	bool all, group, has_spread, has_compression;
};

/* What came of all domains. */
struct outcome {
	struct cli *cli;
	json_t *points, *errors; /* With --json only. */
	bool failed, busy, demoted;
};

static int
set_level(enum manifest_consistency *out, const char *option, const char *value,
    struct err *err)
{
	if (manifest_consistency_parse(out, value) == 0)
		return 0;
	return err_set(err, ERR_ARG,
	    "'--%s' takes application, filesystem or "
	    "crash, not '%s'",
	    option, value);
}

static int
set_audit(struct backup_options *out, const char *value, struct err *err)
{
	out->no_audit = strcmp(value, "no") == 0;
	out->audit_permille = 0;
	if (out->no_audit || strcmp(value, "auto") == 0)
		return 0;
	return cli_number(&out->audit_permille, "audit", value, 1, 1000, err);
}

static int
set(void *state, int key, const char *value, struct err *err)
{
	struct request *request = state;
	struct backup_options *backup = &request->backup;

	switch (key) {
	case KEY_ALL:
		request->all = true;
		return 0;
	case KEY_FULL:
		backup->full = true;
		return 0;
	case KEY_GROUP:
		request->group = true;
		return 0;
	case KEY_SPREAD:
		request->has_spread = true;
		return cli_number(&backup->spread_ms, "spread", value, 0,
		    QUIESCE_LEASE_MAX_MS, err);
	case KEY_SCRATCH_DIR:
		request->scratch_dir = value;
		return cli_absolute("'--scratch-dir'", value, err);
	case KEY_LIMIT_RATE:
		return cli_rate(&request->limit_rate, "limit-rate", value, err);
	case KEY_LIMIT_READ:
		return cli_rate(&request->limit_read, "limit-read", value, err);
	case KEY_COMPRESSION:
		request->has_compression = true;
		return store_compression_parse(
		    &request->compression, value, err);
	case KEY_REQUIRE:
		return set_level(&backup->require, "require", value, err);
	case KEY_PREFER:
		backup->has_prefer = true;
		return set_level(&backup->prefer, "prefer", value, err);
	case KEY_AUDIT:
		return set_audit(backup, value, err);
	case KEY_LEASE:
		return cli_lease(&backup->lease_ms, value, err);
	case KEY_EXCLUDE_DISK:
		if (backup->exclude_count == EXCLUDES_MAX)
			return err_set(err, ERR_ARG,
			    "'--exclude-disk' is given more than %d times",
			    EXCLUDES_MAX);
		request->excludes[backup->exclude_count++] = value;
		backup->exclude_disks = request->excludes;
		return 0;
	}
	return err_set(err, ERR_BUG, "unhandled option");
}

/* ---- one domain ---- */

static void
add_error(struct outcome *outcome, const char *domain, const struct err *err)
{
	json_t *json = cli_error_json(err);

	json_object_set_new(json, "domain", json_string(domain));
	json_array_append_new(outcome->errors, json);
}

static void
note_failure(struct outcome *outcome, const struct err *failure)
{
	cli_print_error(failure);
	if (failure->class == ERR_BUSY)
		outcome->busy = true;
	else
		outcome->failed = true;
}

static void
note_success(struct outcome *outcome, struct backup_result *result)
{
	struct cli *cli = outcome->cli;

	if (result->demoted) {
		outcome->demoted = true;
		log_line(LOG_WARNING, "%s: %s", result->manifest->domain,
		    result->note);
	}
	if (cli->json)
		json_array_append_new(
		    outcome->points, manifest_to_json(result->manifest, false));
	else if (!cli->quiet)
		report_backup(result);
	manifest_free(result->manifest);
}

/* Non-zero: do not go on with further domains. */
static int
backup_one(
    struct outcome *outcome, const struct request *request, const char *domain)
{
	struct backup_result result;
	struct err err = ERR_INIT;

	if (job_backup(&outcome->cli->ctx, domain, &request->backup, &result,
		&err) == 0) {
		note_success(outcome, &result);
		return 0;
	}
	note_failure(outcome, &err);
	if (outcome->cli->json)
		add_error(outcome, domain, &err);
	return err.class == ERR_CANCELLED;
}

/* ---- a group ---- */

/* Those of its domains that have a point, though the group failed, have it
 * for good. */
static void
tell_group(struct outcome *outcome, const char *const *names, size_t count,
    struct backup_result *results, const struct err *failure)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (results[i].manifest != NULL)
			note_success(outcome, &results[i]);
		else if (outcome->cli->json)
			add_error(outcome, names[i], failure);
}

static int
backup_group(struct outcome *outcome, const struct request *request,
    const char *const *names, size_t count, struct err *err)
{
	struct backup_result *results = calloc(count, sizeof(*results));
	struct cli *cli = outcome->cli;
	struct err failure = ERR_INIT;

	if (results == NULL)
		return err_no_memory(err);
	if (job_backup_group(&cli->ctx, names, count, &request->backup, results,
		&failure) == -1)
		note_failure(outcome, &failure);
	else if (!cli->json && !cli->quiet)
		report_group(&results[0].manifest->group);
	tell_group(outcome, names, count, results, &failure);
	free(results);
	return 0;
}

/* ---- all of them ---- */

static int
backup_named(struct outcome *outcome, const struct request *request,
    const char *const *names, size_t count, struct err *err)
{
	size_t i;

	if (request->group)
		return backup_group(outcome, request, names, count, err);
	for (i = 0; i < count; i++)
		if (backup_one(outcome, request, names[i]) != 0)
			break;
	return 0;
}

struct names {
	char **name;
	size_t count;
};

static int
add_running(void *arg, const char *name, bool active)
{
	struct names *names = arg;
	char **grown;

	if (!active)
		return 0;
	grown = reallocarray(names->name, names->count + 1, sizeof(*grown));
	if (grown == NULL)
		return 1;
	names->name = grown;
	if ((grown[names->count] = strdup(name)) == NULL)
		return 1;
	names->count++;
	return 0;
}

static int
backup_all(
    struct outcome *outcome, const struct request *request, struct err *err)
{
	struct job_context *ctx = &outcome->cli->ctx;
	struct names names = { 0 };
	size_t i;
	int rc;

	rc = job_connect(ctx, err);
	if (rc == 0)
		rc = domain_each(ctx->connection, add_running, &names, err);
	if (rc == 0 && names.count == 0)
		rc = err_set(err, ERR_NOT_FOUND, "no domain runs");
	if (rc == 0)
		rc = backup_named(outcome, request,
		    (const char *const *)names.name, names.count, err);
	for (i = 0; i < names.count; i++)
		free(names.name[i]);
	free(names.name);
	return rc;
}

static int
finish(struct outcome *outcome, struct err *err)
{
	if (outcome->cli->json &&
	    cli_print_json(json_pack("{s:O, s:O}", "points", outcome->points,
			       "errors", outcome->errors),
		err) == -1)
		return -1;
	if (outcome->failed)
		return CLI_FAILED;
	if (outcome->busy)
		return CLI_BUSY;
	return outcome->demoted ? CLI_DEMOTED : CLI_DONE;
}

static int
check(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	const struct request *request = state;

	if (request->all && arguments->count > 0)
		return cli_usage(cli, err,
		    "'--all' goes without names, such as '%s'",
		    arguments->word[0]);
	if (!request->all && arguments->count == 0)
		return cli_usage(cli, err,
		    "'backup' lacks an argument: name domains, or give --all");
	if (request->backup.has_prefer &&
	    request->backup.prefer < request->backup.require)
		return cli_usage(cli, err,
		    "'--prefer %s' is less than '--require %s'",
		    manifest_consistency_name(request->backup.prefer),
		    manifest_consistency_name(request->backup.require));
	if (request->has_spread && !request->group)
		return cli_usage(cli, err, "'--spread' goes with '--group'");
	if (request->has_spread &&
	    request->backup.spread_ms > request->backup.lease_ms)
		return cli_usage(cli, err,
		    "'--spread' is %u ms, and the lease %u ms: the guests "
		    "would thaw before",
		    request->backup.spread_ms, request->backup.lease_ms);
	cli->ctx.scratch_dir = request->scratch_dir;
	cli->ctx.limit_rate = request->limit_rate;
	cli->ctx.limit_read = request->limit_read;
	if (request->has_compression)
		cli->ctx.compression = &request->compression;
	return 0;
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	const struct request *request = state;
	struct outcome outcome = { .cli = cli };
	int rc;

	outcome.points = json_array();
	outcome.errors = json_array();
	/* A repository that is missing is one failure, not one a domain. */
	if (job_open_catalog(&cli->ctx, err) == -1)
		rc = -1;
	else if (request->all)
		rc = backup_all(&outcome, request, err);
	else
		rc = backup_named(&outcome, request,
		    (const char *const *)arguments->word,
		    (size_t)arguments->count, err);
	if (rc == 0)
		rc = finish(&outcome, err);
	json_decref(outcome.points);
	json_decref(outcome.errors);
	return rc;
}

static const struct request defaults = { .backup = {
					     .require = MANIFEST_CRASH,
					     .lease_ms =
						 QUIESCE_LEASE_DEFAULT_MS,
					     .spread_ms =
						 BACKUP_SPREAD_DEFAULT_MS,
					     .job = "",
					 } };

const struct cli_command cmd_backup = {
	.name = "backup",
	.arguments = "DOMAIN... | --all",
	.summary = "Make a point of running domains",
	.example = "  holdstill backup web1\n"
		   "  holdstill backup --group web1 app1 db1\n"
		   "  holdstill backup --all --require filesystem\n",
	.options = options,
	.max = -1,
	.state_size = sizeof(defaults),
	.defaults = &defaults,
	.set = set,
	.check = check,
	.work = work,
};
