/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill run: a configured job; what cron calls. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/progress.h"
#include "agent/cli/report.h"
#include "agent/config/config.h"
#include "agent/job/backup.h"
#include "agent/job/run.h"
#include "common/err.h"
#include "common/json/json.h"
#include "common/log.h"
#include "store/store.h"

enum { KEY_COMPRESSION = 256, KEY_LIMIT_RATE, KEY_LIMIT_READ };

static const struct cli_option options[] = {
	{ "limit-rate", KEY_LIMIT_RATE, "RATE", false, CLI_LIMIT_RATE_HELP },
	{ "limit-read", KEY_LIMIT_READ, "RATE", false, CLI_LIMIT_READ_HELP },
	{ "compression", KEY_COMPRESSION, "HOW", false, CLI_COMPRESSION_HELP },
	{ NULL, 0, NULL, false, NULL },
};

/* For this run, instead of what the job says. */
struct request {
	uint64_t limit_rate, limit_read;
	bool has_compression;
	struct store_compression compression;
};

static int
set(void *state, int key, const char *value, struct err *err)
{
	struct request *request = state;

	if (key == KEY_LIMIT_RATE)
		return cli_rate(&request->limit_rate, "limit-rate", value, err);
	if (key == KEY_LIMIT_READ)
		return cli_rate(&request->limit_read, "limit-read", value, err);
	request->has_compression = true;
	return store_compression_parse(&request->compression, value, err);
}

struct telling {
	struct cli *cli;
	json_t *points, *errors;
};

/* Most texts name their domain already. */
static void
tell_failure(const char *domain, const struct err *failure)
{
	struct err line = *failure;
	char quoted[256];

	snprintf(quoted, sizeof(quoted), "'%s'", domain);
	if (strstr(line.text, quoted) == NULL)
		err_prefix(&line, "domain %s", quoted);
	log_line(LOG_ERROR, "%s%s%s%s", line.text,
	    line.hint[0] != '\0' ? " (" : "", line.hint,
	    line.hint[0] != '\0' ? ")" : "");
}

/* Quiet when well, one line when not; -v tells more. */
static void
domain_over(void *arg, const char *domain, const struct backup_result *result,
    const struct err *failure)
{
	struct telling *telling = arg;
	json_t *json;

	if (failure != NULL) {
		tell_failure(domain, failure);
		json = cli_error_json(failure);
		json_object_set_new(json, "domain", json_string(domain));
		json_array_append_new(telling->errors, json);
		return;
	}
	if (result->demoted)
		log_line(LOG_ERROR, "domain '%s': done, but %s", domain,
		    result->note);
	json_array_append_new(
	    telling->points, manifest_to_json(result->manifest, false));
}

static int
exit_code(const struct run_result *result)
{
	if (result->failed > 0)
		return CLI_FAILED;
	if (result->busy > 0)
		return CLI_BUSY;
	return result->demoted > 0 ? CLI_DEMOTED : CLI_DONE;
}

/* failure: of the retention, the verify or the whole, NULL if there was none.
 * The points that were made are told beside it. */
static int
print_json(
    const struct telling *telling, const struct err *failure, struct err *err)
{
	json_t *json = json_pack(
	    "{s:O, s:O}", "points", telling->points, "errors", telling->errors);

	if (json != NULL && failure != NULL)
		json_object_set_new(json, "error", cli_error_json(failure));
	return cli_print_json(json, err);
}

/* An exit code, or -1. */
static int
say_failure(struct cli *cli, const struct telling *telling, struct err *err)
{
	struct err printing = ERR_INIT;

	if (!cli->json)
		return -1;
	cli_print_error(err);
	print_json(telling, err, &printing);
	return cli_exit_code(cli, err);
}

static int
run_job(struct cli *cli, const char *name, struct err *err)
{
	struct telling telling = { .cli = cli };
	const struct config_job *job;
	struct run_result result;
	int rc;

	if (config_find_job(&job, cli->config, name, err) == -1) {
		cli->usage_error = true;
		return -1;
	}
	if (cli->repository == NULL)
		cli->ctx.repository_url = job->repository->url;
	if (cli_check_repository(cli, err) == -1)
		return -1;
	telling.points = json_array();
	telling.errors = json_array();
	rc = job_run(&cli->ctx, job, domain_over, &telling, &result, err);
	if (rc == -1)
		err_prefix(err, "job '%s'", name);
	/* Another run that is in the way of the retention is less to tell
	 * than a domain without a point. */
	if (rc == -1 && result.failed > 0 && err->class == ERR_BUSY)
		err->class = ERR_IO;
	if (rc == -1)
		rc = say_failure(cli, &telling, err);
	else if (!cli->json || print_json(&telling, NULL, err) == 0)
		rc = exit_code(&result);
	else
		rc = -1;
	json_decref(telling.points);
	json_decref(telling.errors);
	return rc;
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	const struct request *request = state;

	cli->ctx.limit_rate = request->limit_rate;
	cli->ctx.limit_read = request->limit_read;
	if (request->has_compression)
		cli->ctx.compression = &request->compression;
	/* Steps are for people who watch. */
	if (log_get_level() < LOG_INFO)
		cli->ctx.events = (struct job_events){ 0 };
	return run_job(cli, arguments->word[0], err);
}

const struct cli_command cmd_run = {
	.name = "run",
	.arguments = "JOB",
	.summary = "Run a job of the configuration; what cron calls",
	.example = "  holdstill run nightly\n"
		   "  holdstill run nightly --limit-rate 20M\n",
	.options = options,
	.min = 1,
	.max = 1,
	.state_size = sizeof(struct request),
	.set = set,
	.work = work,
};
