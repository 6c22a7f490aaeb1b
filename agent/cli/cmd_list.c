/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill list: the points of the repository. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/hurt.h"
#include "agent/cli/report.h"
#include "catalog/catalog.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/json/json.h"
#include "store/manifest.h"
#include "store/store.h"

#define DAY_MS (24 * 3600 * INT64_C(1000))

enum { KEY_FORGOTTEN = 256 };

static const struct cli_option options[] = {
	{ "forgotten", KEY_FORGOTTEN, NULL, false,
	    "those that 'holdstill unforget' can keep after all" },
	{ NULL, 0, NULL, false, NULL },
};

static int
set(void *state, int key, const char *value, struct err *err)
{
	(void)key;
	(void)value;
	(void)err;
	*(bool *)state = true;
	return 0;
}

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

struct forgotten {
	struct cli *cli;
	const char *domain;
	struct listing *listing;
	struct err *err;
	int rc;
};

/* Since when, and until when it can be kept after all. */
static void
show_forgotten(
    const struct forgotten *f, const struct manifest *m, int64_t time_ms)
{
	const int64_t until_ms =
	    time_ms + store_undelete_days(f->cli->ctx.store) * DAY_MS;
	char made[CLOCK_RFC3339_SIZE], since[CLOCK_RFC3339_SIZE];
	char until[CLOCK_RFC3339_SIZE];
	json_t *json;

	clock_format_rfc3339(since, time_ms);
	clock_format_rfc3339(until, until_ms);
	if (f->listing->points != NULL) {
		visit(f->listing, m);
		json = json_array_get(f->listing->points,
		    json_array_size(f->listing->points) - 1);
		json_object_set_new(json, "forgotten", json_string(since));
		json_object_set_new(
		    json, "forgotten_until", json_string(until));
		return;
	}
	if (f->listing->count++ == 0)
		printf("%-16s %-8s %-20s %-20s %s\n", "DOMAIN", "POINT", "TIME",
		    "FORGOTTEN", "KEPT UNTIL");
	printf("%-16s %.8s %-20s %-20s %s\n", m->domain, m->id,
	    clock_format_rfc3339(made, m->time_ms), since, until);
}

static int
visit_forgotten(void *arg, const char *id, int64_t time_ms)
{
	struct forgotten *f = arg;
	struct manifest *m;

	if (store_manifest_read(&m, f->cli->ctx.store, id, f->err) == -1) {
		/* A prune has just ended its time, or it is another host's. */
		f->rc = f->err->class == ERR_NOT_FOUND ||
				(f->err->class == ERR_AUTH &&
				    store_is_host(f->cli->ctx.store))
			    ? 0
			    : -1;
		if (f->rc == 0)
			err_clear(f->err);
		return f->rc;
	}
	if (f->domain == NULL || strcmp(m->domain, f->domain) == 0)
		show_forgotten(f, m, time_ms);
	manifest_free(m);
	return 0;
}

static int
list_forgotten(struct cli *cli, const char *domain, struct listing *listing,
    struct err *err)
{
	struct forgotten f = {
		.cli = cli, .domain = domain, .listing = listing, .err = err
	};

	if (job_open_store(&cli->ctx, err) == -1 ||
	    store_forgotten(cli->ctx.store, visit_forgotten, &f, err) == -1)
		return -1;
	return f.rc;
}

static int
list_all(struct cli *cli, const char *domain, struct listing *listing,
    struct err *err)
{
	if (job_open_catalog(&cli->ctx, err) == -1)
		return -1;
	return catalog_points(cli->ctx.catalog, store_id(cli->ctx.store),
	    domain, visit, listing, err);
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	struct listing listing = { .points = NULL };
	const char *domain = arguments->word[0];
	const bool forgotten = *(bool *)state;
	int rc;

	if (job_open_store(&cli->ctx, err) == -1 ||
	    hurt_read_marks(&listing.marks, cli->ctx.store, err) == -1)
		return -1;
	if (cli->json)
		listing.points = json_array();
	rc = forgotten ? list_forgotten(cli, domain, &listing, err)
		       : list_all(cli, domain, &listing, err);
	json_decref(listing.marks);
	if (rc == 0 && cli->json)
		return cli_print_json(
		    json_pack("{s:o}", "points", listing.points), err);
	json_decref(listing.points);
	if (rc == 0 && listing.count == 0 && !cli->quiet)
		fprintf(stderr, "no %spoints%s%s\n",
		    forgotten ? "forgotten " : "",
		    domain != NULL ? " of domain " : " yet",
		    domain != NULL ? domain : "");
	return rc;
}

const struct cli_command cmd_list = {
	.name = "list",
	.arguments = "[DOMAIN] [--forgotten]",
	.summary = "List the points",
	.example = "  holdstill list\n  holdstill list web1 --json\n",
	.options = options,
	.max = 1,
	.state_size = sizeof(bool),
	.set = set,
	.work = work,
};
