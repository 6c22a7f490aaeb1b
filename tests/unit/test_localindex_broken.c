/* SPDX-License-Identifier: Apache-2.0 */
/* A local index that is to be made anew while another process has it open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"
#include "store/localindex.h"
#include "tests/unit/index_rig.h"
#include "tests/unit/temp_dir.h"

/* As localindex_load.c has it: more become a run. */
#define RUN_PACKS ((256u << 10) / INDEX_RIG_BLOBS + 1)
/* Of the other process. */
#define PACK_FIRST 100u

static const char *dir;
static struct index_rig_other other;

static int
add_run(struct localindex *li, uint32_t first)
{
	struct err err = ERR_INIT;
	uint32_t i;

	for (i = 0; i < RUN_PACKS; i++)
		if (index_rig_add(li, first + i, false, &err) == -1)
			return -1;
	return 0;
}

/* 1, 0, -1: is the first blob of that pack known? */
static int
knows(struct localindex *li, uint32_t pack)
{
	uint8_t hash[DIGEST_BYTES];
	struct err err = ERR_INIT;
	struct blob_place place;

	index_rig_name(hash, pack, 0);
	return localindex_find(li, BLOB_DATA, hash, &place, &err);
}

/* Fills it, waits to be asked, and looks whether all is there still. */
static int
use_it(struct index_rig_other *o)
{
	struct err err = ERR_INIT;
	struct localindex *li;
	char byte;

	if (localindex_open(&li, dir, LOCALINDEX_PLAIN, &err) == -1 ||
	    add_run(li, PACK_FIRST) == -1 || write(o->answer[1], "", 1) != 1 ||
	    read(o->ask[0], &byte, 1) != 1)
		return 1;
	if (knows(li, PACK_FIRST) != 1 || localindex_damaged(li) ||
	    index_rig_add(li, PACK_FIRST - 1, false, &err) == -1 ||
	    knows(li, PACK_FIRST - 1) != 1)
		return 2;
	localindex_close(li);
	return 0;
}

static int
setup(void **state)
{
	char byte;

	if (temp_dir_setup(state) == -1)
		return -1;
	dir = *state;
	if (index_rig_fork(&other, use_it) == -1)
		return -1;
	return read(other.answer[0], &byte, 1) == 1 ? 0 : -1;
}

static void
other_ends(void)
{
	assert_int_equal(write(other.ask[1], "", 1), 1);
	assert_int_equal(index_rig_wait(&other), 0);
}

static int
teardown(void **state)
{
	index_rig_close(&other);
	return temp_dir_teardown(state);
}

static void
make_broken(void)
{
	char *path = io_path(dir, "broken");
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd != -1);
	close(fd);
	free(path);
}

/* The name of the one run that there is. */
static void
run_name(char out[64])
{
	DIR *d = opendir(dir);
	unsigned int count = 0;
	struct dirent *e;

	while ((e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, "run-", 4) != 0)
			continue;
		snprintf(out, 64, "%.63s", e->d_name);
		count++;
	}
	closedir(d);
	assert_int_equal(count, 1);
}

static void
test_localindex_broken_stays_while_others_use_it(void **state)
{
	char before[64], after[64];
	struct err err = ERR_INIT;
	struct localindex *li;

	(void)state;
	run_name(before);
	make_broken();
	assert_int_equal(localindex_open(&li, dir, LOCALINDEX_PLAIN, &err), -1);
	assert_int_equal(err.class, ERR_BUSY);
	/* Nor if it seems to be of another layout. */
	assert_int_equal(
	    localindex_open(&li, dir, "0123456789abcdef0123456789abcdef", &err),
	    -1);
	assert_int_equal(err.class, ERR_BUSY);
	other_ends();
	if (localindex_open(&li, dir, LOCALINDEX_PLAIN, &err) == -1)
		fail_msg("open: %s", err.text);
	assert_int_equal(knows(li, PACK_FIRST), 0);
	/* A new index's runs have names of their own. */
	assert_int_equal(add_run(li, 1), 0);
	run_name(after);
	assert_string_not_equal(before, after);
	assert_int_equal(knows(li, 1), 1);
	localindex_close(li);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_localindex_broken_stays_while_others_use_it, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
