/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small JSON objects under numbered keys: PREFIX0, PREFIX1, ... without gaps,
 * each put once.  The body names its own key, so that one that took another's
 * place is seen; the object's id is random, so that no two puts of one key
 * bear the same.
 */
#ifndef HOLDSTILL_STORE_NUMBERED_H
#define HOLDSTILL_STORE_NUMBERED_H

#include <stdbool.h>

#include "store/envelope.h"

struct err;
struct json_t;

/*
 * Puts json, which is taken over (NULL: no memory).  ERR_EXISTS: another's
 * object is there.  A put whose answer was lost is looked for.
 */
int numbered_put(struct backend *b, const struct seal *seal, const char *key,
    enum object_type type, struct json_t *json, struct err *err);

/* The caller owns *out.  ERR_NOT_FOUND, ERR_CORRUPT. */
int numbered_get(struct json_t **out, struct backend *b,
    const struct seal *seal, const char *key, enum object_type type,
    struct err *err);

/*
 * The first free number behind prefix; all below `from` are known to be
 * taken.  Asks some two times the logarithm of the answer.
 */
int numbered_free(uint64_t *out, struct backend *b, const char *prefix,
    uint64_t from, struct err *err);

/* Reads "PREFIX12": the number that a key ends with, if it begins so and
 * nothing else follows; else false. */
bool numbered_parse(uint64_t *out, const char *prefix, const char *key);
/* The same of the number between prefix and the next slash; *rest is what
 * follows that. */
bool numbered_parse_part(
    uint64_t *out, const char **rest, const char *prefix, const char *key);

/* Removes what lies in the folders PREFIXn/ with n less than below, as far as
 * it goes: what stays the next one finds. */
void numbered_sweep(struct backend *b, const char *prefix, uint64_t below);

#endif
