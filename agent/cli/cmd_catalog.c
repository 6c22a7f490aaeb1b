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
work(struct cli *cli, const char *verb, struct err *err)
{
	struct catalog_sync_result result;
	struct job_context *ctx = &cli->ctx;

	if (job_open_store(ctx, err) == -1 ||
	    catalog_open(&ctx->catalog, ctx->state_dir, err) == -1)
		return -1;
	if ((strcmp(verb, "rebuild") == 0 ?
		    catalog_rebuild(ctx->catalog, ctx->store, &result, err) :
		    catalog_sync(ctx->catalog, ctx->store, &result, err)) ==
	    -1)
		return -1;
	if (cli->json) {
		if (cli_print_json(
			json_pack("{s:{s:I, s:I, s:I}}", "catalog", "added",
			    (json_int_t)result.added, "removed",
			    (json_int_t)result.removed, "damaged",
			    (json_int_t)result.damaged),
			err) == -1)
			return -1;
	} else if (!cli->quiet) {
		printf("%llu points added, %llu removed, %llu unreadable\n",
		    (unsigned long long)result.added,
		    (unsigned long long)result.removed,
		    (unsigned long long)result.damaged);
	}
	return result.damaged > 0 ? CLI_FAILED : CLI_DONE;
}

static int
run(struct cli *cli, const struct cli_command *self, int argc, char **argv,
    struct err *err)
{
	struct cli_arguments arguments;
	int rc = cli_begin(cli, self, argc, argv, NULL, NULL, &arguments, err);

	if (rc != 0)
		return rc == 1 ? CLI_DONE : -1;
	rc = cli_expect(cli, self, &arguments, 1, 1, err);
	if (rc == 0 && strcmp(arguments.word[0], "rebuild") != 0 &&
	    strcmp(arguments.word[0], "sync") != 0)
		rc = cli_usage(cli, err, "'catalog' takes rebuild or sync, not "
		    "'%s'", arguments.word[0]);
	if (rc == 0)
		rc = work(cli, arguments.word[0], err);
	free(arguments.word);
	return rc;
}

const struct cli_command cmd_catalog = {
	.name = "catalog",
	.arguments = "rebuild | sync",
	.summary = "Build the catalog from the repository alone",
	.example = "  holdstill catalog rebuild\n",
	.run = run,
};
