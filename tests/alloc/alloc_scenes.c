/* SPDX-License-Identifier: Apache-2.0 */
/* Scenes of the store: init to prune. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "tests/alloc/alloc_scene.h"

/* ---- init and open ---- */

static int
run_init(struct world *w, struct err *err)
{
	struct store_init_options options = { .secret = NULL };
	struct backend *b;
	int rc;

	if (rig_sealed()) {
		options.mode = SEAL_SECRET;
		options.secret = &rig_key;
		options.label = "rig";
	}
	if (backend_open(&b, world_path(w, w->again ? "two" : "one"),
		BACKEND_CREATE, err) == -1)
		return -1;
	rc = store_init(b, &options, err);
	backend_close(b);
	return rc;
}

static int
open_at(struct world *w, const char *url, struct err *err)
{
	struct store_open_options options = { .secret = NULL };
	struct backend *b;

	if (rig_sealed())
		options.secret = &rig_key;
	if (backend_open(&b, url, BACKEND_OPEN, err) == -1)
		return -1;
	if (store_open(&w->rig.store, b, w->rig.cache, &options, err) == 0)
		return 0;
	backend_close(b);
	return -1;
}

/* The next try makes it, or there is one that is whole: only what comes
 * behind the settings had failed. */
static void
end_init(struct world *w, bool done)
{
	struct err err = ERR_INIT;

	if (done || w->again)
		return;
	if (run_init(w, &err) == 0)
		return;
	if (err.class != ERR_EXISTS)
		fail_msg("init after a failed one: %s", err.text);
	err_clear(&err);
	if (open_at(w, world_path(w, "one"), &err) == -1)
		fail_msg("what a failed init has left: %s", err.text);
	world_close(w);
}

static int
run_open(struct world *w, struct err *err)
{
	return open_at(w, w->rig.url, err);
}

static void
end_open(struct world *w, bool done)
{
	(void)done;
	world_close(w);
}

/* ---- backup ---- */

static bool
is_to_write(const struct world *w, const struct image *base, uint64_t at)
{
	return base == NULL ||
	       memcmp(base->bytes + at, w->new_image.bytes + at, BLOCK) != 0;
}

/* Feeds whole chunks, and nothing of it wants memory. */
static int
feed(struct world *w, struct store_disk *disk, const struct image *base,
    struct err *err)
{
	const struct image *im = &w->new_image;
	struct store_chunk *c = NULL;
	uint64_t at;

	for (at = 0; at < im->size; at += BLOCK) {
		if (!is_to_write(w, base, at))
			continue;
		if (c == NULL && store_chunk_get(&c, disk, err) == -1)
			return -1;
		memcpy(c->data + c->count * BLOCK, im->bytes + at, BLOCK);
		c->offset[c->count++] = at;
		if (c->count < STORE_CHUNK_BLOCKS)
			continue;
		if (store_chunk_submit(disk, c, err) == -1)
			return -1;
		c = NULL;
	}
	return c == NULL ? 0 : store_chunk_submit(disk, c, err);
}

static int
write_disk(struct world *w, const struct manifest *parent,
    const struct image *base, struct err *err)
{
	const struct manifest_disk *from =
	    parent == NULL ? NULL : &parent->disks[0];
	struct store_disk *disk;

	if (store_disk_begin(&disk, w->session, w->new_image.size,
		from == NULL ? NULL : from->root,
		from == NULL ? 0 : from->size_bytes, err) == -1)
		return -1;
	if (feed(w, disk, base, err) == -1) {
		store_disk_abort(disk);
		return -1;
	}
	return store_disk_end(disk, &w->made->disks[0], err);
}

static int
run_backup(struct world *w, const struct manifest *parent, struct err *err)
{
	struct store_session_options options = { .threads = w->threads };
	int rc = -1, usable = 1;

	if (store_session_begin(&w->session, w->rig.store, &options, err) == -1)
		return -1;
	if (parent != NULL)
		usable = store_session_base(w->session, parent, err);
	if (usable == 1 && write_disk(w, parent,
			       parent == NULL ? NULL : &w->image[2], err) == 0)
		rc = store_session_commit(w->session, w->made, err);
	if (usable == 0)
		rc = err_set(err, ERR_BUG, "the base is not known");
	store_session_end(w->session);
	return rc;
}

static int
run_full(struct world *w, struct err *err)
{
	return run_backup(w, NULL, err);
}

static int
run_incremental(struct world *w, struct err *err)
{
	return run_backup(w, w->point[2], err);
}

static void
begin_backup(struct world *w)
{
	w->made = world_describe(w->image[2].size);
	image_copy(&w->new_image, &w->image[2]);
	image_fill(&w->new_image, BLOCK, 3 * BLOCK, 5 + w->again, false);
	image_fill(&w->new_image, 9 * BLOCK, 3 * BLOCK, 7 + w->again, true);
}

/* Two packs and a half. */
static void
begin_big(struct world *w)
{
	const uint64_t size = UINT64_C(80) << 20;
	uint64_t at, salt;

	w->made = world_describe(size);
	image_init(&w->new_image, size);
	/* One block's bytes, made another's by a few of them. */
	image_fill(&w->new_image, 0, BLOCK, 11 + w->again, false);
	for (at = BLOCK; at < size; at += BLOCK) {
		memcpy(w->new_image.bytes + at, w->new_image.bytes, BLOCK);
		salt = at * UINT64_C(0x9e3779b97f4a7c15);
		memcpy(w->new_image.bytes + at, &salt, sizeof(salt));
	}
}

static bool
same_words(const struct manifest *a, const struct manifest *b)
{
	return strcmp(a->host, b->host) == 0 &&
	       a->group.member_count == b->group.member_count &&
	       a->freeze.filesystem_count == b->freeze.filesystem_count &&
	       a->freeze.writer_count == b->freeze.writer_count &&
	       strcmp(a->freeze.filesystems[0].mount_point,
		   b->freeze.filesystems[0].mount_point) == 0 &&
	       a->freeze.writers[0].meta_count ==
		   b->freeze.writers[0].meta_count;
}

/* Told as made, the point is whole; else there is none. */
static void
end_backup(struct world *w, bool done)
{
	struct manifest *read = NULL;
	struct err err = ERR_INIT;

	if (done) {
		if (store_manifest_read(
			&read, w->rig.store, w->made->id, &err) == -1)
			fail_msg("the new point: %s", err.text);
		assert_true(same_words(read, w->made));
		rig_expect(w->rig.store, read, &w->new_image);
		manifest_free(read);
	} else if (w->made->id[0] != '\0') {
		assert_int_equal(
		    store_manifest_read(&read, w->rig.store, w->made->id, &err),
		    -1);
		assert_int_equal(err.class, ERR_NOT_FOUND);
	}
	manifest_free(w->made);
	image_fini(&w->new_image);
}

/* ---- reading ---- */

static int
take(void *arg, uint64_t offset, const void *buf, size_t size, struct err *err)
{
	struct world *w = arg;

	(void)err;
	memcpy(w->new_image.bytes + offset, buf, size);
	return 0;
}

static void
begin_read(struct world *w)
{
	image_init(&w->new_image, w->image[2].size);
}

static int
run_read(struct world *w, struct err *err)
{
	struct store_reader *r;
	uint64_t bytes;
	int rc = -1;

	if (store_reader_open(&r, w->rig.store, &w->point[2]->disks[0], err) ==
	    -1)
		return -1;
	if (store_reader_data_bytes(r, &bytes, err) == 0)
		rc = store_reader_stream(r, w->threads, take, w, err);
	store_reader_close(r);
	return rc;
}

static void
end_read(struct world *w, bool done)
{
	if (done)
		assert_memory_equal(
		    w->new_image.bytes, w->image[2].bytes, w->new_image.size);
	image_fini(&w->new_image);
}

/* As of a host that has never seen the repository. */
static void
begin_sync(struct world *w)
{
	struct err err = ERR_INIT;

	world_close(w);
	assert_int_equal(io_remove_tree(w->rig.cache, &err), 0);
	w->rig.store = rig_open_store(&w->rig, w->rig.cache);
	begin_read(w);
}

static void
tell(void *arg, const struct store_damage *damage)
{
	struct world *w = arg;

	print_message("told: %s: %s\n", damage->object, damage->what);
	w->told++;
}

static void
begin_verify(struct world *w)
{
	w->told = 0;
}

static int
run_verify(struct world *w, struct err *err)
{
	const struct store_verify_options options = { .threads = w->threads };

	return store_verify(w->rig.store, &options, tell, w, &w->verified, err);
}

/* No memory is no damage. */
static void
end_verify(struct world *w, bool done)
{
	assert_int_equal(w->told, 0);
	assert_int_equal(w->verified.damaged_objects, 0);
	assert_int_equal(w->verified.damaged_points, 0);
	if (done)
		assert_int_equal(w->verified.packs_checked, w->verified.packs);
}

/* ---- forget and prune ---- */

static int
count_point(void *arg, const char *id)
{
	struct world *w = arg;

	(void)id;
	w->told++;
	return 0;
}

static int
count_forgotten(void *arg, const char *id, int64_t time_ms)
{
	(void)time_ms;
	return count_point(arg, id);
}

/* Back to how it was; then all is told once. */
static int
run_forget(struct world *w, struct err *err)
{
	struct store *s = w->rig.store;
	const char *id = w->point[1]->id;
	struct manifest *m;

	w->told = 0;
	if (store_point_forget(s, id, err) == -1 ||
	    store_point_unforget(s, id, err) == -1 ||
	    store_points(s, count_point, w, err) == -1 ||
	    store_forgotten(s, count_forgotten, w, err) == -1 ||
	    store_point_was_forgotten(s, id, err) == -1 ||
	    store_manifest_read(&m, s, id, err) == -1)
		return -1;
	manifest_free(m);
	return 0;
}

static void
end_forget(struct world *w, bool done)
{
	if (done)
		/* And the one that was given up. */
		assert_int_equal(w->told, POINTS + 1);
}

static int
run_prune(struct world *w, struct err *err)
{
	struct store_prune_result result;

	return rig_prune(w->rig.store, &result, err);
}

static int
run_dry_prune(struct world *w, struct err *err)
{
	const struct store_prune_options options = {
		.silence_ms = 1,
		.dry_run = true,
	};
	struct store_prune_result result;

	return store_prune(w->rig.store, &options, &result, err);
}

/* The forgotten point and what only it had are gone. */
static void
end_prune(struct world *w, bool done)
{
	struct manifest *m;
	struct err err = ERR_INIT;

	if (!done)
		return;
	assert_int_equal(
	    store_manifest_read(&m, w->rig.store, w->point[0]->id, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
}

const struct scene alloc_scenes[] = {
	{ .name = "init",
	    .sealed_too = true,
	    .closed = true,
	    .run = run_init,
	    .end = end_init },
	{ .name = "open",
	    .sealed_too = true,
	    .closed = true,
	    .run = run_open,
	    .end = end_open },
	{ .name = "backup",
	    .sealed_too = true,
	    .begin = begin_backup,
	    .run = run_full,
	    .end = end_backup },
	{ .name = "incremental",
	    .sealed_too = true,
	    .begin = begin_backup,
	    .run = run_incremental,
	    .end = end_backup },
	{ .name = "packs",
	    .big = true,
	    .begin = begin_big,
	    .run = run_full,
	    .end = end_backup },
	{ .name = "read",
	    .sealed_too = true,
	    .begin = begin_read,
	    .run = run_read,
	    .end = end_read },
	{ .name = "sync",
	    .begin = begin_sync,
	    .run = run_read,
	    .end = end_read },
	{ .name = "restore", .run = scene_restore, .end = scene_restore_end },
	{ .name = "compare", .sealed_too = true, .run = scene_lost },
	{ .name = "verify",
	    .sealed_too = true,
	    .begin = begin_verify,
	    .run = run_verify,
	    .end = end_verify },
	{ .name = "verify-memory",
	    .begin = begin_verify,
	    .run = scene_verify_memory,
	    .end = end_verify },
	{ .name = "forget",
	    .sealed_too = true,
	    .run = run_forget,
	    .end = end_forget },
	{ .name = "prune-dry", .run = run_dry_prune },
	{ .name = "prune",
	    .sealed_too = true,
	    .run = run_prune,
	    .end = end_prune },
	{ .name = "repair-whole",
	    .run = scene_repair,
	    .end = scene_repair_whole_end },
	{ .name = "repair-index",
	    .begin = scene_flip_index_begin,
	    .run = scene_repair,
	    .end = scene_repair_index_end },
	{ .name = "repair-pack",
	    .sealed_too = true,
	    .begin = scene_flip_begin,
	    .run = scene_repair,
	    .end = scene_repair_end },
	{ .name = "key", .sealed = true, .run = scene_key },
	{ .name = "catalog", .run = scene_catalog, .end = scene_catalog_end },
	{ .name = "manifest",
	    .closed = true,
	    .run = scene_manifest,
	    .end = scene_manifest_end },
	{ .name = "config",
	    .closed = true,
	    .begin = scene_config_begin,
	    .run = scene_config,
	    .end = scene_config_end },
};
const size_t alloc_scene_count = sizeof(alloc_scenes) / sizeof(alloc_scenes[0]);
