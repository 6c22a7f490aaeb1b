/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill unforget: keeps forgotten points after all. */
#include <stdio.h>

#include "agent/cli/cli.h"
#include "agent/job/forget.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/hexid.h"
#include "common/json/json.h"
#include "store/manifest.h"

static int
keep(struct cli *cli, const char *point, json_t *kept, struct err *err)
{
	char time[CLOCK_RFC3339_SIZE];
	struct manifest *m;

	if (job_unforget(&cli->ctx, point, &m, err) == -1)
		return -1;
	if (cli->json)
		json_array_append_new(kept,
		    json_pack("{s:s, s:s}", "id", m->id, "domain", m->domain));
	else if (!cli->quiet)
		printf("keep    %s %.8s %s\n", m->domain, m->id,
		    clock_format_rfc3339(time, m->time_ms));
	manifest_free(m);
	return 0;
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	json_t *kept = json_array();
	int i, rc = 0;

	(void)state;
	for (i = 0; rc == 0 && i < arguments->count; i++)
		rc = keep(cli, arguments->word[i], kept, err);
	if (rc == 0 && cli->json)
		rc = cli_print_json(
		    json_pack("{s:{s:O}}", "unforget", "kept", kept), err);
	json_decref(kept);
	return rc;
}

static int
check(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	char start[HEXID_SIZE];
	int i;

	(void)state;
	for (i = 0; i < arguments->count; i++) {
		if (hexid_start(start, arguments->word[i]) == 0)
			continue;
		cli_usage(cli, err,
		    "'unforget' takes at least %d digits of a point's id, not "
		    "'%s'",
		    HEXID_START_MIN, arguments->word[i]);
		return err_hint(err, "see 'holdstill list --forgotten'");
	}
	return 0;
}

const struct cli_command cmd_unforget = {
	.name = "unforget",
	.arguments = "ID...",
	.summary = "Keep forgotten points after all",
	.example = "  holdstill list --forgotten\n"
		   "  holdstill unforget 0f12ab34\n",
	.min = 1,
	.max = -1,
	.check = check,
	.work = work,
};
