/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill prune: gives back the space of blocks that no point uses. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/cli/cli.h"
#include "agent/cli/format.h"
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
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	const bool dry_run = *(bool *)state;
	struct store_prune_result r;

	(void)arguments;
	if (job_prune(&cli->ctx, dry_run, &r, err) == -1)
		return -1;
	if (cli->json)
		return cli_print_json(
		    json_pack("{s:{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}}",
			"prune", "dry_run", dry_run, "packs_before",
			(json_int_t)r.packs_before, "packs_removed",
			(json_int_t)r.packs_removed, "packs_rewritten",
			(json_int_t)r.packs_rewritten, "bytes_before",
			(json_int_t)r.bytes_before, "bytes_freed",
			(json_int_t)r.bytes_freed, "blocks_kept",
			(json_int_t)r.blocks_kept, "blocks_removed",
			(json_int_t)r.blocks_removed),
		    err);
	if (!cli->quiet)
		print_result(&r, dry_run);
	return CLI_DONE;
}

const struct cli_command cmd_prune = {
	.name = "prune",
	.arguments = "[--dry-run]",
	.summary = "Give back the space of blocks that no point uses",
	.example = "  holdstill prune --dry-run\n",
	.options = options,
	.state_size = sizeof(bool),
	.set = set,
	.work = work,
};
