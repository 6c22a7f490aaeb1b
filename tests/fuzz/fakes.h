/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands around a session, without processes, files or time: a dead-man,
 * writers, file systems and a channel in memory.  They do what they are told
 * when the fuzzer lets them, and abort() when a session breaks its word.
 */
#ifndef HOLDSTILL_TESTS_FUZZ_FAKES_H
#define HOLDSTILL_TESTS_FUZZ_FAKES_H

#include <stdbool.h>
#include <stdint.h>

#define FAKES_REQUESTS_MAX 512

/* Everything as at the start of the helper, time included. */
void fakes_reset(void);

void fakes_advance_ms(uint32_t ms);

/* The id of a new request; answered: it may be, at most once. */
uint32_t fakes_request(bool answered);

/* How the next mounts_scan() and deadman_start() end. */
void fakes_fail_scan(bool fail);
void fakes_fail_fork(bool fail);
void fakes_mount_late(bool late);

/* The dead-man: what it was told or waits for comes about.  false: there was
 * nothing. */
bool fakes_deadman_step(void);
/* How freezes end: one bit for each that gives an error. */
void fakes_deadman_errors(uint8_t errors);
void fakes_lease_end(void);
void fakes_deadman_term(void);
void fakes_deadman_kill(void);

/* The writers' step is over; outcome: bit 0 = all well, bit 1 = one
 * did not thaw. */
bool fakes_writers_step(uint8_t outcome);

/* Is a file system or a writer held still? */
bool fakes_held(void);

#endif
