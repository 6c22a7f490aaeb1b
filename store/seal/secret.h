/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for keys: locked and left out of core dumps where the system allows
 * it, wiped when freed.  What passes through the stack is wiped by whoever put
 * it there.  Copies that the crypto library makes in its contexts are wiped by
 * it, but neither locked nor left out of core dumps: a program that holds keys
 * sets RLIMIT_CORE to 0 or PR_SET_DUMPABLE itself.  Thread-safe.
 */
#ifndef HOLDSTILL_STORE_SEAL_SECRET_H
#define HOLDSTILL_STORE_SEAL_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed; NULL without memory. */
void *secret_alloc(size_t size);
/* size as in secret_alloc().  NULL is allowed. */
void secret_free(void *p, size_t size);
/* Wiped in a way that the compiler keeps. */
void secret_wipe(void *p, size_t size);
/* Compared in a time that does not tell where they differ. */
bool secret_equal(const void *a, const void *b, size_t size);

#endif
