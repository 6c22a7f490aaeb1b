/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill verify: reads back and checks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/format.h"
#include "agent/job/care.h"
#include "common/err.h"
#include "common/json/json.h"

enum { KEY_LIMIT_RATE = 256, KEY_SAMPLE };

static const struct cli_option options[] = {
	{ "sample", KEY_SAMPLE, "PERCENT", false,
	    "read only so many of the packs" },
	{ "limit-rate", KEY_LIMIT_RATE, "RATE", false, CLI_LIMIT_RATE_HELP },
	{ NULL, 0, NULL, false, NULL },
};

struct request {
	unsigned int sample_percent;
	uint64_t limit_rate;
};

static int
set(void *state, int key, const char *value, struct err *err)
{
	struct request *request = state;
	unsigned int *percent = &request->sample_percent;
	size_t size = strlen(value);
	char digits[8];

	if (key == KEY_LIMIT_RATE)
		return cli_rate(&request->limit_rate, "limit-rate", value, err);
	/* "5%", as the configuration's 'verify' takes it. */
	if (size > 1 && size <= sizeof(digits) && value[size - 1] == '%') {
		memcpy(digits, value, size - 1);
		digits[size - 1] = '\0';
		value = digits;
	}
	return cli_number(percent, "sample", value, 1, 100, err);
}

struct damages {
	json_t *json; /* NULL: lines. */
};

static void
report(void *arg, const struct store_damage *damage)
{
	struct damages *damages = arg;

	if (damages->json != NULL) {
		json_array_append_new(damages->json,
		    json_pack("{s:s, s:s, s:s, s:s}", "object", damage->object,
			"what", damage->what, "point", damage->point, "disk",
			damage->disk));
		return;
	}
	printf("damaged: %s: %s", damage->object, damage->what);
	if (damage->point[0] != '\0')
		printf("; hurts point %.8s%s%s", damage->point,
		    damage->disk[0] != '\0' ? " disk " : "", damage->disk);
	putchar('\n');
}

static void
print_summary(const struct store_verify_result *result)
{
	char size[FORMAT_SIZE];

	printf("checked %llu objects (%s) and %llu points: ",
	    (unsigned long long)result->objects_checked,
	    format_bytes(size, result->bytes_checked),
	    (unsigned long long)result->points_checked);
	if (result->damaged_objects + result->damaged_points == 0)
		printf("no damage\n");
	else
		printf("%llu damaged objects hurt %llu points\n",
		    (unsigned long long)result->damaged_objects,
		    (unsigned long long)result->damaged_points);
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	const struct request *request = state;
	struct damages damages = { .json = cli->json ? json_array() : NULL };
	struct store_verify_result result;
	int rc;

	cli->ctx.limit_rate = request->limit_rate;
	rc = job_verify(&cli->ctx, arguments->word, (size_t)arguments->count,
	    request->sample_percent, report, &damages, &result, err);
	if (rc == 0 && cli->json)
		rc = cli_print_json(
		    json_pack("{s:{s:I, s:I, s:I, s:I, s:I, s:O}}", "verify",
			"objects_checked", (json_int_t)result.objects_checked,
			"bytes_checked", (json_int_t)result.bytes_checked,
			"points_checked", (json_int_t)result.points_checked,
			"damaged_objects", (json_int_t)result.damaged_objects,
			"damaged_points", (json_int_t)result.damaged_points,
			"damages", damages.json),
		    err);
	else if (rc == 0 && !cli->quiet)
		print_summary(&result);
	json_decref(damages.json);
	if (rc == -1)
		return -1;
	return result.damaged_objects + result.damaged_points > 0 ? CLI_FAILED
								  : CLI_DONE;
}

static const struct request defaults = { .sample_percent = 100 };

const struct cli_command cmd_verify = {
	.name = "verify",
	.arguments = "[POINT...]",
	.summary = "Read back and check the repository or some points",
	.example = "  holdstill verify\n  holdstill verify web1@latest\n"
		   "  holdstill verify --sample 10\n",
	.options = options,
	.max = -1,
	.state_size = sizeof(defaults),
	.defaults = &defaults,
	.set = set,
	.work = work,
};
