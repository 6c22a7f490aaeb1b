/* SPDX-License-Identifier: Apache-2.0 */
/* A writer that is shipped, run by the helper's own engine. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/err.h"
#include "guest-helper/conf.h"
#include "guest-helper/writers/spawner.h"
#include "guest-helper/writers/writers.h"
#include "tests/unit/writer_scripts.h"

static struct writer_scripts scripts;
static struct spawner spawner;
static struct conf conf;
static struct writers *set;
static struct message message;
static struct err err;
static bool done;

static void
on_done(void *arg, enum writers_step step)
{
	(void)arg;
	(void)step;
	done = true;
}

/* Status of the shell's, with the test's folder as its own. */
static int
shell(const char *command)
{
	char line[512];
	int status;

	snprintf(line, sizeof(line), "cd %s && { %s; }", scripts.dir, command);
	status = system(line);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
insert(void)
{
	return shell("sqlite3 data.db 'INSERT INTO t VALUES (1)' 2>/dev/null");
}

static int
set_up(void **state)
{
	char text[1024];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	writer_scripts_init(&scripts);
	conf_init(&conf);
	writer_scripts_configure(&scripts, &conf);
	snprintf(text, sizeof(text),
	    "#!/bin/sh\n"
	    "export HOLDSTILL_WRITERS_CONF=%s HOLDSTILL_WRITERS_RUN=%s/w\n"
	    "exec %s/sqlite\n",
	    scripts.dir, scripts.dir, SHIPPED_DIR);
	writer_scripts_raw(&scripts, "writers", "sqlite", text);
	assert_int_equal(shell("umask 077; echo database = $PWD/data.db "
			       ">sqlite.conf; chmod 711 .; "
			       "sqlite3 data.db 'CREATE TABLE t (n)'"),
	    0);
	assert_int_equal(
	    spawner_start(&spawner, scripts.writers, scripts.hooks, &err), 0);
	assert_int_equal(writers_new(&set, &conf, &spawner, scripts.run_dir,
			     on_done, NULL, &err),
	    0);
	return 0;
}

static void
close_set(void)
{
	writers_free(set);
	set = NULL;
	if (spawner.fd == -1)
		return;
	spawner_close(&spawner);
	waitpid(spawner.pid, NULL, 0);
}

static int
tear_down(void **state)
{
	(void)state;
	close_set();
	writer_scripts_fini(&scripts);
	return 0;
}

static void
expect(enum writers_step step, enum message_writer_state state)
{
	struct writers_request r = { .step = step,
		.id = "0123456789abcdef0123456789abcdef" };
	int64_t end = clock_monotonic_ms() + WRITER_SCRIPTS_WAIT_MS;
	struct pollfd p = { .fd = writers_fd(set), .events = POLLIN };

	done = false;
	writers_begin(set, &r);
	while (!done) {
		assert_true(clock_monotonic_ms() < end);
		poll(&p, 1, 20);
		writers_turn(set);
	}
	message_clear(&message);
	writers_put(set, &message);
	assert_int_equal(message.writer_count, 1);
	assert_string_equal(message.writers[0].name, "sqlite");
	assert_string_equal(message.writers[0].reason, "");
	assert_int_equal(message.writers[0].state, state);
}

static void
test_shipped_holds_from_freeze_to_thaw(void **state)
{
	const char *why;

	(void)state;
	expect(WRITERS_PREPARE, MESSAGE_WRITER_PREPARED);
	assert_int_equal(insert(), 0);
	expect(WRITERS_FREEZE, MESSAGE_WRITER_FROZEN);
	assert_int_equal(message.writers[0].meta_count, 1);
	assert_string_equal(message.writers[0].metas[0].key, "database.1");
	assert_int_not_equal(insert(), 0);
	expect(WRITERS_THAW, MESSAGE_WRITER_THAWED);
	assert_int_equal(writers_level(set, &why), MESSAGE_APPLICATION);
	assert_int_equal(insert(), 0);
}

static void
test_shipped_lets_go_when_the_helper_is_gone(void **state)
{
	(void)state;
	expect(WRITERS_PREPARE, MESSAGE_WRITER_PREPARED);
	expect(WRITERS_FREEZE, MESSAGE_WRITER_FROZEN);
	assert_int_not_equal(insert(), 0);
	close_set();
	assert_int_equal(insert(), 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_shipped_holds_from_freeze_to_thaw),
		T(test_shipped_lets_go_when_the_helper_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
