/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hostile host may do at most: hold the guest still for half of the
 * time, and have a bounded number of requests dealt with.  One thread.
 */
#ifndef HOLDSTILL_GUEST_LIMITS_H
#define HOLDSTILL_GUEST_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#define LIMITS_REQUESTS_PER_SECOND 100
#define LIMITS_BURST 100
#define LIMITS_COSTLY 20 /* So many in one: more work, or a process. */

struct limits {
	int requests;     /* That may be taken just now; below 0: owed. */
	int64_t added_ms; /* When one was added. */
	int64_t rest_end_ms;
};

void limits_init(struct limits *l, int64_t now_ms);

/* May a request be taken?  Then limits_took() is to be called if it was, with
 * what it cost: 1 or LIMITS_COSTLY. */
bool limits_allow(struct limits *l, int64_t now_ms);
void limits_took(struct limits *l, int cost);

/* Something was held from begin to now: as long is rest. */
void limits_held(struct limits *l, int64_t begin_ms, int64_t now_ms);

/* How long the rest still lasts; 0: it is over. */
int64_t limits_rest_ms(const struct limits *l, int64_t now_ms);

#endif
