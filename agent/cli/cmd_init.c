/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill init: makes a repository. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/cli/cli.h"
#include "backends/backend.h"
#include "common/err.h"
#include "common/json/json.h"
#include "store/store.h"

enum { KEY_COMPRESSION = 256, KEY_DAYS };

static const struct cli_option options[] = {
	{ "compression", KEY_COMPRESSION, "HOW", false,
	    "none, auto or zstd:LEVEL (zstd:1)" },
	{ "undelete-days", KEY_DAYS, "N", false,
	    "how long forgotten points may be kept after all (7)" },
	{ NULL, 0, NULL, false, NULL },
};

static int
set(void *state, int key, const char *value, struct err *err)
{
	struct store_init_options *init = state;

	if (key == KEY_COMPRESSION)
		return store_compression_parse(&init->compression, value, err);
	if (cli_number(&init->undelete_days, "undelete-days", value, 0,
		STORE_UNDELETE_DAYS_MAX, err) == -1)
		return -1;
	init->has_undelete_days = true;
	return 0;
}

static int
make_repository(
    struct cli *cli, const struct store_init_options *init, struct err *err)
{
	struct backend *backend = NULL;
	int rc = -1;

	if (backend_open(
		&backend, cli->ctx.repository_url, BACKEND_CREATE, err) == 0)
		rc = store_init(backend, init, err);
	backend_close(backend);
	if (rc == -1)
		err_prefix(err, "repository '%s'", cli->ctx.repository_url);
	return rc;
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	(void)arguments;
	if (make_repository(cli, state, err) == -1 ||
	    job_open_store(&cli->ctx, err) == -1)
		return -1;
	if (cli->json)
		return cli_print_json(json_pack("{s:{s:s, s:s}}", "repository",
					  "id", store_id(cli->ctx.store), "url",
					  cli->ctx.repository_url),
		    err);
	if (!cli->quiet)
		printf("made repository %.8s at %s\n", store_id(cli->ctx.store),
		    cli->ctx.repository_url);
	return CLI_DONE;
}

/* As store_compression_default. */
static const struct store_init_options defaults = {
	.compression = { .mode = STORE_COMPRESSION_ZSTD, .level = 1 },
};

const struct cli_command cmd_init = {
	.name = "init",
	.arguments = "[--repo URL] [--undelete-days N]",
	.summary = "Make a repository",
	.example =
	    "  holdstill init --repo /srv/backup\n"
	    "  holdstill init --repo /mnt/nas/backup --compression auto\n",
	.options = options,
	.state_size = sizeof(defaults),
	.defaults = &defaults,
	.set = set,
	.work = work,
};
