/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill init: makes a repository. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/unlock.h"
#include "backends/backend.h"
#include "common/err.h"
#include "common/json/json.h"
#include "store/store.h"

enum { KEY_COMPRESSION = 256, KEY_DAYS, KEY_ENCRYPT, KEY_RECOVERY };

static const struct cli_option options[] = {
	{ "compression", KEY_COMPRESSION, "HOW", false,
	    "none, auto or zstd:LEVEL (zstd:1)" },
	{ "undelete-days", KEY_DAYS, "N", false,
	    "how long forgotten points may be kept after all (7)" },
	{ "encrypt", KEY_ENCRYPT, "WITH", false,
	    "passphrase, keyfile or public-key" },
	{ "recovery", KEY_RECOVERY, NULL, false,
	    "print a recovery key as well" },
	{ NULL, 0, NULL, false, NULL },
};

struct request {
	struct store_init_options init;
	bool encrypt, recovery;
	enum seal_mode mode;
	enum slot_kind kind;
};

static int
set_encrypt(struct request *request, const char *value, struct err *err)
{
	request->encrypt = true;
	request->mode = SEAL_SECRET;
	if (strcmp(value, "passphrase") == 0) {
		request->kind = SLOT_PASSPHRASE;
		return 0;
	}
	if (strcmp(value, "keyfile") == 0) {
		request->kind = SLOT_FILE;
		return 0;
	}
	if (strcmp(value, "public-key") == 0) {
		/* Its owner has one or the other: see check(). */
		request->mode = SEAL_PUBLIC;
		request->kind = SLOT_PASSPHRASE;
		return 0;
	}
	return err_set(err, ERR_ARG,
	    "'--encrypt' takes passphrase, keyfile or public-key, not '%s'",
	    value);
}

static int
set(void *state, int key, const char *value, struct err *err)
{
	struct request *request = state;
	struct store_init_options *init = &request->init;

	switch (key) {
	case KEY_COMPRESSION:
		return store_compression_parse(&init->compression, value, err);
	case KEY_DAYS:
		init->has_undelete_days = true;
		return cli_number(&init->undelete_days, "undelete-days", value,
		    0, STORE_UNDELETE_DAYS_MAX, err);
	case KEY_ENCRYPT:
		return set_encrypt(request, value, err);
	default:
		request->recovery = true;
		return 0;
	}
}

static int
check(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	struct request *request = state;

	(void)arguments;
	if (request->recovery && !request->encrypt)
		return cli_usage(
		    cli, err, "'--recovery' goes with '--encrypt' only");
	if (!request->encrypt)
		return 0;
	if (request->mode == SEAL_PUBLIC)
		return 0;
	if (request->kind == SLOT_FILE && cli->passphrase_file != NULL)
		return cli_usage(cli, err,
		    "'--encrypt keyfile' does not go with '--passphrase-file'");
	if (request->kind == SLOT_PASSPHRASE && cli->key_file != NULL)
		return cli_usage(cli, err,
		    "'--encrypt passphrase' does not go with '--key-file'");
	return 0;
}

/* A key that nobody will need is a mistake: the repository would be refused
 * with it. */
static int
refuse_key(struct cli *cli, struct err *err)
{
	const char *url = cli->ctx.repository_url, *passphrase, *key;

	unlock_files(cli, url, &passphrase, &key);
	if (passphrase == NULL && key == NULL)
		return 0;
	cli_usage(cli, err,
	    "a key is given, but the repository is not to be encrypted");
	return err_hint(err, "add '--encrypt %s', or give no key",
	    passphrase != NULL ? "passphrase" : "keyfile");
}

/* The first key; it opens the repository right after, too. */
static int
make_key(struct cli *cli, struct request *request, struct err *err)
{
	const char *url = cli->ctx.repository_url, *passphrase, *key;
	int rc;

	unlock_files(cli, url, &passphrase, &key);
	if (request->mode == SEAL_PUBLIC && passphrase != NULL && key != NULL)
		return cli_usage(cli, err,
		    "both a passphrase file and a key file are given");
	if (request->mode == SEAL_PUBLIC && key != NULL)
		request->kind = SLOT_FILE;
	if (request->kind == SLOT_FILE && key == NULL)
		return cli_usage(cli, err,
		    "'--encrypt keyfile' needs '--key-file': where to make it");
	rc = request->kind == SLOT_FILE
		 ? unlock_new_key_file(&cli->unlock, key, err)
		 : unlock_new_passphrase(&cli->unlock, passphrase, err);
	if (rc == 0)
		cli->unlock_url = url;
	return rc;
}

static int
make_repository(struct cli *cli, struct request *request, struct err *err)
{
	struct store_init_options init = request->init;
	struct backend *backend = NULL;
	int rc = -1;

	if (request->encrypt) {
		if (make_key(cli, request, err) == -1)
			return -1;
		init.mode = request->mode;
		init.secret = &cli->unlock->secret;
		init.label = "first";
	} else if (refuse_key(cli, err) == -1) {
		return -1;
	}
	if (backend_open(
		&backend, cli->ctx.repository_url, BACKEND_CREATE, err) == 0)
		rc = store_init(backend, &init, err);
	backend_close(backend);
	if (rc == -1)
		err_prefix(err, "repository '%s'", cli->ctx.repository_url);
	return rc;
}

/* As '--encrypt' says it. */
static const char *
encryption(const struct request *request)
{
	if (!request->encrypt)
		return "none";
	if (request->mode == SEAL_PUBLIC)
		return "public-key";
	return request->kind == SLOT_FILE ? "keyfile" : "passphrase";
}

/* One document, of its recovery key as well. */
static int
say_json(struct cli *cli, const struct request *request, struct err *err)
{
	json_t *json = json_pack("{s:{s:s, s:s, s:s}}", "repository", "id",
	    store_id(cli->ctx.store), "url", cli->ctx.repository_url,
	    "encryption", encryption(request));

	return request->recovery ? cli_add_recovery(cli, "recovery", json, err)
				 : cli_print_json(json, err);
}

static int
say(struct cli *cli, const struct request *request, struct err *err)
{
	if (!cli->quiet)
		printf("made %srepository %.8s at %s\n",
		    request->encrypt ? "encrypted " : "",
		    store_id(cli->ctx.store), cli->ctx.repository_url);
	if (!cli->quiet && request->encrypt && !request->recovery)
		printf("Without its %s nobody can ever read it: 'holdstill key "
		       "add --recovery' prints\na second one to put away.\n",
		    slot_kind_words(request->kind));
	if (request->mode == SEAL_PUBLIC)
		printf("'holdstill key host FILE' makes a key for a host that "
		       "adds points and reads none.\n");
	return request->recovery ? cli_add_recovery(cli, "recovery", NULL, err)
				 : 0;
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	struct request *request = state;

	(void)arguments;
	if (make_repository(cli, request, err) == -1 ||
	    job_open_store(&cli->ctx, err) == -1)
		return -1;
	if (cli->json ? say_json(cli, request, err) == -1
		      : say(cli, request, err) == -1)
		return -1;
	return CLI_DONE;
}

/* As store_compression_default. */
static const struct request defaults = {
	.init.compression = { .mode = STORE_COMPRESSION_ZSTD, .level = 1 },
};

const struct cli_command cmd_init = {
	.name = "init",
	.arguments =
	    "[--repo URL] [--encrypt passphrase | keyfile | public-key]",
	.summary = "Make a repository",
	.example =
	    "  holdstill init --repo /srv/backup\n"
	    "  holdstill init --repo /mnt/nas/backup --compression auto\n"
	    "  holdstill init --repo /srv/backup --encrypt keyfile "
	    "--key-file /root/key\n"
	    "  holdstill init --repo /srv/backup --encrypt public-key\n",
	.options = options,
	.state_size = sizeof(defaults),
	.defaults = &defaults,
	.set = set,
	.check = check,
	.work = work,
};
