/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process that is forked from the helper does first: spawner, dead-man
 * and those that thaw beside it.  Neither allocates nor logs.
 */
#ifndef HOLDSTILL_GUEST_FORKED_H
#define HOLDSTILL_GUEST_FORKED_H

#include <stddef.h>

/* Closes all descriptors but those and the three standard ones.  The channel
 * above all: held open here, a new helper could not open it. */
void forked_close_all_but(const int *fds, size_t count);

/* Best effort: a container may forbid what a guest allows.  "-1000": it is
 * nobody that the OOM killer takes; "0": as anybody. */
void forked_oom_score(const char *score);

/* Its name in ps (15 characters), all signals blocked, no folder of a file
 * system held, no OOM killer. */
void forked_begin(const char *name);

#endif
