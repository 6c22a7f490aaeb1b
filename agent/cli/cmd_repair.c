/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill repair: takes what is damaged out of use. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/cli/cli.h"
#include "agent/cli/format.h"
#include "agent/cli/hurt.h"
#include "agent/job/care.h"
#include "common/err.h"
#include "common/json/json.h"

enum { KEY_DRY_RUN = 256 };

static const struct cli_option options[] = {
	{ "dry-run", KEY_DRY_RUN, NULL, false, "say it only" },
	{ NULL, 0, NULL, false, NULL },
};

static int
set(void *state, int key, const char *value, struct err *err)
{
	bool *dry_run = state;

	(void)key;
	(void)value;
	(void)err;
	*dry_run = true;
	return 0;
}

struct findings {
	json_t *damages; /* NULL: lines. */
};

static void
tell_damage(void *arg, const struct store_damage *damage)
{
	struct findings *findings = arg;

	/* What it does to points is said when all is saved. */
	if (damage->point[0] != '\0')
		return;
	if (findings->damages == NULL)
		printf("damaged: %s: %s\n", damage->object, damage->what);
	else
		json_array_append_new(findings->damages,
		    json_pack("{s:s, s:s}", "object", damage->object, "what",
			damage->what));
}

static void
print_marked(void *arg, const struct store_hurt *hurt)
{
	char bytes[FORMAT_SIZE], size[FORMAT_SIZE];

	++*(unsigned int *)arg;
	printf("marked: point %.8s disk %s: %s of %s cannot be read\n",
	    hurt->point, hurt->disk, format_bytes(bytes, hurt->bytes),
	    format_bytes(size, hurt->size_bytes));
}

static void
print_result(const struct store_repair_result *r, bool dry_run)
{
	const char *would = dry_run ? "would be " : "";

	printf(
	    "%llu packs %staken out of use: %llu blocks %ssaved, %llu lost\n",
	    (unsigned long long)r->packs_marked, would,
	    (unsigned long long)r->blobs_saved, would,
	    (unsigned long long)r->blobs_lost);
	if (r->packs_back > 0)
		printf("%llu packs are whole after all and %sback in use\n",
		    (unsigned long long)r->packs_back, would);
	if (r->objects_aside > 0)
		printf("%llu objects that cannot be read %sset aside\n",
		    (unsigned long long)r->objects_aside, would);
	if (!dry_run)
		printf("%llu points marked anew, %llu marks removed\n",
		    (unsigned long long)r->points_marked,
		    (unsigned long long)r->marks_removed);
}

static json_t *
result_json(const struct store_repair_result *r, bool dry_run, json_t *damages,
    json_t *marks)
{
	return json_pack(
	    "{s:{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O, s:O}}", "repair",
	    "dry_run", dry_run, "packs_marked", (json_int_t)r->packs_marked,
	    "packs_back", (json_int_t)r->packs_back, "blocks_saved",
	    (json_int_t)r->blobs_saved, "blocks_lost",
	    (json_int_t)r->blobs_lost, "objects_aside",
	    (json_int_t)r->objects_aside, "points_marked",
	    (json_int_t)r->points_marked, "marks_removed",
	    (json_int_t)r->marks_removed, "damages", damages, "marks", marks);
}

/* *marked: something that points need is lost. */
static int
report(struct cli *cli, const struct store_repair_result *r, bool dry_run,
    json_t *damages, unsigned int *marked, struct err *err)
{
	json_t *marks = NULL;
	int rc;

	if (!cli->json) {
		if (!cli->quiet)
			print_result(r, dry_run);
		return store_marks(cli->ctx.store, print_marked, marked, err);
	}
	if (hurt_read_marks(&marks, cli->ctx.store, err) == -1)
		return -1;
	*marked = (unsigned int)json_object_size(marks);
	rc = cli_print_json(result_json(r, dry_run, damages, marks), err);
	json_decref(marks);
	return rc;
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	const bool dry_run = *(bool *)state;
	struct findings findings = { .damages =
					 cli->json ? json_array() : NULL };
	struct store_repair_options repair = { .dry_run = dry_run };
	struct store_repair_result r;
	unsigned int marked = 0;
	int rc;

	(void)arguments;
	rc = job_repair(&cli->ctx, &repair, tell_damage, &findings, &r, err);
	if (rc == 0)
		rc = report(cli, &r, dry_run, findings.damages, &marked, err);
	json_decref(findings.damages);
	if (rc == -1)
		return -1;
	if (dry_run && r.found.damaged_objects + r.found.damaged_points > 0)
		return CLI_FAILED;
	return marked > 0 ? CLI_DEMOTED : CLI_DONE;
}

const struct cli_command cmd_repair = {
	.name = "repair",
	.arguments = "[--dry-run]",
	.summary = "Take what is damaged out of use, save the rest",
	.example = "  holdstill repair --dry-run\n",
	.options = options,
	.state_size = sizeof(bool),
	.set = set,
	.work = work,
};
