/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts finished packs from a thread of its own, a bounded number in flight,
 * and writes index objects once enough packs are durable.  After a failure
 * nothing more is written.
 */
#ifndef HOLDSTILL_STORE_UPLOADER_H
#define HOLDSTILL_STORE_UPLOADER_H

#include "store/claims.h"
#include "store/store_internal.h"
#include "store/usable.h"

struct uploader;

/* Told once, from the uploader's thread, when it fails. */
typedef void uploader_failed_fn(void *arg, const struct err *err);

/* claims is borrowed: blobs leave it when an index names them.  So is usable:
 * it is told of the packs.  epoch: of the session. */
int uploader_new(struct uploader **out, struct store *s, struct claims *claims,
    struct usable *usable, uint64_t epoch, uploader_failed_fn *failed,
    void *arg, struct err *err);
/* Finishes the put under way, drops what waits, joins the thread. */
void uploader_free(struct uploader *u); /* NULL is allowed. */

/*
 * Takes the pack over in every case and waits for room.  -1 with the text of
 * a failed put, this one's or an earlier one's.
 */
int uploader_put(struct uploader *u, struct pack *pack, struct err *err);

/* Packs under way and waiting: 0 to 2. */
unsigned int uploader_queued(struct uploader *u);

/* Waits until every pack is durable and indexed. */
int uploader_flush(struct uploader *u, struct err *err);

#endif
