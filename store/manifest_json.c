/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests to JSON: the names of docs/format.md and of every --json. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json/json.h"
#include "store/manifest.h"

/* Guests and hosts may name things in no known encoding: '?' then. */
static json_t *
string_of(const char *s)
{
	json_t *json;
	char *copy, *p;

	errno = 0;
	json = json_string(s == NULL ? "" : s);
	if (json != NULL || errno == ENOMEM || (copy = strdup(s)) == NULL)
		return json;
	for (p = copy; *p != '\0'; p++) {
		if ((*p & 0x80) != 0)
			*p = '?';
	}
	json = json_string(copy);
	free(copy);
	return json;
}

/* json_pack's "o" takes members over, also when it fails. */
static json_t *
filesystems_to_json(const struct manifest_freeze *f)
{
	const struct manifest_filesystem *fs;
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < f->filesystem_count; i++) {
		fs = &f->filesystems[i];
		json_append(&array,
		    json_pack("{s:o, s:o, s:o, s:o, s:o}", "mount_point",
			string_of(fs->mount_point), "type", string_of(fs->type),
			"disk", string_of(fs->disk), "state",
			string_of(fs->state), "reason", string_of(fs->reason)));
	}
	return array;
}

static json_t *
meta_to_json(const struct manifest_writer *w)
{
	json_t *object = json_object(), *key;
	size_t i;

	for (i = 0; i < w->meta_count; i++) {
		key = string_of(w->meta[i].key);
		json_put(&object, json_string_value(key),
		    string_of(w->meta[i].value));
		json_decref(key);
	}
	return object;
}

static json_t *
writers_to_json(const struct manifest_freeze *f)
{
	const struct manifest_writer *w;
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < f->writer_count; i++) {
		w = &f->writers[i];
		json_append(&array,
		    json_pack("{s:o, s:o, s:o, s:b, s:o}", "name",
			string_of(w->name), "state", string_of(w->state),
			"reason", string_of(w->reason), "required",
			(int)w->required, "meta", meta_to_json(w)));
	}
	return array;
}

static json_t *
freeze_to_json(const struct manifest_freeze *f)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:b, s:s, s:o, s:o}", "held_ms",
	    (json_int_t)f->held_ms, "begin_ns", (json_int_t)f->begin_ns,
	    "end_ns", (json_int_t)f->end_ns, "thaw_ns", (json_int_t)f->thaw_ns,
	    "proved", (int)f->proved, "source",
	    manifest_quiesce_name(f->source), "filesystems",
	    filesystems_to_json(f), "writers", writers_to_json(f));
}

static json_t *
group_to_json(const struct manifest_group *g)
{
	json_t *members = json_array();
	size_t i;

	for (i = 0; i < g->member_count; i++)
		json_append(
		    &members, json_pack("{s:s, s:o}", "id", g->members[i].id,
				  "domain", string_of(g->members[i].domain)));
	return json_pack("{s:s, s:b, s:o, s:I, s:o}", "id", g->id, "consistent",
	    (int)g->consistent, "reason", string_of(g->reason), "spread_ms",
	    (json_int_t)g->spread_ms, "members", members);
}

static json_t *
disk_to_json(const struct manifest_disk *d, bool whole)
{
	char root[2 * MANIFEST_HASH_BYTES + 1];
	json_t *json = json_pack("{s:o, s:I, s:s, s:o, s:I, s:I, s:I, s:I}",
	    "target", string_of(d->target), "size_bytes",
	    (json_int_t)d->size_bytes, "source",
	    manifest_source_name(d->source), "reason", string_of(d->reason),
	    "changed_bytes", (json_int_t)d->changed_bytes, "read_bytes",
	    (json_int_t)d->read_bytes, "new_bytes", (json_int_t)d->new_bytes,
	    "stored_bytes", (json_int_t)d->stored_bytes);

	if (json == NULL || !whole)
		return json;
	hex_encode(root, d->root, sizeof(d->root));
	json_put(&json, "root", json_string(root));
	json_put(&json, "format", string_of(d->format));
	json_put(&json, "path", string_of(d->path));
	return json;
}

static json_t *
disks_to_json(const struct manifest *m, bool whole)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < m->disk_count; i++)
		json_append(&array, disk_to_json(&m->disks[i], whole));
	return array;
}

json_t *
manifest_to_json(const struct manifest *m, bool whole)
{
	char time[CLOCK_RFC3339_SIZE];
	json_t *json;

	json = json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:s, s:s, s:o, s:o, "
			 "s:o, s:I}",
	    "id", m->id, "parent", m->parent, "domain", string_of(m->domain),
	    "uuid", string_of(m->uuid), "host", string_of(m->host), "time",
	    clock_format_rfc3339(time, m->time_ms), "kind",
	    manifest_kind_name(m->kind), "consistency",
	    manifest_consistency_name(m->consistency), "consistency_reason",
	    string_of(m->consistency_reason), "freeze",
	    freeze_to_json(&m->freeze), "disks", disks_to_json(m, whole),
	    "duration_ms", (json_int_t)m->duration_ms);
	if (m->group.id[0] != '\0')
		json_put(&json, "group", group_to_json(&m->group));
	if (!whole)
		return json;
	json_put(&json, "time_ms", json_integer((json_int_t)m->time_ms));
	json_put(&json, "epoch", json_integer((json_int_t)m->epoch));
	json_put(&json, "checkpoint", string_of(m->checkpoint));
	json_put(&json, "definition", string_of(m->definition_xml));
	return json;
}
