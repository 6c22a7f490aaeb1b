/* SPDX-License-Identifier: Apache-2.0 */
/* A walk along a disk while another process makes the local index larger. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "store/localindex_internal.h"
#include "store/walk.h"
#include "tests/unit/index_rig.h"
#include "tests/unit/store_rig.h"

#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)
#define BLOCKS 100u
/* Some 23 MiB: the first map has 16. */
#define PACKS 14u
/* A walk that waits for itself ends the test. */
#define WALK_SECONDS 60u

static struct rig rig;
static struct image im;
static struct manifest *m;
static struct rig_start start = {
	.rig = &rig, .im = &im, .size_bytes = BLOCKS * BLOCK, .m = &m
};
static struct index_rig_other other;

/* What the other process is told. */
struct where {
	char dir[512], marker[LOCALINDEX_MARKER_SIZE];
};

static int
grow_when_asked(struct index_rig_other *o)
{
	struct err err = ERR_INIT;
	struct localindex *li;
	struct where where;
	uint32_t i;

	if (read(o->ask[0], &where, sizeof(where)) != sizeof(where) ||
	    localindex_open(&li, where.dir, where.marker, &err) == -1)
		return 1;
	for (i = 1; i <= PACKS; i++)
		if (index_rig_add(li, i, false, &err) == -1)
			return 1;
	localindex_close(li);
	return write(o->answer[1], "", 1) != 1;
}

static int
setup(void **state)
{
	if (index_rig_fork(&other, grow_when_asked) == -1)
		return -1;
	return rig_set_up(state);
}

static int
teardown(void **state)
{
	index_rig_close(&other);
	return rig_tear_down(state);
}

static void
let_it_grow(void)
{
	struct where where = { .dir = "" };
	struct err err = ERR_INIT;
	char done;

	strncpy(where.dir, rig.store->index->dir, sizeof(where.dir) - 1);
	assert_int_equal(store_index_marker(where.marker, rig.store, &err), 0);
	assert_int_equal(
	    write(other.ask[1], &where, sizeof(where)), sizeof(where));
	assert_int_equal(read(other.answer[0], &done, 1), 1);
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

	(void)state;
	alarm(WALK_SECONDS);
	if (walk_disk(&w, &m->disks[0], &err) == -1)
		fail_msg("walk: %s", err.text);
	alarm(0);
	assert_int_equal(count, BLOCKS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate_setup_teardown(
		    test_walk_lets_its_caller_look_while_the_index_grows, setup,
		    teardown, &start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
