/* SPDX-License-Identifier: Apache-2.0 */
/* The local index when it is large: runs, merges, packs that go, damage. */
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
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"
#include "store/checksum.h"
#include "store/localindex.h"

#define PACK_BLOBS 16000u
/* As localindex_load.c has it: more become a run. */
#define NEWEST_MAX (256u << 10)
#define RUN_PACKS (NEWEST_MAX / PACK_BLOBS + 1)

static char dir[] = "/tmp/holdstill-test-XXXXXX";
static struct localindex *li;

static int
setup(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	strcpy(strrchr(dir, '-'), "-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	return localindex_open(&li, dir, "plain", &err);
}

static int
teardown(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	localindex_close(li);
	return io_remove_tree(dir, &err);
}

static void
name(uint8_t hash[DIGEST_BYTES], uint32_t content, uint32_t blob)
{
	uint32_t in[3] = { content, blob, 0 };
	uint64_t x;

	for (in[2] = 0; in[2] < DIGEST_BYTES / 8; in[2]++) {
		x = checksum_of(in, sizeof(in));
		memcpy(hash + (size_t)8 * in[2], &x, sizeof(x));
	}
}

static void
id_of(uint8_t id[OBJECT_ID_BYTES], uint32_t number)
{
	memset(id, 0, OBJECT_ID_BYTES);
	memcpy(id, &number, sizeof(number));
}

/* Pack `number` with blobs of that content; caller finis the table. */
static struct index_pack
make_pack(uint32_t number, uint32_t content, uint32_t blobs)
{
	struct index_pack p = { .size = 0 };
	uint32_t i;

	id_of(p.id, number);
	p.table.frames = calloc(blobs, sizeof(*p.table.frames));
	p.table.blobs = calloc(blobs, sizeof(*p.table.blobs));
	p.table.frame_count = p.table.blob_count = blobs;
	for (i = 0; i < blobs; i++) {
		p.table.frames[i] = (struct pack_frame){ .offset = 48 + i,
			.stored_size = 1 + number % 100,
			.raw_size = 65536,
			.coding = 1,
			.first_blob = i,
			.blob_count = 1 };
		p.table.blobs[i].type = BLOB_DATA;
		p.table.blobs[i].size = 65536;
		name(p.table.blobs[i].hash, content, i);
	}
	return p;
}

static void
add(uint32_t number, uint32_t content, uint32_t blobs, bool trusted)
{
	struct index_pack p = make_pack(number, content, blobs);
	struct err err = ERR_INIT;
	uint8_t id[OBJECT_ID_BYTES];

	id_of(id, number);
	if (localindex_add(li, trusted ? id : NULL, &p, 1, &err) == -1)
		fail_msg("add: %s", err.text);
	pack_table_fini(&p.table);
}

/* Packs first.. of the same content as their numbers, as a rebuild does. */
static void
load(uint32_t first, uint32_t count)
{
	struct localindex_load *l;
	struct err err = ERR_INIT;
	uint8_t id[OBJECT_ID_BYTES];
	struct index_pack p;

	assert_int_equal(localindex_load_new(&l, li, &err), 0);
	for (; count > 0; count--, first++) {
		p = make_pack(first, first, PACK_BLOBS);
		id_of(id, first);
		assert_int_equal(localindex_load_add(l, id, &p, 1, &err), 0);
		pack_table_fini(&p.table);
	}
	if (localindex_load_end(l, &err) == -1)
		fail_msg("load: %s", err.text);
	localindex_load_free(l);
}

/* The number of the pack that has it; 0: none. */
static uint32_t
find(uint32_t content, uint32_t blob)
{
	uint8_t hash[DIGEST_BYTES];
	struct err err = ERR_INIT;
	struct blob_place place;
	uint32_t number;
	int rc;

	name(hash, content, blob);
	rc = localindex_find(li, BLOB_DATA, hash, &place, &err);
	if (rc == -1)
		fail_msg("find: %s", err.text);
	if (rc == 0)
		return 0;
	memcpy(&number, place.pack, sizeof(number));
	assert_int_equal(place.ordinal, blob);
	assert_int_equal(place.frame_offset, 48 + blob);
	assert_int_equal(place.stored_size, 1 + number % 100);
	assert_int_equal(place.size, 65536);
	return number;
}

static void
reopen(void)
{
	struct err err = ERR_INIT;

	localindex_close(li);
	if (localindex_open(&li, dir, "plain", &err) == -1)
		fail_msg("open: %s", err.text);
}

/* The files of runs; paths if asked for. */
static unsigned int
runs(char path[][300], unsigned int max)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, "run-", 4) != 0)
			continue;
		if (n < max)
			snprintf(path[n], 300, "%s/%.200s", dir, e->d_name);
		n++;
	}
	closedir(d);
	return n;
}

static void
expect_all(uint32_t first, uint32_t last)
{
	uint32_t i, blob;

	for (i = first; i <= last; i++) {
		for (blob = i % 7; blob < PACK_BLOBS; blob += 997)
			assert_int_equal(find(i, blob), i);
		assert_int_equal(find(i, PACK_BLOBS - 1), i);
		assert_int_equal(find(i, PACK_BLOBS), 0);
	}
}

/* Each load is the size of a run: merged they are few, and none is lost. */
static void
test_localindex_runs_are_merged(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < 6; i++) {
		load(1 + i * RUN_PACKS, RUN_PACKS);
		assert_in_range(runs(NULL, 0), 1, 2);
	}
	add(6 * RUN_PACKS + 1, 6 * RUN_PACKS + 1, PACK_BLOBS, true);
	expect_all(1, 6 * RUN_PACKS + 1);
	reopen();
	expect_all(1, 6 * RUN_PACKS + 1);
}

static void
test_localindex_runs_become_one(void **state)
{
	struct err err = ERR_INIT;
	uint32_t first = 1;

	(void)state;
	assert_int_equal(localindex_merge_all(li, &err), 0);
	assert_int_equal(runs(NULL, 0), 0);
	while (runs(NULL, 0) < 2 && first < 10 * RUN_PACKS) {
		load(first, RUN_PACKS);
		first += RUN_PACKS;
	}
	assert_int_equal(runs(NULL, 0), 2);
	add(first, first, PACK_BLOBS, true);
	assert_int_equal(localindex_merge_all(li, &err), 0);
	assert_int_equal(runs(NULL, 0), 1);
	expect_all(1, first);
	assert_int_equal(localindex_merge_all(li, &err), 0);
	reopen();
	expect_all(1, first);
}

/* What sessions add one by one comes to the same. */
static void
test_localindex_runs_come_of_small_adds(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 1; i <= 2 * RUN_PACKS; i++)
		add(i, i, PACK_BLOBS, true);
	assert_in_range(runs(NULL, 0), 1, 2);
	expect_all(1, 2 * RUN_PACKS);
}

/* Trusted before others, of those the last; of others the first. */
static void
test_localindex_runs_rank_copies(void **state)
{
	(void)state;
	add(1, 99, 10, false);
	add(2, 99, 10, false);
	assert_int_equal(find(99, 3), 1);
	load(3, RUN_PACKS); /* Both are in a run now. */
	assert_int_equal(find(99, 3), 1);
	add(60, 99, 10, true);
	assert_int_equal(find(99, 3), 60);
	add(61, 99, 10, true);
	assert_int_equal(find(99, 3), 61);
	load(70, RUN_PACKS);
	assert_int_equal(find(99, 3), 61);
	add(62, 99, 10, false);
	assert_int_equal(find(99, 3), 61);
	add(62, 99, 10, true);
	assert_int_equal(find(99, 3), 62);
}

static bool
forget(uint32_t number)
{
	struct idset gone = { .ids = NULL }, indexes = { .ids = NULL };
	uint8_t id[OBJECT_ID_BYTES];
	struct err err = ERR_INIT;
	bool behind;

	id_of(id, number);
	assert_int_equal(idset_add(&gone, id, &err), 0);
	assert_int_equal(localindex_indexes(&indexes, li, &err), 0);
	idset_subtract(&indexes, &gone); /* Of the same id. */
	assert_int_equal(
	    localindex_forget(li, &behind, &gone, &indexes, &err), 0);
	idset_fini(&gone);
	idset_fini(&indexes);
	return behind;
}

/* A copy in a pack that stays serves, in runs and in what is newer. */
static void
test_localindex_runs_forget_packs_that_go(void **state)
{
	struct err err = ERR_INIT;
	struct idset set;

	(void)state;
	add(100, 99, 10, true);
	load(1, RUN_PACKS);
	add(101, 99, 10, true);
	assert_int_equal(find(99, 3), 101);
	assert_false(forget(101));
	assert_int_equal(find(99, 3), 100);
	assert_false(forget(5));
	assert_int_equal(find(5, 17), 0);
	assert_int_equal(find(6, 17), 6);
	assert_int_equal(localindex_indexes(&set, li, &err), 0);
	assert_int_equal(set.count, RUN_PACKS); /* Of RUN_PACKS + 2. */
	idset_fini(&set);
	/* It may come back. */
	add(5, 5, PACK_BLOBS, true);
	assert_int_equal(find(5, 17), 5);
	load(200, RUN_PACKS);
	assert_int_equal(find(5, 17), 5);
	assert_int_equal(find(99, 3), 100);
}

/* Its packs are there, the index is not: nobody knows who else names them. */
static void
test_localindex_runs_are_behind_without_an_index(void **state)
{
	struct idset none = { .ids = NULL };
	struct err err = ERR_INIT;
	bool behind;

	(void)state;
	add(1, 1, 10, true);
	assert_int_equal(localindex_forget(li, &behind, &none, &none, &err), 0);
	assert_true(behind);
}

static void
spoil(const char *path, uint64_t offset, unsigned int seed)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint64_t noise = checksum_of(&seed, sizeof(seed));

	assert_true(fd >= 0);
	assert_int_equal(io_pwrite_full(fd, &noise, sizeof(noise), offset), 0);
	close(fd);
}

/* Found or unknown, never wrong; and once it was met, it is known. */
static void
expect_damage(bool met)
{
	struct err err = ERR_INIT;
	uint32_t i, blob, found, lost = 0;

	reopen();
	for (i = 1; i <= 2 * RUN_PACKS; i++) {
		for (blob = 0; blob < PACK_BLOBS; blob += 61) {
			found = find(i, blob);
			assert_true(found == i || found == 0);
			lost += found == 0;
		}
	}
	assert_int_equal(localindex_damaged(li), lost > 0);
	assert_true(!met || lost > 0);
	assert_int_equal(localindex_clear(li, &err), 0);
	assert_false(localindex_damaged(li));
	assert_int_equal(find(1, 0), 0);
	assert_int_equal(runs(NULL, 0), 0);
}

static void
test_localindex_runs_that_are_damaged_are_met(void **state)
{
	char path[1][300];
	struct stat st;
	unsigned int how, i;

	(void)state;
	for (how = 0; how < 6; how++) {
		load(1, 2 * RUN_PACKS);
		assert_int_equal(runs(path, 1), 1);
		assert_int_equal(stat(path[0], &st), 0);
		switch (how) {
		case 0: /* A byte here and there. */
			for (i = 0; i < 200; i++)
				spoil(path[0],
				    checksum_of(&i, sizeof(i)) %
					(uint64_t)(st.st_size - 100000),
				    i);
			break;
		case 1: /* Its head. */
			spoil(path[0], 8, 1);
			break;
		case 2: /* The first hashes of its pages. */
			spoil(path[0], (uint64_t)st.st_size - 30, 2);
			break;
		case 3:
			assert_int_equal(truncate(path[0], st.st_size / 2), 0);
			break;
		case 4:
			assert_int_equal(truncate(path[0], 0), 0);
			break;
		default:
			assert_int_equal(unlink(path[0]), 0);
		}
		expect_damage(true);
	}
}

/* A merge leaves alone what is damaged, and what comes new is known. */
static void
test_localindex_runs_grow_beside_a_damaged_one(void **state)
{
	char path[1][300];
	struct err err = ERR_INIT;

	(void)state;
	load(1, RUN_PACKS);
	assert_int_equal(runs(path, 1), 1);
	spoil(path[0], 4096 * 30 + 100, 1);
	load(1 + RUN_PACKS, RUN_PACKS);
	assert_true(localindex_damaged(li));
	expect_all(1 + RUN_PACKS, 2 * RUN_PACKS);
	assert_int_equal(localindex_clear(li, &err), 0);
}

/* One reader's view of before a merge goes on. */
static void
test_localindex_runs_outlive_a_merge_in_a_view(void **state)
{
	struct localindex_view v;
	uint8_t hash[DIGEST_BYTES];
	struct err err = ERR_INIT;
	struct blob_place place;
	char path[1][300];

	(void)state;
	load(1, RUN_PACKS);
	assert_int_equal(runs(path, 1), 1);
	assert_int_equal(localindex_view_begin(&v, li, &err), 0);
	/* What another process's merge would do. */
	assert_int_equal(unlink(path[0]), 0);
	name(hash, 2, 7);
	assert_int_equal(
	    localindex_view_find(&v, BLOB_DATA, hash, &place, NULL, &err), 1);
	localindex_view_end(&v);
}

/* A new one for what broke still knows that the names were a key's. */
static void
test_localindex_runs_break_and_stay_sealed(void **state)
{
	static const char key[] = "00112233445566778899aabbccddeeff";
	struct err err = ERR_INIT;
	char path[300];
	int fd;

	(void)state;
	localindex_close(li);
	snprintf(path, sizeof(path), "%s/broken", dir);
	assert_int_equal(localindex_open(&li, dir, key, &err), 0);
	add(1, 1, 10, true);
	localindex_close(li);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(localindex_open(&li, dir, "plain", &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	err_clear(&err);
	assert_int_equal(localindex_open(&li, dir, key, &err), 0);
	assert_int_equal(find(1, 3), 0);
	add(1, 1, 10, true);
	localindex_close(li);
	assert_int_equal(localindex_open(&li, dir, key, &err), 0);
	assert_int_equal(find(1, 3), 1);
}

#define ON(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON(test_localindex_runs_are_merged),
		ON(test_localindex_runs_become_one),
		ON(test_localindex_runs_come_of_small_adds),
		ON(test_localindex_runs_rank_copies),
		ON(test_localindex_runs_forget_packs_that_go),
		ON(test_localindex_runs_are_behind_without_an_index),
		ON(test_localindex_runs_that_are_damaged_are_met),
		ON(test_localindex_runs_grow_beside_a_damaged_one),
		ON(test_localindex_runs_outlive_a_merge_in_a_view),
		ON(test_localindex_runs_break_and_stay_sealed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
