/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill verify: reads back and checks. */
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

#define DAY_MS INT64_C(86400000)

enum { KEY_BUDGET = 256, KEY_LIMIT_RATE, KEY_RANGES, KEY_SAMPLE };

static const struct cli_option options[] = {
	{ "sample", KEY_SAMPLE, "PERCENT", false,
	    "read only so many of the packs, by chance" },
	{ "budget", KEY_BUDGET, "TIME", false,
	    "begin no pack after TIME, as 20m; the longest unchecked first" },
	{ "ranges", KEY_RANGES, NULL, false,
	    "list the ranges of disks that are hurt" },
	{ "limit-rate", KEY_LIMIT_RATE, "RATE", false, CLI_LIMIT_RATE_HELP },
	{ NULL, 0, NULL, false, NULL },
};

struct request {
	unsigned int sample_percent;
	uint64_t budget_ms;
	uint64_t limit_rate;
	bool ranges;
};

/* "5%", too, as the configuration's 'verify' takes it. */
static int
set_sample(unsigned int *out, const char *value, struct err *err)
{
	size_t size = strlen(value);
	char digits[8];

	if (size > 1 && size <= sizeof(digits) && value[size - 1] == '%') {
		memcpy(digits, value, size - 1);
		digits[size - 1] = '\0';
		value = digits;
	}
	return cli_number(out, "sample", value, 1, 100, err);
}

static int
set(void *state, int key, const char *value, struct err *err)
{
	struct request *request = state;

	switch (key) {
	case KEY_RANGES:
		request->ranges = true;
		return 0;
	case KEY_LIMIT_RATE:
		return cli_rate(&request->limit_rate, "limit-rate", value, err);
	case KEY_SAMPLE:
		return set_sample(&request->sample_percent, value, err);
	case KEY_BUDGET:
		if (clock_parse_duration(&request->budget_ms, value) == 0)
			return 0;
		return err_set(err, ERR_ARG,
		    "'--budget' takes a number and s, m, h or d, not '%s'",
		    value);
	}
	return err_set(err, ERR_BUG, "unhandled option");
}

/* ---- what is found ---- */

struct findings {
	bool ranges;
	json_t *damages, *hurts; /* NULL: lines. */
};

static void
tell_damage(void *arg, const struct store_damage *damage)
{
	struct findings *findings = arg;

	if (findings->damages != NULL) {
		json_array_append_new(findings->damages,
		    json_pack("{s:s, s:s, s:s, s:s}", "object", damage->object,
			"what", damage->what, "point", damage->point, "disk",
			damage->disk));
		return;
	}
	/* Of what is in no pack the object has no name. */
	if (strcmp(damage->object, "packs/") == 0)
		printf("damaged: %s", damage->what);
	else
		printf("damaged: %s: %s", damage->object, damage->what);
	if (damage->point[0] != '\0')
		printf("; hurts point %.8s%s%s", damage->point,
		    damage->disk[0] != '\0' ? " disk " : "", damage->disk);
	putchar('\n');
}

static void
tell_hurt(void *arg, const struct store_hurt *hurt)
{
	struct findings *findings = arg;
	char bytes[FORMAT_SIZE], size[FORMAT_SIZE];
	json_t *json;

	if (findings->hurts != NULL) {
		json = hurt_to_json(hurt, findings->ranges);
		json_object_set_new(json, "point", json_string(hurt->point));
		json_array_append_new(findings->hurts, json);
		return;
	}
	printf("hurt: point %.8s disk %s: %s of %s\n", hurt->point, hurt->disk,
	    format_bytes(bytes, hurt->bytes),
	    format_bytes(size, hurt->size_bytes));
	if (findings->ranges)
		hurt_print_ranges(hurt, "  ");
}

/* ---- the summary ---- */

static const char *
age_text(char out[FORMAT_SIZE], int64_t ms)
{
	if (ms < 2 * DAY_MS)
		return format_duration(out, ms);
	snprintf(out, FORMAT_SIZE, "%lld days", (long long)(ms / DAY_MS));
	return out;
}

static void
print_coverage(const struct verify_coverage *c)
{
	char since[CLOCK_RFC3339_SIZE], age[FORMAT_SIZE];
	uint64_t checked = c->packs - c->never_checked;

	if (!c->known || c->packs == 0)
		return;
	printf("%llu of %llu packs (%llu %%) were found whole",
	    (unsigned long long)checked, (unsigned long long)c->packs,
	    (unsigned long long)(checked * 100 / c->packs));
	if (checked > 0)
		printf(" since %s", clock_format_rfc3339(since, c->since_ms));
	printf("; the longest unchecked for %s\n",
	    age_text(age, clock_wall_ms() - c->oldest_ms));
}

static void
print_marks(const struct store_verify_result *found)
{
	if (found->marked_packs > 0)
		printf("%llu pack%s out of use, marked by a repair\n",
		    (unsigned long long)found->marked_packs,
		    found->marked_packs == 1 ? " is" : "s are");
	if (found->marks_removed > 0)
		printf("%llu mark%s removed of points that lack nothing any "
		       "more\n",
		    (unsigned long long)found->marks_removed,
		    format_plural(found->marks_removed));
	if (found->marks_of_gone > 0)
		printf("%llu mark%s removed of points that are gone\n",
		    (unsigned long long)found->marks_of_gone,
		    format_plural(found->marks_of_gone));
}

static void
print_summary(const struct job_verify_result *result)
{
	const struct store_verify_result *found = &result->found;
	bool partial = found->packs_checked < found->packs_wanted;
	char size[FORMAT_SIZE];

	printf("checked %llu object%s (%s) and %llu point%s: ",
	    (unsigned long long)found->objects_checked,
	    format_plural(found->objects_checked),
	    format_bytes(size, found->bytes_checked),
	    (unsigned long long)found->points_checked,
	    format_plural(found->points_checked));
	if (found->damaged_objects + found->damaged_points == 0)
		printf("no damage%s\n", partial ? " in what was read" : "");
	else
		printf("%llu damaged object%s, %llu point%s hurt\n",
		    (unsigned long long)found->damaged_objects,
		    format_plural(found->damaged_objects),
		    (unsigned long long)found->damaged_points,
		    format_plural(found->damaged_points));
	if (partial)
		printf("%llu of %llu packs were read; nothing is said of the "
		       "others\n",
		    (unsigned long long)found->packs_checked,
		    (unsigned long long)found->packs_wanted);
	print_marks(found);
	print_coverage(&result->coverage);
}

static json_t *
coverage_json(const struct verify_coverage *c)
{
	char since[CLOCK_RFC3339_SIZE];

	if (!c->known)
		return json_null();
	return json_pack("{s:I, s:I, s:s?, s:I}", "packs", (json_int_t)c->packs,
	    "never_checked", (json_int_t)c->never_checked, "since",
	    c->since_ms != 0 ? clock_format_rfc3339(since, c->since_ms) : NULL,
	    "oldest_unchecked_ms",
	    (json_int_t)(c->oldest_ms != 0 ? clock_wall_ms() - c->oldest_ms
					   : 0));
}

static json_t *
result_json(const struct job_verify_result *result, struct findings *findings)
{
	const struct store_verify_result *found = &result->found;
	json_t *json = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
	    "objects_checked", (json_int_t)found->objects_checked,
	    "bytes_checked", (json_int_t)found->bytes_checked, "points_checked",
	    (json_int_t)found->points_checked, "packs_checked",
	    (json_int_t)found->packs_checked, "damaged_objects",
	    (json_int_t)found->damaged_objects, "damaged_points",
	    (json_int_t)found->damaged_points, "marked_packs",
	    (json_int_t)found->marked_packs);

	json_object_set_new(json, "marks_removed",
	    json_integer(
		(json_int_t)(found->marks_removed + found->marks_of_gone)));
	json_object_set_new(json, "coverage", coverage_json(&result->coverage));
	json_object_set(json, "damages", findings->damages);
	json_object_set(json, "hurts", findings->hurts);
	return json_pack("{s:o}", "verify", json);
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	const struct request *request = state;
	struct findings findings = {
		.ranges = request->ranges,
		.damages = cli->json ? json_array() : NULL,
		.hurts = cli->json ? json_array() : NULL,
	};
	struct job_verify_options verify = {
		.points = arguments->word,
		.point_count = (size_t)arguments->count,
		.sample_percent = request->sample_percent,
		.budget_ms = request->budget_ms,
		.damage = tell_damage,
		.hurt = tell_hurt,
		.arg = &findings,
	};
	struct job_verify_result result;
	int rc;

	cli->ctx.limit_rate = request->limit_rate;
	rc = job_verify(&cli->ctx, &verify, &result, err);
	if (rc == 0 && cli->json)
		rc = cli_print_json(result_json(&result, &findings), err);
	else if (rc == 0 && !cli->quiet)
		print_summary(&result);
	json_decref(findings.damages);
	json_decref(findings.hurts);
	if (rc == -1)
		return -1;
	return result.found.damaged_objects + result.found.damaged_points > 0
		   ? CLI_FAILED
		   : CLI_DONE;
}

static const struct request defaults = { .sample_percent = 100 };

const struct cli_command cmd_verify = {
	.name = "verify",
	.arguments = "[POINT...]",
	.summary = "Read back and check the repository or some points",
	.example = "  holdstill verify\n  holdstill verify web1@latest\n"
		   "  holdstill verify --sample 10\n"
		   "  holdstill verify --budget 20m\n",
	.options = options,
	.max = -1,
	.state_size = sizeof(defaults),
	.defaults = &defaults,
	.set = set,
	.work = work,
};
