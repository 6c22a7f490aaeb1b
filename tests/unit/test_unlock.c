/* SPDX-License-Identifier: Apache-2.0 */
/* Where keys come from: options, environment, configuration, the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "agent/cli/cli.h"
#include "agent/cli/unlock.h"
#include "agent/config/config.h"
#include "common/cancel.h"
#include "common/err.h"
#include "common/io.h"
#include "store/seal/recovery.h"

static char root[64];

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

/* A file that nobody else may read; returns its path, one of a few. */
static const char *
file(const char *name, const char *text)
{
	static char paths[8][128];
	static unsigned int next;
	char *path = paths[next++ % 8];
	FILE *f;

	snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	return path;
}

static void
expect(const struct slot_secret *s, enum slot_kind kind, const char *text)
{
	assert_int_equal(s->kind, kind);
	assert_int_equal(s->size, strlen(text));
	assert_memory_equal(s->bytes, text, strlen(text));
}

static void
test_unlock_passphrase_is_the_first_line(void **state)
{
	struct err err = ERR_INIT;
	const char *path;
	struct unlock *u;

	(void)state;
	assert_int_equal(unlock_read_passphrase(
			     &u, file("p", " with blanks \nmore\n"), &err),
	    0);
	expect(&u->secret, SLOT_PASSPHRASE, " with blanks ");
	unlock_free(u);
	assert_int_equal(
	    unlock_read_passphrase(&u, file("p", "no end"), &err), 0);
	expect(&u->secret, SLOT_PASSPHRASE, "no end");
	unlock_free(u);
	assert_int_equal(
	    unlock_read_passphrase(&u, file("p", "\nx"), &err), -1);
	assert_int_equal(err.class, ERR_ARG);
	path = file("p", "x");
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(unlock_read_passphrase(&u, path, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
}

/* What is printed opens as a passphrase does, and is none itself. */
static void
test_unlock_recovery_key_is_recognised(void **state)
{
	char text[RECOVERY_TEXT_SIZE];
	struct err err = ERR_INIT;
	struct unlock *made, *u;

	(void)state;
	assert_int_equal(
	    unlock_make_recovery(&made, text, sizeof(text), &err), 0);
	assert_int_equal(unlock_read_passphrase(&u, file("r", text), &err), 0);
	assert_int_equal(u->secret.kind, SLOT_RECOVERY);
	assert_int_equal(u->secret.size, made->secret.size);
	assert_memory_equal(
	    u->secret.bytes, made->secret.bytes, u->secret.size);
	unlock_free(u);
	unlock_free(made);
	assert_int_equal(unlock_new_passphrase(&u, file("r", text), &err), -1);
	assert_int_equal(err.class, ERR_ARG);
}

static void
test_unlock_new_key_file_is_made_once(void **state)
{
	struct err err = ERR_INIT;
	struct unlock *u, *again;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/key", root);
	assert_int_equal(unlock_new_key_file(&u, path, &err), 0);
	assert_int_equal(unlock_new_key_file(&again, path, &err), 0);
	assert_int_equal(u->secret.kind, SLOT_FILE);
	assert_memory_equal(u->secret.bytes, again->secret.bytes, 32);
	unlock_free(u);
	unlock_free(again);
	assert_int_equal(
	    unlock_read_key_file(&u, file("bad", "no key\n"), &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
}

/* Option, then environment, then the section with the same url. */
static void
test_unlock_first_place_decides(void **state)
{
	const struct slot_secret *s;
	struct cli cli = { .usage_error = false };
	struct err err = ERR_INIT;
	char text[512];

	(void)state;
	snprintf(text, sizeof(text),
	    "[repository a]\nurl = /a\npassphrase-file = %s\n"
	    "[repository b]\nurl = /b\n",
	    file("of-a", "configured"));
	assert_int_equal(config_load(&cli.config, file("conf", text), &err), 0);
	assert_int_equal(unlock_given(&cli, "/b", &s, &err), 0);
	assert_int_equal(unlock_given(&cli, "/elsewhere", &s, &err), 0);
	assert_int_equal(unlock_given(&cli, "/a", &s, &err), 1);
	expect(s, SLOT_PASSPHRASE, "configured");
	setenv("HOLDSTILL_PASSPHRASE_FILE", file("env", "environment"), 1);
	assert_int_equal(unlock_given(&cli, "/b", &s, &err), 1);
	expect(s, SLOT_PASSPHRASE, "environment");
	cli.passphrase_file = file("opt", "option");
	assert_int_equal(unlock_given(&cli, "/a", &s, &err), 1);
	expect(s, SLOT_PASSPHRASE, "option");
	cli.key_file = cli.passphrase_file;
	assert_int_equal(unlock_given(&cli, "/b", &s, &err), -1);
	assert_int_equal(err.class, ERR_ARG);
	assert_true(cli.usage_error);
	unlock_free(cli.unlock);
	config_free(cli.config);
}

/* ---- the terminal ---- */

struct person {
	int master;
	const char *line;
};

/* Types the line once the echo is off: before, it would be thrown away. */
static void *
type(void *arg)
{
	struct person *p = arg;
	struct termios t;
	size_t n = strlen(p->line);

	do
		sched_yield();
	while (tcgetattr(p->master, &t) == 0 && (t.c_lflag & ECHO));
	assert_int_equal(write(p->master, p->line, n), n);
	return NULL;
}

static int
ask(struct unlock **out, const char *line, struct err *err)
{
	struct person p = { .line = line };
	int saved = dup(STDIN_FILENO), slave, rc;
	char seen[256] = "";
	pthread_t thread;

	p.master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_int_not_equal(p.master, -1);
	assert_int_equal(grantpt(p.master) | unlockpt(p.master), 0);
	slave = open(ptsname(p.master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_int_not_equal(slave, -1);
	dup2(slave, STDIN_FILENO);
	assert_int_equal(pthread_create(&thread, NULL, type, &p), 0);
	rc = unlock_ask(out, "?", false, err);
	pthread_join(thread, NULL);
	fcntl(p.master, F_SETFL, O_NONBLOCK);
	if (read(p.master, seen, sizeof(seen) - 1) > 0)
		assert_null(strstr(seen, "shown"));
	dup2(saved, STDIN_FILENO);
	close(saved);
	close(slave);
	close(p.master);
	return rc;
}

static void
test_unlock_asks_without_echo(void **state)
{
	struct err err = ERR_INIT;
	struct unlock *u;

	(void)state;
	assert_int_equal(ask(&u, "not shown\n", &err), 0);
	expect(&u->secret, SLOT_PASSPHRASE, "not shown");
	unlock_free(u);
}

static void
test_unlock_without_a_terminal_says_what_to_give(void **state)
{
	int saved = dup(STDIN_FILENO), null = open("/dev/null", O_RDONLY);
	struct err err = ERR_INIT;
	struct unlock *u;

	(void)state;
	dup2(null, STDIN_FILENO);
	assert_int_equal(unlock_ask(&u, "?", false, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	assert_non_null(strstr(err.hint, "--passphrase-file"));
	assert_int_equal(unlock_new_passphrase(&u, NULL, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	dup2(saved, STDIN_FILENO);
	close(saved);
	close(null);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_unlock_passphrase_is_the_first_line),
		CASE(test_unlock_recovery_key_is_recognised),
		CASE(test_unlock_new_key_file_is_made_once),
		CASE(test_unlock_first_place_decides),
		CASE(test_unlock_asks_without_echo),
		CASE(test_unlock_without_a_terminal_says_what_to_give),
	};
	struct err err = ERR_INIT;

	if (cancel_init(&err) == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
