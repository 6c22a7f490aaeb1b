/* SPDX-License-Identifier: Apache-2.0 */
/* Numbered keys: put, read, the first free one, old ones removed. */
#include "store/numbered.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/json/json.h"

#define BODY_MAX 65536u

/* Was it our put that failed only in the telling? */
static bool
is_ours(struct backend *b, const struct seal *seal, const char *key,
    enum object_type type, const uint8_t *id)
{
	struct err ignored = ERR_INIT;
	char *body;
	size_t size;

	if (envelope_get(b, seal, key, type, id, NULL, BODY_MAX, &body, &size,
		&ignored) == -1)
		return false;
	free(body);
	return true;
}

int
numbered_put(struct backend *b, const struct seal *seal, const char *key,
    enum object_type type, struct json_t *json, struct err *err)
{
	uint8_t id[OBJECT_ID_BYTES];
	char *text = NULL;
	int rc = -1;

	if (json == NULL ||
	    json_object_set_new(json, "key", json_string(key)) == -1 ||
	    (text = json_text(json, false)) == NULL)
		err_no_memory(err);
	else if (hexid_random(id, sizeof(id), err) == 0)
		rc = envelope_put(
		    b, seal, key, type, id, text, strlen(text), false, err);
	if (rc == -1 && text != NULL && is_ours(b, seal, key, type, id)) {
		err_clear(err);
		rc = 0;
	}
	free(text);
	json_decref(json);
	return rc;
}

static int
check_key(const json_t *json, const char *key, struct err *err)
{
	char *own;
	int rc = 0;

	if (json_get_string(&own, json, "key", OBJECT_KEY_SIZE, err) == -1)
		return -1;
	if (strcmp(own, key) != 0)
		rc = err_set(err, ERR_CORRUPT, "it is the object '%s'", own);
	free(own);
	return rc;
}

int
numbered_get(struct json_t **out, struct backend *b, const struct seal *seal,
    const char *key, enum object_type type, struct err *err)
{
	uint8_t id[OBJECT_ID_BYTES];
	json_t *json = NULL;
	char *text;
	size_t size;
	int rc = -1;

	if (envelope_get(b, seal, key, type, NULL, id, BODY_MAX, &text, &size,
		err) == -1)
		return -1;
	if (json_parse(&json, text, size, err) == 0)
		rc = check_key(json, key, err);
	free(text);
	if (rc == -1) {
		json_decref(json);
		return err_prefix(err, "object '%s'", key);
	}
	*out = json;
	return 0;
}

/* 1: it is there, 0: it is free. */
static int
is_taken(
    struct backend *b, const char *prefix, uint64_t number, struct err *err)
{
	char key[OBJECT_KEY_SIZE];

	snprintf(key, sizeof(key), "%s%" PRIu64, prefix, number);
	return backend_has(b, key, NULL, err);
}

int
numbered_free(uint64_t *out, struct backend *b, const char *prefix,
    uint64_t from, struct err *err)
{
	uint64_t low = from, high, step = 1;
	int taken;

	/* All below low are taken; high is free once the first loop ends. */
	for (high = from;; high = low + step, step *= 2) {
		if ((taken = is_taken(b, prefix, high, err)) == -1)
			return -1;
		if (!taken)
			break;
		low = high + 1;
	}
	while (low < high) {
		step = low + (high - low) / 2;
		if ((taken = is_taken(b, prefix, step, err)) == -1)
			return -1;
		if (taken)
			low = step + 1;
		else
			high = step;
	}
	*out = low;
	return 0;
}

bool
numbered_parse_part(
    uint64_t *out, const char **rest, const char *prefix, const char *key)
{
	size_t length = strlen(prefix), digits;

	if (strncmp(key, prefix, length) != 0)
		return false;
	key += length;
	digits = strspn(key, "0123456789");
	/* Each number is written in one way only. */
	if (digits == 0 || digits > 18 || (digits > 1 && key[0] == '0'))
		return false;
	*out = strtoull(key, NULL, 10);
	*rest = key + digits;
	return true;
}

bool
numbered_parse(uint64_t *out, const char *prefix, const char *key)
{
	const char *rest;

	return numbered_parse_part(out, &rest, prefix, key) && *rest == '\0';
}

struct sweep {
	struct backend *backend;
	const char *prefix;
	uint64_t below;
};

static int
remove_below(void *arg, const char *key, uint64_t size_bytes)
{
	struct sweep *sweep = arg;
	struct err ignored = ERR_INIT;
	const char *rest;
	uint64_t number;

	(void)size_bytes;
	if (numbered_parse_part(&number, &rest, sweep->prefix, key) &&
	    *rest == '/' && number < sweep->below)
		backend_remove(sweep->backend, key, &ignored);
	return 0;
}

void
numbered_sweep(struct backend *b, const char *prefix, uint64_t below)
{
	struct sweep sweep = { .backend = b, .prefix = prefix, .below = below };
	struct err ignored = ERR_INIT;

	backend_list(b, prefix, remove_below, &sweep, &ignored);
}
