/* SPDX-License-Identifier: Apache-2.0 */
/* Checked readers over jansson. */
#include "common/json/json.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"

/*
 * Where a string's buffer cannot grow, the library leaves some of it out and
 * goes on, and calls other wants of memory mistakes in the text.  So its
 * memory is taken here, where one is noted.
 */
static _Thread_local bool starved;

static void *
take(size_t size)
{
	void *p = malloc(size);

	if (p == NULL)
		starved = true;
	return p;
}

__attribute__((constructor)) static void
set_up(void)
{
	json_set_alloc_funcs(take, free);
}

static int
wrong(struct err *err, const char *key, const char *what)
{
	return err_set(err, ERR_CORRUPT, "member '%s' is no %s", key, what);
}

int
json_parse(json_t **out, const char *text, size_t size, struct err *err)
{
	json_error_t error;

	starved = false;
	*out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	if (*out != NULL && !starved)
		return 0;
	json_decref(*out);
	*out = NULL;
	if (starved)
		return err_no_memory(err);
	return err_set(err, ERR_CORRUPT, "no valid JSON: line %d: %s",
	    error.line, error.text);
}

int
json_get_i64(
    int64_t *out, const json_t *object, const char *key, struct err *err)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value))
		return wrong(err, key, "integer");
	*out = json_integer_value(value);
	return 0;
}

int
json_get_u64(
    uint64_t *out, const json_t *object, const char *key, struct err *err)
{
	int64_t value;

	if (json_get_i64(&value, object, key, err) == -1)
		return -1;
	if (value < 0)
		return wrong(err, key, "number from zero up");
	*out = (uint64_t)value;
	return 0;
}

int
json_get_bool(bool *out, const json_t *object, const char *key, struct err *err)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_boolean(value))
		return wrong(err, key, "boolean");
	*out = json_is_true(value);
	return 0;
}

int
json_get_string(char **out, const json_t *object, const char *key, size_t max,
    struct err *err)
{
	const json_t *value = json_object_get(object, key);
	size_t size;

	if (!json_is_string(value))
		return wrong(err, key, "string");
	size = json_string_length(value);
	if (size > max || strlen(json_string_value(value)) != size)
		return wrong(err, key, "text of a fitting length");
	*out = strdup(json_string_value(value));
	return *out == NULL ? err_no_memory(err) : 0;
}

int
json_get_array(const json_t **out, const json_t *object, const char *key,
    size_t max, struct err *err)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_array(value) || json_array_size(value) > max)
		return wrong(err, key, "array of a fitting length");
	*out = value;
	return 0;
}

int
json_get_object(
    const json_t **out, const json_t *object, const char *key, struct err *err)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_object(value))
		return wrong(err, key, "object");
	*out = value;
	return 0;
}

void
json_append(json_t **array, json_t *value)
{
	if (json_array_append_new(*array, value) == 0)
		return;
	json_decref(*array);
	*array = NULL;
}

void
json_put(json_t **object, const char *key, json_t *value)
{
	if (json_object_set_new(*object, key, value) == 0)
		return;
	json_decref(*object);
	*object = NULL;
}

char *
json_text(const json_t *json, bool indented)
{
	char *text;

	starved = false;
	text = json_dumps(
	    json, JSON_SORT_KEYS | (indented ? JSON_INDENT(2) : JSON_COMPACT));
	if (text == NULL || !starved)
		return text;
	free(text);
	return NULL;
}
