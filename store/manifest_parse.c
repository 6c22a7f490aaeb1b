/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests from stored JSON, which is not trusted. */
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/json/json.h"
#include "store/manifest.h"

#define NAME_MAX_BYTES 4096u
#define REASON_MAX_BYTES 65536u
#define DEFINITION_MAX_BYTES (8u << 20)

static int
get_id(char out[HEXID_SIZE], const json_t *json, const char *key,
    bool may_be_empty, struct err *err)
{
	char *text;
	int rc = 0;

	if (json_get_string(&text, json, key, HEXID_LENGTH, err) == -1)
		return -1;
	if (hexid_valid(text) || (may_be_empty && text[0] == '\0'))
		memcpy(out, text, strlen(text) + 1);
	else
		rc = err_set(err, ERR_CORRUPT, "member '%s' is no id", key);
	free(text);
	return rc;
}

/* Reads a word and finds it among count names. */
static int
get_word(unsigned int *out, const json_t *json, const char *key,
    const char *const *names, unsigned int count, struct err *err)
{
	unsigned int i;
	char *word;

	if (json_get_string(&word, json, key, 64, err) == -1)
		return -1;
	for (i = 0; i < count && strcmp(word, names[i]) != 0; i++)
		;
	free(word);
	if (i == count)
		return err_set(err, ERR_CORRUPT,
		    "member '%s' has an unknown "
		    "value",
		    key);
	*out = i;
	return 0;
}

static int
parse_filesystem(
    struct manifest_filesystem *f, const json_t *json, struct err *err)
{
	if (json_get_string(&f->mount_point, json, "mount_point",
		NAME_MAX_BYTES, err) == -1 ||
	    json_get_string(&f->type, json, "type", NAME_MAX_BYTES, err) ==
		-1 ||
	    json_get_string(&f->disk, json, "disk", NAME_MAX_BYTES, err) ==
		-1 ||
	    json_get_string(&f->state, json, "state", NAME_MAX_BYTES, err) ==
		-1)
		return -1;
	return json_get_string(
	    &f->reason, json, "reason", REASON_MAX_BYTES, err);
}

static int
parse_meta(struct manifest_writer *w, const json_t *meta, struct err *err)
{
	const char *key;
	json_t *value;

	if (json_object_size(meta) > MANIFEST_META_MAX)
		return err_set(err, ERR_CORRUPT,
		    "a writer has too many "
		    "entries");
	w->meta = calloc(json_object_size(meta) + 1, sizeof(*w->meta));
	if (w->meta == NULL)
		return err_no_memory(err);
	json_object_foreach((json_t *)(uintptr_t)meta, key, value)
	{
		(void)value;
		if ((w->meta[w->meta_count].key = strdup(key)) == NULL)
			return err_no_memory(err);
		w->meta_count++;
		if (json_get_string(&w->meta[w->meta_count - 1].value, meta,
			key, REASON_MAX_BYTES, err) == -1)
			return -1;
	}
	return 0;
}

/* Members that came later than the first version: absent is 0. */
static int
optional_u64(
    uint64_t *out, const json_t *json, const char *key, struct err *err)
{
	if (json_object_get(json, key) == NULL)
		return 0;
	return json_get_u64(out, json, key, err);
}

static int
optional_bool(bool *out, const json_t *json, const char *key, struct err *err)
{
	if (json_object_get(json, key) == NULL)
		return 0;
	return json_get_bool(out, json, key, err);
}

static int
parse_writer(struct manifest_writer *w, const json_t *json, struct err *err)
{
	const json_t *meta;

	if (json_get_string(&w->name, json, "name", NAME_MAX_BYTES, err) ==
		-1 ||
	    json_get_string(&w->state, json, "state", NAME_MAX_BYTES, err) ==
		-1 ||
	    json_get_string(
		&w->reason, json, "reason", REASON_MAX_BYTES, err) == -1 ||
	    optional_bool(&w->required, json, "required", err) == -1 ||
	    json_get_object(&meta, json, "meta", err) == -1)
		return -1;
	return parse_meta(w, meta, err);
}

/* Counts each member before it is filled, so that a half one is freed. */
static int
parse_filesystems(
    struct manifest_freeze *f, const json_t *json, struct err *err)
{
	const json_t *array;
	size_t i;

	if (json_get_array(&array, json, "filesystems",
		MANIFEST_FILESYSTEMS_MAX, err) == -1)
		return -1;
	f->filesystems =
	    calloc(json_array_size(array) + 1, sizeof(*f->filesystems));
	if (f->filesystems == NULL)
		return err_no_memory(err);
	for (i = 0; i < json_array_size(array); i++) {
		f->filesystem_count++;
		if (parse_filesystem(&f->filesystems[i],
			json_array_get(array, i), err) == -1)
			return -1;
	}
	return 0;
}

static int
parse_writers(struct manifest_freeze *f, const json_t *json, struct err *err)
{
	const json_t *array;
	size_t i;

	if (json_get_array(
		&array, json, "writers", MANIFEST_WRITERS_MAX, err) == -1)
		return -1;
	f->writers = calloc(json_array_size(array) + 1, sizeof(*f->writers));
	if (f->writers == NULL)
		return err_no_memory(err);
	for (i = 0; i < json_array_size(array); i++) {
		f->writer_count++;
		if (parse_writer(
			&f->writers[i], json_array_get(array, i), err) == -1)
			return -1;
	}
	return 0;
}

static int
parse_freeze(struct manifest_freeze *f, const json_t *manifest, struct err *err)
{
	static const char *const sources[] = {
		[MANIFEST_QUIESCE_NONE] = "none",
		[MANIFEST_QUIESCE_HOLDSTILL] = "holdstill",
		[MANIFEST_QUIESCE_QEMU_GA] = "qemu-ga",
	};
	unsigned int source = 0;
	const json_t *json;

	if (json_get_object(&json, manifest, "freeze", err) == -1 ||
	    json_get_i64(&f->held_ms, json, "held_ms", err) == -1 ||
	    optional_u64(&f->begin_ns, json, "begin_ns", err) == -1 ||
	    optional_u64(&f->end_ns, json, "end_ns", err) == -1 ||
	    optional_u64(&f->thaw_ns, json, "thaw_ns", err) == -1 ||
	    json_get_bool(&f->proved, json, "proved", err) == -1 ||
	    get_word(&source, json, "source", sources, 3, err) == -1)
		return -1;
	f->source = source;
	if (parse_filesystems(f, json, err) == -1)
		return -1;
	return parse_writers(f, json, err);
}

static int
parse_members(struct manifest_group *g, const json_t *json, struct err *err)
{
	const json_t *array, *member;
	size_t i;

	if (json_get_array(&array, json, "members", MANIFEST_GROUP_MAX, err) ==
	    -1)
		return -1;
	g->members = calloc(json_array_size(array) + 1, sizeof(*g->members));
	if (g->members == NULL)
		return err_no_memory(err);
	for (i = 0; i < json_array_size(array); i++) {
		member = json_array_get(array, i);
		g->member_count++;
		if (get_id(g->members[i].id, member, "id", false, err) == -1 ||
		    json_get_string(&g->members[i].domain, member, "domain",
			NAME_MAX_BYTES, err) == -1)
			return -1;
	}
	return 0;
}

static int
parse_group(struct manifest_group *g, const json_t *manifest, struct err *err)
{
	const json_t *json;

	if (json_object_get(manifest, "group") == NULL)
		return 0;
	if (json_get_object(&json, manifest, "group", err) == -1 ||
	    get_id(g->id, json, "id", false, err) == -1 ||
	    json_get_bool(&g->consistent, json, "consistent", err) == -1 ||
	    json_get_string(
		&g->reason, json, "reason", REASON_MAX_BYTES, err) == -1 ||
	    json_get_i64(&g->spread_ms, json, "spread_ms", err) == -1)
		return -1;
	return parse_members(g, json, err);
}

static int
parse_root(struct manifest_disk *d, const json_t *json, struct err *err)
{
	char *root;
	int rc = 0;

	if (json_get_string(
		&root, json, "root", 2 * MANIFEST_HASH_BYTES, err) == -1)
		return -1;
	if (hex_decode(d->root, sizeof(d->root), root) == -1)
		rc = err_set(err, ERR_CORRUPT, "member 'root' is no hash");
	free(root);
	return rc;
}

static int
parse_disk(struct manifest_disk *d, const json_t *json, struct err *err)
{
	static const char *const sources[] = {
		[MANIFEST_SOURCE_FULL] = "full",
		[MANIFEST_SOURCE_BITMAP] = "bitmap",
		[MANIFEST_SOURCE_RBD_DIFF] = "rbd-diff",
		[MANIFEST_SOURCE_COMPARE] = "compare",
	};
	unsigned int source = 0;

	if (json_get_string(&d->target, json, "target", NAME_MAX_BYTES, err) ==
		-1 ||
	    json_get_string(&d->format, json, "format", NAME_MAX_BYTES, err) ==
		-1 ||
	    json_get_string(&d->path, json, "path", NAME_MAX_BYTES, err) ==
		-1 ||
	    json_get_string(
		&d->reason, json, "reason", REASON_MAX_BYTES, err) == -1 ||
	    json_get_u64(&d->size_bytes, json, "size_bytes", err) == -1 ||
	    json_get_u64(&d->changed_bytes, json, "changed_bytes", err) == -1 ||
	    json_get_u64(&d->read_bytes, json, "read_bytes", err) == -1 ||
	    json_get_u64(&d->new_bytes, json, "new_bytes", err) == -1 ||
	    json_get_u64(&d->stored_bytes, json, "stored_bytes", err) == -1 ||
	    get_word(&source, json, "source", sources, 4, err) == -1)
		return -1;
	d->source = source;
	if (d->size_bytes > (UINT64_C(1) << 62))
		return err_set(err, ERR_CORRUPT, "a disk is too large");
	return parse_root(d, json, err);
}

static int
parse_disks(struct manifest *m, const json_t *json, struct err *err)
{
	const json_t *array;
	size_t i;

	if (json_get_array(&array, json, "disks", MANIFEST_DISKS_MAX, err) ==
	    -1)
		return -1;
	m->disks = calloc(json_array_size(array) + 1, sizeof(*m->disks));
	if (m->disks == NULL)
		return err_no_memory(err);
	for (i = 0; i < json_array_size(array); i++) {
		m->disk_count++;
		if (parse_disk(&m->disks[i], json_array_get(array, i), err) ==
		    -1)
			return -1;
	}
	return 0;
}

static int
parse_words(struct manifest *m, const json_t *json, struct err *err)
{
	static const char *const kinds[] = {
		[MANIFEST_FULL] = "full",
		[MANIFEST_INCREMENTAL] = "incremental",
	};
	static const char *const levels[] = {
		[MANIFEST_CRASH] = "crash",
		[MANIFEST_FILESYSTEM] = "filesystem",
		[MANIFEST_APPLICATION] = "application",
	};
	unsigned int kind = 0, level = 0;

	if (get_word(&kind, json, "kind", kinds, 2, err) == -1 ||
	    get_word(&level, json, "consistency", levels, 3, err) == -1)
		return -1;
	m->kind = kind;
	m->consistency = level;
	return 0;
}

static int
parse_whole(struct manifest *m, const json_t *json, struct err *err)
{
	if (get_id(m->id, json, "id", false, err) == -1 ||
	    get_id(m->parent, json, "parent", true, err) == -1 ||
	    json_get_string(&m->domain, json, "domain", NAME_MAX_BYTES, err) ==
		-1 ||
	    json_get_string(&m->uuid, json, "uuid", NAME_MAX_BYTES, err) ==
		-1 ||
	    json_get_string(&m->host, json, "host", NAME_MAX_BYTES, err) ==
		-1 ||
	    json_get_u64(&m->epoch, json, "epoch", err) == -1 ||
	    json_get_i64(&m->time_ms, json, "time_ms", err) == -1 ||
	    json_get_i64(&m->duration_ms, json, "duration_ms", err) == -1 ||
	    json_get_string(&m->consistency_reason, json, "consistency_reason",
		REASON_MAX_BYTES, err) == -1 ||
	    json_get_string(&m->checkpoint, json, "checkpoint", NAME_MAX_BYTES,
		err) == -1 ||
	    json_get_string(&m->definition_xml, json, "definition",
		DEFINITION_MAX_BYTES, err) == -1 ||
	    parse_words(m, json, err) == -1 ||
	    parse_freeze(&m->freeze, json, err) == -1 ||
	    parse_group(&m->group, json, err) == -1)
		return -1;
	return parse_disks(m, json, err);
}

int
manifest_from_json(struct manifest **out, const json_t *json, struct err *err)
{
	struct manifest *m = manifest_new();

	if (m == NULL)
		return err_no_memory(err);
	if (parse_whole(m, json, err) == -1) {
		manifest_free(m);
		return -1;
	}
	*out = m;
	return 0;
}
