/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of a test: whole lines in a folder of their own. */
#ifndef HOLDSTILL_TESTS_UNIT_CLI_RIG_H
#define HOLDSTILL_TESTS_UNIT_CLI_RIG_H

/* Where all of it lies, and what the last command said, on both streams. */
extern char cli_rig_root[64];
extern char cli_rig_out[16384];

int cli_rig_setup(void **state);
int cli_rig_teardown(void **state);

/* A file in the folder, for its owner alone. */
void cli_rig_file(const char *name, const char *text);

/* Begins a line: repository, state and configuration of the folder. */
#define CLI_RIG_HS \
	"holdstill --state-dir @/state --config @/conf --repo @/repo "

/* Runs words, with '@' behind a blank or '=' for the folder, without a
 * terminal; returns the exit code. */
int cli_rig_run(const char *line);

/* The same; fails the test unless it ends so and says that. */
void cli_rig_expect(int code, const char *line, const char *part);

/* Fails the test if the last command has said that. */
void cli_rig_unsaid(const char *part);

#endif
