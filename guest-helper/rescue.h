/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thaws file systems of which one may hang: each in a process of its own, so
 * that neither the caller nor another file system waits for it.
 */
#ifndef HOLDSTILL_GUEST_RESCUE_H
#define HOLDSTILL_GUEST_RESCUE_H

#include <stddef.h>

/* fds are the caller's.  Does not wait for the thaws and does not tell how
 * they went; -1: no process could be made. */
int rescue_thaw(const int *fds, size_t count);

#endif
