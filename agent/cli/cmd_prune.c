/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill prune: gives back the space of blocks that no point uses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/format.h"
#include "agent/job/care.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/json/json.h"

#define DAYS_MAX 3650
#define DAY_MS (24 * 3600 * INT64_C(1000))
#define SILENCE_MAX_S 86400
#define REPACK_PERCENT 20u
#define REPACK_FLOOR_BYTES (UINT64_C(256) << 20)

enum { KEY_DRY_RUN = 256, KEY_DAYS, KEY_REPACK, KEY_SILENCE };

static const struct cli_option options[] = {
	{ "dry-run", KEY_DRY_RUN, NULL, false, "say it only" },
	{ "undelete-days", KEY_DAYS, "N", false,
	    "keep forgotten points for N days; else as the repository says" },
	{ "max-repack", KEY_REPACK, "BYTES|PERCENT%", false,
	    "write at most so much of wasteful packs anew (20%, or 256 MiB)" },
	{ "silence", KEY_SILENCE, "SECONDS", false,
	    "give up backups that are silent for so long (300)" },
	{ NULL, 0, NULL, false, NULL },
};

struct request {
	struct store_prune_options options;
	bool has_days;
	bool has_repack;
};

static int
parse_percent(unsigned int *out, const char *value)
{
	size_t digits = strspn(value, "0123456789");

	if (digits == 0 || digits > 3 || strcmp(value + digits, "%") != 0)
		return -1;
	*out = (unsigned int)strtoul(value, NULL, 10);
	return *out <= 100 ? 0 : -1;
}

static int
set_repack(struct request *r, const char *value, struct err *err)
{
	unsigned int percent = 0;
	uint64_t bytes = 0;

	if (parse_percent(&percent, value) == -1 &&
	    bytes_parse(&bytes, value) == -1) {
		err_set(err, ERR_ARG,
		    "'--max-repack' takes a size or a share, not '%.40s'",
		    value);
		return err_hint(err, "write bytes with K, M or G, or 20%%");
	}
	r->has_repack = true;
	r->options.repack_percent = percent;
	r->options.repack_bytes = bytes;
	/* To the store nothing at all is no limit; no pack is of one byte. */
	if (bytes == 0 && percent == 0)
		r->options.repack_bytes = 1;
	return 0;
}

static int
set(void *state, int key, const char *value, struct err *err)
{
	struct request *r = state;
	unsigned int number = 0;

	if (key == KEY_DRY_RUN) {
		r->options.dry_run = true;
		return 0;
	}
	if (key == KEY_REPACK)
		return set_repack(r, value, err);
	if (key == KEY_SILENCE) {
		if (cli_number(
			&number, "silence", value, 1, SILENCE_MAX_S, err) == -1)
			return -1;
		r->options.silence_ms = (int64_t)number * 1000;
		return 0;
	}
	if (cli_number(&number, "undelete-days", value, 0, DAYS_MAX, err) == -1)
		return -1;
	r->has_days = true;
	r->options.undelete_ms = (int64_t)number * DAY_MS;
	return 0;
}

/* What has not been given back, and what it waits for. */
static void
print_waiting(const struct store_prune_result *result, bool dry_run)
{
	char bytes[FORMAT_SIZE], until[CLOCK_RFC3339_SIZE];

	if (result->points_waiting > 0)
		printf("%llu forgotten point%s kept until %s at least; "
		       "'--undelete-days 0' waits no longer\n",
		    (unsigned long long)result->points_waiting,
		    result->points_waiting == 1 ? " is" : "s are",
		    clock_format_rfc3339(until, result->waiting_until_ms));
	if (result->bytes_waiting > 0)
		printf("%s more with a prune after the backups that run now\n",
		    format_bytes(bytes, result->bytes_waiting));
	if (dry_run && result->sessions_alive > 0)
		printf("backups that have not ended, dead or alive: %llu; a "
		       "prune looks on for a sign of life\n",
		    (unsigned long long)result->sessions_alive);
	if (result->points_stray > 0)
		printf("points kept that no session names: %llu; run "
		       "'holdstill repair'\n",
		    (unsigned long long)result->points_stray);
}

static void
print_result(const struct store_prune_result *result, bool dry_run)
{
	char freed[FORMAT_SIZE], before[FORMAT_SIZE];

	printf("%s %s of %s: %llu of %llu packs removed, %llu written anew\n",
	    dry_run ? "would free" : "freed",
	    format_bytes(freed, result->bytes_freed),
	    format_bytes(before, result->bytes_before),
	    (unsigned long long)result->packs_removed,
	    (unsigned long long)result->packs_before,
	    (unsigned long long)result->packs_rewritten);
	if (result->points_removed > 0)
		printf("%llu forgotten points %s for ever\n",
		    (unsigned long long)result->points_removed,
		    dry_run ? "would go" : "are gone");
	print_waiting(result, dry_run);
}

static int
print_json(const struct store_prune_result *r, bool dry_run, struct err *err)
{
	char until[CLOCK_RFC3339_SIZE] = "";

	if (r->points_waiting > 0)
		clock_format_rfc3339(until, r->waiting_until_ms);
	return cli_print_json(
	    json_pack("{s:{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
		      "s:I, s:I, s:I, s:I, s:s}}",
		"prune", "dry_run", dry_run, "packs_before",
		(json_int_t)r->packs_before, "packs_removed",
		(json_int_t)r->packs_removed, "packs_rewritten",
		(json_int_t)r->packs_rewritten, "bytes_before",
		(json_int_t)r->bytes_before, "bytes_freed",
		(json_int_t)r->bytes_freed, "blocks_kept",
		(json_int_t)r->blocks_kept, "blocks_removed",
		(json_int_t)r->blocks_removed, "points_removed",
		(json_int_t)r->points_removed, "sessions_dead",
		(json_int_t)r->sessions_dead, "sessions_alive",
		(json_int_t)r->sessions_alive, "bytes_waiting",
		(json_int_t)r->bytes_waiting, "points_stray",
		(json_int_t)r->points_stray, "points_waiting",
		(json_int_t)r->points_waiting, "waiting_until", until),
	    err);
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	const struct request *request = state;
	struct store_prune_options own = request->options;
	const bool dry_run = own.dry_run;
	struct store_prune_result r;

	(void)arguments;
	if (job_open_store(&cli->ctx, err) == -1)
		return -1;
	if (!request->has_days)
		own.undelete_ms = store_undelete_days(cli->ctx.store) * DAY_MS;
	if (!request->has_repack) {
		own.repack_percent = REPACK_PERCENT;
		own.repack_bytes = REPACK_FLOOR_BYTES;
	}
	if (job_prune(&cli->ctx, &own, &r, err) == -1)
		return -1;
	if (cli->json)
		return print_json(&r, dry_run, err);
	if (!cli->quiet)
		print_result(&r, dry_run);
	return CLI_DONE;
}

const struct cli_command cmd_prune = {
	.name = "prune",
	.arguments = "[--dry-run] [--undelete-days N] [--max-repack SIZE]",
	.summary = "Give back the space of blocks that no point uses",
	.example = "  holdstill prune --dry-run\n"
		   "  holdstill prune --max-repack 5%\n",
	.options = options,
	.state_size = sizeof(struct request),
	.set = set,
	.work = work,
};
