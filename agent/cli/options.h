/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a command beside the global ones, through getopt_long(3). */
#ifndef HOLDSTILL_AGENT_CLI_OPTIONS_H
#define HOLDSTILL_AGENT_CLI_OPTIONS_H

#include "agent/cli/cli.h"

/* Reads all options in any order; out->word is malloc'd (NULL if none).
 * 0; 1: help or the version was asked for, and printed; -1. */
int options_read(struct cli *cli, const struct cli_command *command, int argc,
    char **argv, cli_set_fn *set, void *state, struct cli_arguments *out,
    struct err *err);

/* Reads the global options before the command.  *out is the index of the
 * command in argv.  0, 1 for --help, 2 for --version, -1. */
int options_read_global(
    struct cli *cli, int argc, char **argv, int *out, struct err *err);

void options_print_version(void);

/* The usage of one command. */
void options_print_help(const struct cli_command *command);

/* Lines about the global options. */
void options_print_global(void);

#endif
