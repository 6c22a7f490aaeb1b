/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that runs out on demand.  The linker sends our own calls of malloc()
 * and its kin here (alloc_wraps.txt), jansson's through common/json; OpenSSL and
 * SQLite come through their hooks; of LMDB and zstd it is the calls that may want memory.
 */
#ifndef HOLDSTILL_TESTS_ALLOC_ALLOC_FAIL_H
#define HOLDSTILL_TESTS_ALLOC_ALLOC_FAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Once, before any library has allocated.  What OpenSSL does once in a process
 * is done here: without memory for that it leaks and crashes by itself.
 */
void alloc_fail_hooks(void);

/*
 * From now on allocations of all threads are counted.  The nth fails (0: none
 * does), and all later ones too if onwards.  trace: the first that fails says
 * where.
 */
void alloc_fail_arm(uint64_t nth, bool onwards, bool trace);

/*
 * As with 0, and notes those allocations that come from a place, with all its
 * callers, that none before them came from: their numbers are in out, of which
 * there are the returned many, until the next arm.
 */
#define ALLOC_FAIL_PLACES_MAX 8192
void alloc_fail_survey(void);
size_t alloc_fail_places(const uint64_t **out);

/* Nothing fails any more; gives how many were counted. */
uint64_t alloc_fail_disarm(void);
/* How many failed since the last arm. */
uint64_t alloc_fail_failed(void);
/* Was one of them a thread that could not be started? */
bool alloc_fail_thread(void);

#endif
