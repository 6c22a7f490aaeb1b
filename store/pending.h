/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host's packs that no index names yet (docs/seal.md).  Others find the
 * packs of a run that was cut short by a look into the repository (R8); a host
 * cannot look into them, so it writes their tables down, in its own folder,
 * until there is an index.
 */
#ifndef HOLDSTILL_STORE_PENDING_H
#define HOLDSTILL_STORE_PENDING_H

#include "store/index.h"
#include "store/usable.h"

struct pending;
struct store;

/* Of one session, of this epoch.  *out is NULL for who is no host, which is
 * allowed below. */
int pending_new(
    struct pending **out, struct store *s, uint64_t epoch, struct err *err);
/* What is still in it is for the next session. */
void pending_free(struct pending *p);

/* A pack that was put.  If it cannot be written down, that is no failure: an
 * interrupted run costs more then. */
void pending_add(struct pending *p, const struct index_pack *pack);
/* An index names all of them. */
void pending_clear(struct pending *p);

/*
 * Puts indexes of what earlier sessions of this host left, as far as it may
 * be used in this one.  Does nothing for who is no host.
 */
int pending_adopt(struct store *s, struct usable *u, struct err *err);

#endif
