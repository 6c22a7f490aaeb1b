/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill recover: undoes what a dead run left. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/cli/cli.h"
#include "agent/job/recover.h"
#include "common/err.h"
#include "common/json/json.h"
#include "common/log.h"

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	struct recover_result result;
	struct err no_store = ERR_INIT;

	(void)state;
	(void)arguments;
	/* A guest must not wait for a repository that is away: what needs it
	 * is left, and said. */
	if (job_open_catalog(&cli->ctx, &no_store) == -1)
		log_line(LOG_WARNING, "%s", no_store.text);
	if (job_recover_all(&cli->ctx, &result, err) == -1)
		return -1;
	if (cli->json) {
		if (cli_print_json(json_pack("{s:{s:I, s:I, s:I}}", "recover",
				       "undone", (json_int_t)result.undone,
				       "kept", (json_int_t)result.kept, "owed",
				       (json_int_t)result.owed),
			err) == -1)
			return -1;
	} else if (!cli->quiet) {
		printf("%llu effects of dead runs undone, %llu left\n",
		    (unsigned long long)result.undone,
		    (unsigned long long)result.kept);
		if (result.owed > 0)
			printf("%llu points of which their guests are still "
			       "to be told\n",
			    (unsigned long long)result.owed);
	}
	return result.kept > 0 ? CLI_FAILED : CLI_DONE;
}

const struct cli_command cmd_recover = {
	.name = "recover",
	.arguments = "",
	.summary = "Undo what a dead run left",
	.example = "  holdstill recover\n",
	.work = work,
};
