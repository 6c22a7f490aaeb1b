/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests to JSON and back; hostile ones refused without a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/json/json.h"
#include "store/manifest.h"

static struct manifest *
example(void)
{
	struct manifest *m = manifest_new();
	struct manifest_writer *w;

	strcpy(m->id, "0123456789abcdef0123456789abcdef");
	m->domain = strdup("db1");
	m->time_ms = 1795238497123;
	m->duration_ms = 1234;
	m->kind = MANIFEST_INCREMENTAL;
	m->consistency = MANIFEST_APPLICATION;
	m->freeze.source = MANIFEST_QUIESCE_HOLDSTILL;
	m->freeze.proved = true;
	m->freeze.held_ms = 17;
	m->freeze.thaw_ns = UINT64_C(1) << 62;
	strcpy(m->group.id, "fedcba9876543210fedcba9876543210");
	m->group.spread_ms = 9;
	m->group.members = calloc(1, sizeof(*m->group.members));
	m->group.member_count = 1;
	strcpy(m->group.members[0].id, m->id);
	m->group.members[0].domain = strdup("db1");
	m->freeze.filesystems = calloc(1, sizeof(*m->freeze.filesystems));
	m->freeze.filesystem_count = 1;
	/* A guest may name a mount point in any bytes. */
	m->freeze.filesystems[0].mount_point = strdup("/srv/\xff\xfe");
	m->freeze.filesystems[0].state = strdup("frozen");
	m->freeze.writers = calloc(1, sizeof(*m->freeze.writers));
	m->freeze.writer_count = 1;
	w = &m->freeze.writers[0];
	w->name = strdup("postgresql");
	w->required = true;
	w->meta = calloc(1, sizeof(*w->meta));
	w->meta_count = 1;
	w->meta[0].key = strdup("wal");
	w->meta[0].value = strdup("0/16B3748");
	m->disks = calloc(1, sizeof(*m->disks));
	m->disk_count = 1;
	m->disks[0].target = strdup("vda");
	m->disks[0].source = MANIFEST_SOURCE_BITMAP;
	m->disks[0].size_bytes = UINT64_C(1) << 40;
	memset(m->disks[0].root, 0xa5, sizeof(m->disks[0].root));
	m->definition_xml = strdup("<domain type='kvm'/>");
	return m;
}

static void
test_manifest_comes_back_from_json(void **state)
{
	struct manifest *m = example(), *got;
	json_t *json = manifest_to_json(m, true);
	struct err err = ERR_INIT;

	(void)state;
	assert_non_null(json);
	if (manifest_from_json(&got, json, &err) == -1)
		fail_msg("%s", err.text);
	assert_string_equal(got->id, m->id);
	assert_string_equal(got->parent, "");
	assert_string_equal(got->domain, "db1");
	assert_string_equal(got->uuid, "");
	assert_int_equal(got->time_ms, m->time_ms);
	assert_int_equal(got->kind, m->kind);
	assert_int_equal(got->consistency, m->consistency);
	assert_int_equal(got->freeze.source, m->freeze.source);
	assert_true(got->freeze.proved);
	assert_string_equal(
	    got->freeze.filesystems[0].mount_point, "/srv/\?\?");
	assert_string_equal(got->freeze.writers[0].meta[0].value, "0/16B3748");
	assert_true(got->freeze.writers[0].required);
	assert_int_equal(got->freeze.thaw_ns, UINT64_C(1) << 62);
	assert_string_equal(got->group.id, m->group.id);
	assert_int_equal(got->group.spread_ms, 9);
	assert_string_equal(got->group.members[0].domain, "db1");
	assert_int_equal(got->disks[0].size_bytes, UINT64_C(1) << 40);
	assert_int_equal(got->disks[0].source, MANIFEST_SOURCE_BITMAP);
	assert_memory_equal(got->disks[0].root, m->disks[0].root, 32);
	assert_ptr_equal(manifest_find_disk(got, "vda"), &got->disks[0]);
	assert_null(manifest_find_disk(got, "vdb"));
	manifest_free(got);
	manifest_free(m);
	json_decref(json);
}

static void
test_manifest_for_lists_has_no_roots(void **state)
{
	struct manifest *m = example();
	json_t *json = manifest_to_json(m, false);

	(void)state;
	assert_null(json_object_get(json, "definition"));
	assert_null(json_object_get(
	    json_array_get(json_object_get(json, "disks"), 0), "root"));
	json_decref(json);
	manifest_free(m);
}

/* Each member in turn is missing, then of another type. */
static void
try_without(json_t *whole, json_t *object)
{
	struct err err = ERR_INIT;
	struct manifest *m;
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(object, next, key, value)
	{
		char *name = strdup(key);

		if (strcmp(name, "time") == 0) { /* For people only. */
			free(name);
			continue;
		}
		json_incref(value);
		json_object_set_new(object, name, json_null());
		assert_int_equal(manifest_from_json(&m, whole, &err), -1);
		assert_int_equal(err.class, ERR_CORRUPT);
		json_object_set(object, name, value);
		json_decref(value);
		free(name);
	}
}

static void
test_manifest_hostile_json_is_corrupt(void **state)
{
	struct manifest *m = example();
	json_t *json = manifest_to_json(m, true);
	json_t *freeze = json_object_get(json, "freeze");
	struct err err = ERR_INIT;
	struct manifest *got;

	(void)state;
	try_without(json, json);
	try_without(json, freeze);
	try_without(json, json_array_get(json_object_get(json, "disks"), 0));
	try_without(
	    json, json_array_get(json_object_get(freeze, "writers"), 0));
	try_without(
	    json, json_array_get(json_object_get(freeze, "filesystems"), 0));
	json_object_set_new(json, "kind", json_string("half"));
	assert_int_equal(manifest_from_json(&got, json, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	json_decref(json);
	manifest_free(m);
}

static void
test_manifest_words_come_back(void **state)
{
	enum manifest_consistency c;

	(void)state;
	assert_int_equal(manifest_consistency_parse(&c, "filesystem"), 0);
	assert_int_equal(c, MANIFEST_FILESYSTEM);
	assert_int_equal(manifest_consistency_parse(&c, "best"), -1);
	assert_string_equal(
	    manifest_source_name(MANIFEST_SOURCE_RBD_DIFF), "rbd-diff");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manifest_comes_back_from_json),
		cmocka_unit_test(test_manifest_for_lists_has_no_roots),
		cmocka_unit_test(test_manifest_hostile_json_is_corrupt),
		cmocka_unit_test(test_manifest_words_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
