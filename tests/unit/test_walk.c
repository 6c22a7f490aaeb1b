/* SPDX-License-Identifier: Apache-2.0 */
/* A walk along a disk while another process makes the local index larger. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "store/checksum.h"
#include "store/localindex_internal.h"
#include "store/walk.h"
#include "tests/unit/store_rig.h"

#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)
#define BLOCKS 100u
/* Some 23 MiB: the first map has 16. */
#define PACKS 14u
#define PACK_BLOBS 16000u
/* A walk that waits for itself ends the test. */
#define WALK_SECONDS 60u

static struct rig rig;
static int ask[2], answer[2];
static pid_t other;

/* What the other process is told. */
struct where {
	char dir[512], marker[LOCALINDEX_MARKER_SIZE];
};

static int
add_pack(struct localindex *li, uint32_t number)
{
	struct pack_frame *frames = calloc(PACK_BLOBS, sizeof(*frames));
	struct pack_blob *blobs = calloc(PACK_BLOBS, sizeof(*blobs));
	struct index_pack p = { .table = { .frames = frames,
				    .frame_count = PACK_BLOBS,
				    .blobs = blobs,
				    .blob_count = PACK_BLOBS } };
	struct err err = ERR_INIT;
	uint64_t v, x;
	uint32_t i;
	int rc;

	memcpy(p.id, &number, sizeof(number));
	for (i = 0; i < PACK_BLOBS; i++) {
		frames[i] = (struct pack_frame){ .offset = 48 + i,
			.stored_size = 1,
			.raw_size = STORE_BLOCK_BYTES,
			.first_blob = i,
			.blob_count = 1 };
		v = (uint64_t)number << 32 | i;
		x = checksum_of(&v, sizeof(v));
		memcpy(blobs[i].hash, &x, sizeof(x));
		blobs[i].type = BLOB_DATA;
		blobs[i].size = STORE_BLOCK_BYTES;
	}
	rc = localindex_add(li, NULL, &p, 1, &err);
	free(frames);
	free(blobs);
	return rc;
}

/* Another process: LMDB may be opened once in each. */
static int
grow_when_asked(void)
{
	struct err err = ERR_INIT;
	struct localindex *li;
	struct where where;
	uint32_t i;

	if (read(ask[0], &where, sizeof(where)) != sizeof(where) ||
	    localindex_open(&li, where.dir, where.marker, &err) == -1)
		return 1;
	for (i = 1; i <= PACKS; i++)
		if (add_pack(li, i) == -1)
			return 1;
	localindex_close(li);
	return write(answer[1], "", 1) != 1;
}

static int
setup(void **state)
{
	(void)state;
	if (pipe(ask) == -1 || pipe(answer) == -1 || (other = fork()) == -1)
		return -1;
	if (other == 0) {
		close(ask[1]); /* With the test it ends as well. */
		_exit(grow_when_asked());
	}
	close(ask[0]);
	close(answer[1]);
	rig_init(&rig, "mem");
	return 0;
}

static int
teardown(void **state)
{
	int status;

	(void)state;
	close(ask[1]);
	close(answer[0]);
	waitpid(other, &status, 0);
	rig_fini(&rig);
	return 0;
}

static void
let_it_grow(void)
{
	struct where where = { .dir = "" };
	struct err err = ERR_INIT;
	char done;

	strncpy(where.dir, rig.store->index->dir, sizeof(where.dir) - 1);
	assert_int_equal(store_index_marker(where.marker, rig.store, &err), 0);
	assert_int_equal(write(ask[1], &where, sizeof(where)), sizeof(where));
	assert_int_equal(read(answer[0], &done, 1), 1);
}

static int
look_too(void *arg, enum blob_type type, const uint8_t hash[DIGEST_BYTES],
    const struct blob_place *place, const struct err *why, struct err *err)
{
	struct blob_place again;
	unsigned int *count = arg;

	assert_null(why);
	assert_non_null(place);
	if (type == BLOB_DATA && (*count)++ == 0)
		let_it_grow();
	assert_int_equal(
	    localindex_find(rig.store->index, type, hash, &again, err), 1);
	assert_memory_equal(again.pack, place->pack, OBJECT_ID_BYTES);
	return 0;
}

static void
test_walk_lets_its_caller_look_while_the_index_grows(void **state)
{
	unsigned int count = 0;
	struct walk w = { .store = rig.store, .fn = look_too, .arg = &count };
	struct err err = ERR_INIT;
	struct manifest *m;
	struct image im;

	(void)state;
	image_init(&im, BLOCKS * BLOCK);
	image_fill(&im, 0, im.size, 1, false);
	m = rig_point(&rig, &im, NULL, NULL);
	alarm(WALK_SECONDS);
	if (walk_disk(&w, &m->disks[0], &err) == -1)
		fail_msg("walk: %s", err.text);
	alarm(0);
	assert_int_equal(count, BLOCKS);
	manifest_free(m);
	image_fini(&im);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_walk_lets_its_caller_look_while_the_index_grows, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
