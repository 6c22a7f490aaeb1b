/* SPDX-License-Identifier: Apache-2.0 */
/* The repository that scenes play in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/json/json.h"
#include "common/log.h"
#include "tests/alloc/alloc_scene.h"

#define BLOCKS 16u

static const char *const names[POINTS] = { "0.json", "1.json", "2.json" };

const char *
world_path(const struct world *w, const char *name)
{
	static char paths[2][300];
	static unsigned int turn;
	char *path = paths[turn++ % 2];

	snprintf(path, sizeof(paths[0]), "%.250s/%s", w->rig.root, name);
	return path;
}

static struct manifest_filesystem
filesystem(void)
{
	return (struct manifest_filesystem){
		.mount_point = strdup("/srv/\xc3\xa9t\xc3\xa9"),
		.type = strdup("xfs"),
		.disk = strdup("vda"),
		.state = strdup("frozen"),
		.reason = strdup(""),
	};
}

static struct manifest_writer
writer(void)
{
	struct manifest_writer w = {
		.name = strdup("postgresql"),
		.state = strdup("committed"),
		.reason = strdup(""),
		.required = true,
		.meta = calloc(1, sizeof(*w.meta)),
		.meta_count = 1,
	};

	w.meta[0].key = strdup("wal");
	w.meta[0].value = strdup("0/16B3748");
	return w;
}

struct manifest *
world_describe(uint64_t size_bytes)
{
	struct manifest *m = manifest_new();

	m->domain = strdup("vm");
	m->uuid = strdup("u");
	m->host = strdup("h\xc3\xb6st");
	m->consistency_reason = strdup("");
	m->checkpoint = strdup("holdstill-1");
	m->definition_xml = strdup("<domain type='kvm'/>");
	m->time_ms = 1795238497123;
	m->consistency = MANIFEST_APPLICATION;
	m->freeze.source = MANIFEST_QUIESCE_HOLDSTILL;
	m->freeze.filesystems = calloc(1, sizeof(*m->freeze.filesystems));
	m->freeze.filesystems[0] = filesystem();
	m->freeze.filesystem_count = 1;
	m->freeze.writers = calloc(1, sizeof(*m->freeze.writers));
	m->freeze.writers[0] = writer();
	m->freeze.writer_count = 1;
	memset(m->group.id, 'f', HEXID_LENGTH);
	m->group.reason = strdup("");
	m->group.members = calloc(1, sizeof(*m->group.members));
	memset(m->group.members[0].id, 'e', HEXID_LENGTH);
	m->group.members[0].domain = strdup("vm");
	m->group.member_count = 1;
	m->disks = calloc(1, sizeof(*m->disks));
	m->disk_count = 1;
	m->disks[0].target = strdup("vda");
	m->disks[0].format = strdup("raw");
	m->disks[0].path = strdup("/x");
	m->disks[0].reason = strdup("");
	m->disks[0].size_bytes = size_bytes;
	return m;
}

/* The same bytes each time. */
static void
fill_images(struct world *w)
{
	image_init(&w->image[0], BLOCKS * BLOCK - 5000);
	image_fill(&w->image[0], 0, w->image[0].size, 1, false);
	image_copy(&w->image[1], &w->image[0]);
	image_fill(&w->image[1], 0, 8 * BLOCK, 2, false);
	image_fill(&w->image[1], 8 * BLOCK, 4 * BLOCK, 2, true);
	image_copy(&w->image[2], &w->image[1]);
	image_fill(&w->image[2], 5 * BLOCK, 2 * BLOCK, 3, false);
	memset(w->image[2].bytes + 3 * BLOCK, 0, BLOCK);
}

static void
backup(struct world *w, unsigned int n, const struct manifest *parent,
    const struct image *base)
{
	struct err err = ERR_INIT;
	json_t *json;
	char *text;

	if (rig_backup(&w->rig, w->rig.store, &w->point[n], &w->image[n],
		parent, base, &err) == -1)
		fail_msg("backup: %s", err.text);
	json = manifest_to_json(w->point[n], true);
	text = json_text(json, false);
	assert_int_equal(io_replace_file(world_path(w, names[n]), text,
			     strlen(text), 0600, &err),
	    0);
	free(text);
	json_decref(json);
}

void
world_make(struct world *w, const char *folder)
{
	const struct store_session_options options = { .threads = 1 };
	struct store_session *session;
	struct err err = ERR_INIT;

	rig_init_in(&w->rig, folder);
	fill_images(w);
	backup(w, 0, NULL, NULL);
	backup(w, 1, NULL, NULL);
	backup(w, 2, w->point[1], &w->image[1]);
	assert_int_equal(
	    store_point_forget(w->rig.store, w->point[0]->id, &err), 0);
	/* Its point is given up: that leaves a tombstone. */
	assert_int_equal(
	    store_session_begin(&session, w->rig.store, &options, &err), 0);
	store_session_end(session);
	store_close(w->rig.store);
}

void
world_load(struct world *w, const char *folder)
{
	struct err err = ERR_INIT;
	unsigned int n;
	json_t *json;
	size_t size;
	char *text;

	snprintf(w->rig.root, sizeof(w->rig.root), "%s", folder);
	wrap_fault_init(&w->rig.fault);
	log_set_level(LOG_ERROR);
	fill_images(w);
	for (n = 0; n < POINTS; n++) {
		assert_int_equal(io_read_file(&text, &size,
				     world_path(w, names[n]), 1 << 20, &err),
		    0);
		assert_int_equal(json_parse(&json, text, size, &err), 0);
		assert_int_equal(
		    manifest_from_json(&w->point[n], json, &err), 0);
		json_decref(json);
		free(text);
	}
}

void
world_free(struct world *w)
{
	unsigned int n;

	for (n = 0; n < POINTS; n++) {
		manifest_free(w->point[n]);
		image_fini(&w->image[n]);
	}
	free(w);
}

void
world_open(struct world *w, const char *folder)
{
	snprintf(w->rig.root, sizeof(w->rig.root), "%s", folder);
	snprintf(w->rig.url, sizeof(w->rig.url), "%.200s/repo", folder);
	snprintf(w->rig.cache, sizeof(w->rig.cache), "%.200s/cache", folder);
	if (!w->scene->closed)
		w->rig.store = rig_open_store(&w->rig, w->rig.cache);
}

void
world_check(struct world *w)
{
	unsigned int n;

	store_close(w->rig.store);
	w->rig.store = rig_open_store(&w->rig, w->rig.cache);
	if (w->hurt)
		return;
	for (n = 1; n < POINTS; n++)
		rig_expect(w->rig.store, w->point[n], &w->image[n]);
	assert_int_equal(rig_verify(w->rig.store, NULL), 0);
}

void
world_close(struct world *w)
{
	store_close(w->rig.store);
	w->rig.store = NULL;
}
