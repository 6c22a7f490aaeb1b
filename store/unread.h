/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the error of a read says of the object: gone (ERR_NOT_FOUND), wrong
 * (ERR_CORRUPT: other bytes than belong there), or where a disk cannot read
 * (EIO).  All other errors say nothing of it.  Who asks, and what counts:
 *
 *                       gone  wrong  EIO
 *   unread_is_wrong      x     x
 *   unread_is_damaged          x      x
 *   unread_is_useless    x     x      x
 *   unread_is_own        x     x      if the disk is well elsewhere
 *   unread_is_loss       x     x      the same, less strictly
 */
#ifndef HOLDSTILL_STORE_UNREAD_H
#define HOLDSTILL_STORE_UNREAD_H

#include <stdbool.h>

struct backend;
struct err;

/* For who acts on what there is: looks at the repository once more, goes by
 * something else, or removes.  Of what a disk cannot read that is not known. */
bool unread_is_wrong(const struct err *err);

/* For who sets objects aside, or goes on behind those that were: it is there,
 * and damaged. */
bool unread_is_damaged(const struct err *err);

/* For who has another copy to ask, or can do without. */
bool unread_is_useless(const struct err *err);

/*
 * For who tells of damage, or leaves the object out: is it the object's own
 * fault?  What a disk cannot read is that while it can still read the
 * repository's settings.  When those cannot be read either the disk or the
 * server has failed, and nothing is known of any object.  So it is as well if
 * nothing can be settled there, unless that is a file system that has gone
 * read-only.  (verify_is_damage: this, and what a later version has put.)
 */
bool unread_is_own(struct backend *b, const struct err *err);

/* The same for who takes what can still be had: whether anything can be
 * settled says nothing. */
bool unread_is_loss(struct backend *b, const struct err *err);

#endif
