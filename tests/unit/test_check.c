/* SPDX-License-Identifier: Apache-2.0 */
/* --check: what it prints and what it counts as wrong. */
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
#include "guest-helper/check.h"
#include "guest-helper/conf.h"
#include "tests/unit/temp_dir.h"

static const char *dir;
static char mountinfo[96], output[96];
static struct conf conf;

static void
put(const char *name, const char *text, mode_t mode)
{
	struct err err = ERR_INIT;
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(
	    io_replace_file(path, text, strlen(text), 0644, &err), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void
make_dir(char *out, size_t size, const char *name)
{
	snprintf(out, size, "%s/%s", dir, name);
	assert_int_equal(mkdir(out, 0755), 0);
}

static int
setup(void **state)
{
	assert_int_equal(temp_dir_setup(state), 0);
	dir = *state;
	conf_init(&conf);
	make_dir(conf.writers_dir, sizeof(conf.writers_dir), "writers");
	make_dir(conf.hooks_dir, sizeof(conf.hooks_dir), "hooks");
	snprintf(mountinfo, sizeof(mountinfo), "%s/mountinfo", dir);
	snprintf(output, sizeof(output), "%s/output", dir);
	put("mountinfo", "", 0644);
	return 0;
}

/* What it prints goes to *out, which the caller frees. */
static int
checked(char **out)
{
	struct guest_options options = {
		.paths = { mountinfo, dir, NULL, NULL },
		.conf = &conf,
	};
	struct err err = ERR_INIT;
	int saved = dup(STDOUT_FILENO), wrong;
	size_t size;

	fflush(stdout);
	assert_non_null(freopen(output, "w", stdout));
	wrong = check_run(&options, &err);
	fflush(stdout);
	assert_int_equal(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
	close(saved);
	if (wrong == -1)
		fail_msg("%s", err.text);
	assert_int_equal(io_read_file(out, &size, output, 65536, &err), 0);
	return wrong;
}

static void
says(const char *text, const char *what)
{
	if (strstr(text, what) == NULL)
		fail_msg("'%s' is not in:\n%s", what, text);
}

static void
test_check_shows_writers_and_hooks(void **state)
{
	char *text = NULL;

	(void)state;
	put("writers/db", "#!/bin/sh\n", 0755);
	put("writers/README", "no program\n", 0644);
	put("hooks/script", "#!/bin/sh\n", 0755);
	conf.writer_count = 2;
	conf.writers[0] = conf.defaults;
	strcpy(conf.writers[0].name, "db");
	conf.writers[0].optional = true;
	conf.writers[0].prepare_ms = 123000;
	conf.writers[1] = conf.defaults;
	strcpy(conf.writers[1].name, "old");
	conf.writers[1].disabled = true;
	conf.lease_max_ms = 7000;
	assert_int_equal(checked(&text), 0);
	says(text,
	    "db                   optional     80s    2.3s     10s       "
	    "55s  would be asked");
	says(text, "hook:script          required     60s");
	says(text, "old                  turned off");
	says(text, "longer than 7 s");
	says(text, "freeze at 2.3s with its usual lease, which is 7s here");
	assert_null(strstr(text, "would fail"));
	free(text);
}

/* What a writer has is the least of what three give it. */
static void
test_check_shows_the_times_that_are_left(void **state)
{
	char *text = NULL;

	(void)state;
	put("writers/slow", "#!/bin/sh\n", 0755);
	conf.writer_count = 1;
	conf.writers[0] = conf.defaults;
	strcpy(conf.writers[0].name, "slow");
	conf.writers[0].prepare_ms = conf.writers[0].thaw_ms = 600000;
	conf.writers[0].freeze_ms = conf.writers[0].committed_ms = 2000;
	assert_int_equal(checked(&text), 0);
	says(text,
	    "slow                 required     80s      2s     25s       "
	    " 2s");
	says(text, "which is 10s here");
	free(text);
	conf.lease_max_ms = 2000;
	assert_int_equal(checked(&text), 0);
	says(text, "slow                 required     80s    0.6s     25s");
	says(text, "freeze at 0.6s");
	free(text);
}

/* A writer that is thought to be there and is not. */
static void
test_check_names_what_is_passed_over(void **state)
{
	char *text = NULL, *first;

	(void)state;
	put("writers/db", "#!/bin/sh\n", 0644);
	put("writers/db.bak", "#!/bin/sh\n", 0755);
	put("writers/my db", "#!/bin/sh\n", 0755);
	put("writers/.hidden\033", "#!/bin/sh\n", 0755);
	put("writers/off", "#!/bin/sh\n", 0644);
	put("writers/good", "#!/bin/sh\n", 0755);
	put("hooks/notes", "x\n", 0644);
	put("hooks/off", "#!/bin/sh\n", 0644);
	conf.writer_count = 1;
	conf.writers[0] = conf.defaults;
	strcpy(conf.writers[0].name, "off");
	conf.writers[0].disabled = true;
	assert_int_equal(checked(&text), 0);
	says(text, "/writers/db (it is not an executable file)\n");
	says(text, "/writers/db.bak (its name ends like that of a backup");
	says(text, "/writers/my db (its name has more in it");
	says(text, "/writers/.hidden? (its name begins with a dot)\n");
	says(text, "/hooks/notes (it is not");
	says(text, "/hooks/off (it is not");
	assert_null(strstr(text, "/writers/off"));
	assert_null(strstr(text, "/writers/good"));
	first = strstr(text, "/writers/.hidden");
	assert_true(first < strstr(text, "/writers/db ("));
	free(text);
	conf.no_hooks = true;
	assert_int_equal(checked(&text), 0);
	assert_null(strstr(text, "/hooks/"));
	free(text);
}

/* What is configured and fits nothing is most likely misspelt. */
static void
test_check_notes_what_is_skipped_for_nothing(void **state)
{
	char *text = NULL;

	(void)state;
	put("mountinfo",
	    "30 1 0:30 / /srv rw - tmpfs none rw\n"
	    "31 1 0:31 / /far rw - nfs4 host:/ rw\n",
	    0644);
	strcpy(conf.skip_mounts.items[0], "/srv");
	strcpy(conf.skip_mounts.items[1], "/srv/cache");
	conf.skip_mounts.count = 2;
	strcpy(conf.skip_types.items[0], "nfs4");
	strcpy(conf.skip_types.items[1], "ext5");
	conf.skip_types.count = 2;
	assert_int_equal(checked(&text), 0);
	says(text, "note: nothing would be frozen\n");
	says(text, "note: skip = /srv/cache: nothing is mounted there\n");
	says(text, "note: skip-type = ext5: nothing of that type");
	assert_null(strstr(text, "skip = /srv:"));
	assert_null(strstr(text, "skip-type = nfs4"));
	free(text);
}

static void
test_check_counts_what_is_wrong(void **state)
{
	char *text = NULL;

	(void)state;
	put("writers/good", "#!/bin/sh\n", 0755);
	put("writers/open", "#!/bin/sh\n", 0757);
	conf.writer_count = 1;
	conf.writers[0] = conf.defaults;
	strcpy(conf.writers[0].name, "gone");
	assert_int_equal(checked(&text), 2);
	says(text, "/writers/open' can be written to by others");
	says(text, "no such executable");
	says(text, "2 of these would fail");
	free(text);
}

static void
test_check_says_when_there_are_none(void **state)
{
	char none[160], *text = NULL;

	(void)state;
	snprintf(none, sizeof(none),
	    "no writers in %s/writers, no hooks in %s/hooks\n", dir, dir);
	assert_int_equal(checked(&text), 0);
	says(text, none);
	free(text);
	put("writers/open", "#!/bin/sh\n", 0757);
	conf.no_writers = true;
	assert_int_equal(checked(&text), 0);
	says(text, "are turned off");
	free(text);
}

static void
put_link(const char *folder, const char *name, const char *to)
{
	struct err err = ERR_INIT;
	char path[160], target[160];

	snprintf(path, sizeof(path), "%s/%s", dir, folder);
	assert_int_equal(io_make_dirs(path, 0755, &err), 0);
	snprintf(path, sizeof(path), "%s/%s/%s", dir, folder, name);
	snprintf(target, sizeof(target), "%s/%s", dir, to);
	assert_int_equal(symlink(target, path), 0);
}

/* A disk is there, but not the mount point that the table tells of. */
static void
test_check_counts_a_file_system_that_fails(void **state)
{
	char device[96], *text = NULL;

	(void)state;
	make_dir(device, sizeof(device), "sdx");
	put_link("dev/block", "8:0", "sdx");
	put_link("class/block", "sdx", "sdx");
	put_link("block", "sdx", "sdx");
	put("mountinfo",
	    "30 1 8:0 / /nonexistent rw - ext4 /dev/nonexistent rw\n", 0644);
	assert_int_equal(checked(&text), 1);
	says(text, "sdx        ext4     failed     /nonexistent (");
	says(text, "1 of these would fail");
	free(text);
}

int
main(void)
{
#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, setup, temp_dir_teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_check_shows_writers_and_hooks),
		CASE(test_check_shows_the_times_that_are_left),
		CASE(test_check_names_what_is_passed_over),
		CASE(test_check_notes_what_is_skipped_for_nothing),
		CASE(test_check_counts_what_is_wrong),
		CASE(test_check_says_when_there_are_none),
		CASE(test_check_counts_a_file_system_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
