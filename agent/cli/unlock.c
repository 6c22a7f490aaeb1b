/* SPDX-License-Identifier: Apache-2.0 */
/* Passphrases and key files, from files and from the terminal. */
#include "agent/cli/unlock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/config/config.h"
#include "common/cancel.h"
#include "common/err.h"
#include "common/hexid.h"
#include "store/seal/hostkey.h"
#include "store/seal/keyfile.h"
#include "store/seal/recovery.h"
#include "store/seal/secret.h"

void
unlock_free(struct unlock *u)
{
	if (u != NULL)
		secret_free(u, sizeof(*u));
}

static int
make(struct unlock **out, struct err *err)
{
	/* No core dumps of who holds keys: one byte is too little for one,
	 * and unlike 0 keeps it from a program that collects them, too. */
	const struct rlimit none = { .rlim_cur = 1, .rlim_max = 1 };

	setrlimit(RLIMIT_CORE, &none);
	*out = secret_alloc(sizeof(**out));
	if (*out != NULL)
		return 0;
	err_no_memory(err);
	return -1;
}

/* Text that is a recovery key counts as that. */
static int
take_text(struct unlock *u, size_t size, struct err *err)
{
	uint8_t recovery[RECOVERY_SECRET_BYTES];
	struct err ignored = ERR_INIT;

	if (size == 0 || size > SLOT_PASSPHRASE_MAX)
		return err_set(err, ERR_ARG,
		    "a passphrase has 1 to %d bytes, not %zu",
		    SLOT_PASSPHRASE_MAX, size);
	u->text[size] = '\0';
	u->secret = (struct slot_secret){ SLOT_PASSPHRASE, u->text, size };
	if (strlen(u->text) == size &&
	    recovery_parse(recovery, u->text, &ignored) == 0) {
		memcpy(u->text, recovery, sizeof(recovery));
		u->secret.kind = SLOT_RECOVERY;
		u->secret.size = sizeof(recovery);
	}
	secret_wipe(recovery, sizeof(recovery));
	return 0;
}

int
unlock_read_passphrase(struct unlock **out, const char *path, struct err *err)
{
	struct unlock *u;
	const char *end;
	size_t size;

	if (make(&u, err) == -1)
		return -1;
	if (keyfile_load(u->text, sizeof(u->text), &size, path, err) == -1)
		goto fail;
	if ((end = memchr(u->text, '\n', size)) != NULL)
		size = (size_t)(end - u->text);
	if (take_text(u, size, err) == -1) {
		err_prefix(err, "'%s'", path);
		goto fail;
	}
	*out = u;
	return 0;
fail:
	unlock_free(u);
	return -1;
}

static void
take_key(struct unlock *u)
{
	u->secret =
	    (struct slot_secret){ SLOT_FILE, u->text, KEYFILE_SECRET_BYTES };
}

/* A host's key is opened with its path: the store reads and changes it. */
static int
take_host(struct unlock *u, const char *path, struct err *err)
{
	char *real = realpath(path, NULL);
	int rc = 0;

	if (real == NULL)
		rc = err_errno(err, errno, "cannot open '%s'", path);
	else if (strlen(real) >= sizeof(u->text))
		rc = err_set(err, ERR_ARG, "'%s' is too long a name", path);
	else
		memcpy(u->text, real, strlen(real) + 1);
	free(real);
	u->secret = (struct slot_secret){ SLOT_HOST, u->text, strlen(u->text) };
	return rc;
}

/* 1: *u has it; 0: the file is no host key. */
static int
read_host(struct unlock *u, const char *path, struct err *err)
{
	struct stat st;
	size_t size;

	/* A pipe can be read but once. */
	if (stat(path, &st) == -1 || !S_ISREG(st.st_mode))
		return 0;
	if (keyfile_load(u->text, sizeof(u->text), &size, path, err) == -1)
		return -1;
	if (!hostkey_is_one(u->text))
		return 0;
	secret_wipe(u->text, sizeof(u->text));
	return take_host(u, path, err) == -1 ? -1 : 1;
}

int
unlock_read_key_file(struct unlock **out, const char *path, struct err *err)
{
	struct unlock *u;
	int rc;

	if (make(&u, err) == -1)
		return -1;
	if ((rc = read_host(u, path, err)) != 0) {
		if (rc == -1)
			unlock_free(u);
		else
			*out = u;
		return rc == -1 ? -1 : 0;
	}
	if (keyfile_read((uint8_t *)u->text, path, err) == -1) {
		unlock_free(u);
		return -1;
	}
	take_key(u);
	*out = u;
	return 0;
}

int
unlock_make_recovery(
    struct unlock **out, char *printed, size_t size, struct err *err)
{
	struct unlock *u;

	if (size < RECOVERY_TEXT_SIZE)
		return err_set(err, ERR_BUG, "no room for a recovery key");
	if (make(&u, err) == -1)
		return -1;
	if (hexid_random(u->text, RECOVERY_SECRET_BYTES, err) == -1 ||
	    recovery_print(printed, (uint8_t *)u->text, err) == -1) {
		unlock_free(u);
		return -1;
	}
	u->secret = (struct slot_secret){ SLOT_RECOVERY, u->text,
		RECOVERY_SECRET_BYTES };
	*out = u;
	return 0;
}

/* ---- the terminal ---- */

/* One line, without its end; Ctrl-C ends the wait. */
static int
read_line(char *text, size_t size, size_t *out_size, struct err *err)
{
	struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = cancel_fd(), .events = POLLIN } };
	ssize_t n;
	char c;

	*out_size = 0;
	for (;;) {
		if (poll(fds, 2, -1) == -1 && errno != EINTR)
			return err_errno(
			    err, errno, "cannot read the terminal");
		if (cancel_check(err) == -1)
			return -1;
		if ((fds[0].revents & (POLLIN | POLLHUP)) == 0)
			continue;
		if ((n = read(STDIN_FILENO, &c, 1)) == -1)
			return err_errno(
			    err, errno, "cannot read the terminal");
		if (n == 0 || c == '\n')
			return 0;
		if (*out_size + 1 >= size)
			return err_set(
			    err, ERR_ARG, "the passphrase is too long");
		text[(*out_size)++] = c;
	}
}

static int
ask_once(char *text, size_t size, size_t *out_size, const char *prompt,
    struct err *err)
{
	struct termios old, quiet;
	int rc;

	if (tcgetattr(STDIN_FILENO, &old) == -1)
		return err_errno(err, errno, "cannot ask on the terminal");
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	fprintf(stderr, "%s: ", prompt);
	fflush(stderr);
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == -1)
		return err_errno(err, errno, "cannot ask on the terminal");
	rc = read_line(text, size, out_size, err);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
	fputc('\n', stderr);
	return rc;
}

static int
ask_again(const struct unlock *u, size_t size, struct err *err)
{
	struct unlock *again;
	size_t again_size = 0;
	int rc;

	if (make(&again, err) == -1)
		return -1;
	rc = ask_once(again->text, sizeof(again->text), &again_size,
	    "The same again", err);
	if (rc == 0 &&
	    (again_size != size || !secret_equal(again->text, u->text, size)))
		rc = err_set(err, ERR_ARG, "the two are not the same");
	unlock_free(again);
	return rc;
}

static int
no_terminal(bool new_one, struct err *err)
{
	if (new_one) {
		err_set(err, ERR_AUTH,
		    "no new passphrase is given, and there is no terminal to "
		    "ask on");
		return err_hint(err,
		    "give it in a file: with --passphrase-file to 'init', with "
		    "--new-passphrase-file to 'key'");
	}
	err_set(err, ERR_AUTH,
	    "it is encrypted, no key is given, and there is no terminal to "
	    "ask on");
	return err_hint(err,
	    "give --passphrase-file or --key-file, or write passphrase-file or "
	    "key-file into its section of the configuration");
}

int
unlock_ask(struct unlock **out, const char *prompt, bool twice, struct err *err)
{
	struct unlock *u;
	size_t size;

	if (isatty(STDIN_FILENO) != 1)
		return no_terminal(twice, err);
	if (make(&u, err) == -1)
		return -1;
	if (ask_once(u->text, sizeof(u->text), &size, prompt, err) == -1 ||
	    (twice && ask_again(u, size, err) == -1) ||
	    take_text(u, size, err) == -1) {
		unlock_free(u);
		return -1;
	}
	*out = u;
	return 0;
}

/* ---- new ones ---- */

int
unlock_new_passphrase(struct unlock **out, const char *path, struct err *err)
{
	int rc = path != NULL ? unlock_read_passphrase(out, path, err)
			      : unlock_ask(out, "New passphrase", true, err);

	if (rc == -1 || (*out)->secret.kind == SLOT_PASSPHRASE)
		return rc;
	unlock_free(*out);
	*out = NULL;
	return err_set(err, ERR_ARG,
	    "that has the form of a recovery key: choose another passphrase");
}

int
unlock_new_key_file(struct unlock **out, const char *path, struct err *err)
{
	struct unlock *u;

	if (make(&u, err) == -1)
		return -1;
	if (keyfile_make((uint8_t *)u->text, path, err) == 0) {
		take_key(u);
		*out = u;
		return 0;
	}
	unlock_free(u);
	if (err->class != ERR_EXISTS)
		return -1;
	err_clear(err);
	if (unlock_read_key_file(out, path, err) == -1)
		return -1;
	if ((*out)->secret.kind == SLOT_FILE)
		return 0;
	unlock_free(*out);
	*out = NULL;
	return err_set(err, ERR_ARG,
	    "'%s' is the key of a host, which opens nothing: name another "
	    "file",
	    path);
}

/* ---- what was given ---- */

/* The section of that repository, or NULL. */
static const struct config_repository *
section_of(const struct config *config, const char *url)
{
	size_t i;

	for (i = 0; config != NULL && i < config->repository_count; i++) {
		if (strcmp(config->repositories[i]->url, url) == 0)
			return config->repositories[i];
	}
	return NULL;
}

/* Where a key is named, passphrase file first. */
static const char *const places[][2] = {
	{ "--passphrase-file", "--key-file" },
	{ "HOLDSTILL_PASSPHRASE_FILE in the environment",
	    "HOLDSTILL_KEY_FILE in the environment" },
	{ "passphrase-file in the configuration",
	    "key-file in the configuration" },
};

/* The first place that names any of the two decides: its number. */
static size_t
find_files(const struct cli *cli, const char *url, const char **passphrase,
    const char **key)
{
	const struct config_repository *section;

	*passphrase = cli->passphrase_file;
	*key = cli->key_file;
	if (*passphrase != NULL || *key != NULL)
		return 0;
	*passphrase = getenv("HOLDSTILL_PASSPHRASE_FILE");
	*key = getenv("HOLDSTILL_KEY_FILE");
	if (*passphrase != NULL || *key != NULL)
		return 1;
	if ((section = section_of(cli->config, url)) != NULL) {
		*passphrase = section->passphrase_file;
		*key = section->key_file;
	}
	return 2;
}

void
unlock_files(const struct cli *cli, const char *url, const char **passphrase,
    const char **key)
{
	find_files(cli, url, passphrase, key);
}

int
unlock_given(struct cli *cli, const char *url, const struct slot_secret **out,
    struct err *err)
{
	const char *passphrase, *key;
	size_t place;

	if (cli->unlock == NULL || strcmp(cli->unlock_url, url) != 0) {
		unlock_free(cli->unlock);
		cli->unlock = NULL;
		cli->ctx.keys.origin = NULL;
		place = find_files(cli, url, &passphrase, &key);
		if (passphrase == NULL && key == NULL)
			return 0;
		cli->ctx.keys.origin = places[place][passphrase == NULL];
		if (passphrase != NULL && key != NULL) {
			cli->usage_error = true;
			return err_set(err, ERR_ARG,
			    "both a passphrase file and a key file are given: "
			    "%s and %s",
			    places[place][0], places[place][1]);
		}
		if ((passphrase != NULL ? unlock_read_passphrase(
					      &cli->unlock, passphrase, err)
					: unlock_read_key_file(
					      &cli->unlock, key, err)) == -1)
			return -1;
		cli->unlock_url = url;
	}
	*out = &cli->unlock->secret;
	return 1;
}

static int
given(
    void *arg, const char *url, const struct slot_secret **out, struct err *err)
{
	return unlock_given(arg, url, out, err);
}

/* store_open() calls it only if the repository is encrypted. */
static int
ask(void *arg, struct slot_secret *out, struct err *err)
{
	struct cli *cli = arg;

	unlock_free(cli->unlock);
	cli->unlock = NULL;
	if (unlock_ask(
		&cli->unlock, "Passphrase of the repository", false, err) == -1)
		return -1;
	cli->unlock_url = cli->ctx.repository_url;
	*out = cli->unlock->secret;
	return 0;
}

void
unlock_attach(struct cli *cli)
{
	cli->ctx.keys.arg = cli;
	cli->ctx.keys.given = given;
	cli->ctx.keys.ask = ask;
}
