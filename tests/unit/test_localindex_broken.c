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
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"
#include "store/localindex.h"

#define PACK_BLOBS 16000u
/* As localindex_load.c has it: more become a run. */
#define RUN_PACKS ((256u << 10) / PACK_BLOBS + 1)
/* Of the other process. */
#define PACK_FIRST 100u

static char dir[] = "/tmp/holdstill-test-XXXXXX";
static int ask[2], answer[2];
static pid_t other;

static void
name(uint8_t hash[DIGEST_BYTES], uint32_t pack, uint32_t blob)
{
	uint64_t mixed = ((uint64_t)pack << 32 | blob) * 0x9e3779b97f4a7c15u;

	memset(hash, 0, DIGEST_BYTES);
	memcpy(hash, &mixed, sizeof(mixed));
}

static int
add(struct localindex *li, uint32_t number)
{
	struct pack_frame *frames = calloc(PACK_BLOBS, sizeof(*frames));
	struct pack_blob *blobs = calloc(PACK_BLOBS, sizeof(*blobs));
	struct index_pack p = { .table = { .frames = frames,
				    .frame_count = PACK_BLOBS,
				    .blobs = blobs,
				    .blob_count = PACK_BLOBS } };
	struct err err = ERR_INIT;
	uint32_t i;
	int rc;

	memcpy(p.id, &number, sizeof(number));
	for (i = 0; i < PACK_BLOBS; i++) {
		frames[i] = (struct pack_frame){ .offset = 48 + i,
			.stored_size = 1,
			.raw_size = 65536,
			.first_blob = i,
			.blob_count = 1 };
		blobs[i].type = BLOB_DATA;
		blobs[i].size = 65536;
		name(blobs[i].hash, number, i);
	}
	rc = localindex_add(li, NULL, &p, 1, &err);
	free(frames);
	free(blobs);
	return rc;
}

static int
add_run(struct localindex *li, uint32_t first)
{
	uint32_t i;

	for (i = 0; i < RUN_PACKS; i++)
		if (add(li, first + i) == -1)
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

	name(hash, pack, 0);
	return localindex_find(li, BLOB_DATA, hash, &place, &err);
}

/* Fills it, waits to be asked, and looks whether all is there still. */
static int
use_it(void)
{
	struct err err = ERR_INIT;
	struct localindex *li;
	char byte;

	if (localindex_open(&li, dir, LOCALINDEX_PLAIN, &err) == -1 ||
	    add_run(li, PACK_FIRST) == -1 || write(answer[1], "", 1) != 1 ||
	    read(ask[0], &byte, 1) != 1)
		return 1;
	if (knows(li, PACK_FIRST) != 1 || localindex_damaged(li) ||
	    add(li, PACK_FIRST - 1) == -1 || knows(li, PACK_FIRST - 1) != 1)
		return 2;
	localindex_close(li);
	return 0;
}

static int
setup(void **state)
{
	char byte;

	(void)state;
	strcpy(strrchr(dir, '-'), "-XXXXXX");
	if (mkdtemp(dir) == NULL || pipe(ask) == -1 || pipe(answer) == -1 ||
	    (other = fork()) == -1)
		return -1;
	if (other == 0) {
		close(ask[1]); /* With the test it ends as well. */
		_exit(use_it());
	}
	close(ask[0]);
	close(answer[1]);
	return read(answer[0], &byte, 1) == 1 ? 0 : -1;
}

static void
other_ends(void)
{
	int status;

	assert_int_equal(write(ask[1], "", 1), 1);
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int
teardown(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	close(ask[1]);
	close(answer[0]);
	return io_remove_tree(dir, &err);
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
