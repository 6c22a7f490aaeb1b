/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second handle on an open repository with a local index of its own, for
 * whoever begins from nothing and must not lose it on the way: other commands
 * of this host throw away and rebuild the common one at any time.
 */
#ifndef HOLDSTILL_STORE_VIEW_H
#define HOLDSTILL_STORE_VIEW_H

#include "store/store_internal.h"

struct view {
	struct store store; /* Its index is empty. */
	int guard_fd;       /* While it is open the folder is ours. */
};

/* Borrows s, which has to outlive it. */
int view_open(struct view *out, struct store *s, struct err *err);
/* One that view_open() has failed to open is closed already. */
void view_close(struct view *view);

#endif
