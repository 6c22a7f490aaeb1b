/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill init: makes a repository. */
#include <stdio.h>
#include <stdlib.h>

#include "agent/cli/cli.h"
#include "backends/backend.h"
#include "common/err.h"
#include "common/json/json.h"
#include "store/store.h"

static int
make_repository(struct cli *cli, struct err *err)
{
	struct backend *backend = NULL;
	int rc = -1;

	if (backend_open(
		&backend, cli->ctx.repository_url, BACKEND_CREATE, err) == 0)
		rc = store_init(backend, NULL, err);
	backend_close(backend);
	if (rc == -1)
		err_prefix(err, "repository '%s'", cli->ctx.repository_url);
	return rc;
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	(void)state;
	(void)arguments;
	if (make_repository(cli, err) == -1 ||
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

const struct cli_command cmd_init = {
	.name = "init",
	.arguments = "[--repo URL]",
	.summary = "Make a repository",
	.example = "  holdstill init --repo /srv/backup\n",
	.work = work,
};
