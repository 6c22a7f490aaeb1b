/* SPDX-License-Identifier: Apache-2.0 */
/* guest.conf: what is read, and that nothing wrong is let through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/io.h"
#include "guest-helper/conf.h"
#include "tests/unit/ini_fixture.h"

static struct ini_fixture file = { .name = "guest.conf" };
static struct conf conf;

static int
load(const char *text, size_t size, struct err *err)
{
	ini_fixture_write(&file, text, size);
	conf_init(&conf);
	return conf_read(&conf, file.path, true, err);
}

static void
loaded(const char *text)
{
	struct err err = ERR_INIT;

	if (load(text, strlen(text), &err) == -1)
		fail_msg("%s (%s)", err.text, err.hint);
}

static void
refused(const char *text, unsigned int line, const char *what, const char *hint)
{
	struct err err = ERR_INIT;

	if (load(text, strlen(text), &err) == 0)
		fail_msg("was let through:\n%s", text);
	ini_fixture_expect_refusal(&file, &err, line, what, hint);
}

static void
test_conf_reads_every_key(void **state)
{
	const struct conf_writer *w;

	(void)state;
	loaded("# a comment\n[filesystems]\n"
	       "skip = /var/cache/, /mnt/a\\040b\n  /scratch ; last\n"
	       "skip-type = zfs nfs4\ncontainers = no\n"
	       "[limits]\nmax-lease = 15\n"
	       "[writer pg]\nenabled = no\nrequired = yes\n"
	       "prepare-timeout = 11\nfreeze-timeout = 12\n"
	       "thaw-timeout = 13\ncommitted-timeout = 14\n"
	       "after = redis, other\n"
	       "[writer redis]\nthaw-timeout = 9\n"
	       "[writers]\nenabled = no\nhooks = no\ndir = /opt/w\n"
	       "hook-dir = /opt/h\nrequired = no\nprepare-timeout = 1\n"
	       "freeze-timeout = 2\nthaw-timeout = 3\n"
	       "committed-timeout = 4\n"
	       "[writer hook:90-x]\nrequired = yes\n");
	assert_int_equal(conf.skip_mounts.count, 3);
	assert_string_equal(conf.skip_mounts.items[0], "/var/cache");
	assert_string_equal(conf.skip_mounts.items[1], "/mnt/a b");
	assert_string_equal(conf.skip_mounts.items[2], "/scratch");
	assert_int_equal(conf.skip_types.count, 2);
	assert_string_equal(conf.skip_types.items[1], "nfs4");
	assert_true(conf.ignore_containers);
	assert_int_equal(conf.lease_max_ms, 15000);
	assert_true(conf.no_writers && conf.no_hooks);
	assert_string_equal(conf.writers_dir, "/opt/w");
	assert_string_equal(conf.hooks_dir, "/opt/h");
	w = conf_writer(&conf, "pg");
	assert_string_equal(w->name, "pg");
	assert_true(w->disabled);
	assert_false(w->optional);
	assert_int_equal(w->prepare_ms, 11000);
	assert_int_equal(w->freeze_ms, 12000);
	assert_int_equal(w->thaw_ms, 13000);
	assert_int_equal(w->committed_ms, 14000);
	assert_int_equal(w->after.count, 2);
	assert_string_equal(w->after.items[1], "other");
	assert_false(conf_writer(&conf, "hook:90-x")->optional);
}

/* [writers] below its writers counts for them all the same. */
static void
test_conf_writer_inherits(void **state)
{
	const struct conf_writer *w;

	(void)state;
	loaded("[writer redis]\nthaw-timeout = 9\n"
	       "[writers]\nrequired = no\nfreeze-timeout = 2\n"
	       "thaw-timeout = 3\n");
	w = conf_writer(&conf, "redis");
	assert_true(w->optional);
	assert_false(w->disabled);
	assert_int_equal(w->prepare_ms, 60000);
	assert_int_equal(w->freeze_ms, 2000);
	assert_int_equal(w->thaw_ms, 9000);
	w = conf_writer(&conf, "other");
	assert_true(w->optional);
	assert_int_equal(w->thaw_ms, 3000);
}

static void
test_conf_has_defaults(void **state)
{
	const struct conf_writer *w;
	struct err err = ERR_INIT;

	(void)state;
	loaded("");
	assert_int_equal(conf.lease_max_ms, MESSAGE_LEASE_MAX_MS);
	assert_string_equal(conf.writers_dir, CONF_WRITERS_DIR);
	assert_string_equal(conf.hooks_dir, CONF_HOOKS_DIR);
	assert_false(conf.no_writers || conf.no_hooks);
	assert_false(conf.ignore_containers);
	w = conf_writer(&conf, "any");
	assert_false(w->optional || w->disabled);
	assert_true(w->prepare_ms > 0 && w->freeze_ms > 0 && w->thaw_ms > 0 &&
		    w->committed_ms > 0);
	unlink(file.path);
	assert_int_equal(conf_read(&conf, file.path, false, &err), 0);
	assert_int_equal(err.class, ERR_NONE);
	assert_int_equal(conf_read(&conf, file.path, true, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
}

static void
test_conf_refuses_what_it_does_not_know(void **state)
{
	(void)state;
	refused("[filesystem]\n", 1, "unknown section", "[filesystems]?");
	refused("[what]\n", 1, "unknown section", "[writer NAME]");
	refused("[limits x]\n", 1, "unknown section", "[limits]?");
	refused("[limits]\nmax-laese = 1\n", 2, "'max-laese'", "'max-lease'");
	refused("[writer a]\ndir = /x\n", 2, "'dir' in [writer]", "allowed: ");
	refused("skip = /x\n", 1, "before the first section", "[limits]");
	refused("[limits]\nnonsense\n", 2, "neither", "");
	refused("[writers\n", 1, "']'", "");
	refused("[writer]\n", 1, "no writer's name", "hook:NAME");
	refused("[writer ../x]\n", 1, "no writer's name", "");
	refused("[writer .x]\n", 1, "no writer's name", "");
	refused("[writer hook:]\n", 1, "no writer's name", "");
}

static void
test_conf_refuses_wrong_values(void **state)
{
	(void)state;
	refused("[limits]\nmax-lease = 61\n", 2, "'61'", "1 to 60");
	refused("[limits]\nmax-lease = 0\n", 2, "'0'", "1 to 60");
	refused("[limits]\nmax-lease = 5s\n", 2, "'5s'", "1 to 60");
	refused("[limits]\nmax-lease = -5\n", 2, "'-5'", "1 to 60");
	refused("[limits]\nmax-lease = 4294967297\n", 2, "number", "");
	refused("[limits]\n\nmax-lease =\n", 3, "no value", "");
	refused("[writers]\nfreeze-timeout = 61\n", 2, "'61'", "1 to 60");
	refused("[writers]\nhooks = maybe\n", 2, "'maybe'", "yes or no");
	refused("[writers]\ndir = writers.d\n", 2, "absolute path", "");
	refused("[filesystems]\nskip = /a b\n", 2, "'b'", "");
	refused("[filesystems]\nskip-type = nfs # far\n", 2, "'#'", "';'");
	refused("[writer a]\nafter = db # first\n", 2, "'#'", "';'");
	refused("[filesystems]\nskip = ,\n", 2, "the list is empty", "");
	refused("[writer a]\nrequired = yes\n  no\n", 3, "no list", "");
	refused("[filesystems]\n skip = /a\n", 2, "indented", "remove");
}

static void
test_conf_refuses_what_is_given_twice(void **state)
{
	(void)state;
	refused("[limits]\nmax-lease = 5\nmax-lease = 6\n", 3, "twice", "");
	refused("[limits]\n[writers]\n[limits]\n", 3, "in line 1", "");
	refused("[writer a]\n[writer b]\n[writer a]\n", 3, "in line 1", "");
	refused("[filesystems]\nskip = /a\nskip-type = x\nskip = /b\n", 4,
	    "first in line 2", "");
	/* The same key in two writers is none. */
	loaded("[writer a]\nrequired = no\n[writer b]\nrequired = no\n");
}

static void
test_conf_refuses_a_ring(void **state)
{
	(void)state;
	refused("[writer a]\nafter = a\n", 2, "'a' comes after itself", "ring");
	refused("[writer x]\nafter = a\n[writer a]\nafter = b\n"
		"[writer b]\nrequired = no\nafter = c a\n",
	    2, "after itself", "ring");
	refused("[writer a]\nrequired = no\nafter = b hook:x\n", 3, "hooks",
	    "all writers");
	refused("[writer hook:x]\nafter = b\n", 2, "hooks", "all writers");
	loaded("[writer a]\nafter = b c\n[writer b]\nafter = c d\n"
	       "[writer c]\n");
}

static void
test_conf_bounds_its_lists(void **state)
{
	static char text[64 * 1024];
	size_t used;
	int i;

	(void)state;
	used = (size_t)snprintf(text, sizeof(text), "[filesystems]\nskip =");
	for (i = 0; i <= CONF_LIST_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%s/m%d\n", i == 0 ? " " : "  ", i);
	refused(text, CONF_LIST_MAX + 2, "more than 32 entries", "");
	for (used = 0, i = 0; i <= MESSAGE_WRITERS_MAX; i++)
		used += (size_t)snprintf(
		    text + used, sizeof(text) - used, "[writer w%d]\n", i);
	refused(text, MESSAGE_WRITERS_MAX + 1, "more than 32 writers", "");
	used = (size_t)snprintf(text, sizeof(text), "[writer ");
	memset(text + used, 'a', MESSAGE_NAME_SIZE);
	strcpy(text + used + MESSAGE_NAME_SIZE, "]\n");
	refused(text, 1, "no writer's name", "");
	strcpy(text, "[filesystems]\nskip-type = ");
	used = strlen(text);
	memset(text + used, 'a', MESSAGE_NAME_SIZE);
	strcpy(text + used + MESSAGE_NAME_SIZE, "\n");
	refused(text, 2, "too long", "");
}

static void
test_conf_refuses_an_open_file(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	loaded("");
	assert_int_equal(chmod(file.path, 0666), 0);
	assert_int_equal(conf_read(&conf, file.path, true, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	assert_int_equal(load("a\0b", 3, &err), -1);
	assert_non_null(strstr(err.text, "no text file"));
}

/* As it is, and with each of its keys uncommented. */
static void
test_conf_example_is_right(void **state)
{
	struct err err = ERR_INIT;
	char *text = NULL, *p;
	size_t size;

	(void)state;
	assert_int_equal(
	    io_read_file(&text, &size, EXAMPLE_PATH, 65536, &err), 0);
	loaded(text);
	assert_int_equal(conf.writer_count, 0);
	for (p = text; p != NULL; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (p[0] == '#' && p[1] != ' ')
			memmove(p, p + 1, strlen(p));
	}
	loaded(text);
	assert_int_equal(conf.writer_count, 2);
	assert_int_equal(conf.skip_mounts.count, 2);
	assert_true(conf_writer(&conf, "hook:10-nginx")->optional);
	/* What it shows as defaults are the defaults. */
	assert_int_equal(conf.lease_max_ms, MESSAGE_LEASE_MAX_MS);
	assert_int_equal(conf.defaults.prepare_ms, 60000);
	assert_int_equal(conf.defaults.freeze_ms, 10000);
	assert_int_equal(conf.defaults.thaw_ms, 10000);
	assert_int_equal(conf.defaults.committed_ms, 60000);
	assert_false(conf.no_writers || conf.no_hooks);
	free(text);
}

int
main(void)
{
#define CASE(name) INI_FIXTURE_CASE(name, &file)
	const struct CMUnitTest tests[] = {
		CASE(test_conf_reads_every_key),
		CASE(test_conf_writer_inherits),
		CASE(test_conf_has_defaults),
		CASE(test_conf_refuses_what_it_does_not_know),
		CASE(test_conf_refuses_wrong_values),
		CASE(test_conf_refuses_what_is_given_twice),
		CASE(test_conf_refuses_a_ring),
		CASE(test_conf_bounds_its_lists),
		CASE(test_conf_refuses_an_open_file),
		CASE(test_conf_example_is_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
