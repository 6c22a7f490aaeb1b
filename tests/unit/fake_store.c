/* SPDX-License-Identifier: Apache-2.0 */
/* A store that is only a list of manifests in memory. */
#include "fake_store.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "store/store.h"

struct fake_point *
fake_store_add(struct store *s, char digit, const char *domain, int64_t time_ms)
{
	struct fake_point *point = &s->points[s->count++];

	memset(point, 0, sizeof(*point));
	memset(point->id, digit, HEXID_LENGTH);
	point->domain = domain;
	point->time_ms = time_ms;
	return point;
}

static void
set(char **out, const char *text)
{
	free(*out);
	*out = strdup(text);
}

struct manifest *
fake_store_manifest(const struct fake_point *point)
{
	struct manifest *m = manifest_new();

	if (m == NULL)
		abort();
	memcpy(m->id, point->id, HEXID_SIZE);
	memcpy(m->parent, point->parent, HEXID_SIZE);
	set(&m->domain, point->domain);
	set(&m->uuid, "00000000-0000-4000-8000-000000000000");
	set(&m->host, "host");
	set(&m->consistency_reason, "");
	set(&m->checkpoint, "");
	set(&m->definition_xml, "<domain/>");
	m->time_ms = point->time_ms;
	m->disks = calloc(1, sizeof(*m->disks));
	if (m->disks == NULL)
		abort();
	m->disk_count = 1;
	set(&m->disks[0].target, "vda");
	set(&m->disks[0].format, "qcow2");
	set(&m->disks[0].path, "/disk");
	set(&m->disks[0].reason, "");
	m->disks[0].size_bytes = 65536;
	m->disks[0].stored_bytes = 1234;
	return m;
}

const char *
store_id(const struct store *s)
{
	return s->id;
}

int
store_points(struct store *s, store_point_fn *fn, void *arg, struct err *err)
{
	size_t i;

	(void)err;
	for (i = 0; i < s->count; i++)
		if (fn(arg, s->points[i].id) != 0)
			break;
	return 0;
}

int
store_point_was_forgotten(struct store *s, const char *id, struct err *err)
{
	(void)err;
	return s->forgotten == id[0];
}

int
store_manifest_read(
    struct manifest **out, struct store *s, const char *id, struct err *err)
{
	size_t i;

	s->reads++;
	for (i = 0; i < s->count; i++)
		if (strcmp(s->points[i].id, id) == 0)
			break;
	if (i == s->count || s->points[i].gone)
		return err_set(err, ERR_NOT_FOUND, "no point '%s'", id);
	if (s->points[i].damaged)
		return err_set(
		    err, ERR_CORRUPT, "'manifests/%s' is damaged", id);
	if (s->points[i].newer || s->points[i].away)
		return err_set(err,
		    s->points[i].newer ? ERR_UNSUPPORTED : ERR_IO,
		    "'manifests/%s' cannot be read", id);
	*out = fake_store_manifest(&s->points[i]);
	return 0;
}
