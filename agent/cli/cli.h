/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: global options, the table of commands, help, and how an
 * error becomes a line and an exit code.  One small file per command stands
 * beside this one, cmd_*.c.
 */
#ifndef HOLDSTILL_AGENT_CLI_CLI_H
#define HOLDSTILL_AGENT_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/job/context.h"

/* With more edits a misspelt command or option is another word. */
#define CLI_NEAR_EDITS 2

struct config;
struct err;
struct json_t;
struct progress;
struct unlock;

/* Scripts rely on these; holdstill(8) lists them. */
enum cli_exit {
	CLI_DONE = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_DEMOTED = 3,
	CLI_BUSY = 4,
};

struct cli {
	const char *repository; /* As given; NULL: not given. */
	const char *connect;
	const char *config_path;
	const char *state_dir;
	const char *passphrase_file, *key_file;
	bool json, quiet, no_progress;

	bool usage_error; /* The failure at hand is the user's typing. */
	struct config *config;
	struct unlock *unlock; /* What opens unlock_url, or NULL. */
	const char *unlock_url;
	struct job_context ctx;
	struct progress *progress;
};

struct cli_option {
	const char *name;    /* Without the dashes; NULL ends a table. */
	int key;             /* What set() is called with. */
	const char *value;   /* The value's name for help; NULL: a flag. */
	bool value_optional; /* The next word is it, unless it is an option. */
	const char *help;
};

/* Takes one option of a command. */
typedef int cli_set_fn(
    void *state, int key, const char *value, struct err *err);

struct cli_arguments {
	char **word; /* Points into argv, in order. */
	int count;
};

/* A command's work, when its words are understood: an exit code, or -1. */
typedef int cli_work_fn(struct cli *cli, void *state,
    const struct cli_arguments *arguments, struct err *err);

/*
 * One command.  Its words are read into a state of its own; mistakes before
 * the work are the user's (exit code 2).
 */
struct cli_command {
	const char *name;
	const char *arguments; /* For the usage line. */
	const char *summary;
	const char *example; /* One or more lines, each with two blanks. */
	const struct cli_option *options; /* NULL: none but the global ones. */
	int min, max;                     /* Arguments; max -1: any number. */
	size_t state_size;                /* 0: neither state nor options. */
	const void *defaults; /* What the state begins as; NULL: zeros. */
	cli_set_fn *set;      /* Takes an option; NULL without options. */
	/* Looks at options and arguments together; NULL: nothing to check. */
	cli_work_fn *check;
	cli_work_fn *work;
	void (*fini)(void *state); /* Frees what set() made; may be NULL. */
};

/* Fails as wrong usage; returns -1. */
int cli_usage(struct cli *cli, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Reads a whole number from min to max. */
int cli_number(unsigned int *out, const char *option, const char *value,
    unsigned int min, unsigned int max, struct err *err);

/* Reads the seconds of '--lease'. */
int cli_lease(unsigned int *out_ms, const char *value, struct err *err);

/* Reads bytes a second; K, M and so on may stand behind them. */
int cli_rate(
    uint64_t *out, const char *option, const char *value, struct err *err);

/* The options of commands that move data. */
#define CLI_LIMIT_RATE_HELP "bytes a second to and from the repository"
#define CLI_LIMIT_READ_HELP "bytes a second read from the guests' disks"
#define CLI_COMPRESSION_HELP "none, auto or zstd:LEVEL, for this run"

/* A folder from the root, as cron, systemd and a person stand in different
 * ones; what: "'--state-dir'". */
int cli_absolute(const char *what, const char *path, struct err *err);

/* Can this build use the context's repository?  Else wrong usage. */
int cli_check_repository(struct cli *cli, struct err *err);

/* "holdstill: TEXT" and, on a line of its own, the hint. */
void cli_print_error(const struct err *err);

/* One JSON document on standard output; takes the reference. */
int cli_print_json(struct json_t *json, struct err *err);

/* {"class","text","hint"}; NULL without memory. */
struct json_t *cli_error_json(const struct err *err);

/* The exit code of a failure. */
int cli_exit_code(const struct cli *cli, const struct err *err);

int cli_main(int argc, char **argv);

/* Adds a recovery key to the open repository and prints it; as JSON in the
 * document, of which it takes the reference, or in one of its own. */
int cli_add_recovery(struct cli *cli, const char *label,
    struct json_t *document, struct err *err);

/* ---- the commands ---- */

extern const struct cli_command cmd_backup;
extern const struct cli_command cmd_catalog;
extern const struct cli_command cmd_forget;
extern const struct cli_command cmd_unforget;
extern const struct cli_command cmd_guest;
extern const struct cli_command cmd_init;
extern const struct cli_command cmd_key;
extern const struct cli_command cmd_list;
extern const struct cli_command cmd_prune;
extern const struct cli_command cmd_recover;
extern const struct cli_command cmd_repair;
extern const struct cli_command cmd_restore;
extern const struct cli_command cmd_run;
extern const struct cli_command cmd_show;
extern const struct cli_command cmd_verify;

#endif
