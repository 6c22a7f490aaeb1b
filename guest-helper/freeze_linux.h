/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three calls on a file system: no allocation, no logging.  Each may
 * block for as long as the file system likes.  They return 0 or an errno.
 */
#ifndef HOLDSTILL_GUEST_FREEZE_LINUX_H
#define HOLDSTILL_GUEST_FREEZE_LINUX_H

int freeze_sync(int fd);

/* EBUSY: somebody froze it before.  EOPNOTSUPP: it knows no freeze. */
int freeze_hold(int fd);

/* EINVAL: it was not frozen any more. */
int freeze_thaw(int fd);

#endif
