/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill forget: removes points by name or by policy. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/report.h"
#include "agent/job/forget.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/json/json.h"
#include "store/manifest.h"
#include "store/store.h"

#define KEEP_MAX 100000

/* keep-* options have the number of their rule behind KEY_KEEP. */
enum { KEY_DRY_RUN = 256, KEY_KEEP = 300 };

static const struct cli_option options[] = {
	{ "keep-last", KEY_KEEP + RETENTION_LAST, "N", false,
	    "keep the newest N" },
	{ "keep-hourly", KEY_KEEP + RETENTION_HOURLY, "N", false,
	    "keep one of each of the last N hours" },
	{ "keep-daily", KEY_KEEP + RETENTION_DAILY, "N", false, "... days" },
	{ "keep-weekly", KEY_KEEP + RETENTION_WEEKLY, "N", false, "... weeks" },
	{ "keep-monthly", KEY_KEEP + RETENTION_MONTHLY, "N", false,
	    "... months" },
	{ "keep-yearly", KEY_KEEP + RETENTION_YEARLY, "N", false, "... years" },
	{ "dry-run", KEY_DRY_RUN, NULL, false, "say it only" },
	{ NULL, 0, NULL, false, NULL },
};

struct request {
	struct retention_policy policy;
	bool has_policy, dry_run;
};

static int
set(void *state, int key, const char *value, struct err *err)
{
	struct request *request = state;
	enum retention_rule rule;

	if (key == KEY_DRY_RUN) {
		request->dry_run = true;
		return 0;
	}
	request->has_policy = true;
	rule = (enum retention_rule)(key - KEY_KEEP);
	return cli_number(&request->policy.keep[rule],
	    retention_rule_name(rule), value, 0, KEEP_MAX, err);
}

struct decisions {
	const struct cli *cli;
	bool dry_run;
	json_t *kept, *forgotten;
	size_t forgotten_count;
};

static json_t *
rules_json(unsigned int kept_by)
{
	json_t *rules = json_array();
	int rule;

	for (rule = 0; rule < RETENTION_RULES; rule++)
		if (kept_by & 1u << rule)
			json_array_append_new(
			    rules, json_string(retention_rule_name(
				       (enum retention_rule)rule)));
	return rules;
}

static void
print_decision(const struct decisions *decisions, const struct manifest *m,
    unsigned int kept_by)
{
	char time[CLOCK_RFC3339_SIZE];
	int rule;

	printf("%-7s %s %.8s %s",
	    kept_by != 0         ? "keep"
	    : decisions->dry_run ? "would go"
				 : "forget",
	    m->domain, m->id, clock_format_rfc3339(time, m->time_ms));
	for (rule = 0; rule < RETENTION_RULES; rule++)
		if (kept_by & 1u << rule)
			printf(" %s",
			    retention_rule_name((enum retention_rule)rule));
	putchar('\n');
}

static void
decided(void *arg, const struct manifest *m, unsigned int kept_by)
{
	struct decisions *decisions = arg;

	decisions->forgotten_count += kept_by == 0;
	if (!decisions->cli->json) {
		if (!decisions->cli->quiet)
			print_decision(decisions, m, kept_by);
		return;
	}
	json_array_append_new(
	    kept_by != 0 ? decisions->kept : decisions->forgotten,
	    json_pack("{s:s, s:s, s:o}", "id", m->id, "domain", m->domain,
		"rules", rules_json(kept_by)));
}

static int
forget(struct cli *cli, const struct request *request,
    const struct cli_arguments *arguments, struct decisions *decisions,
    struct err *err)
{
	if (!request->has_policy)
		return job_forget_points(&cli->ctx, arguments->word,
		    (size_t)arguments->count, request->dry_run, decided,
		    decisions, err);
	return job_forget_policy(&cli->ctx, arguments->word[0],
	    &request->policy, request->dry_run, decided, decisions, err);
}

/* The space is not given back at once, unless the repository says so. */
static void
print_when(unsigned int days)
{
	if (days == 0)
		printf("'holdstill prune' gives the space back\n");
	else
		printf("for %u days 'holdstill unforget' keeps them after all; "
		       "a 'holdstill prune' after that gives the space back\n",
		    days);
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	const struct request *request = state;
	struct decisions decisions = {
		.cli = cli,
		.dry_run = request->dry_run,
		.kept = json_array(),
		.forgotten = json_array(),
	};
	int rc = forget(cli, request, arguments, &decisions, err);

	if (rc == 0 && cli->json)
		rc = cli_print_json(
		    json_pack("{s:{s:b, s:O, s:O}}", "forget", "dry_run",
			request->dry_run, "kept", decisions.kept, "forgotten",
			decisions.forgotten),
		    err);
	else if (rc == 0 && !cli->quiet && decisions.forgotten_count > 0 &&
		 !request->dry_run)
		print_when(store_undelete_days(cli->ctx.store));
	json_decref(decisions.kept);
	json_decref(decisions.forgotten);
	return rc;
}

static int
check_policy(struct cli *cli, const struct retention_policy *policy,
    const struct cli_arguments *arguments, struct err *err)
{
	if (arguments->count > 1)
		return cli_usage(cli, err,
		    "--keep-... goes with one domain, not with '%s' as well",
		    arguments->word[1]);
	if (!retention_is_empty(policy))
		return 0;
	cli_usage(cli, err, "every --keep-... is 0, so nothing would be kept");
	return err_hint(err,
	    "to remove all points of a domain, name them as in 'holdstill "
	    "list'");
}

static int
check(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	const struct request *request = state;
	const char *word = arguments->word[0];

	if (request->has_policy)
		return check_policy(cli, &request->policy, arguments, err);
	if (arguments->count > 1 || strchr(word, '@') != NULL ||
	    strspn(word, "0123456789abcdef") == strlen(word))
		return 0;
	cli_usage(cli, err, "'%s' names no point", word);
	return err_hint(err,
	    "name points as in 'holdstill list', or say what "
	    "to keep: forget %s --keep-last 7",
	    word);
}

const struct cli_command cmd_forget = {
	.name = "forget",
	.arguments = "POINT... | DOMAIN --keep-... N",
	.summary = "Remove points, by name or by what to keep",
	.example = "  holdstill forget web1@-3\n"
		   "  holdstill forget web1 --keep-daily 7 --keep-weekly 4 "
		   "--dry-run\n",
	.options = options,
	.min = 1,
	.max = -1,
	.state_size = sizeof(struct request),
	.set = set,
	.check = check,
	.work = work,
};
