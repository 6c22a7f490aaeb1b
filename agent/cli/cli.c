/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, help, errors and exit codes. */
#include "agent/cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/options.h"
#include "agent/cli/progress.h"
#include "agent/cli/unlock.h"
#include "agent/config/config.h"
#include "agent/quiesce/quiesce.h"
#include "backends/backend.h"
#include "common/bytes.h"
#include "common/cancel.h"
#include "common/err.h"
#include "common/json/json.h"
#include "common/log.h"
#include "common/rate.h"
#include "common/words.h"

#define DEFAULT_REPOSITORY "/var/lib/holdstill/repo"
#define DEFAULT_STATE_DIR "/var/lib/holdstill"

/* In the order in which a newcomer meets them. */
static const struct cli_command *const commands[] = {
	&cmd_init,
	&cmd_backup,
	&cmd_list,
	&cmd_show,
	&cmd_restore,
	&cmd_verify,
	&cmd_repair,
	&cmd_forget,
	&cmd_unforget,
	&cmd_prune,
	&cmd_run,
	&cmd_guest,
	&cmd_catalog,
	&cmd_key,
	&cmd_recover,
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void
print_usage(void)
{
	size_t i;

	printf("usage: holdstill [OPTIONS] COMMAND ...\n\n"
	       "Live backup of libvirt/QEMU guests: hold still, picture, go "
	       "on.\n\nCommands:\n");
	for (i = 0; i < COMMAND_COUNT; i++)
		printf(
		    "  %-10s  %s\n", commands[i]->name, commands[i]->summary);
	options_print_global();
	printf("\n'holdstill COMMAND --help' tells about one command, "
	       "holdstill(8) about all.\n");
}

static const struct cli_command *
find_command(struct cli *cli, const char *name, struct err *err)
{
	const char *names[COMMAND_COUNT], *nearest;
	size_t i;

	for (i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
		names[i] = commands[i]->name;
	}
	cli_usage(cli, err, "unknown command '%s'", name);
	nearest = words_nearest(
	    name, CLI_NEAR_EDITS, names, COMMAND_COUNT, sizeof(names[0]));
	if (nearest != NULL)
		err_hint(err, "did you mean '%s'?", nearest);
	else
		err_hint(err, "'holdstill --help' lists the commands");
	return NULL;
}

int
cli_usage(struct cli *cli, struct err *err, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cli->usage_error = true;
	return err_set(err, ERR_ARG, "%s", text);
}

static int
expect(struct cli *cli, const struct cli_command *command,
    const struct cli_arguments *arguments, struct err *err)
{
	if (arguments->count >= command->min &&
	    (command->max < 0 || arguments->count <= command->max))
		return 0;
	if (arguments->count < command->min)
		cli_usage(cli, err, "'%s' lacks an argument", command->name);
	else
		cli_usage(cli, err, "'%s' has an argument too many: '%s'",
		    command->name, arguments->word[command->max]);
	return err_hint(err, "usage: holdstill %s%s%s", command->name,
	    command->arguments[0] != '\0' ? " " : "", command->arguments);
}

int
cli_number(unsigned int *out, const char *option, const char *value,
    unsigned int min, unsigned int max, struct err *err)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || value[0] == '-' ||
	    number < min || number > max)
		return err_set(err, ERR_ARG,
		    "'--%s' takes a number from %u to %u, not '%s'", option,
		    min, max, value);
	*out = (unsigned int)number;
	return 0;
}

int
cli_lease(unsigned int *out_ms, const char *value, struct err *err)
{
	unsigned int seconds;

	if (cli_number(&seconds, "lease", value, 1, QUIESCE_LEASE_MAX_MS / 1000,
		err) == -1)
		return -1;
	*out_ms = seconds * 1000;
	return 0;
}

int
cli_rate(uint64_t *out, const char *option, const char *value, struct err *err)
{
	uint64_t rate;

	if (bytes_parse(&rate, value) == -1 || rate < RATE_MIN) {
		err_set(err, ERR_ARG,
		    "'--%s' takes bytes a second, at least 1K, not '%s'",
		    option, value);
		return err_hint(
		    err, "write a whole number with K, M or G, as in 20M");
	}
	*out = rate;
	return 0;
}

/* ---- where things are ---- */

static const char *
first_of(const char *a, const char *b, const char *c, const char *d)
{
	if (a != NULL && a[0] != '\0')
		return a;
	if (b != NULL && b[0] != '\0')
		return b;
	return c != NULL && c[0] != '\0' ? c : d;
}

int
cli_absolute(const char *what, const char *path, struct err *err)
{
	if (path[0] == '/')
		return 0;
	err_set(err, ERR_ARG, "%s takes a path from the root, not '%.200s'",
	    what, path);
	return err_hint(err, "begin it with '/': where a command is started "
			     "must not matter");
}

static int
check_state_dir(const struct cli *cli, struct err *err)
{
	const char *environment = getenv("HOLDSTILL_STATE_DIR");

	if (cli->state_dir != NULL)
		return cli_absolute("'--state-dir'", cli->state_dir, err);
	if (environment == NULL || environment[0] == '\0')
		return 0;
	return cli_absolute("HOLDSTILL_STATE_DIR", environment, err);
}

int
cli_check_repository(struct cli *cli, struct err *err)
{
	const char *url = cli->ctx.repository_url;
	const struct config_repository *named =
	    config_find_repository(cli->config, url);

	if (named == NULL || strchr(url, '/') != NULL) {
		if (backend_check_url(url, err) == 0)
			return 0;
	} else {
		err_set(err, ERR_ARG,
		    "'%.100s' is a repository's name in '%.200s', not its URL",
		    url, cli->config->path);
		err_hint(err, "give its url: --repo %.200s", named->url);
	}
	cli->usage_error = true;
	return -1;
}

static int
set_up(struct cli *cli, struct err *err)
{
	const struct config *config;
	struct job_context *ctx = &cli->ctx;

	if (check_state_dir(cli, err) == -1 ||
	    config_load(&cli->config, cli->config_path, err) == -1)
		return -1;
	config = cli->config;
	unlock_attach(cli);
	ctx->repository_url =
	    first_of(cli->repository, getenv("HOLDSTILL_REPO"),
		config->repository != NULL ? config->repository->url : NULL,
		DEFAULT_REPOSITORY);
	ctx->connect_uri = first_of(
	    cli->connect, getenv("LIBVIRT_DEFAULT_URI"), config->connect, NULL);
	ctx->state_dir = first_of(cli->state_dir, getenv("HOLDSTILL_STATE_DIR"),
	    config->state_dir, DEFAULT_STATE_DIR);
	if (cli_check_repository(cli, err) == -1)
		return -1;
	return progress_new(&cli->progress, &ctx->events,
	    cli->quiet || cli->json, cli->no_progress, err);
}

static int
understand(struct cli *cli, const struct cli_command *command, void *state,
    const struct cli_arguments *arguments, struct err *err)
{
	if (expect(cli, command, arguments, err) == -1)
		return -1;
	if (command->check != NULL &&
	    command->check(cli, state, arguments, err) == -1)
		return -1;
	if (set_up(cli, err) == 0)
		return 0;
	/* A configuration that is wrong is wrong usage. */
	cli->usage_error = true;
	return -1;
}

static int
read_and_work(struct cli *cli, const struct cli_command *command, void *state,
    int argc, char **argv, struct err *err)
{
	struct cli_arguments arguments;
	int rc = options_read(
	    cli, command, argc, argv, command->set, state, &arguments, err);

	if (rc == 1)
		return CLI_DONE;
	if (rc == -1) {
		if (err->hint[0] == '\0')
			err_hint(err, "'holdstill %s --help' tells more",
			    command->name);
		return -1;
	}
	rc = understand(cli, command, state, &arguments, err);
	if (rc == 0)
		rc = command->work(cli, state, &arguments, err);
	free(arguments.word);
	return rc;
}

/* argv[0] is the command's name.  An exit code, or -1. */
static int
call(struct cli *cli, const struct cli_command *command, int argc, char **argv,
    struct err *err)
{
	void *state = calloc(1, command->state_size + 1);
	int rc;

	if (state == NULL)
		return err_no_memory(err);
	if (command->defaults != NULL)
		memcpy(state, command->defaults, command->state_size);
	rc = read_and_work(cli, command, state, argc, argv, err);
	if (command->fini != NULL)
		command->fini(state);
	free(state);
	return rc;
}

/* ---- what is said ---- */

void
cli_print_error(const struct err *err)
{
	log_line(LOG_ERROR, "%s", err->text);
	if (err->hint[0] != '\0')
		log_line(LOG_ERROR, "hint: %s", err->hint);
}

int
cli_print_json(struct json_t *json, struct err *err)
{
	char *text = json == NULL ? NULL : json_text(json, true);
	int rc = 0;

	json_decref(json);
	if (text == NULL)
		return err_no_memory(err);
	if (puts(text) == EOF || fflush(stdout) == EOF)
		rc = err_errno(err, errno, "cannot write standard output");
	free(text);
	return rc;
}

struct json_t *
cli_error_json(const struct err *err)
{
	return json_pack("{s:s, s:s, s:s}", "class", err_class_name(err->class),
	    "text", err->text, "hint", err->hint);
}

int
cli_exit_code(const struct cli *cli, const struct err *err)
{
	if (cli->usage_error)
		return CLI_USAGE;
	return err->class == ERR_BUSY ? CLI_BUSY : CLI_FAILED;
}

static int
report_failure(struct cli *cli, const struct err *err)
{
	struct err printing = ERR_INIT;

	cli_print_error(err);
	if (cli->json)
		cli_print_json(json_pack("{s:o}", "error", cli_error_json(err)),
		    &printing);
	return cli_exit_code(cli, err);
}

static int
run_command(struct cli *cli, int argc, char **argv, struct err *err)
{
	const struct cli_command *command;
	int first = 0;

	switch (options_read_global(cli, argc, argv, &first, err)) {
	case -1:
		return -1;
	case 1:
		print_usage();
		return CLI_DONE;
	case 2:
		options_print_version();
		return CLI_DONE;
	}
	if (first >= argc) {
		cli_usage(cli, err, "no command given");
		return err_hint(err, "'holdstill --help' lists the commands");
	}
	if ((command = find_command(cli, argv[first], err)) == NULL)
		return -1;
	return call(cli, command, argc - first, argv + first, err);
}

int
cli_main(int argc, char **argv)
{
	struct cli cli = { 0 };
	struct err err = ERR_INIT;
	int rc = -1;

	if (cancel_init(&err) == 0)
		rc = run_command(&cli, argc, argv, &err);
	/* A list that a full disk has cut short must not look whole. */
	if (rc != -1 && (fflush(stdout) == EOF || ferror(stdout)))
		rc = err_errno(&err, errno, "cannot write standard output");
	progress_free(cli.progress);
	if (rc == -1)
		rc = report_failure(&cli, &err);
	job_context_fini(&cli.ctx);
	unlock_free(cli.unlock);
	config_free(cli.config);
	return rc;
}
