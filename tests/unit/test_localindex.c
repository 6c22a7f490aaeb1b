/* SPDX-License-Identifier: Apache-2.0 */
/* The local index: growing, two processes, what counts for trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "store/checksum.h"
#include "store/localindex.h"
#include "tests/unit/index_rig.h"
#include "tests/unit/temp_dir.h"

static void
add(struct localindex *li, uint32_t number, bool trusted)
{
	struct err err = ERR_INIT;

	if (index_rig_add(li, number, trusted, &err) == -1)
		fail_msg("add: %s", err.text);
}

static void
expect(struct localindex *li, uint32_t pack, uint32_t blob)
{
	uint8_t hash[DIGEST_BYTES];
	struct err err = ERR_INIT;
	struct blob_place place;

	index_rig_name(hash, pack, blob);
	assert_int_equal(localindex_find(li, BLOB_DATA, hash, &place, &err), 1);
	assert_memory_equal(place.pack, &pack, sizeof(pack));
	assert_int_equal(place.ordinal, blob);
	assert_int_equal(place.frame_offset, 48 + blob);
	/* The same bytes as a piece of a map are another thing. */
	assert_int_equal(localindex_find(li, BLOB_MAP, hash, &place, &err), 0);
}

/* 26 packs are some 40 MiB: the first map has 16. */
static void
test_localindex_grows_when_full(void **state)
{
	struct err err = ERR_INIT;
	struct localindex *li;
	uint32_t i;

	assert_int_equal(localindex_open(&li, *state, "plain", &err), 0);
	for (i = 1; i <= 26; i++)
		add(li, i, true);
	for (i = 1; i <= 26; i++)
		expect(li, i, i * 7);
	localindex_close(li);
	assert_int_equal(localindex_open(&li, *state, "plain", &err), 0);
	expect(li, 1, 0);
	expect(li, 26, INDEX_RIG_BLOBS - 1);
	localindex_close(li);
}

static void
test_localindex_follows_another_process(void **state)
{
	struct err err = ERR_INIT;
	struct localindex *li;
	uint32_t i;
	int status;
	pid_t pid;

	/* The child opens for itself: LMDB does not live through a fork. */
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (localindex_open(&li, *state, "plain", &err) == -1)
			_exit(1);
		for (i = 2; i <= 26; i++)
			add(li, i, true);
		localindex_close(li);
		_exit(0);
	}
	assert_int_equal(localindex_open(&li, *state, "plain", &err), 0);
	add(li, 1, true);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (i = 1; i <= 26; i++)
		expect(li, i, i);
	add(li, 27, true);
	expect(li, 27, 5);
	localindex_close(li);
}

static void
test_localindex_trust_needs_an_index_object(void **state)
{
	struct localindex_view v;
	uint8_t hash[DIGEST_BYTES];
	struct err err = ERR_INIT;
	struct blob_place place;
	struct localindex *li;
	struct idset set;
	unsigned int notes;
	int round;

	assert_int_equal(localindex_open(&li, *state, "plain", &err), 0);
	for (round = 0; round < 2; round++) {
		add(li, 1, round == 1);
		index_rig_name(hash, 1, 3);
		assert_int_equal(localindex_view_begin(&v, li, &err), 0);
		assert_int_equal(localindex_view_find(
				     &v, BLOB_DATA, hash, &place, &notes, &err),
		    1);
		localindex_view_end(&v);
		assert_int_equal(notes & LOCALINDEX_INDEXED, round == 1);
		assert_int_equal(localindex_packs(&set, li, true, &err), 0);
		assert_int_equal(set.count, round);
		idset_fini(&set);
	}
	assert_int_equal(localindex_clear(li, &err), 0);
	assert_int_equal(localindex_find(li, BLOB_DATA, hash, &place, &err), 0);
	assert_int_equal(localindex_indexes(&set, li, &err), 0);
	assert_int_equal(set.count, 0);
	idset_fini(&set);
	localindex_close(li);
}

static void
test_localindex_checksum_is_xxh64(void **state)
{
	(void)state;
	assert_true(checksum_of("", 0) == UINT64_C(0xef46db3751d8e999));
	assert_true(checksum_of("a", 1) == UINT64_C(0xd24ec4f1a98c6e5b));
	assert_true(checksum_of("abc", 3) == UINT64_C(0x44bc2cf5ad770999));
}

#define IN_DIR(name) \
	cmocka_unit_test_setup_teardown(name, temp_dir_setup, temp_dir_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(test_localindex_grows_when_full),
		IN_DIR(test_localindex_follows_another_process),
		IN_DIR(test_localindex_trust_needs_an_index_object),
		cmocka_unit_test(test_localindex_checksum_is_xxh64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
