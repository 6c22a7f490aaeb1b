/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill key: what opens an encrypted repository. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/cli/unlock.h"
#include "common/err.h"
#include "common/hexid.h"
#include "common/json/json.h"
#include "store/seal/keyfile.h"
#include "store/seal/recovery.h"
#include "store/seal/secret.h"
#include "store/store.h"

enum {
	KEY_IN_USE = 256,
	KEY_LABEL,
	KEY_NEW_KEY,
	KEY_NEW_PASSPHRASE,
	KEY_RECOVERY,
};

static const struct cli_option options[] = {
	{ "new-passphrase-file", KEY_NEW_PASSPHRASE, "FILE", false,
	    "add, rotate-slot: the new passphrase" },
	{ "new-key-file", KEY_NEW_KEY, "FILE", false,
	    "add, rotate-slot: the new key file, made if absent" },
	{ "recovery", KEY_RECOVERY, NULL, false,
	    "add: a key to be printed and put away" },
	{ "label", KEY_LABEL, "TEXT", false, "add: what to call it" },
	{ "in-use", KEY_IN_USE, NULL, false,
	    "remove: also the key that is given" },
	{ NULL, 0, NULL, false, NULL },
};

struct request {
	const char *passphrase_file, *key_file, *label;
	bool recovery, in_use;
};

static int
set(void *state, int key, const char *value, struct err *err)
{
	struct request *request = state;

	(void)err;
	if (key == KEY_NEW_PASSPHRASE)
		request->passphrase_file = value;
	else if (key == KEY_NEW_KEY)
		request->key_file = value;
	else if (key == KEY_LABEL)
		request->label = value;
	else if (key == KEY_IN_USE)
		request->in_use = true;
	else
		request->recovery = true;
	return 0;
}

static json_t *
slot_json(const struct slot *slot, const char *opened)
{
	char id[HEXID_SIZE];

	hex_encode(id, slot->id, sizeof(slot->id));
	return json_pack("{s:s, s:s, s:s, s:s, s:b}", "id", id, "kind",
	    slot_kind_name(slot->kind), "label", slot->label, "created",
	    slot->created, "in_use", strcmp(id, opened) == 0);
}

static int
print_list_json(
    const struct slot_list *list, const char *opened, struct err *err)
{
	json_t *slots = json_array(), *damaged = json_array();
	char id[HEXID_SIZE];
	size_t i;

	for (i = 0; i < list->count; i++)
		json_array_append_new(
		    slots, slot_json(&list->slots[i], opened));
	for (i = 0; i < list->damaged_count; i++) {
		hex_encode(id, list->damaged[i], SEAL_ID_BYTES);
		json_array_append_new(damaged, json_string(id));
	}
	return cli_print_json(
	    json_pack("{s:o, s:o}", "keys", slots, "damaged", damaged), err);
}

static void
print_list(const struct slot_list *list, const char *opened)
{
	char id[HEXID_SIZE];
	size_t i;

	for (i = 0; i < list->count; i++) {
		hex_encode(id, list->slots[i].id, SEAL_ID_BYTES);
		printf("%.8s  %-12s  %s  %s%s\n", id,
		    slot_kind_words(list->slots[i].kind),
		    list->slots[i].created, list->slots[i].label,
		    strcmp(id, opened) == 0 ? "  (in use)" : "");
	}
	for (i = 0; i < list->damaged_count; i++) {
		hex_encode(id, list->damaged[i], SEAL_ID_BYTES);
		printf("%.8s  damaged\n", id);
	}
}

static int
key_list(struct cli *cli, const struct request *request, const char *word,
    struct err *err)
{
	char opened[HEXID_SIZE];
	struct slot_list list;
	int rc = 0;

	(void)request;
	(void)word;
	if (store_key_list(&list, cli->ctx.store, err) == -1)
		return -1;
	store_key_opened(opened, cli->ctx.store);
	if (cli->json)
		rc = print_list_json(&list, opened, err);
	else
		print_list(&list, opened);
	slot_list_fini(&list);
	return rc;
}

/* ---- add ---- */

static int
read_new(struct unlock **out, const struct request *request, struct err *err)
{
	if (request->key_file != NULL)
		return unlock_new_key_file(out, request->key_file, err);
	return unlock_new_passphrase(out, request->passphrase_file, err);
}

static void
print_recovery(const char *text)
{
	printf("recovery key: %s\n"
	       "It opens the repository like a passphrase, and is shown only "
	       "now: print it and put it away.\n",
	    text);
}

/* document: what the key is told of in, or NULL. */
static int
said(struct cli *cli, json_t *document, const char *id, const char *recovery,
    struct err *err)
{
	if (cli->json) {
		if (document == NULL)
			document = json_object();
		json_object_set_new(document, "key",
		    json_pack("{s:s, s:s*}", "id", id, "recovery_key",
			recovery[0] != '\0' ? recovery : NULL));
		return cli_print_json(document, err);
	}
	if (recovery[0] != '\0')
		print_recovery(recovery);
	else if (!cli->quiet)
		printf("added key %.8s\n", id);
	return 0;
}

int
cli_add_recovery(
    struct cli *cli, const char *label, json_t *document, struct err *err)
{
	char recovery[RECOVERY_TEXT_SIZE] = "", id[HEXID_SIZE];
	struct unlock *new = NULL;
	int rc = -1;

	if (unlock_make_recovery(&new, recovery, sizeof(recovery), err) == 0 &&
	    store_key_add(cli->ctx.store, id, &new->secret, label, NULL, err) ==
		0)
		rc = said(cli, document, id, recovery, err);
	else
		json_decref(document);
	secret_wipe(recovery, sizeof(recovery));
	unlock_free(new);
	return rc;
}

static int
add(char id[HEXID_SIZE], struct cli *cli, const struct request *request,
    struct err *err)
{
	struct unlock *new;
	int rc;

	if (read_new(&new, request, err) == -1)
		return -1;
	rc = store_key_add(cli->ctx.store, id, &new->secret,
	    request->label != NULL ? request->label : "", NULL, err);
	unlock_free(new);
	return rc;
}

static int
key_add(struct cli *cli, const struct request *request, const char *word,
    struct err *err)
{
	char id[HEXID_SIZE];

	(void)word;
	if (request->recovery)
		return cli_add_recovery(cli,
		    request->label != NULL ? request->label : "recovery", NULL,
		    err);
	if (add(id, cli, request, err) == -1)
		return -1;
	return said(cli, NULL, id, "", err);
}

/* ---- remove, rotate-slot ---- */

static int
no_id(struct cli *cli, const char *word, struct err *err)
{
	if (strspn(word, "0123456789abcdefABCDEF") != strlen(word))
		cli_usage(cli, err, "'%.64s' is no id of a key", word);
	else
		cli_usage(cli, err,
		    "'key remove' takes at least %d digits of a key's id, not "
		    "'%.64s'",
		    HEXID_START_MIN, word);
	return err_hint(err, "'holdstill key list' names them");
}

/* The slot whose id begins with word. */
static int
resolve(char id[HEXID_SIZE], struct cli *cli, const char *word, struct err *err)
{
	struct slot_list list;
	char one[HEXID_SIZE], start[HEXID_SIZE];
	size_t i, found = 0;

	if (hexid_start(start, word) == -1)
		return no_id(cli, word, err);
	if (store_key_list(&list, cli->ctx.store, err) == -1)
		return -1;
	for (i = 0; i < list.count + list.damaged_count; i++) {
		hex_encode(one,
		    i < list.count ? list.slots[i].id
				   : list.damaged[i - list.count],
		    SEAL_ID_BYTES);
		if (strncmp(one, start, strlen(start)) != 0)
			continue;
		memcpy(id, one, HEXID_SIZE);
		found++;
	}
	slot_list_fini(&list);
	if (found == 1)
		return 0;
	err_set(err, found == 0 ? ERR_NOT_FOUND : ERR_ARG,
	    found == 0 ? "no key begins with '%.40s'"
		       : "more than one key begins with '%.40s'",
	    word);
	return err_hint(err, "'holdstill key list' names them");
}

static int
key_remove(struct cli *cli, const struct request *request, const char *word,
    struct err *err)
{
	char id[HEXID_SIZE], opened[HEXID_SIZE];

	if (resolve(id, cli, word, err) == -1)
		return -1;
	store_key_opened(opened, cli->ctx.store);
	if (!request->in_use && strcmp(id, opened) == 0) {
		err_set(err, ERR_ARG, "key %.8s is the key in use", id);
		return err_hint(err,
		    "give another key to this command, or --in-use if this one "
		    "is to open the repository no more");
	}
	if (store_key_remove(cli->ctx.store, id, err) == -1)
		return -1;
	if (cli->json)
		return cli_print_json(
		    json_pack("{s:{s:s}}", "removed", "id", id), err);
	if (!cli->quiet)
		printf("removed key %.8s; who has a copy of it or of the "
		       "repository's master key is not shut out\n",
		    id);
	return 0;
}

/* Of two slots of one secret the other would stay, and open. */
static int
refuse_twin(struct cli *cli, const char *old, struct err *err)
{
	char twin[HEXID_SIZE];
	int rc = cli->unlock == NULL ? 0
				     : store_key_find(cli->ctx.store, twin,
					   &cli->unlock->secret, old, err);

	if (rc != 1)
		return rc;
	err_set(err, ERR_EXISTS,
	    "what is given opens key %.8s, too, and would still do so", twin);
	return err_hint(
	    err, "remove that first: 'holdstill key remove %.8s'", twin);
}

/* The new one is durable before the old one goes. */
static int
key_rotate(struct cli *cli, const struct request *request, const char *word,
    struct err *err)
{
	char id[HEXID_SIZE], old[HEXID_SIZE];

	(void)word;
	store_key_opened(old, cli->ctx.store);
	if (refuse_twin(cli, old, err) == -1 ||
	    add(id, cli, request, err) == -1 ||
	    store_key_remove(cli->ctx.store, old, err) == -1)
		return -1;
	if (cli->json)
		return cli_print_json(json_pack("{s:{s:s}, s:{s:s}}", "key",
					  "id", id, "removed", "id", old),
		    err);
	if (!cli->quiet)
		printf("key %.8s is in the place of %.8s\n", id, old);
	return 0;
}

/* ---- host ---- */

static int
key_host(struct cli *cli, const struct request *request, const char *word,
    struct err *err)
{
	char id[HEXID_SIZE];

	(void)request;
	if (store_key_host(cli->ctx.store, id, word, err) == -1)
		return -1;
	if (cli->json)
		return cli_print_json(
		    json_pack("{s:{s:s, s:s}}", "host", "id", id, "file", word),
		    err);
	if (!cli->quiet)
		printf("made the key of host %.8s: move '%s' to the host, "
		       "which gives it with --key-file.\n"
		       "It adds points and opens none. One file is for one "
		       "host.\n",
		    id, word);
	return 0;
}

/* ---- the verbs ---- */

static const struct verb {
	const char *name;
	int words;        /* Behind the verb. */
	const char *what; /* They are. */
	int (*work)(struct cli *cli, const struct request *request,
	    const char *word, struct err *err);
} verbs[] = {
	{ "list", 0, "no argument", key_list },
	{ "add", 0, "no argument", key_add },
	{ "remove", 1, "the id of one key", key_remove },
	{ "rotate-slot", 0, "no argument", key_rotate },
	{ "host", 1, "the file to be made", key_host },
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static const struct verb *
find_verb(const char *name)
{
	size_t i;

	for (i = 0; i < VERBS; i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

static int
check(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	const struct verb *verb = find_verb(arguments->word[0]);
	const struct request *request = state;

	if (verb == NULL)
		return cli_usage(cli, err,
		    "'key' takes list, add, remove, rotate-slot or host, not "
		    "'%s'",
		    arguments->word[0]);
	if (arguments->count != 1 + verb->words)
		return cli_usage(
		    cli, err, "'key %s' takes %s", verb->name, verb->what);
	if ((request->passphrase_file != NULL) + (request->key_file != NULL) +
		request->recovery >
	    1)
		return cli_usage(cli, err,
		    "'--new-passphrase-file', '--new-key-file' and "
		    "'--recovery' exclude one another");
	if (request->recovery && strcmp(verb->name, "add") != 0)
		return cli_usage(
		    cli, err, "'--recovery' goes with 'key add' only");
	if (request->in_use && strcmp(verb->name, "remove") != 0)
		return cli_usage(
		    cli, err, "'--in-use' goes with 'key remove' only");
	return 0;
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	const struct verb *verb = find_verb(arguments->word[0]);
	const char *word = arguments->count > 1 ? arguments->word[1] : NULL;

	if (job_open_store(&cli->ctx, err) == -1)
		return -1;
	if (verb->work(cli, state, word, err) == 0)
		return CLI_DONE;
	/* The first or the last slot: to try again later does not help. */
	if (err->class == ERR_BUSY)
		err->class = ERR_ARG;
	return -1;
}

const struct cli_command cmd_key = {
	.name = "key",
	.arguments = "list | add | remove ID | rotate-slot | host FILE "
		     "[OPTIONS]",
	.summary = "What opens an encrypted repository",
	.example =
	    "  holdstill key add --recovery\n"
	    "  holdstill key rotate-slot --new-passphrase-file /root/new\n"
	    "  holdstill key host host1.key\n",
	.options = options,
	.min = 1,
	.max = 2,
	.state_size = sizeof(struct request),
	.set = set,
	.check = check,
	.work = work,
};
