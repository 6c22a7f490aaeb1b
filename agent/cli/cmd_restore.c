/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill restore: a point back into files, devices, a domain. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/format.h"
#include "agent/cli/hurt.h"
#include "agent/job/restore_point.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/json/json.h"
#include "common/log.h"
#include "store/manifest.h"

#define TARGETS_MAX MANIFEST_DISKS_MAX

enum {
	KEY_DEFINE = 256,
	KEY_DISK,
	KEY_FORMAT,
	KEY_LIMIT_RATE,
	KEY_OVERWRITE,
	KEY_SALVAGE,
	KEY_SAME_IDENTITY,
	KEY_START,
	KEY_TO,
};

static const struct cli_option options[] = {
	{ "to", KEY_TO, "DIR", false, "all disks and the definition into DIR" },
	{ "format", KEY_FORMAT, "qcow2|raw", false,
	    "of the files (qcow2; raw for .raw, .img)" },
	{ "define", KEY_DEFINE, "NAME", true,
	    "make a domain of them, behind POINT" },
	{ "start", KEY_START, NULL, false, "and start it" },
	{ "same-identity", KEY_SAME_IDENTITY, NULL, false,
	    "keep UUID and MAC addresses" },
	{ "disk", KEY_DISK, "DISK=TARGET", false,
	    "one disk to a file, device or nbd+unix URL" },
	{ "overwrite", KEY_OVERWRITE, NULL, false, "write over what is there" },
	{ "limit-rate", KEY_LIMIT_RATE, "RATE", false, CLI_LIMIT_RATE_HELP },
	{ "salvage", KEY_SALVAGE, NULL, false,
	    "of a damaged point what there is, else zeros" },
	{ NULL, 0, NULL, false, NULL },
};

struct request {
	struct restore_point_options restore;
	bool has_format;
	uint64_t limit_rate;
	struct restore_point_target targets[TARGETS_MAX];
	char *disk_names[TARGETS_MAX]; /* Owned. */
};

/* Two disks into one target, or one disk twice, would lose one of them. */
static int
check_distinct(const struct request *request, size_t i, struct err *err)
{
	const struct restore_point_target *targets = request->targets;
	size_t k;

	for (k = 0; k < i; k++) {
		if (strcmp(targets[k].disk, targets[i].disk) == 0)
			return err_set(err, ERR_ARG,
			    "'--disk' names disk '%s' twice", targets[i].disk);
		if (strcmp(targets[k].target, targets[i].target) == 0)
			return err_set(err, ERR_ARG,
			    "'--disk' names target '%s' twice",
			    targets[i].target);
	}
	return 0;
}

static int
add_target(struct request *request, const char *value, struct err *err)
{
	const char *equals = strchr(value, '=');
	size_t i = request->restore.target_count;

	if (equals == NULL || equals == value || equals[1] == '\0')
		return err_set(err, ERR_ARG,
		    "'--disk' takes DISK=TARGET, as in vda=/srv/vda.raw, not "
		    "'%s'",
		    value);
	if (i == TARGETS_MAX)
		return err_set(err, ERR_ARG, "'--disk' is given too often");
	request->disk_names[i] = strndup(value, (size_t)(equals - value));
	if (request->disk_names[i] == NULL)
		return err_no_memory(err);
	request->targets[i].disk = request->disk_names[i];
	request->targets[i].target = equals + 1;
	request->restore.target_count++;
	return check_distinct(request, i, err);
}

static int
set(void *state, int key, const char *value, struct err *err)
{
	struct request *request = state;
	struct restore_point_options *restore = &request->restore;

	switch (key) {
	case KEY_TO:
		restore->dir = value;
		return 0;
	case KEY_FORMAT:
		request->has_format = true;
		if (restore_format_parse(&restore->format, value) == 0)
			return 0;
		return err_set(err, ERR_ARG,
		    "'--format' takes qcow2 or raw, not '%s'", value);
	case KEY_DEFINE:
		restore->define = true;
		restore->name = value;
		return 0;
	case KEY_START:
		restore->start = true;
		return 0;
	case KEY_SAME_IDENTITY:
		restore->same_identity = true;
		return 0;
	case KEY_OVERWRITE:
		restore->overwrite = true;
		return 0;
	case KEY_LIMIT_RATE:
		return cli_rate(&request->limit_rate, "limit-rate", value, err);
	case KEY_SALVAGE:
		restore->salvage = true;
		return 0;
	case KEY_DISK:
		return add_target(request, value, err);
	}
	return err_set(err, ERR_BUG, "unhandled option");
}

static bool
ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length >= end_length &&
	       strcmp(text + length - end_length, end) == 0;
}

/* A file called .raw or .img that held qcow2 would not boot where it is used
 * as what it is called. */
static int
guess_format(struct request *request, struct err *err)
{
	const char *target;
	size_t i, raw = 0;

	for (i = 0; i < request->restore.target_count; i++) {
		target = request->targets[i].target;
		raw += ends_with(target, ".raw") || ends_with(target, ".img");
	}
	if (raw > 0 && raw < request->restore.target_count)
		return err_set(err, ERR_ARG,
		    "the targets' names are of several formats: restore them "
		    "one by one, or give --format");
	if (raw > 0)
		request->restore.format = RESTORE_RAW;
	return 0;
}

static int
check(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	struct request *request = state;
	const struct restore_point_options *restore = &request->restore;

	if ((restore->dir != NULL) == (restore->target_count > 0))
		return cli_usage(cli, err,
		    "say where to: either --to DIR or --disk DISK=TARGET");
	if (restore->define && restore->dir == NULL)
		return cli_usage(cli, err, "'--define' goes with '--to DIR'");
	if (restore->start && !restore->define)
		return cli_usage(cli, err, "'--start' goes with '--define'");
	if (restore->same_identity && restore->dir == NULL)
		return cli_usage(cli, err,
		    "'--same-identity' is about the domain's definition and "
		    "goes with '--to DIR'");
	if (!request->has_format && restore->target_count > 0 &&
	    guess_format(request, err) == -1) {
		cli->usage_error = true;
		return -1;
	}
	cli->ctx.limit_rate = request->limit_rate;
	request->restore.targets = request->targets;
	request->restore.point = arguments->word[0];
	return 0;
}

/* NULL: the disk has all of it. */
static const struct store_hurt *
hurt_of(struct store_hurt *hurt, const struct restore_point_result *result,
    size_t i)
{
	const struct lost_ranges *lost = &result->lost[i];

	*hurt = (struct store_hurt){
		.point = result->manifest->id,
		.disk = result->manifest->disks[i].target,
		.size_bytes = result->manifest->disks[i].size_bytes,
		.bytes = lost->bytes,
		.ranges = lost->ranges,
		.range_count = lost->count,
		.more = lost->more,
	};
	return lost->bytes > 0 ? hurt : NULL;
}

static json_t *
lost_json(const struct restore_point_result *result)
{
	json_t *array = json_array();
	struct store_hurt hurt;
	size_t i;

	for (i = 0; i < result->manifest->disk_count; i++)
		if (hurt_of(&hurt, result, i) != NULL)
			json_array_append_new(array, hurt_to_json(&hurt, true));
	return array;
}

static void
print_lost(FILE *out, const struct restore_point_result *result)
{
	struct store_hurt hurt;
	char bytes[FORMAT_SIZE];
	size_t i;

	for (i = 0; i < result->manifest->disk_count; i++) {
		if (hurt_of(&hurt, result, i) == NULL)
			continue;
		fprintf(out, "  %-6s %s could not be read and are zeros:\n",
		    hurt.disk, format_bytes(bytes, hurt.bytes));
		hurt_print_ranges_to(out, &hurt, "    ");
	}
}

static json_t *
result_json(const struct restore_point_result *result)
{
	json_t *disks = json_array();
	const struct manifest *m = result->manifest;
	size_t i;

	for (i = 0; i < m->disk_count; i++)
		if (result->paths[i] != NULL)
			json_array_append_new(
			    disks, json_pack("{s:s, s:s, s:I}", "target",
				       m->disks[i].target, "path",
				       result->paths[i], "size_bytes",
				       (json_int_t)m->disks[i].size_bytes));
	return json_pack("{s:{s:s, s:s, s:o, s:s?, s:s?, s:I, s:o}}", "restore",
	    "id", m->id, "domain", m->domain, "disks", disks, "definition",
	    result->definition_path, "defined", result->defined_name,
	    "duration_ms", (json_int_t)result->duration_ms, "lost",
	    lost_json(result));
}

static void
print_paths(FILE *out, const struct restore_point_result *result)
{
	const struct manifest *m = result->manifest;
	size_t i;

	for (i = 0; i < m->disk_count; i++)
		if (result->paths[i] != NULL)
			fprintf(out, "  %-6s %s\n", m->disks[i].target,
			    result->paths[i]);
}

/* The disks stay, and nobody could say later what they lack. */
static void
print_failed(const struct restore_point_result *result)
{
	if (result->lost_bytes == 0)
		return;
	log_line(LOG_WARNING, "written before it failed:");
	print_paths(stderr, result);
	print_lost(stderr, result);
}

static void
print_result(const struct restore_point_result *result, bool started)
{
	char time[CLOCK_RFC3339_SIZE], took[FORMAT_SIZE];
	const struct manifest *m = result->manifest;

	printf("%s as of %s, point %.8s, in %s\n", m->domain,
	    clock_format_rfc3339(time, m->time_ms), m->id,
	    format_duration(took, result->duration_ms));
	print_paths(stdout, result);
	print_lost(stdout, result);
	if (result->definition_path != NULL)
		printf("  %-6s %s\n", "domain", result->definition_path);
	if (result->defined_name != NULL)
		printf("  defined%s as '%s'\n", started ? " and started" : "",
		    result->defined_name);
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	const struct request *request = state;
	struct restore_point_result result;
	int rc;

	(void)arguments;
	rc = job_restore(&cli->ctx, &request->restore, &result, err);
	if (rc == -1)
		print_failed(&result);
	else if (cli->json)
		rc = cli_print_json(result_json(&result), err);
	else if (!cli->quiet)
		print_result(&result, request->restore.start);
	if (rc == 0 && result.lost_bytes > 0)
		rc = CLI_DEMOTED;
	restore_point_result_fini(&result);
	return rc;
}

static void
fini(void *state)
{
	struct request *request = state;
	size_t i;

	for (i = 0; i < request->restore.target_count; i++)
		free(request->disk_names[i]);
}

static const struct request defaults = { .restore = {
					     .format = RESTORE_QCOW2,
					 } };

const struct cli_command cmd_restore = {
	.name = "restore",
	.arguments = "POINT --to DIR | POINT --disk DISK=TARGET...",
	.summary = "Restore a point",
	.example =
	    "  holdstill restore web1@latest --to /srv/restored\n"
	    "  holdstill restore web1@-1 --to /srv/r --define web1-test --start\n"
	    "  holdstill restore web1@2026-11-21T05:21:37Z --disk "
	    "vda=/dev/vg/web1 --overwrite\n",
	.options = options,
	.min = 1,
	.max = 1,
	.state_size = sizeof(defaults),
	.defaults = &defaults,
	.set = set,
	.check = check,
	.work = work,
	.fini = fini,
};
