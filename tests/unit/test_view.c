/* SPDX-License-Identifier: Apache-2.0 */
/* A handle with a local index of its own, in a folder that others had. */
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
#include "store/view.h"
#include "tests/unit/store_rig.h"

#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)

static struct rig rig;
static struct image im;
static struct manifest *m;
static struct rig_start start = {
	.rig = &rig, .kind = "dir", .im = &im, .size_bytes = 64 * BLOCK, .m = &m
};

static void
open_view(struct view *v)
{
	struct err err = ERR_INIT;

	if (view_open(v, rig.store, &err) == -1)
		fail_msg("view: %s", err.text);
}

/* What is known of the pack of the map's root. */
static int
notes_of_root(struct view *v, struct blob_place *place, unsigned int *notes)
{
	struct localindex_view look;
	struct err err = ERR_INIT;
	int rc;

	assert_int_equal(localindex_view_begin(&look, v->store.index, &err), 0);
	rc = localindex_view_find(
	    &look, BLOB_MAP, m->disks[0].root, place, notes, &err);
	localindex_view_end(&look);
	return rc;
}

/* As a prune does that is killed: all packs are on its list. */
static void
leave_notes(void)
{
	struct idset packs = { .ids = NULL };
	struct err err = ERR_INIT;
	struct view v;

	open_view(&v);
	if (store_sync(&v.store, SYNC_INDEXES, true, &err) == -1 ||
	    idset_list(&packs, v.store.backend, OBJECT_PACK, &err) == -1 ||
	    localindex_relist(v.store.index, 7, &packs, &err) == -1 ||
	    store_sync(&v.store, SYNC_INDEXES, true, &err) == -1)
		_exit(1);
	_exit(0);
}

static void
test_view_begins_with_nothing(void **state)
{
	struct err err = ERR_INIT;
	struct blob_place place;
	unsigned int notes = 0;
	struct view v;
	int status;
	pid_t pid;

	(void)state;
	if ((pid = fork()) == 0)
		leave_notes();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	open_view(&v);
	assert_int_equal(notes_of_root(&v, &place, &notes), 0);
	assert_int_equal(store_sync(&v.store, SYNC_INDEXES, true, &err), 0);
	assert_int_equal(notes_of_root(&v, &place, &notes), 1);
	assert_int_equal(notes & LOCALINDEX_LISTED, 0);
	view_close(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_CASE(test_view_begins_with_nothing, &start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
