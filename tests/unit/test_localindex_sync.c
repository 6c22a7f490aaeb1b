/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local index against its repository: other hosts write and prune, and
 * its own file is damaged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"
#include "store/checksum.h"
#include "store/store_internal.h"
#include "store_rig.h"

#define MIB (UINT64_C(1) << 20)
#define POINTS 8u
#define DAMAGES 24u

static struct rig rig;
static struct rig_start start = { .rig = &rig, .kind = "dir" };
static char other[320];

static int
setup(void **state)
{
	rig_set_up(state);
	snprintf(other, sizeof(other), "%s-2", rig.cache);
	return 0;
}

static struct manifest *
backup(struct store *s, const struct image *im)
{
	struct manifest *m = NULL;
	struct err err = ERR_INIT;

	if (rig_backup(&rig, s, &m, im, NULL, NULL, &err) == -1)
		fail_msg("backup: %s", err.text);
	return m;
}

/* Points of a disk with other content each, by that store. */
static void
make_points(struct store *s, struct manifest *m[POINTS],
    struct image im[POINTS], unsigned int seed)
{
	unsigned int i;

	for (i = 0; i < POINTS; i++) {
		image_init(&im[i], 2 * MIB);
		image_fill(&im[i], 0, 2 * MIB, seed + i, false);
		m[i] = backup(s, &im[i]);
	}
}

static void
free_points(struct manifest *m[POINTS], struct image im[POINTS])
{
	unsigned int i;

	for (i = 0; i < POINTS; i++) {
		manifest_free(m[i]);
		image_fini(&im[i]);
	}
}

/* Syncs, and says how many objects that took to read. */
static uint64_t
sync_reads(struct store *s)
{
	const struct wrap_fault_plan count = { .ops = WRAP_FAULT_GET };
	struct err err = ERR_INIT;

	wrap_fault_set(&rig.fault, &count);
	if (store_sync(s, SYNC_INDEXES, false, &err) == -1)
		fail_msg("sync: %s", err.text);
	return wrap_fault_calls(&rig.fault);
}

static void
test_localindex_sync_reads_what_another_host_wrote(void **state)
{
	struct manifest *m[POINTS], *again;
	struct image im[POINTS];
	struct store *s;
	uint64_t all, one;

	(void)state;
	make_points(rig.store, m, im, 100);
	s = rig_open_store(&rig, other);
	all = sync_reads(s);
	assert_true(all >= POINTS);
	assert_int_equal(sync_reads(s), 0);
	manifest_free(m[0]);
	image_fill(&im[0], 0, MIB, 999, false);
	m[0] = backup(rig.store, &im[0]);
	one = sync_reads(s);
	assert_true(one > 0 && one < all / 2);
	again = backup(s, &im[0]);
	assert_int_equal(again->disks[0].new_bytes, 0);
	manifest_free(again);
	store_close(s);
	free_points(m, im);
}

/* What went is forgotten, what stays is not read again. */
static void
test_localindex_sync_forgets_what_another_host_pruned(void **state)
{
	struct store_prune_result result;
	struct manifest *m[POINTS], *again;
	struct image im[POINTS];
	struct err err = ERR_INIT;
	struct store *s;
	unsigned int i;

	(void)state;
	make_points(rig.store, m, im, 200);
	s = rig_open_store(&rig, other);
	assert_true(sync_reads(s) >= POINTS);
	assert_int_equal(store_point_forget(rig.store, m[3]->id, &err), 0);
	assert_int_equal(rig_prune(rig.store, &result, &err), 0);
	assert_true(result.packs_removed > 0);
	assert_in_range(sync_reads(s), 0, 2);
	for (i = 0; i < POINTS; i++) {
		again = backup(s, &im[i]);
		if (i == 3)
			assert_int_equal(again->disks[0].new_bytes, 2 * MIB);
		else
			assert_int_equal(again->disks[0].new_bytes, 0);
		rig_expect(s, again, &im[i]);
		manifest_free(again);
	}
	store_close(s);
	free_points(m, im);
}

/* Much went: its own files are to give that space back, too. */
static void
test_localindex_sync_begins_anew_when_much_went(void **state)
{
	struct store_prune_result result;
	struct manifest *m[POINTS];
	struct image im[POINTS];
	struct err err = ERR_INIT;
	struct store *s;
	unsigned int i;

	(void)state;
	make_points(rig.store, m, im, 300);
	s = rig_open_store(&rig, other);
	sync_reads(s);
	for (i = 1; i < POINTS; i++)
		assert_int_equal(
		    store_point_forget(rig.store, m[i]->id, &err), 0);
	assert_int_equal(rig_prune(rig.store, &result, &err), 0);
	sync_reads(s);
	rig_expect(s, m[0], &im[0]);
	store_close(s);
	free_points(m, im);
}

static void
spoil(const char *path, unsigned int seed)
{
	uint64_t noise[8], at;
	struct stat st;
	unsigned int i;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	for (i = 0; i < 8; i++)
		noise[i] = checksum_of((unsigned int[]){ seed, i }, 8);
	at = noise[0] % (uint64_t)(st.st_size / 4096) * 4096;
	/* The head of a page, or some of what it holds. */
	if (seed % 2 == 1)
		at += 64 + noise[1] % 3900;
	assert_int_equal(io_pwrite_full(fd, noise, sizeof(noise), at), 0);
	close(fd);
}

/* A process of its own: LMDB ends it at some pages. */
static int
try_in_child(const struct manifest *m, const struct image *im)
{
	struct err err = ERR_INIT;
	struct store *s = NULL;
	struct image back = { .bytes = NULL };
	int status, bad;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		/* Its words are of no use here. */
		bad = freopen("/dev/null", "w", stderr) == NULL ||
		      rig_try_open(&rig, &s, other, &err) == -1 ||
		      rig_read(s, m, &back, &err) == -1;
		if (!bad && memcmp(back.bytes, im->bytes, im->size) != 0)
			bad = 2;
		image_fini(&back);
		store_close(s);
		_exit(bad);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* It may take two tries to find out; wrong bytes are never read. */
static void
test_localindex_sync_heals_random_damage(void **state)
{
	char path[400];
	struct manifest *m;
	struct image im;
	unsigned int i, tries;
	int rc;

	(void)state;
	image_init(&im, 24 * MIB);
	image_fill(&im, 0, 24 * MIB, 5, false);
	m = backup(rig.store, &im);
	snprintf(
	    path, sizeof(path), "%s/%s/data.mdb", other, store_id(rig.store));
	/* LMDB does not live through a fork. */
	store_close(rig.store);
	rig.store = NULL;
	assert_int_equal(try_in_child(m, &im), 0);
	for (i = 0; i < DAMAGES; i++) {
		spoil(path, i);
		for (tries = 0; (rc = try_in_child(m, &im)) != 0; tries++) {
			assert_int_not_equal(rc, 2);
			assert_true(tries < 3);
		}
	}
	rig.store = rig_open_store(&rig, rig.cache);
	manifest_free(m);
	image_fini(&im);
}

#define ON(f) \
	cmocka_unit_test_prestate_setup_teardown( \
	    f, setup, rig_tear_down, &start)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON(test_localindex_sync_reads_what_another_host_wrote),
		ON(test_localindex_sync_forgets_what_another_host_pruned),
		ON(test_localindex_sync_begins_anew_when_much_went),
		ON(test_localindex_sync_heals_random_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
