/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small objects that cannot be read and yet must keep their keys: epochs,
 * sessions, beats and words (docs/prune.md).  A copy under aside/KEY says that
 * a repair has seen it: from then on whoever cannot read it goes on without.
 */
#ifndef HOLDSTILL_STORE_ASIDE_H
#define HOLDSTILL_STORE_ASIDE_H

#include <stdbool.h>

#include "store/envelope.h"

struct backend;
struct err;

#define ASIDE_KEY_SIZE (OBJECT_KEY_SIZE + 8)

/* Where the copy of what is under key is.  Returns out. */
char *aside_key(char out[ASIDE_KEY_SIZE], const char *key);

/*
 * Asked with the err of a get of key.  1: it is damaged and was set aside, err
 * is cleared.  -1: err says why the object cannot be had.
 */
int aside_passes(struct backend *b, const char *key, struct err *err);

/* Puts the copy, as far as the object can be read; done if it is there.
 * ERR_NOT_FOUND: the object is gone. */
int aside_put(struct backend *b, const char *key, struct err *err);

#endif
