/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill show: one point whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/format.h"
#include "agent/cli/hurt.h"
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

/* Marks of the one point. */
static void
print_mark(void *arg, const struct store_hurt *hurt)
{
	const struct manifest *m = arg;
	char bytes[FORMAT_SIZE], size[FORMAT_SIZE];

	if (strcmp(hurt->point, m->id) != 0)
		return;
	printf("\ndamaged     disk %s: %s of %s could not be read at the last "
	       "repair\n",
	    hurt->disk, format_bytes(bytes, hurt->bytes),
	    format_bytes(size, hurt->size_bytes));
	hurt_print_ranges(hurt, "  ");
}

static int
show(struct job_context *ctx, struct manifest *m, struct err *err)
{
	bool is_there[MANIFEST_GROUP_MAX];

	if (find_members(is_there, ctx, &m->group, err) == -1)
		return -1;
	report_point(m, is_there);
	return store_marks(ctx->store, print_mark, m, err);
}

static int
show_json(struct job_context *ctx, const struct manifest *m, struct err *err)
{
	json_t *json, *marks, *damage;

	if (hurt_read_marks(&marks, ctx->store, err) == -1)
		return -1;
	json = manifest_to_json(m, true);
	damage = json_object_get(marks, m->id);
	if (damage == NULL)
		json_object_set_new(json, "damage", json_array());
	else
		json_object_set(json, "damage", damage);
	json_decref(marks);
	return cli_print_json(json, err);
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
		rc = show_json(&cli->ctx, m, err);
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
