/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /sys/kernel/rcu_expedited: a freeze is mostly waiting for grace periods of
 * the kernel's RCU, and with a 1 in there these are short.  One net more, not
 * a condition: whatever cannot be done here is left out.
 *
 * Neither allocates nor logs; expedite_begin() and _end() open nothing.
 */
#ifndef HOLDSTILL_GUEST_EXPEDITE_H
#define HOLDSTILL_GUEST_EXPEDITE_H

#include <stdbool.h>

#define EXPEDITE_PATH "/sys/kernel/rcu_expedited"

struct expedite {
	int fd;     /* -1: it cannot be set, or is set anyway. */
	bool begun; /* Ours to undo. */
};

/* Opens the file; only if it reads 0 is there anything to do. */
void expedite_open(struct expedite *e, const char *path);

void expedite_begin(struct expedite *e);

/* Puts the 0 back that was there. */
void expedite_end(struct expedite *e);

void expedite_close(struct expedite *e);

#endif
