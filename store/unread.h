/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a failed read says: of one object, or of the repository as a whole.
 */
#ifndef HOLDSTILL_STORE_UNREAD_H
#define HOLDSTILL_STORE_UNREAD_H

#include <stdbool.h>

struct backend;
struct err;

/*
 * Is it the object's own fault?  So it is if the object is damaged or gone,
 * and if a disk cannot read its place (EIO) - while it can still read the
 * repository's settings.  When those cannot be read either the disk or the
 * server has failed, and nothing is known of any object.  So it is as well if
 * nothing can be settled there, unless that is a file system that has gone
 * read-only.
 */
bool unread_is_own(struct backend *b, const struct err *err);

/* The same for who takes what can still be had: whether anything can be
 * settled says nothing. */
bool unread_is_loss(struct backend *b, const struct err *err);

#endif
