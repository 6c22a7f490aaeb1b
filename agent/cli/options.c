/* SPDX-License-Identifier: Apache-2.0 */
/* Global and command options through getopt_long(3). */
#include "agent/cli/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "common/words.h"

#define OPTIONS_MAX 48

enum {
	KEY_POSITIONAL = 1, /* getopt_long's, with "-" in front. */
	KEY_CONFIG = 1000,
	KEY_CONNECT,
	KEY_HELP,
	KEY_JSON,
	KEY_KEY_FILE,
	KEY_NO_PROGRESS,
	KEY_PASSPHRASE_FILE,
	KEY_REPO,
	KEY_STATE_DIR,
	KEY_VERSION,
};

static const struct cli_option global_options[] = {
	{ "repo", KEY_REPO, "URL", false, "the repository" },
	{ "connect", KEY_CONNECT, "URI", false, "libvirt's connection" },
	{ "config", KEY_CONFIG, "FILE", false, "the configuration" },
	{ "state-dir", KEY_STATE_DIR, "DIR", false,
	    "catalog, local index, effect journal" },
	{ "passphrase-file", KEY_PASSPHRASE_FILE, "FILE", false,
	    "what opens an encrypted repository" },
	{ "key-file", KEY_KEY_FILE, "FILE", false, "the same, a key file" },
	{ "json", KEY_JSON, NULL, false,
	    "one JSON document on standard output" },
	{ "quiet", 'q', NULL, false, "only warnings and errors (-q)" },
	{ "verbose", 'v', NULL, false, "say more (-v)" },
	{ "no-progress", KEY_NO_PROGRESS, NULL, false, "show no progress" },
	{ "help", KEY_HELP, NULL, false, "this text (-h)" },
	{ "version", KEY_VERSION, NULL, false, "the version" },
	{ NULL, 0, NULL, false, NULL },
};

static size_t
add_options(struct option *out, size_t count, const struct cli_option *options)
{
	for (; options != NULL && options->name != NULL; options++) {
		if (count + 1 >= OPTIONS_MAX)
			break;
		out[count].name = options->name;
		/* An optional value is taken from the next word by us. */
		out[count].has_arg =
		    options->value != NULL && !options->value_optional
			? required_argument
			: no_argument;
		out[count].flag = NULL;
		out[count].val = options->key;
		count++;
	}
	memset(&out[count], 0, sizeof(out[count]));
	return count;
}

/* Where the text of a global option goes. */
static const struct {
	int key;
	size_t offset;
} texts[] = {
	{ KEY_CONFIG, offsetof(struct cli, config_path) },
	{ KEY_CONNECT, offsetof(struct cli, connect) },
	{ KEY_KEY_FILE, offsetof(struct cli, key_file) },
	{ KEY_PASSPHRASE_FILE, offsetof(struct cli, passphrase_file) },
	{ KEY_REPO, offsetof(struct cli, repository) },
	{ KEY_STATE_DIR, offsetof(struct cli, state_dir) },
};

static bool
set_text(struct cli *cli, int key, const char *value)
{
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].key == key) {
			memcpy((char *)cli + texts[i].offset, &value,
			    sizeof(value));
			return true;
		}
	return false;
}

/* Takes a global option; false: it is none. */
static bool
set_global(struct cli *cli, int key, const char *value)
{
	switch (key) {
	case KEY_JSON:
		cli->json = true;
		return true;
	case KEY_NO_PROGRESS:
		cli->no_progress = true;
		return true;
	case 'q':
		cli->quiet = true;
		log_set_level(LOG_WARNING);
		return true;
	case 'v':
		log_set_level(LOG_INFO);
		return true;
	default:
		return set_text(cli, key, value);
	}
}

static int
unknown_option(struct cli *cli, const char *word, const struct option *known,
    struct err *err)
{
	const char *names[OPTIONS_MAX], *nearest;
	size_t count = 0;

	for (; known->name != NULL; known++)
		names[count++] = known->name;
	cli_usage(cli, err, "unknown option '%s'", word);
	nearest = words_nearest(word + strspn(word, "-"), CLI_NEAR_EDITS, names,
	    count, sizeof(names[0]));
	if (nearest != NULL)
		err_hint(err, "did you mean '--%s'?", nearest);
	return -1;
}

static int
refuse(struct cli *cli, int key, char **argv, int index,
    const struct option *known, struct err *err)
{
	const char *word = argv[index - 1];

	if (key == ':')
		return cli_usage(cli, err, "option '%s' needs a value", word);
	return unknown_option(cli, word, known, err);
}

static const struct cli_option *
find_option(const struct cli_command *command, int key)
{
	const struct cli_option *option = command->options;

	for (; option != NULL && option->name != NULL; option++)
		if (option->key == key)
			return option;
	return NULL;
}

/* The next word, when it can be the value of an option that may have one
 * and the first argument was given already. */
static const char *
optional_value(
    const struct cli_option *option, int argc, char **argv, int arguments)
{
	if (option == NULL || !option->value_optional || arguments == 0 ||
	    optind >= argc || argv[optind][0] == '-')
		return NULL;
	return argv[optind++];
}

static int
read_words(struct cli *cli, const struct cli_command *command, int argc,
    char **argv, cli_set_fn *set, void *state, struct cli_arguments *out,
    struct err *err)
{
	struct option known[OPTIONS_MAX];
	const struct cli_option *option;
	const char *value;
	int key;

	add_options(
	    known, add_options(known, 0, command->options), global_options);
	optind = 0; /* glibc: starts anew. */
	opterr = 0;
	while ((key = getopt_long(argc, argv, "-:qvh", known, NULL)) != -1) {
		if (key == '?' || key == ':')
			return refuse(cli, key, argv, optind, known, err);
		if (key == KEY_HELP || key == 'h')
			return 1;
		if (key == KEY_VERSION)
			return 2;
		if (key == KEY_POSITIONAL) {
			out->word[out->count++] = optarg;
			continue;
		}
		if (set_global(cli, key, optarg))
			continue;
		option = find_option(command, key);
		value = optarg != NULL
			    ? optarg
			    : optional_value(option, argc, argv, out->count);
		if (set == NULL || option == NULL ||
		    set(state, key, value, err) == -1) {
			cli->usage_error = true;
			return -1;
		}
	}
	while (optind < argc) /* Behind "--". */
		out->word[out->count++] = argv[optind++];
	return 0;
}

int
options_read(struct cli *cli, const struct cli_command *command, int argc,
    char **argv, cli_set_fn *set, void *state, struct cli_arguments *out,
    struct err *err)
{
	int rc;

	out->count = 0;
	out->word = calloc((size_t)argc + 1, sizeof(*out->word));
	if (out->word == NULL)
		return err_no_memory(err);
	rc = read_words(cli, command, argc, argv, set, state, out, err);
	if (rc == 1)
		options_print_help(command);
	if (rc == 2)
		options_print_version();
	if (rc != 0) {
		free(out->word);
		out->word = NULL;
		out->count = 0;
	}
	return rc > 0 ? 1 : rc;
}

int
options_read_global(
    struct cli *cli, int argc, char **argv, int *out, struct err *err)
{
	struct option known[OPTIONS_MAX];
	int key;

	add_options(known, 0, global_options);
	optind = 0;
	opterr = 0;
	while ((key = getopt_long(argc, argv, "+:qvh", known, NULL)) != -1) {
		if (key == '?' || key == ':')
			return refuse(cli, key, argv, optind, known, err);
		if (key == KEY_HELP || key == 'h')
			return 1;
		if (key == KEY_VERSION)
			return 2;
		set_global(cli, key, optarg);
	}
	*out = optind;
	return 0;
}

void
options_print_version(void)
{
	printf("holdstill %s\n", HOLDSTILL_VERSION);
}

static void
print_options(const struct cli_option *options)
{
	char text[64];

	for (; options->name != NULL; options++) {
		snprintf(text, sizeof(text), "--%s%s%s%s", options->name,
		    options->value != NULL ? " " : "",
		    options->value_optional ? "[NAME]" : "",
		    options->value != NULL && !options->value_optional
			? options->value
			: "");
		printf("  %-24s  %s\n", text, options->help);
	}
}

void
options_print_help(const struct cli_command *command)
{
	printf("usage: holdstill %s%s%s\n\n%s.\n", command->name,
	    command->arguments[0] != '\0' ? " " : "", command->arguments,
	    command->summary);
	if (command->options != NULL) {
		printf("\nOptions:\n");
		print_options(command->options);
	}
	options_print_global();
	if (command->example != NULL)
		printf("\nExamples:\n%s", command->example);
	printf("\nholdstill(8) says more.\n");
}

void
options_print_global(void)
{
	printf("\nGlobal options:\n");
	print_options(global_options);
}
