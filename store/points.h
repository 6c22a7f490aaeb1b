/* SPDX-License-Identifier: Apache-2.0 */
/* Points as objects: manifests and tombstones. */
#ifndef HOLDSTILL_STORE_POINTS_H
#define HOLDSTILL_STORE_POINTS_H

#include "store/forgotten.h"
#include "store/store_internal.h"

enum point_state {
	POINT_NONE,
	POINT_MANIFEST,
	POINT_TOMBSTONE,
};

/*
 * The commit: one exclusive put.  0: the point exists.  -1: it does not, and
 * never will under this id; ERR_TIMEOUT: a prune has given it up.  Only if
 * the repository does not answer at all nobody can know, and the text says so.
 */
int points_commit(struct store *s, const struct manifest *m, struct err *err);

/* What there is, by get; *m (may be NULL) is the caller's if a manifest. */
int points_look(enum point_state *out, struct manifest **m, struct store *s,
    const uint8_t id[OBJECT_ID_BYTES], struct err *err);

/* Puts the tombstone: *out is what there is now. */
int points_give_up(enum point_state *out, struct store *s,
    const uint8_t id[OBJECT_ID_BYTES], struct err *err);

#endif
