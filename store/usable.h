/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which packs a session may refer to (docs/prune.md, step 2 of a backup): off
 * the list of its epoch, and there at some time after it registered.  A look
 * is made only for packs of which the local index cannot say so.
 *
 * Thread-safe.
 */
#ifndef HOLDSTILL_STORE_USABLE_H
#define HOLDSTILL_STORE_USABLE_H

#include "store/epochs.h"
#include "store/localindex.h"

struct usable;

/*
 * The session has registered in this epoch, which is borrowed.  Brings the
 * local index's notes up to it.  A mark of damage that cannot be read is an
 * error.
 */
int usable_new(struct usable **out, struct store *s, const struct epoch *epoch,
    struct err *err);
void usable_free(struct usable *u); /* NULL is allowed. */

/*
 * 1: a blob that was found there is known; 0: it is not; -1.  notes are those
 * that the view v gave.
 */
int usable_pack(struct usable *u, const struct localindex_view *v,
    unsigned int notes, const uint8_t pack[OBJECT_ID_BYTES], struct err *err);

/* Is the blob known?  1, 0, -1. */
int usable_blob(struct usable *u, struct localindex_view *v,
    enum blob_type type, const uint8_t hash[DIGEST_BYTES], struct err *err);

/* Packs that this session put. */
int usable_put(struct usable *u, const struct index_pack *packs,
    unsigned int count, struct err *err);

/* On a host: may a pack that it put in a session of that epoch, and of which
 * it has lost sight, be used?  It is there, of that size, unmarked, and on no
 * list since.  1, 0, -1. */
int usable_left(struct usable *u, uint64_t epoch,
    const uint8_t pack[OBJECT_ID_BYTES], uint64_t size, struct err *err);

/* Was any pack on a list of epochs after `epoch` up to ours?  1, 0, -1. */
int usable_listed_since(struct usable *u, uint64_t epoch, struct err *err);

/* Notes the packs found in the local index. */
int usable_note(struct usable *u, struct err *err);

#endif
