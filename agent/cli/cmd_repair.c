/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill repair: takes what is damaged out of use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/format.h"
#include "agent/cli/hurt.h"
#include "agent/job/care.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/json/json.h"
#include "common/log.h"

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
	bool dry_run;
	bool key_slots;         /* Some are damaged. */
	json_t *damages, *lost; /* NULL: lines. */
};

static void
tell_damage(void *arg, const struct store_damage *damage)
{
	struct findings *findings = arg;

	/* What it does to disks is said when all is saved. */
	if (damage->disk[0] != '\0')
		return;
	if (strncmp(damage->object, "keys/", 5) == 0)
		findings->key_slots = true;
	if (findings->damages == NULL)
		printf("damaged: %s: %s\n", damage->object, damage->what);
	else
		json_array_append_new(findings->damages,
		    json_pack("{s:s, s:s}", "object", damage->object, "what",
			damage->what));
}

/* What would be marked: a repair itself says it of what it has marked. */
static void
tell_hurt(void *arg, const struct store_hurt *hurt)
{
	const struct findings *findings = arg;
	char bytes[FORMAT_SIZE], size[FORMAT_SIZE];

	if (findings->dry_run && findings->damages == NULL)
		printf("hurt: point %.8s disk %s: %s of %s cannot be read\n",
		    hurt->point, hurt->disk, format_bytes(bytes, hurt->bytes),
		    format_bytes(size, hurt->size_bytes));
}

static json_t *
lost_json(const struct job_lost_point *point)
{
	char time[CLOCK_RFC3339_SIZE];

	return json_pack("{s:s, s:s?, s:s?, s:s, s:b}", "id", point->id,
	    "domain", point->domain, "time",
	    point->time_ms != 0 ? clock_format_rfc3339(time, point->time_ms)
				: NULL,
	    "what", point->why, "aside", point->aside);
}

static void
tell_lost(void *arg, const struct job_lost_point *point)
{
	struct findings *findings = arg;
	char time[CLOCK_RFC3339_SIZE];

	if (findings->lost != NULL) {
		json_array_append_new(findings->lost, lost_json(point));
		return;
	}
	printf("lost: point %s", point->id);
	if (point->domain == NULL)
		printf(", of a domain that this host does not know");
	else
		printf(" of %s", point->domain);
	if (point->time_ms != 0)
		printf(" as of %s", clock_format_rfc3339(time, point->time_ms));
	printf(": its manifest cannot be read");
	if (!point->aside)
		printf(", nor be set aside\n");
	else if (findings->dry_run)
		printf(", and would be set aside\n");
	else
		printf("; it is kept as aside/points/%s, and its blocks until "
		       "the next prune\n",
		    point->id);
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

/* ---- what was done ---- */

static void
print_count(uint64_t count, const char *what, const char *done)
{
	if (count > 0)
		printf("%llu %s%s %s\n", (unsigned long long)count, what,
		    format_plural(count), done);
}

static bool
did_nothing(const struct store_repair_result *r)
{
	if (r->epoch_begun)
		return false;
	return r->packs_marked + r->packs_back + r->blobs_saved +
		   r->objects_aside + r->objects_left + r->points_marked +
		   r->marks_removed + r->marks_of_gone + r->points_lost +
		   r->points_entered ==
	       0;
}

static void
print_result(const struct store_repair_result *r, bool dry_run)
{
	bool one = r->packs_marked == 1;

	if (did_nothing(r) && dry_run && r->found.damaged_points > 0) {
		printf("no pack would be taken out of use; points that are "
		       "hurt would be marked\n");
		return;
	}
	if (did_nothing(r)) {
		printf(r->found.damaged_points > 0
			   ? "nothing to repair beyond what is known\n"
			   : "no damage, nothing to repair\n");
		return;
	}
	if (r->packs_marked + r->blobs_saved > 0)
		printf("%llu pack%s %staken out of use: %llu block%s %ssaved, "
		       "%llu lost\n",
		    (unsigned long long)r->packs_marked, one ? "" : "s",
		    dry_run ? "would be " : "",
		    (unsigned long long)r->blobs_saved,
		    format_plural(r->blobs_saved), dry_run ? "would be " : "",
		    (unsigned long long)r->blobs_lost);
	print_count(r->packs_unknown, "pack",
	    dry_run ? "of these would be lost whole: nothing says what is in it"
		    : "of these lost whole: nothing says what was in it");
	print_count(r->packs_back, "pack",
	    dry_run ? "found whole after all, would be back in use"
		    : "found whole after all, back in use");
	print_count(r->objects_aside, "object",
	    dry_run ? "that cannot be read would be set aside"
		    : "that cannot be read set aside");
	print_count(r->points_marked, "point", "marked anew");
	print_count(r->marks_removed, "mark",
	    "removed of points that lack nothing any more");
	print_count(
	    r->marks_of_gone, "mark", "removed of points that are gone");
	print_count(r->points_entered, "point",
	    dry_run ? "that no session named would be registered"
		    : "that no session named registered");
	if (r->epoch_begun)
		printf("a new epoch %s: backups and prunes could not go on "
		       "from the last\n",
		    dry_run ? "would be begun" : "has begun");
	print_count(r->objects_left, "damaged object",
	    "left, which a repair cannot mend");
}

/* What a person has to do. */
static void
advise(const struct findings *findings)
{
	if (findings->key_slots)
		log_line(LOG_WARNING,
		    "hint: a damaged key opens nothing any more: make another "
		    "with 'holdstill key add', then 'holdstill key remove' the "
		    "damaged one");
}

static json_t *
result_json(const struct store_repair_result *r,
    const struct findings *findings, json_t *marks)
{
	json_t *json =
	    json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "dry_run",
		findings->dry_run, "packs_marked", (json_int_t)r->packs_marked,
		"packs_back", (json_int_t)r->packs_back, "blocks_saved",
		(json_int_t)r->blobs_saved, "blocks_lost",
		(json_int_t)r->blobs_lost, "objects_aside",
		(json_int_t)r->objects_aside, "objects_left",
		(json_int_t)r->objects_left, "points_marked",
		(json_int_t)r->points_marked);

	json_object_set_new(
	    json, "packs_unknown", json_integer((json_int_t)r->packs_unknown));
	json_object_set_new(json, "points_entered",
	    json_integer((json_int_t)r->points_entered));
	json_object_set_new(json, "epoch_begun", json_boolean(r->epoch_begun));
	json_object_set_new(json, "marks_removed",
	    json_integer((json_int_t)(r->marks_removed + r->marks_of_gone)));
	json_object_set(json, "points_lost", findings->lost);
	json_object_set(json, "damages", findings->damages);
	json_object_set(json, "marks", marks);
	return json_pack("{s:o}", "repair", json);
}

/* *marked: something that points need is lost. */
static int
report(struct cli *cli, const struct store_repair_result *r,
    const struct findings *findings, unsigned int *marked, struct err *err)
{
	json_t *marks = NULL;
	int rc;

	if (!cli->json) {
		if (!cli->quiet)
			print_result(r, findings->dry_run);
		/* A dry run has said what would be. */
		return findings->dry_run ? 0
					 : store_marks(cli->ctx.store,
					       print_marked, marked, err);
	}
	if (hurt_read_marks(&marks, cli->ctx.store, err) == -1)
		return -1;
	*marked = (unsigned int)json_object_size(marks);
	rc = cli_print_json(result_json(r, findings, marks), err);
	json_decref(marks);
	return rc;
}

/* Is any point the worse for it, or anything left to be done? */
static int
status(const struct store_repair_result *r, bool dry_run, unsigned int marked)
{
	if (dry_run && r->found.damaged_objects + r->found.damaged_points > 0)
		return CLI_FAILED;
	if (marked > 0 || r->points_lost > 0 || r->objects_left > 0)
		return CLI_DEMOTED;
	return CLI_DONE;
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	struct findings findings = { .dry_run = *(bool *)state,
		.damages = cli->json ? json_array() : NULL,
		.lost = cli->json ? json_array() : NULL };
	const struct job_repair_options repair = { .dry_run = findings.dry_run,
		.damage = tell_damage,
		.hurt = tell_hurt,
		.lost = tell_lost,
		.arg = &findings };
	struct store_repair_result r;
	unsigned int marked = 0;
	int rc;

	(void)arguments;
	rc = job_repair(&cli->ctx, &repair, &r, err);
	if (rc == 0)
		rc = report(cli, &r, &findings, &marked, err);
	json_decref(findings.damages);
	json_decref(findings.lost);
	if (rc == -1)
		return -1;
	advise(&findings);
	return status(&r, findings.dry_run, marked);
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
