/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strays: points that are there, though neither the newest epoch's roll nor a
 * session since names them.  Objects of sessions are missing then, or others
 * have written the points.  They are live like any other (docs/prune.md).
 */
#ifndef HOLDSTILL_STORE_STRAYS_H
#define HOLDSTILL_STORE_STRAYS_H

#include "store/idset.h"

struct store;

/*
 * Those among `listed`, ids of points/ listed before this call, whose manifest
 * can be read and whose time has not ended.  Caller finis.
 */
int strays_find(struct idset *out, struct store *s, const struct idset *listed,
    struct err *err);

#endif
