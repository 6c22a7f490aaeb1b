/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill show: one point whole. */
#include <stdlib.h>

#include "agent/cli/cli.h"
#include "agent/cli/report.h"
#include "catalog/catalog.h"
#include "common/err.h"
#include "common/json/json.h"
#include "store/manifest.h"
#include "store/store.h"

/* A member may be forgotten, or its run have died before it had a point. */
static int
find_members(bool *is_there, struct job_context *ctx,
    const struct manifest_group *group, struct err *err)
{
	char id[HEXID_SIZE];
	size_t i;

	for (i = 0; i < group->member_count; i++) {
		is_there[i] =
		    catalog_resolve(id, ctx->catalog, store_id(ctx->store),
			group->members[i].id, err) == 0;
		if (!is_there[i] && err->class != ERR_NOT_FOUND)
			return -1;
	}
	return 0;
}

static int
show(struct job_context *ctx, const struct manifest *m, struct err *err)
{
	bool is_there[MANIFEST_GROUP_MAX];

	if (find_members(is_there, ctx, &m->group, err) == -1)
		return -1;
	report_point(m, is_there);
	return 0;
}

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
		rc = show(&cli->ctx, m, err);
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
