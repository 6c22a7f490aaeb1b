/* SPDX-License-Identifier: Apache-2.0 */
/* Marks of damage: objects put, read, removed. */
#include "store/damage.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/json/json.h"
#include "store/unread.h"

#define MARK_BODY_MAX (16u << 20)
#define TARGET_MAX 64u

/* ---- as JSON ---- */

static json_t *
disk_to_json(const struct hurt_disk *h)
{
	json_t *ranges = json_array();
	size_t i;

	for (i = 0; i < h->count; i++)
		json_append(&ranges,
		    json_pack("[I, I]", (json_int_t)h->ranges[i].offset,
			(json_int_t)h->ranges[i].bytes));
	return json_pack("{s:s, s:I, s:I, s:o, s:b}", "target", h->target,
	    "size_bytes", (json_int_t)h->size_bytes, "bytes",
	    (json_int_t)h->bytes, "ranges", ranges, "more", h->more);
}

static int
range_from_json(struct hurt_disk *h, const json_t *pair, struct err *err)
{
	json_int_t offset, bytes;

	if (!json_is_array(pair) || json_array_size(pair) != 2 ||
	    !json_is_integer(json_array_get(pair, 0)) ||
	    !json_is_integer(json_array_get(pair, 1)))
		return err_set(err, ERR_CORRUPT, "a range is none");
	offset = json_integer_value(json_array_get(pair, 0));
	bytes = json_integer_value(json_array_get(pair, 1));
	if (offset < 0 || bytes <= 0 || (uint64_t)offset > h->size_bytes ||
	    (uint64_t)bytes > h->size_bytes - (uint64_t)offset)
		return err_set(
		    err, ERR_CORRUPT, "a range lies outside of its disk");
	h->ranges[h->count++] =
	    (struct store_range){ .offset = (uint64_t)offset,
		    .bytes = (uint64_t)bytes };
	return 0;
}

static int
disk_from_json(struct hurt_disk *h, const json_t *json, struct err *err)
{
	const json_t *ranges;
	size_t i, count;

	if (json_get_string(&h->target, json, "target", TARGET_MAX, err) ==
		-1 ||
	    json_get_u64(&h->size_bytes, json, "size_bytes", err) == -1 ||
	    json_get_u64(&h->bytes, json, "bytes", err) == -1 ||
	    json_get_bool(&h->more, json, "more", err) == -1 ||
	    json_get_array(
		&ranges, json, "ranges", STORE_HURT_RANGES_MAX, err) == -1)
		return -1;
	count = json_array_size(ranges);
	h->capacity = count;
	if ((h->ranges = calloc(count + 1, sizeof(*h->ranges))) == NULL)
		return err_no_memory(err);
	for (i = 0; i < count; i++)
		if (range_from_json(h, json_array_get(ranges, i), err) == -1)
			return -1;
	return 0;
}

static int
disks_from_json(struct damage_mark *mark, const json_t *json, struct err *err)
{
	const json_t *disks;
	size_t i, count;

	if (json_get_array(&disks, json, "disks", MANIFEST_DISKS_MAX, err) ==
	    -1)
		return -1;
	count = json_array_size(disks);
	if ((mark->disks = calloc(count + 1, sizeof(*mark->disks))) == NULL)
		return err_no_memory(err);
	for (i = 0; i < count; i++) {
		mark->disk_count++;
		if (disk_from_json(
			&mark->disks[i], json_array_get(disks, i), err) == -1)
			return -1;
	}
	return 0;
}

static int
subject_from_json(struct damage_mark *mark, const json_t *json, struct err *err)
{
	char *hex = NULL;
	int rc = 0;

	mark->of_point = json_object_get(json, "point") != NULL;
	if (json_get_string(&hex, json, mark->of_point ? "point" : "pack",
		HEXID_LENGTH, err) == -1)
		return -1;
	if (!hexid_valid(hex) ||
	    hex_decode(mark->subject, sizeof(mark->subject), hex) == -1)
		rc = err_set(err, ERR_CORRUPT, "it marks nothing");
	free(hex);
	return rc;
}

static int
parse(struct damage_mark *mark, const char *text, size_t size, struct err *err)
{
	json_t *json;
	int rc;

	if (json_parse(&json, text, size, err) == -1)
		return -1;
	rc = subject_from_json(mark, json, err);
	if (rc == 0 && mark->of_point)
		rc = disks_from_json(mark, json, err);
	json_decref(json);
	return rc;
}

/* ---- objects ---- */

static int
read_mark(struct damage_mark *mark, struct backend *b, const struct seal *seal,
    const uint8_t id[OBJECT_ID_BYTES], struct err *err)
{
	char key[OBJECT_KEY_SIZE], *text;
	size_t size;
	int rc;

	memcpy(mark->id, id, OBJECT_ID_BYTES);
	if (envelope_get(b, seal, object_key(key, OBJECT_DAMAGE, id),
		OBJECT_DAMAGE, id, NULL, MARK_BODY_MAX, &text, &size,
		err) == -1)
		return -1;
	rc = parse(mark, text, size, err);
	free(text);
	return rc == -1 ? err_prefix(err, "object '%s'", key) : 0;
}

static void
mark_fini(struct damage_mark *mark)
{
	hurt_free_all(mark->disks, mark->disk_count);
}

/* What it said is found again. */
static int
refuse(struct err *err)
{
	if (!unread_is_damaged(err))
		return -1;
	return err_hint(err,
	    "run 'holdstill repair', which finds again what the mark said; "
	    "one that it has to leave can be removed by hand then");
}

static int
add_mark(struct damage *d, struct backend *b, const struct seal *seal,
    const uint8_t id[OBJECT_ID_BYTES], bool sure, struct err *err)
{
	struct damage_mark mark = { .disks = NULL };
	bool gone;

	if (read_mark(&mark, b, seal, id, err) == -1) {
		mark_fini(&mark);
		gone = err->class == ERR_NOT_FOUND;
		if (sure && !gone)
			return refuse(err);
		if (!unread_is_own(b, err))
			return -1;
		err_clear(err);
		return gone ? 0 : idset_add(&d->bad, id, err);
	}
	d->marks[d->count++] = mark;
	return mark.of_point ? 0 : idset_add(&d->packs, mark.subject, err);
}

static int
load(struct damage *out, struct backend *b, const struct seal *seal, bool sure,
    struct err *err)
{
	struct idset ids;
	size_t i;
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if (idset_list(&ids, b, OBJECT_DAMAGE, err) == -1)
		return -1;
	out->marks = calloc(ids.count + 1, sizeof(*out->marks));
	if (out->marks == NULL)
		rc = err_no_memory(err);
	for (i = 0; rc == 0 && i < ids.count; i++)
		rc = add_mark(out, b, seal, ids.ids[i], sure, err);
	idset_fini(&ids);
	if (rc == -1)
		damage_fini(out);
	else
		idset_sort(&out->packs);
	return rc;
}

int
damage_load(struct damage *out, struct backend *b, const struct seal *seal,
    struct err *err)
{
	return load(out, b, seal, false, err);
}

int
damage_load_sure(struct damage *out, struct backend *b, const struct seal *seal,
    struct err *err)
{
	return load(out, b, seal, true, err);
}

void
damage_fini(struct damage *d)
{
	while (d->count > 0)
		mark_fini(&d->marks[--d->count]);
	free(d->marks);
	idset_fini(&d->packs);
	idset_fini(&d->bad);
	memset(d, 0, sizeof(*d));
}

int
damage_hide_packs(struct idset *packs, struct backend *b,
    const struct seal *seal, struct err *err)
{
	struct damage d;

	if (damage_load(&d, b, seal, err) == -1)
		return -1;
	idset_subtract(packs, &d.packs);
	damage_fini(&d);
	return 0;
}

/* Takes the reference. */
static int
put(struct backend *b, const struct seal *seal, json_t *json, struct err *err)
{
	char *text = json == NULL ? NULL : json_text(json, false);
	char key[OBJECT_KEY_SIZE];
	uint8_t id[OBJECT_ID_BYTES];
	int rc = -1;

	if (text == NULL)
		err_no_memory(err);
	else if (hexid_random(id, sizeof(id), err) == 0)
		rc = envelope_put(b, seal, object_key(key, OBJECT_DAMAGE, id),
		    OBJECT_DAMAGE, id, text, strlen(text), true, err);
	free(text);
	json_decref(json);
	return rc;
}

int
damage_put_pack(struct backend *b, const struct seal *seal,
    const uint8_t pack[OBJECT_ID_BYTES], struct err *err)
{
	char hex[HEXID_SIZE], time[CLOCK_RFC3339_SIZE];

	hex_encode(hex, pack, OBJECT_ID_BYTES);
	return put(b, seal,
	    json_pack("{s:s, s:s}", "pack", hex, "time",
		clock_format_rfc3339(time, clock_wall_ms())),
	    err);
}

int
damage_put_point(struct backend *b, const struct seal *seal,
    const uint8_t point[OBJECT_ID_BYTES], const struct hurt_disk *disks,
    size_t count, struct err *err)
{
	char hex[HEXID_SIZE], time[CLOCK_RFC3339_SIZE];
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < count; i++)
		if (disks[i].bytes > 0)
			json_append(&array, disk_to_json(&disks[i]));
	hex_encode(hex, point, OBJECT_ID_BYTES);
	return put(b, seal,
	    json_pack("{s:s, s:s, s:o}", "point", hex, "time",
		clock_format_rfc3339(time, clock_wall_ms()), "disks", array),
	    err);
}

int
damage_remove(
    struct backend *b, const struct damage_mark *mark, struct err *err)
{
	char key[OBJECT_KEY_SIZE];

	return backend_remove(b, object_key(key, OBJECT_DAMAGE, mark->id), err);
}
