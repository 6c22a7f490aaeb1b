/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill init, key and list of encrypted repositories, as typed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/json/json.h"
#include "store/seal/slot.h"
#include "tests/unit/cli_rig.h"

static bool blind; /* To slots that others add at the same time. */

int __real_slot_find(uint8_t out[SEAL_ID_BYTES], struct backend *b,
    const uint8_t repository[SEAL_ID_BYTES], const struct slot_secret *secret,
    const uint8_t *but, struct err *err);
int __wrap_slot_find(uint8_t out[SEAL_ID_BYTES], struct backend *b,
    const uint8_t repository[SEAL_ID_BYTES], const struct slot_secret *secret,
    const uint8_t *but, struct err *err);

int
__wrap_slot_find(uint8_t out[SEAL_ID_BYTES], struct backend *b,
    const uint8_t repository[SEAL_ID_BYTES], const struct slot_secret *secret,
    const uint8_t *but, struct err *err)
{
	return blind ? 0
		     : __real_slot_find(out, b, repository, secret, but, err);
}

/* The id that stands behind the words. */
static void
id_after(char id[9], const char *words)
{
	const char *at = strstr(cli_rig_out, words);

	assert_non_null(at);
	snprintf(id, 9, "%.8s", at + strlen(words));
}

/* With key files: a passphrase costs half a second each time. */
static void
test_cmd_key_from_first_to_last(void **state)
{
	char first[9], second[9], line[256];

	(void)state;
	cli_rig_file("conf", "");
	cli_rig_expect(0, CLI_RIG_HS "init --encrypt keyfile --key-file @/one",
	    "made encrypted repository");
	cli_rig_expect(1, CLI_RIG_HS "list", "no key is given");
	cli_rig_expect(1, CLI_RIG_HS "list --key-file @/none", "cannot open");
	cli_rig_expect(0, CLI_RIG_HS "list --key-file @/one", "no points yet");
	cli_rig_expect(0,
	    CLI_RIG_HS "--key-file @/one key add --new-key-file @/key",
	    "added key ");
	id_after(second, "added key ");
	cli_rig_expect(0, CLI_RIG_HS "list --key-file @/key", "no points yet");
	cli_rig_expect(0,
	    CLI_RIG_HS "--key-file @/one key rotate-slot --new-key-file @/two",
	    "is in the place of");
	cli_rig_expect(1, CLI_RIG_HS "list --key-file @/one", "wrong key file");
	cli_rig_expect(0, CLI_RIG_HS "--key-file @/two key list --json",
	    "\"kind\": \"file\"");
	cli_rig_expect(0, CLI_RIG_HS "--key-file @/key key list", "(in use)");
	assert_non_null(strstr(cli_rig_out, second));
	snprintf(line, sizeof(line),
	    CLI_RIG_HS "--key-file @/two key remove %s", second);
	cli_rig_expect(0, line, "removed key");
	cli_rig_expect(1, CLI_RIG_HS "list --key-file @/key", "wrong key file");
	cli_rig_expect(0, CLI_RIG_HS "--key-file @/two key list", "key file");
	snprintf(first, sizeof(first), "%.8s", cli_rig_out);
	snprintf(line, sizeof(line),
	    CLI_RIG_HS "--key-file @/two key remove %s --in-use", first);
	cli_rig_expect(1, line, "the last key slot");
	cli_rig_expect(
	    1, CLI_RIG_HS "--key-file @/two key remove 0000", "no key begins");
}

static void
test_cmd_key_recovery_key_opens(void **state)
{
	char text[128];
	const char *at;

	(void)state;
	cli_rig_file("conf", "");
	cli_rig_expect(0,
	    CLI_RIG_HS "init --encrypt keyfile --key-file @/key --recovery",
	    "recovery key: ");
	at = strstr(cli_rig_out, "recovery key: ") + strlen("recovery key: ");
	snprintf(text, sizeof(text), "%.70s", at);
	cli_rig_file("paper", text);
	cli_rig_expect(
	    0, CLI_RIG_HS "list --passphrase-file @/paper", "no points yet");
	text[0] = text[0] == '0' ? '1' : '0';
	cli_rig_file("paper", text);
	/* Mistyped, it is a passphrase, and no slot has one. */
	cli_rig_expect(1, CLI_RIG_HS "list --passphrase-file @/paper",
	    "no key slot for a passphrase");
}

static void
test_cmd_key_of_a_plain_repository(void **state)
{
	(void)state;
	cli_rig_file("conf", "");
	cli_rig_file("one", "x\n");
	cli_rig_expect(
	    2, CLI_RIG_HS "init --passphrase-file @/one", "a key is given");
	cli_rig_expect(0, CLI_RIG_HS "init", "made repository");
	cli_rig_expect(
	    1, CLI_RIG_HS "list --passphrase-file @/one", "not encrypted");
	cli_rig_expect(1, CLI_RIG_HS "key list", "it has no keys");
	cli_rig_expect(2, CLI_RIG_HS "key best", "list, add, remove");
	cli_rig_expect(2, CLI_RIG_HS "key host", "the file to be made");
	cli_rig_expect(1, CLI_RIG_HS "key host @/host", "it has no keys");
	cli_rig_expect(2, CLI_RIG_HS "key remove", "takes the id");
	cli_rig_expect(2, CLI_RIG_HS "init --encrypt public", "or public-key");
	cli_rig_expect(
	    2, CLI_RIG_HS "init --encrypt keyfile", "needs '--key-file'");
}

/* A host's key adds and opens nothing. */
static void
test_cmd_key_of_a_host(void **state)
{
	(void)state;
	cli_rig_file("conf", "");
	cli_rig_expect(0,
	    CLI_RIG_HS "init --encrypt public-key --key-file @/one",
	    "made encrypted repository");
	assert_non_null(strstr(cli_rig_out, "holdstill key host FILE"));
	cli_rig_expect(0, CLI_RIG_HS "--key-file @/one key host @/host",
	    "made the key of host");
	cli_rig_expect(
	    1, CLI_RIG_HS "--key-file @/one key host @/host", "cannot make");
	cli_rig_expect(
	    0, CLI_RIG_HS "list --key-file @/host", "no points that");
	cli_rig_expect(1, CLI_RIG_HS "verify --key-file @/host",
	    "the key given is a host key");
	cli_rig_expect(1, CLI_RIG_HS "prune --key-file @/host",
	    "the key given is a host key");
	cli_rig_expect(1, CLI_RIG_HS "repair --key-file @/host",
	    "the key given is a host key");
	cli_rig_expect(1,
	    CLI_RIG_HS "--key-file @/host key add --new-key-file @/two",
	    "a host key makes no key slot");
	cli_rig_expect(1,
	    CLI_RIG_HS "--key-file @/one key add --new-key-file @/host",
	    "is the key of a host");
	cli_rig_expect(1, CLI_RIG_HS "--key-file @/host key host @/three",
	    "no host key can be made");
	cli_rig_expect(0, CLI_RIG_HS "verify --key-file @/one", "no damage");
	cli_rig_expect(0, CLI_RIG_HS "prune --key-file @/one", "");
	cli_rig_expect(2,
	    CLI_RIG_HS "init --encrypt public-key --key-file @/one "
		       "--passphrase-file @/one",
	    "both");
}

/* Of an id too little, or one of several; the one in use. */
static void
test_cmd_key_remove_wants_to_be_told(void **state)
{
	char first[9], second[9], line[256];

	(void)state;
	cli_rig_file("conf", "");
	cli_rig_expect(
	    0, CLI_RIG_HS "init --encrypt keyfile --key-file @/one", "made");
	cli_rig_expect(0,
	    CLI_RIG_HS "--key-file @/one key add --new-key-file @/two",
	    "added key ");
	id_after(second, "added key ");
	snprintf(line, sizeof(line),
	    CLI_RIG_HS "--key-file @/one key remove %.3s", second);
	cli_rig_expect(2, line, "at least 4");
	cli_rig_expect(
	    2, CLI_RIG_HS "--key-file @/one key remove zzzz", "no id of a key");
	snprintf(line, sizeof(line),
	    CLI_RIG_HS "--key-file @/two key remove %s", second);
	cli_rig_expect(1, line, "the key in use");
	cli_rig_expect(0, CLI_RIG_HS "--key-file @/two key list", second);
	snprintf(line, sizeof(line),
	    CLI_RIG_HS "--key-file @/two key remove --in-use %s", second);
	cli_rig_expect(0, line, "removed key");
	cli_rig_expect(1, CLI_RIG_HS "--key-file @/two key list", "wrong key");
	/* The last one stays, said or not. */
	cli_rig_expect(0, CLI_RIG_HS "--key-file @/one key list", "(in use)");
	snprintf(first, sizeof(first), "%.8s", cli_rig_out);
	snprintf(line, sizeof(line),
	    CLI_RIG_HS "--key-file @/one key remove --in-use %s", first);
	cli_rig_expect(1, line, "the last key slot");
	cli_rig_expect(2, CLI_RIG_HS "--key-file @/one key list --in-use",
	    "goes with 'key remove'");
}

/* Two slots of one secret: who removes one of them believes it shut out. */
static void
test_cmd_key_takes_a_secret_once(void **state)
{
	(void)state;
	cli_rig_file("conf", "");
	cli_rig_expect(
	    0, CLI_RIG_HS "init --encrypt keyfile --key-file @/one", "made");
	cli_rig_expect(1,
	    CLI_RIG_HS "--key-file @/one key add --new-key-file @/one",
	    "opens with it already");
	cli_rig_expect(1,
	    CLI_RIG_HS "--key-file @/one key rotate-slot --new-key-file @/one",
	    "opens with it already");
	cli_rig_expect(0,
	    CLI_RIG_HS "--key-file @/one key rotate-slot --new-key-file @/two",
	    "is in the place of");
	cli_rig_expect(1, CLI_RIG_HS "--key-file @/one key list", "wrong key");
	cli_rig_expect(0, CLI_RIG_HS "--key-file @/two key list", "(in use)");
	assert_null(strchr(strchr(cli_rig_out, '\n') + 1, '\n'));
}

/* Two that added it at once: the old secret would open after the rotation. */
static void
test_cmd_key_rotates_none_of_twins(void **state)
{
	char twin[9], line[256];

	(void)state;
	cli_rig_file("conf", "");
	cli_rig_expect(
	    0, CLI_RIG_HS "init --encrypt keyfile --key-file @/one", "made");
	blind = true;
	cli_rig_expect(0,
	    CLI_RIG_HS "--key-file @/one key add --new-key-file @/one",
	    "added key ");
	blind = false;
	cli_rig_expect(1,
	    CLI_RIG_HS "--key-file @/one key rotate-slot --new-key-file @/two",
	    ", too, and would still do so");
	id_after(twin, "holdstill key remove ");
	snprintf(line, sizeof(line),
	    CLI_RIG_HS "--key-file @/one key remove %s", twin);
	cli_rig_expect(0, line, "removed key");
	cli_rig_expect(0,
	    CLI_RIG_HS "--key-file @/one key rotate-slot --new-key-file @/two",
	    "is in the place of");
	cli_rig_expect(1, CLI_RIG_HS "--key-file @/one key list", "wrong key");
}

/* As the configuration says, for this repository alone. */
static void
test_cmd_key_by_configuration(void **state)
{
	char text[256];

	(void)state;
	snprintf(text, sizeof(text),
	    "[repository main]\nurl = %s/repo\npassphrase-file = %s/one\n",
	    cli_rig_root, cli_rig_root);
	cli_rig_file("conf", text);
	cli_rig_file("one", "correct horse\n");
	cli_rig_expect(2, CLI_RIG_HS "init", "a key is given");
	cli_rig_expect(
	    0, CLI_RIG_HS "init --encrypt passphrase", "made encrypted");
	cli_rig_expect(0, CLI_RIG_HS "verify", "no damage");
	cli_rig_file("two", "battery staple\n");
	cli_rig_expect(
	    1, CLI_RIG_HS "list --passphrase-file @/two", "wrong passphrase");
	cli_rig_expect(0,
	    "holdstill --state-dir @/state --config @/conf init --repo @/p",
	    "made repository");
}

#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, cli_rig_setup, cli_rig_teardown)

/* Also where two things are to be told. */
static void
test_cmd_key_json_is_one_document(void **state)
{
	struct err err = ERR_INIT;
	json_t *json;

	(void)state;
	cli_rig_file("conf", "");
	assert_int_equal(
	    cli_rig_run(CLI_RIG_HS
		"--json init --encrypt keyfile --key-file @/k --recovery"),
	    0);
	if (json_parse(&json, cli_rig_out, strlen(cli_rig_out), &err) == -1)
		fail_msg("%s:\n%s", err.text, cli_rig_out);
	assert_int_equal(json_object_size(json), 2);
	assert_non_null(json_object_get(json, "repository"));
	assert_non_null(
	    json_object_get(json_object_get(json, "key"), "recovery_key"));
	json_decref(json);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_cmd_key_from_first_to_last),
		CASE(test_cmd_key_recovery_key_opens),
		CASE(test_cmd_key_of_a_plain_repository),
		CASE(test_cmd_key_of_a_host),
		CASE(test_cmd_key_remove_wants_to_be_told),
		CASE(test_cmd_key_takes_a_secret_once),
		CASE(test_cmd_key_rotates_none_of_twins),
		CASE(test_cmd_key_by_configuration),
		CASE(test_cmd_key_json_is_one_document),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
