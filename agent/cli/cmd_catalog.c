/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill catalog: the cache of the manifests, from the repository. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "catalog/catalog.h"
#include "common/err.h"
#include "common/json/json.h"
#include "store/store.h"

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	struct catalog_sync_result result;
	struct job_context *ctx = &cli->ctx;
	const char *verb = arguments->word[0];

	(void)state;
	if (job_open_store(ctx, err) == -1 ||
	    catalog_open(&ctx->catalog, ctx->state_dir, err) == -1)
		return -1;
	if ((strcmp(verb, "rebuild") == 0
		    ? catalog_rebuild(ctx->catalog, ctx->store, &result, err)
		    : catalog_sync(ctx->catalog, ctx->store, &result, err)) ==
	    -1)
		return -1;
	if (cli->json) {
		if (cli_print_json(json_pack("{s:{s:I, s:I, s:I}}", "catalog",
				       "added", (json_int_t)result.added,
				       "removed", (json_int_t)result.removed,
				       "damaged", (json_int_t)result.damaged),
			err) == -1)
			return -1;
	} else if (!cli->quiet) {
		printf("%llu point%s added, %llu removed, %llu unreadable\n",
		    (unsigned long long)result.added,
		    result.added == 1 ? "" : "s",
		    (unsigned long long)result.removed,
		    (unsigned long long)result.damaged);
	}
	return result.damaged > 0 ? CLI_FAILED : CLI_DONE;
}

static int
check(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	const char *verb = arguments->word[0];

	(void)state;
	if (strcmp(verb, "rebuild") == 0 || strcmp(verb, "sync") == 0)
		return 0;
	return cli_usage(
	    cli, err, "'catalog' takes rebuild or sync, not '%s'", verb);
}

const struct cli_command cmd_catalog = {
	.name = "catalog",
	.arguments = "rebuild | sync",
	.summary = "Build the catalog from the repository alone",
	.example = "  holdstill catalog rebuild\n",
	.min = 1,
	.max = 1,
	.check = check,
	.work = work,
};
