/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thaws in a dead-man's place.  Of the file systems one may hang: each in a
 * process of its own, then, so that neither the caller nor another file system
 * waits for it.
 */
#ifndef HOLDSTILL_GUEST_RESCUE_H
#define HOLDSTILL_GUEST_RESCUE_H

#include <stddef.h>

struct marks;

/*
 * Thaws those of which the marks say that they are ours, and marks them; the
 * descriptors are in the order of freezing, and -1 is none.  Waits for each of
 * them, but not for ever: one that hangs then stays marked as it is until its
 * thaw comes back, and one whose thaw fails for good.  For where there is no
 * dead-man.  If no processes can be made it thaws by itself, the last frozen
 * first, and waits for whatever hangs.  Returns how many were frozen until
 * then.
 */
size_t rescue_thaw(struct marks *marks, const int *fds, size_t count);

/* The same without waiting for the thaws, and without telling how they went;
 * -1: some have no process. */
int rescue_thaw_beside(struct marks *marks, const int *fds, size_t count);

#endif
