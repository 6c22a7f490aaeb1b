/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forgets what a host remembers of points that it will not build on, and all
 * places of blobs if some of them were found damaged.
 */
#ifndef HOLDSTILL_STORE_HOST_SWEEP_H
#define HOLDSTILL_STORE_HOST_SWEEP_H

struct err;
struct store;

/*
 * Points stay while the memory has not grown much since the last time.  No
 * session of the host may be at work.
 */
int host_sweep(struct store *s, struct err *err);

#endif
