/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill show: one point whole. */
#include <stdlib.h>

#include "agent/cli/cli.h"
#include "agent/cli/report.h"
#include "common/err.h"
#include "common/json/json.h"
#include "store/manifest.h"

static int
show(struct cli *cli, const char *point, struct err *err)
{
	struct manifest *m = NULL;
	int rc = 0;

	if (job_find_point(&m, &cli->ctx, point, err) == -1)
		return -1;
	if (cli->json)
		rc = cli_print_json(manifest_to_json(m, true), err);
	else
		report_point(m);
	manifest_free(m);
	return rc;
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
	if (rc == 0)
		rc = show(cli, arguments.word[0], err);
	free(arguments.word);
	return rc;
}

const struct cli_command cmd_show = {
	.name = "show",
	.arguments = "POINT",
	.summary = "Show one point whole, with its proof",
	.example = "  holdstill show web1@latest\n"
		   "  holdstill show 4f2a90c1 --json\n",
	.run = run,
};
