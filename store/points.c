/* SPDX-License-Identifier: Apache-2.0 */
/* Points: their manifests put, listed, read, removed. */
#include "store/points.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/json/json.h"

#define MANIFEST_BODY_MAX (16u << 20)

/* Key and binary id of a point; ERR_ARG if the text is no id. */
static int
point_key(char key[OBJECT_KEY_SIZE], uint8_t id[OBJECT_ID_BYTES],
    const char *text, struct err *err)
{
	if (!hexid_valid(text) || hex_decode(id, OBJECT_ID_BYTES, text) == -1)
		return err_set(
		    err, ERR_ARG, "'%.40s' is no id of a point", text);
	object_key(key, OBJECT_MANIFEST, id);
	return 0;
}

int
points_put(struct store *s, struct manifest *m, struct err *err)
{
	char key[OBJECT_KEY_SIZE], *text = NULL;
	uint8_t id[OBJECT_ID_BYTES];
	json_t *json = NULL;
	int rc = -1;

	if ((m->id[0] == '\0' && hexid_new(m->id, err) == -1) ||
	    point_key(key, id, m->id, err) == -1)
		return -1;
	json = manifest_to_json(m, true);
	if (json == NULL || (text = json_text(json, false)) == NULL)
		err_no_memory(err);
	else if (strlen(text) > MANIFEST_BODY_MAX)
		err_set(err, ERR_ARG, "the point's manifest is too large");
	else
		rc = envelope_put(s->backend, s->seal, key, OBJECT_MANIFEST, id,
		    text, strlen(text), true, err);
	free(text);
	json_decref(json);
	return rc;
}

int
store_points(struct store *s, store_point_fn *fn, void *arg, struct err *err)
{
	struct idset points;
	char hex[HEXID_SIZE];
	size_t i;

	if (idset_list(&points, s->backend, OBJECT_MANIFEST, err) == -1)
		return -1;
	for (i = 0; i < points.count; i++) {
		hex_encode(hex, points.ids[i], OBJECT_ID_BYTES);
		if (fn(arg, hex) != 0)
			break;
	}
	idset_fini(&points);
	return 0;
}

static int
parse(struct manifest **out, const char *text, size_t size, const char *id,
    struct err *err)
{
	struct manifest *m = NULL;
	json_t *json = NULL;
	int rc = -1;

	if (json_parse(&json, text, size, err) == -1 ||
	    manifest_from_json(&m, json, err) == -1)
		goto out;
	if (strcmp(m->id, id) != 0) {
		err_set(err, ERR_CORRUPT, "it bears another point's id");
		goto out;
	}
	*out = m;
	m = NULL;
	rc = 0;
out:
	json_decref(json);
	manifest_free(m);
	return rc;
}

int
store_manifest_read(
    struct manifest **out, struct store *s, const char *id, struct err *err)
{
	char key[OBJECT_KEY_SIZE], *text;
	uint8_t binary[OBJECT_ID_BYTES];
	size_t size;
	int rc;

	if (point_key(key, binary, id, err) == -1 ||
	    envelope_get(s->backend, s->seal, key, OBJECT_MANIFEST, binary,
		NULL, MANIFEST_BODY_MAX, &text, &size, err) == -1)
		return -1;
	rc = parse(out, text, size, id, err);
	free(text);
	return rc == -1 ? err_prefix(err, "object '%s'", key) : 0;
}

int
store_point_forget(struct store *s, const char *id, struct err *err)
{
	uint8_t binary[OBJECT_ID_BYTES];
	char key[OBJECT_KEY_SIZE];
	uint64_t size;

	if (point_key(key, binary, id, err) == -1 ||
	    backend_stat(s->backend, key, &size, err) == -1)
		return -1;
	return backend_remove(s->backend, key, err);
}
