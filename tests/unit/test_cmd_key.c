/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill init, key and list of encrypted repositories, as typed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "common/err.h"
#include "common/io.h"
#include "common/json/json.h"

static char root[64];
static char out[16384]; /* What the last command said. */

static int
setup(void **state)
{
	(void)state;
	strcpy(root, "/tmp/holdstill-test-XXXXXX");
	assert_non_null(mkdtemp(root));
	unsetenv("HOLDSTILL_PASSPHRASE_FILE");
	unsetenv("HOLDSTILL_KEY_FILE");
	return 0;
}

static int
teardown(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	io_remove_tree(root, &err);
	return 0;
}

static void
file(const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
read_out(int fd)
{
	ssize_t n;

	fflush(stdout);
	fflush(stderr);
	n = pread(fd, out, sizeof(out) - 1, 0);
	assert_true(n >= 0);
	out[n] = '\0';
}

/* Runs words, with '@' for the folder; returns the exit code. */
static int
hs(const char *line)
{
	char text[1024], *argv[32], *word, *save = NULL;
	int saved[3], null = open("/dev/null", O_RDONLY | O_CLOEXEC), fd, rc;
	int argc = 0, i;
	size_t n = 0;

	for (; *line != '\0' && n + sizeof(root) < sizeof(text); line++) {
		if (*line == '@')
			n += (size_t)snprintf(
			    text + n, sizeof(root), "%s", root);
		else
			text[n++] = *line;
	}
	text[n] = '\0';
	for (word = strtok_r(text, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	for (i = 0; i < 3; i++) {
		fflush(i == 1 ? stdout : stderr);
		saved[i] = dup(i);
		dup2(i == 0 ? null : fd, i);
	}
	rc = cli_main(argc, argv);
	read_out(fd);
	for (i = 0; i < 3; i++) {
		dup2(saved[i], i);
		close(saved[i]);
	}
	close(fd);
	close(null);
	return rc;
}

#define HS "holdstill --state-dir @/state --config @/conf --repo @/repo "

static void
expect(int code, const char *line, const char *part)
{
	int rc = hs(line);

	if (rc != code || strstr(out, part) == NULL)
		fail_msg("%s: exit code %d, said:\n%s", line, rc, out);
}

/* The id that stands behind the words. */
static void
id_after(char id[9], const char *words)
{
	const char *at = strstr(out, words);

	assert_non_null(at);
	snprintf(id, 9, "%.8s", at + strlen(words));
}

/* With key files: a passphrase costs half a second each time. */
static void
test_cmd_key_from_first_to_last(void **state)
{
	char first[9], second[9], line[256];

	(void)state;
	file("conf", "");
	expect(0, HS "init --encrypt keyfile --key-file @/one",
	    "made encrypted repository");
	expect(1, HS "list", "no key is given");
	expect(1, HS "list --key-file @/none", "cannot open");
	expect(0, HS "list --key-file @/one", "no points yet");
	expect(0, HS "--key-file @/one key add --new-key-file @/key",
	    "added key ");
	id_after(second, "added key ");
	expect(0, HS "list --key-file @/key", "no points yet");
	expect(0, HS "--key-file @/one key rotate-slot --new-key-file @/two",
	    "is in the place of");
	expect(1, HS "list --key-file @/one", "wrong key file");
	expect(0, HS "--key-file @/two key list --json", "\"kind\": \"file\"");
	expect(0, HS "--key-file @/key key list", "(in use)");
	assert_non_null(strstr(out, second));
	snprintf(
	    line, sizeof(line), HS "--key-file @/two key remove %s", second);
	expect(0, line, "removed key");
	expect(1, HS "list --key-file @/key", "wrong key file");
	expect(0, HS "--key-file @/two key list", "key file");
	snprintf(first, sizeof(first), "%.8s", out);
	snprintf(
	    line, sizeof(line), HS "--key-file @/two key remove %s", first);
	expect(1, line, "the last key slot");
	expect(1, HS "--key-file @/two key remove zz", "no key begins");
}

static void
test_cmd_key_recovery_key_opens(void **state)
{
	char text[128];
	const char *at;

	(void)state;
	file("conf", "");
	expect(0, HS "init --encrypt keyfile --key-file @/key --recovery",
	    "recovery key: ");
	at = strstr(out, "recovery key: ") + strlen("recovery key: ");
	snprintf(text, sizeof(text), "%.70s", at);
	file("paper", text);
	expect(0, HS "list --passphrase-file @/paper", "no points yet");
	text[0] = text[0] == '0' ? '1' : '0';
	file("paper", text);
	/* Mistyped, it is a passphrase, and no slot has one. */
	expect(1, HS "list --passphrase-file @/paper",
	    "no key slot for a passphrase");
}

static void
test_cmd_key_of_a_plain_repository(void **state)
{
	(void)state;
	file("conf", "");
	file("one", "x\n");
	expect(2, HS "init --passphrase-file @/one", "a key is given");
	expect(0, HS "init", "made repository");
	expect(1, HS "list --passphrase-file @/one", "not encrypted");
	expect(1, HS "key list", "it has no keys");
	expect(2, HS "key best", "list, add, remove");
	expect(2, HS "key host", "the file to be made");
	expect(1, HS "key host @/host", "it has no keys");
	expect(2, HS "key remove", "takes the id");
	expect(2, HS "init --encrypt public", "or public-key");
	expect(2, HS "init --encrypt keyfile", "needs '--key-file'");
}

/* A host's key adds and opens nothing. */
static void
test_cmd_key_of_a_host(void **state)
{
	(void)state;
	file("conf", "");
	expect(0, HS "init --encrypt public-key --key-file @/one",
	    "made encrypted repository");
	assert_non_null(strstr(out, "holdstill key host FILE"));
	expect(
	    0, HS "--key-file @/one key host @/host", "made the key of host");
	expect(1, HS "--key-file @/one key host @/host", "cannot make");
	expect(0, HS "list --key-file @/host", "no points yet");
	expect(1, HS "verify --key-file @/host", "the key given is a host key");
	expect(1, HS "prune --key-file @/host", "the key given is a host key");
	expect(1, HS "repair --key-file @/host", "the key given is a host key");
	expect(1, HS "--key-file @/host key add --new-key-file @/two",
	    "a host key makes no key slot");
	expect(1, HS "--key-file @/one key add --new-key-file @/host",
	    "is the key of a host");
	expect(1, HS "--key-file @/host key host @/three",
	    "no host key can be made");
	expect(0, HS "verify --key-file @/one", "no damage");
	expect(0, HS "prune --key-file @/one", "");
	/* Its chain began in that state. */
	expect(1,
	    "holdstill --state-dir @/other --config @/conf --repo @/repo list "
	    "--key-file @/host",
	    "is lost");
	expect(2,
	    HS "init --encrypt public-key --key-file @/one "
	       "--passphrase-file @/one",
	    "both");
}

/* As the configuration says, for this repository alone. */
static void
test_cmd_key_by_configuration(void **state)
{
	char text[256];

	(void)state;
	snprintf(text, sizeof(text),
	    "[repository main]\nurl = %s/repo\npassphrase-file = %s/one\n",
	    root, root);
	file("conf", text);
	file("one", "correct horse\n");
	expect(2, HS "init", "a key is given");
	expect(0, HS "init --encrypt passphrase", "made encrypted");
	expect(0, HS "verify", "no damage");
	file("two", "battery staple\n");
	expect(1, HS "list --passphrase-file @/two", "wrong passphrase");
	expect(0,
	    "holdstill --state-dir @/state --config @/conf init --repo @/p",
	    "made repository");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Also where two things are to be told. */
static void
test_cmd_key_json_is_one_document(void **state)
{
	struct err err = ERR_INIT;
	json_t *json;

	(void)state;
	file("conf", "");
	assert_int_equal(
	    hs(HS "--json init --encrypt keyfile --key-file @/k --recovery"),
	    0);
	if (json_parse(&json, out, strlen(out), &err) == -1)
		fail_msg("%s:\n%s", err.text, out);
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
		CASE(test_cmd_key_by_configuration),
		CASE(test_cmd_key_json_is_one_document),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
