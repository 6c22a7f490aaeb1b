/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jansson, and checked readers for JSON that may be hostile.  The only place
 * that includes the library.  Readers return 0, or -1 with ERR_CORRUPT that
 * names the member.
 */
#ifndef HOLDSTILL_COMMON_JSON_JSON_H
#define HOLDSTILL_COMMON_JSON_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* Parses exactly one document of size bytes.  The caller owns *out. */
int json_parse(json_t **out, const char *text, size_t size, struct err *err);

/* Each reads member key of object. */
int json_get_u64(uint64_t *out, const json_t *object, const char *key,
    struct err *err); /* Integers 0 to 2^63 - 1. */
int json_get_i64(
    int64_t *out, const json_t *object, const char *key, struct err *err);
int json_get_bool(
    bool *out, const json_t *object, const char *key, struct err *err);
/* A string of at most max bytes without NUL, in new memory (malloc). */
int json_get_string(char **out, const json_t *object, const char *key,
    size_t max, struct err *err);
/* An array of at most max members; borrowed. */
int json_get_array(const json_t **out, const json_t *object, const char *key,
    size_t max, struct err *err);
/* An object; borrowed. */
int json_get_object(
    const json_t **out, const json_t *object, const char *key, struct err *err);

/*
 * As json_array_append_new() and json_object_set_new(), for documents in the
 * making: without memory for the value or its place the whole is dropped, and
 * *array or *object is NULL from then on, which json_pack() and json_text()
 * pass on.  Takes the value, whatever comes of it.
 */
void json_append(json_t **array, json_t *value);
void json_put(json_t **object, const char *key, json_t *value);

/* The document as text with sorted keys (malloc), indented or compact;
 * NULL without memory, or of NULL. */
char *json_text(const json_t *json, bool indented);

#endif
