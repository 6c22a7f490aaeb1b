/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What opens an encrypted repository: read from a file that was named, or
 * asked for on the terminal.  It lies in locked memory and is wiped.
 */
#ifndef HOLDSTILL_AGENT_CLI_UNLOCK_H
#define HOLDSTILL_AGENT_CLI_UNLOCK_H

#include "store/seal/slot.h"

struct cli;
struct err;

/* A passphrase, the bytes of a key file or of a recovery key. */
struct unlock {
	struct slot_secret secret; /* Points into text. */
	char text[SLOT_PASSPHRASE_MAX + 8];
};

/* NULL is allowed; wipes. */
void unlock_free(struct unlock *u);

/*
 * Reads a passphrase, or a recovery key in its place, from the first line of
 * a file, or a key file.  The caller frees *out.
 */
int unlock_read_passphrase(
    struct unlock **out, const char *path, struct err *err);
int unlock_read_key_file(
    struct unlock **out, const char *path, struct err *err);

/*
 * Asks on the terminal, without echo; twice: for a new passphrase.  ERR_AUTH:
 * standard input is no terminal.
 */
int unlock_ask(
    struct unlock **out, const char *prompt, bool twice, struct err *err);

/* A random recovery key; text to be shown is written to printed. */
int unlock_make_recovery(
    struct unlock **out, char *printed, size_t size, struct err *err);

/* Tells the context of cli to get its keys from here. */
void unlock_attach(struct cli *cli);

/* For a new slot: path NULL: asked for, twice; a key file is made if there is
 * none. */
int unlock_new_passphrase(
    struct unlock **out, const char *path, struct err *err);
int unlock_new_key_file(struct unlock **out, const char *path, struct err *err);

/* The files named for that repository by option, environment or, where its
 * section has that url, the configuration; NULL if none. */
void unlock_files(const struct cli *cli, const char *url,
    const char **passphrase, const char **key);

/*
 * What was given for the repository at url, by option, environment or
 * configuration: 1 and *out, which stays cli's; 0: nothing; -1.
 */
int unlock_given(struct cli *cli, const char *url,
    const struct slot_secret **out, struct err *err);

#endif
