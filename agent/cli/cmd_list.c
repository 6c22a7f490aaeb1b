/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill list: the points of the repository. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/cli/cli.h"
#include "agent/cli/hurt.h"
#include "agent/cli/report.h"
#include "catalog/catalog.h"
#include "common/err.h"
#include "common/json/json.h"
#include "store/manifest.h"
#include "store/store.h"

struct listing {
	json_t *points; /* NULL: a table. */
	json_t *marks;
	size_t count;
};

static int
visit(void *arg, const struct manifest *m)
{
	struct listing *listing = arg;
	bool damaged = json_object_get(listing->marks, m->id) != NULL;
	json_t *json;

	if (listing->points != NULL) {
		json = manifest_to_json(m, false);
		json_object_set_new(json, "damaged", json_boolean(damaged));
		json_array_append_new(listing->points, json);
	} else {
		if (listing->count == 0)
			report_list_heading();
		report_list_row(m, damaged);
	}
	listing->count++;
	return 0;
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	struct listing listing = { .points = NULL };
	const char *domain = arguments->word[0];
	int rc;

	(void)state;
	if (job_open_catalog(&cli->ctx, err) == -1 ||
	    hurt_read_marks(&listing.marks, cli->ctx.store, err) == -1)
		return -1;
	if (cli->json)
		listing.points = json_array();
	rc = catalog_points(cli->ctx.catalog, store_id(cli->ctx.store), domain,
	    visit, &listing, err);
	json_decref(listing.marks);
	if (rc == 0 && cli->json)
		return cli_print_json(
		    json_pack("{s:o}", "points", listing.points), err);
	json_decref(listing.points);
	if (rc == 0 && listing.count == 0 && !cli->quiet)
		fprintf(stderr, "no points%s%s\n",
		    domain != NULL ? " of domain " : " yet",
		    domain != NULL ? domain : "");
	return rc;
}

const struct cli_command cmd_list = {
	.name = "list",
	.arguments = "[DOMAIN]",
	.summary = "List the points",
	.example = "  holdstill list\n  holdstill list web1 --json\n",
	.max = 1,
	.work = work,
};
