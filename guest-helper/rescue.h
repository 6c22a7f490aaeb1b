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

/* Thaws those of which the marks say that they are ours, and marks them.
 * Waits for each of them. */
void rescue_thaw(struct marks *marks, const int *fds, size_t count);

/* The same without waiting for the thaws, and without telling how they went;
 * -1: no process could be made. */
int rescue_thaw_beside(struct marks *marks, const int *fds, size_t count);

#endif
