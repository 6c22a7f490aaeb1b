/* SPDX-License-Identifier: Apache-2.0 */
/* Backups written and read back: round trips, deduplication, resuming. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"
#include "tests/unit/store_rig.h"

#define MIB (UINT64_C(1) << 20)
#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)

static struct rig rig;
static struct rig_start in_mem = { .rig = &rig };
static struct rig_start in_dir = { .rig = &rig, .kind = "dir" };

static void
test_session_round_trip_of_odd_sizes(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 511, 65535, 65536, 65537,
		4 * MIB, 4 * MIB + 1, 5 * MIB - 512, 21 * MIB + 4096 };
	struct manifest *m;
	struct image im;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		image_init(&im, sizes[i]);
		image_fill(&im, 0, sizes[i] / 2, (unsigned int)i, true);
		image_fill(&im, sizes[i] * 3 / 4, sizes[i],
		    (unsigned int)i + 100, false);
		m = rig_point(&rig, &im, NULL, NULL);
		rig_expect(rig.store, m, &im);
		manifest_free(m);
		image_fini(&im);
	}
}

/* Random writes and zeroed ranges, random new sizes, point after point. */
static void
test_session_incrementals_keep_every_point(void **state)
{
	struct manifest *m[12];
	struct image im[12];
	const unsigned int count = rig_slow() ? 5 : 12;
	uint64_t size = 40 * MIB, at, n;
	unsigned int i, j;

	(void)state;
	srand(7);
	image_init(&im[0], size);
	image_fill(&im[0], 3 * MIB, 20 * MIB, 1, true);
	m[0] = rig_point(&rig, &im[0], NULL, NULL);
	for (i = 1; i < count; i++) {
		if (i % 3 == 0) {
			/* Across levels of the map: 4 MiB and 256 MiB. */
			size = i == 3 ? 300 * MIB : i == 6 ? 2 * MIB : 70 * MIB;
		}
		image_init(&im[i], size);
		memcpy(im[i].bytes, im[i - 1].bytes,
		    size < im[i - 1].size ? size : im[i - 1].size);
		for (j = 0; j < 20; j++) {
			at = (uint64_t)rand() % size;
			n = (uint64_t)rand() % (300 * 1024);
			if (at + n > size)
				n = size - at;
			if (j % 3 == 0)
				memset(im[i].bytes + at, 0, n);
			else
				image_fill(&im[i], at, n, i * 100 + j, j % 2);
		}
		m[i] = rig_point(&rig, &im[i], m[i - 1], &im[i - 1]);
	}
	rig_reopen(&rig);
	for (i = 0; i < count; i++) {
		rig_expect(rig.store, m[i], &im[i]);
		manifest_free(m[i]);
		image_fini(&im[i]);
	}
}

static void
test_session_same_blocks_are_stored_once(void **state)
{
	struct manifest *a, *b;
	struct image im;
	unsigned int i;

	(void)state;
	image_init(&im, 16 * MIB);
	image_fill(&im, 0, MIB, 1, false);
	for (i = 1; i < 16; i++)
		memcpy(im.bytes + i * MIB, im.bytes, MIB);
	a = rig_point(&rig, &im, NULL, NULL);
	assert_int_equal(a->disks[0].new_bytes, MIB);
	b = rig_point(&rig, &im, NULL, NULL);
	assert_int_equal(b->disks[0].new_bytes, 0);
	assert_int_equal(b->disks[0].stored_bytes, 0);
	assert_memory_equal(a->disks[0].root, b->disks[0].root, 32);
	rig_expect(rig.store, a, &im);
	rig_expect(rig.store, b, &im);
	manifest_free(a);
	manifest_free(b);
	image_fini(&im);
}

static void
test_session_scattered_changes_cost_little(void **state)
{
	struct keys *before = malloc(sizeof(*before));
	struct keys *after = malloc(sizeof(*after));
	const unsigned int blocks = rig_slow() ? 2048 : 8192;
	struct image im, changed;
	struct manifest *m, *n;
	unsigned int i;

	(void)state;
	image_init(&im, blocks * BLOCK);
	/* Every block is data, and all differ, so that the map is full. */
	for (i = 0; i < blocks; i++)
		memcpy(im.bytes + i * BLOCK, &(uint32_t){ i + 1 }, 4);
	m = rig_point(&rig, &im, NULL, NULL);
	rig_keys(&rig, before, "");
	image_copy(&changed, &im);
	for (i = 0; i < 100; i++)
		image_fill(&changed, (i * (blocks / 101) + 5) * BLOCK + 4096,
		    4096, i, false);
	n = rig_point(&rig, &changed, m, &im);
	rig_keys(&rig, after, "");
	assert_int_equal(n->disks[0].new_bytes, 100 * BLOCK);
	/* 4 KiB of noise a block, and less than 4 KiB beside it. */
	assert_in_range(after->bytes - before->bytes, 100 * 4096, 100 * 8192);
	rig_expect(rig.store, n, &changed);
	rig_expect(rig.store, m, &im);
	manifest_free(m);
	manifest_free(n);
	image_fini(&im);
	image_fini(&changed);
	free(before);
	free(after);
}

static void
test_session_cache_is_rebuilt_when_deleted(void **state)
{
	struct err err = ERR_INIT;
	struct image im;
	struct manifest *m, *again;

	(void)state;
	image_init(&im, 8 * MIB);
	image_fill(&im, 0, 8 * MIB, 3, false);
	m = rig_point(&rig, &im, NULL, NULL);
	store_close(rig.store);
	assert_int_equal(io_remove_tree(rig.cache, &err), 0);
	rig.store = rig_open_store(&rig, rig.cache);
	rig_expect(rig.store, m, &im);
	again = rig_point(&rig, &im, NULL, NULL);
	assert_int_equal(again->disks[0].new_bytes, 0);
	manifest_free(m);
	manifest_free(again);
	image_fini(&im);
}

static void
garble(const char *path, bool truncate_it)
{
	FILE *f = fopen(path, "r+");
	unsigned int i;

	assert_non_null(f);
	if (truncate_it) {
		assert_int_equal(ftruncate(fileno(f), 3 * 4096), 0);
	} else {
		for (i = 0; i < 64 * 1024; i++)
			fputc((int)(i * 7 % 251), f);
	}
	fclose(f);
}

static void
test_session_cache_is_rebuilt_when_garbled(void **state)
{
	char path[400];
	struct image im;
	struct manifest *m;
	int round;

	(void)state;
	image_init(&im, 8 * MIB);
	image_fill(&im, 0, 8 * MIB, 3, false);
	m = rig_point(&rig, &im, NULL, NULL);
	for (round = 0; round < 2; round++) {
		snprintf(path, sizeof(path), "%s/%s/data.mdb", rig.cache,
		    store_id(rig.store));
		store_close(rig.store);
		garble(path, round == 1);
		rig.store = rig_open_store(&rig, rig.cache);
		rig_expect(rig.store, m, &im);
	}
	manifest_free(m);
	image_fini(&im);
}

/* A session that never commits: its finished packs serve the next (R8). */
static void
test_session_interrupted_blocks_are_known_afterwards(void **state)
{
	struct wrap_fault_plan plan = {
		.ops = WRAP_FAULT_PUT, .fail_at = 3, .class = ERR_IO
	};
	struct err err = ERR_INIT;
	struct manifest *m = NULL;
	struct image im;

	(void)state;
	image_init(&im, 80 * MIB);
	image_fill(&im, 0, 80 * MIB, 3, false);
	/* The session does, and a pack; the second does not make it. */
	wrap_fault_set(&rig.fault, &plan);
	assert_int_equal(
	    rig_backup(&rig, rig.store, &m, &im, NULL, NULL, &err), -1);
	assert_int_equal(err.class, ERR_IO);
	plan.fail_at = 0;
	wrap_fault_set(&rig.fault, &plan);
	m = rig_point(&rig, &im, NULL, NULL);
	assert_in_range(m->disks[0].new_bytes, 40 * MIB, 49 * MIB);
	rig_expect(rig.store, m, &im);
	manifest_free(m);
	image_fini(&im);
}

struct racer {
	struct image im;
	struct manifest *m;
	const char *cache;
};

static void *
race(void *arg)
{
	struct racer *r = arg;
	struct err err = ERR_INIT;
	struct store *s = rig_open_store(&rig, r->cache);

	if (rig_backup(&rig, s, &r->m, &r->im, NULL, NULL, &err) == -1)
		fprintf(stderr, "%s\n", err.text);
	store_close(s);
	return NULL;
}

static void
test_session_two_at_once(void **state)
{
	struct racer r[2];
	char other[300];
	pthread_t t[2];
	int i;

	(void)state;
	snprintf(other, sizeof(other), "%s-2", rig.cache);
	for (i = 0; i < 2; i++) {
		image_init(&r[i].im, 40 * MIB);
		image_fill(&r[i].im, 0, 20 * MIB, 5, false);
		image_fill(
		    &r[i].im, 20 * MIB, 20 * MIB, 6 + (unsigned int)i, false);
		r[i].m = NULL;
		r[i].cache = i == 0 ? rig.cache : other;
		assert_int_equal(pthread_create(&t[i], NULL, race, &r[i]), 0);
	}
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	for (i = 0; i < 2; i++) {
		assert_non_null(r[i].m);
		rig_expect(rig.store, r[i].m, &r[i].im);
		manifest_free(r[i].m);
		image_fini(&r[i].im);
	}
}

static void
test_session_chunks_may_come_out_of_order(void **state)
{
	struct store_session_options options = { .threads = 2 };
	struct store_chunk *held[8], *c;
	struct store_session *session;
	struct manifest_disk d = { .size_bytes = 64 * BLOCK };
	struct manifest m = { .disks = &d, .disk_count = 1 };
	struct err err = ERR_INIT;
	struct store_disk *disk;
	struct image im;
	int i;

	(void)state;
	image_init(&im, d.size_bytes);
	image_fill(&im, 0, d.size_bytes, 4, false);
	assert_int_equal(
	    store_session_begin(&session, rig.store, &options, &err), 0);
	assert_int_equal(
	    store_disk_begin(&disk, session, d.size_bytes, NULL, 0, &err), 0);
	for (i = 0; i < 8; i++) {
		assert_int_equal(store_chunk_get(&held[i], disk, &err), 0);
		held[i]->offset[0] = (uint64_t)i * 8 * BLOCK;
		held[i]->count = 1;
		memcpy(held[i]->data, im.bytes + held[i]->offset[0], BLOCK);
		memset(im.bytes + held[i]->offset[0] + BLOCK, 0, 7 * BLOCK);
	}
	/* The oldest stays with us: nothing can be committed. */
	for (i = 7; i > 0; i--)
		assert_int_equal(store_chunk_submit(disk, held[i], &err), 0);
	while (store_chunk_get(&c, disk, &err) == 0)
		assert_int_equal(store_chunk_submit(disk, c, &err), 0);
	assert_int_equal(err.class, ERR_BUSY);
	assert_int_equal(store_chunk_submit(disk, held[0], &err), 0);
	assert_int_equal(store_disk_end(disk, &d, &err), 0);
	assert_int_equal(store_session_commit(session, &m, &err), 0);
	store_session_end(session);
	rig_expect(rig.store, &m, &im);
	image_fini(&im);
}

/* One disk of one block. */
static void
write_block(struct store_session *session, struct manifest_disk *d,
    const struct image *im)
{
	struct err err = ERR_INIT;
	struct store_chunk *c;
	struct store_disk *disk;

	assert_int_equal(
	    store_disk_begin(&disk, session, BLOCK, NULL, 0, &err), 0);
	assert_int_equal(store_chunk_get(&c, disk, &err), 0);
	c->offset[0] = 0;
	c->count = 1;
	memcpy(c->data, im->bytes, BLOCK);
	assert_int_equal(store_chunk_submit(disk, c, &err), 0);
	assert_int_equal(store_disk_end(disk, d, &err), 0);
}

/* Domains that were pictured together are committed by one session: each
 * point stands when its own commit has returned. */
static void
test_session_makes_several_points(void **state)
{
	struct store_session_options options = { .threads = 2, .points = 3 };
	struct manifest_disk d[3] = { { .size_bytes = BLOCK },
		{ .size_bytes = BLOCK }, { .size_bytes = BLOCK } };
	struct manifest m[3] = { { .disks = &d[0], .disk_count = 1 },
		{ .disks = &d[1], .disk_count = 1 },
		{ .disks = &d[2], .disk_count = 1 } };
	struct store_session *session;
	struct err err = ERR_INIT;
	struct image im[3];
	size_t i, k;

	(void)state;
	assert_int_equal(
	    store_session_begin(&session, rig.store, &options, &err), 0);
	for (i = 0; i < 3; i++) {
		image_init(&im[i], BLOCK);
		/* The third is like the first. */
		image_fill(&im[i], 0, BLOCK, 1 + (unsigned int)i % 2, false);
		write_block(session, &d[i], &im[i]);
	}
	assert_int_equal(d[0].new_bytes, BLOCK);
	assert_int_equal(d[2].new_bytes, 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(store_session_commit(session, &m[i], &err), 0);
		for (k = 0; k <= i; k++)
			rig_expect(rig.store, &m[k], &im[k]);
	}
	store_session_end(session);
	rig_reopen(&rig);
	for (i = 0; i < 3; i++) {
		rig_expect(rig.store, &m[i], &im[i]);
		image_fini(&im[i]);
	}
	assert_int_equal(rig_verify(rig.store, NULL), 0);
}

#define ON(kind, test) RIG_CASE(test, &in_##kind)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON(mem, test_session_round_trip_of_odd_sizes),
		ON(dir, test_session_round_trip_of_odd_sizes),
		ON(mem, test_session_incrementals_keep_every_point),
		ON(mem, test_session_same_blocks_are_stored_once),
		ON(mem, test_session_scattered_changes_cost_little),
		ON(mem, test_session_cache_is_rebuilt_when_deleted),
		ON(mem, test_session_cache_is_rebuilt_when_garbled),
		ON(mem, test_session_interrupted_blocks_are_known_afterwards),
		ON(dir, test_session_two_at_once),
		ON(mem, test_session_chunks_may_come_out_of_order),
		ON(dir, test_session_makes_several_points),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
