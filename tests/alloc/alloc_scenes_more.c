/* SPDX-License-Identifier: Apache-2.0 */
/* Scenes of repair and keys, and of what stands above the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config/config.h"
#include "agent/job/verify_memory.h"
#include "agent/restore/restore.h"
#include "catalog/catalog.h"
#include "common/io.h"
#include "common/json/json.h"
#include "store/seal/slot.h"
#include "tests/alloc/alloc_scene.h"

/* ---- repair ---- */

/* Of the largest object with that prefix: there is data in it. */
static void
flip(struct world *w, const char *prefix)
{
	struct backend *b = rig_backend(&w->rig);
	struct keys *keys = calloc(1, sizeof(*keys));
	size_t size, most = 0, i, at = 0;
	struct err err = ERR_INIT;
	uint8_t *bytes;
	void *read;

	rig_keys(&w->rig, keys, prefix);
	for (i = 0; i < keys->count; i++) {
		assert_int_equal(backend_get_all(b, keys->key[i], 64 << 20,
				     &read, &size, &err),
		    0);
		free(read);
		if (size > most) {
			most = size;
			at = i;
		}
	}
	assert_int_equal(
	    backend_get_all(b, keys->key[at], 64 << 20, &read, &size, &err), 0);
	bytes = read;
	bytes[size / 2] ^= 1;
	assert_int_equal(backend_remove(b, keys->key[at], &err), 0);
	assert_int_equal(backend_put(b, keys->key[at], bytes, size, &err), 0);
	free(read);
	free(keys);
	backend_close(b);
}

void
scene_flip_begin(struct world *w)
{
	if (!w->again)
		flip(w, "packs/");
	w->hurt = true;
}

void
scene_flip_index_begin(struct world *w)
{
	if (!w->again)
		flip(w, "index/");
}

int
scene_repair(struct world *w, struct err *err)
{
	const struct store_repair_options options = { .threads = w->threads };

	return store_repair(
	    w->rig.store, &options, NULL, NULL, &w->repaired, err);
}

/* What is not damaged is not touched, whatever memory there is. */
void
scene_repair_whole_end(struct world *w, bool done)
{
	(void)done;
	assert_int_equal(w->repaired.packs_marked, 0);
	assert_int_equal(w->repaired.points_marked, 0);
	assert_int_equal(w->repaired.objects_aside, 0);
	assert_int_equal(w->repaired.found.damaged_objects, 0);
}

void
scene_repair_index_end(struct world *w, bool done)
{
	assert_int_equal(w->repaired.packs_marked, 0);
	assert_int_equal(w->repaired.points_marked, 0);
	assert_true(w->repaired.objects_aside <= 1);
	if (done)
		assert_int_equal(rig_verify(w->rig.store, NULL), 0);
}

struct salvage {
	const struct image *image;
	uint64_t lost_bytes;
};

static int
compare_data(
    void *arg, uint64_t offset, const void *buf, size_t size, struct err *err)
{
	const struct salvage *v = arg;

	(void)err;
	assert_memory_equal(buf, v->image->bytes + offset, size);
	return 0;
}

static int
lose_range(void *arg, uint64_t offset, uint64_t bytes, struct err *err)
{
	struct salvage *v = arg;

	(void)offset;
	(void)err;
	v->lost_bytes += bytes;
	return 0;
}

/* Each block of the point is as it was, or is told as lost. */
static uint64_t
salvage(struct world *w, unsigned int n)
{
	struct salvage v = { .image = &w->image[n] };
	struct err err = ERR_INIT;
	struct store_reader *r;

	if (store_reader_open(&r, w->rig.store, &w->point[n]->disks[0], &err) ==
	    -1)
		fail_msg("open: %s", err.text);
	store_reader_salvage(r, lose_range, &v);
	if (store_reader_stream(r, 1, compare_data, &v, &err) == -1)
		fail_msg("salvage: %s", err.text);
	store_reader_close(r);
	return v.lost_bytes;
}

void
scene_repair_end(struct world *w, bool done)
{
	assert_true(w->repaired.packs_marked <= 1);
	assert_int_equal(w->repaired.objects_aside, 0);
	if (!done)
		return;
	assert_in_range(salvage(w, 1), 0, 16 * BLOCK);
	assert_in_range(salvage(w, 2), 0, 16 * BLOCK);
	/* Points are hurt still; no object is damaged that is not marked. */
	rig_verify(w->rig.store, &w->verified);
	assert_int_equal(w->verified.damaged_objects, 0);
	assert_in_range(w->verified.damaged_points, 1, POINTS);
}

/* ---- comparing, and what is lost ---- */

static int
ignore_range(void *arg, uint64_t offset, uint64_t bytes, struct err *err)
{
	(void)arg;
	(void)offset;
	(void)bytes;
	(void)err;
	return 0;
}

static int
compare_blocks(struct world *w, struct err *err)
{
	const struct image *im = &w->image[2];
	struct store_comparer *c;
	uint64_t block;
	int rc = 1;

	if (store_comparer_new(&c, w->rig.store, &w->point[2]->disks[0], err) ==
	    -1)
		return -1;
	for (block = 0; rc == 1 && block < im->size / BLOCK; block++)
		rc = store_compare_block(
		    c, block, im->bytes + block * BLOCK, err);
	store_comparer_free(c);
	if (rc == 0)
		err_set(err, ERR_BUG, "block %d differs", (int)block);
	return rc == 1 ? 0 : -1;
}

int
scene_lost(struct world *w, struct err *err)
{
	bool any, whole, map_lost;

	if (compare_blocks(w, err) == -1 ||
	    store_any_damage(&any, w->rig.store, err) == -1 ||
	    store_point_whole(&whole, w->rig.store, w->point[1], err) == -1 ||
	    store_disk_lost(w->rig.store, &w->point[1]->disks[0], &map_lost,
		ignore_range, NULL, err) == -1)
		return -1;
	if (any || !whole || map_lost)
		return err_set(err, ERR_BUG, "something seems to be lost");
	return 0;
}

/* ---- keys ---- */

int
scene_key(struct world *w, struct err *err)
{
	static const struct slot_cost cost = { 64, 1, 1 };
	static _Atomic unsigned int turn;
	char text[32];
	const struct slot_secret secret = {
		.kind = SLOT_PASSPHRASE, .bytes = text, .size = 16
	};
	struct slot_list list;
	char id[HEXID_SIZE];

	/* A turn that failed behind the add has left its own. */
	snprintf(text, sizeof(text), "correct horse %02u", turn++ % 100);
	if (store_key_add(
		w->rig.store, id, &secret, "l\xc3\xa4ngst", &cost, err) == -1 ||
	    store_key_list(&list, w->rig.store, err) == -1)
		return -1;
	slot_list_fini(&list);
	return store_key_remove(w->rig.store, id, err);
}

/* ---- restore ---- */

int
scene_restore(struct world *w, struct err *err)
{
	const struct restore_options options = {
		.target = world_path(w, "out.raw"),
		.format = RESTORE_RAW,
		.overwrite = w->again,
		.threads = w->threads,
	};

	return restore_disk(
	    w->rig.store, &w->point[2]->disks[0], &options, err);
}

void
scene_restore_end(struct world *w, bool done)
{
	const char *path = world_path(w, "out.raw");
	struct err err = ERR_INIT;
	size_t size;
	char *bytes;

	assert_int_equal(access(world_path(w, "out.raw.partial"), F_OK), -1);
	if (!done) {
		assert_int_equal(access(path, F_OK), -1);
		return;
	}
	assert_int_equal(io_read_file(&bytes, &size, path, 64 << 20, &err), 0);
	assert_int_equal(size, w->image[2].size);
	assert_memory_equal(bytes, w->image[2].bytes, size);
	free(bytes);
}

/* ---- catalog ---- */

static int
count_manifest(void *arg, const struct manifest *m)
{
	struct world *w = arg;

	(void)m;
	w->told++;
	return 0;
}

static int
use_catalog(struct world *w, struct catalog *c, struct err *err)
{
	const char *repository = store_id(w->rig.store);
	struct catalog_run run = { .repository_id = repository,
		.domain = "vm",
		.job = "nightly",
		.started_ms = 1 };
	struct catalog_sync_result result;
	uint64_t closed, audited, missed;
	char id[HEXID_SIZE];

	memset(run.id, w->again ? 'b' : 'a', HEXID_LENGTH);
	w->told = 0;
	if (catalog_sync(c, w->rig.store, &result, err) == -1)
		return -1;
	assert_int_equal(result.damaged, 0);
	assert_int_equal(result.newest_gone, 0);
	if (catalog_resolve(id, c, repository, "vm@latest", err) == -1 ||
	    catalog_points(c, repository, NULL, count_manifest, w, err) == -1 ||
	    catalog_run_begin(c, &run, err) == -1 ||
	    catalog_run_audit(c, run.id, 7, 0, err) == -1 ||
	    catalog_run_end(c, run.id, "done", id, "", err) == -1 ||
	    catalog_audits(&audited, &missed, c, repository, "vm", err) == -1 ||
	    catalog_remove(c, repository, id, err) == -1 ||
	    catalog_add(c, repository, w->point[1], err) == -1)
		return -1;
	return catalog_runs_close_dead(c, &closed, err);
}

int
scene_catalog(struct world *w, struct err *err)
{
	struct catalog *c;
	int rc;

	if (catalog_open(&c, w->rig.root, err) == -1)
		return -1;
	rc = use_catalog(w, c, err);
	catalog_close(c);
	return rc;
}

void
scene_catalog_end(struct world *w, bool done)
{
	assert_int_equal(access(world_path(w, "catalog.db.damaged"), F_OK), -1);
	if (done)
		assert_int_equal(w->told, POINTS - 1);
}

/* A verify that is remembered; that it is not is a warning. */
static int
verify_and_note(struct world *w, struct catalog *c, struct err *err)
{
	struct store_verify_options options = { .threads = w->threads };
	struct verify_coverage coverage;
	struct verify_memory *m = verify_memory_new(c, store_id(w->rig.store));
	int rc;

	if (m == NULL)
		return err_no_memory(err);
	options.memory = verify_memory_of(m);
	rc =
	    store_verify(w->rig.store, &options, NULL, NULL, &w->verified, err);
	verify_memory_finish(m, &coverage);
	verify_memory_free(m);
	return rc;
}

int
scene_verify_memory(struct world *w, struct err *err)
{
	struct catalog *c;
	int rc;

	if (catalog_open(&c, w->rig.root, err) == -1)
		return -1;
	rc = verify_and_note(w, c, err);
	catalog_close(c);
	return rc;
}

/* ---- texts ---- */

/* There and back: w->thing is the text of it. */
int
scene_manifest(struct world *w, struct err *err)
{
	struct manifest *copy = NULL;
	json_t *json, *back;
	char *text = NULL;
	int rc = -1;

	if ((json = manifest_to_json(w->point[2], true)) == NULL ||
	    (text = json_text(json, false)) == NULL) {
		json_decref(json);
		return err_no_memory(err);
	}
	json_decref(json);
	if (json_parse(&json, text, strlen(text), err) == 0 &&
	    manifest_from_json(&copy, json, err) == 0) {
		back = manifest_to_json(copy, true);
		w->thing = back == NULL ? NULL : json_text(back, false);
		rc = w->thing == NULL ? err_no_memory(err) : 0;
		json_decref(back);
	}
	json_decref(json);
	manifest_free(copy);
	free(text);
	return rc;
}

void
scene_manifest_end(struct world *w, bool done)
{
	json_t *json = manifest_to_json(w->point[2], true);
	char *text = json_text(json, false);

	json_decref(json);
	if (done)
		assert_string_equal(w->thing, text);
	free(text);
	free(w->thing);
	w->thing = NULL;
}

void
scene_config_begin(struct world *w)
{
	static const char text[] =
	    "[global]\nrepository = two\nconnect = qemu+ssh://h/system\n"
	    "state-dir = /var/lib/x\n"
	    "[repository one]\nurl=/srv/one\nkey-file = /etc/k\n"
	    "[repository two]\nurl = /srv/two\n"
	    "[job nightly]\nrepository = one\n"
	    "domains = db1, web-*\n   mail\nexclude-domains = web-test\n"
	    "exclude-disks = vdb vdc\nrequire = crash\nkeep-daily = 3\n"
	    "verify = 5%\nscratch-dir = /fast/scratch\n";
	struct err err = ERR_INIT;

	assert_int_equal(io_replace_file(world_path(w, "holdstill.conf"), text,
			     strlen(text), 0600, &err),
	    0);
}

int
scene_config(struct world *w, struct err *err)
{
	struct config *config;

	if (config_load(&config, world_path(w, "holdstill.conf"), err) == -1)
		return -1;
	w->thing = config;
	return 0;
}

void
scene_config_end(struct world *w, bool done)
{
	const struct config *config = w->thing;

	if (!done)
		return;
	assert_string_equal(config->repository->url, "/srv/two");
	assert_int_equal(config->job_count, 1);
	assert_string_equal(config->jobs[0]->repository->key_file, "/etc/k");
	assert_int_equal(config->jobs[0]->domains.count, 3);
	assert_int_equal(config->jobs[0]->exclude_disks.count, 2);
	config_free(w->thing);
	w->thing = NULL;
}
