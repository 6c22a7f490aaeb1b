/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill show: one point whole. */
#include <stdlib.h>

#include "agent/cli/cli.h"
#include "agent/cli/report.h"
#include "common/err.h"
#include "common/json/json.h"
#include "store/manifest.h"

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	struct manifest *m = NULL;
	int rc = 0;

	(void)state;
	if (job_find_point(&m, &cli->ctx, arguments->word[0], err) == -1)
		return -1;
	if (cli->json)
		rc = cli_print_json(manifest_to_json(m, true), err);
	else
		report_point(m);
	manifest_free(m);
	return rc;
}

const struct cli_command cmd_show = {
	.name = "show",
	.arguments = "POINT",
	.summary = "Show one point whole, with its proof",
	.example = "  holdstill show web1@latest\n"
		   "  holdstill show 4f2a90c1 --json\n",
	.min = 1,
	.max = 1,
	.work = work,
};
