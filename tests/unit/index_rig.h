/* SPDX-License-Identifier: Apache-2.0 */
/* Packs for a local index, and another process that has one open. */
#ifndef HOLDSTILL_TESTS_UNIT_INDEX_RIG_H
#define HOLDSTILL_TESTS_UNIT_INDEX_RIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/localindex.h"

/* Of each pack. */
#define INDEX_RIG_BLOBS 16000u

/* Of a blob of a pack. */
void index_rig_name(uint8_t hash[DIGEST_BYTES], uint32_t pack, uint32_t blob);

/* Adds a pack of frames with one blob each; its id begins with the number.
 * trusted: as if an index object of the same id told of it. */
int index_rig_add(
    struct localindex *li, uint32_t number, bool trusted, struct err *err);

/* LMDB may be opened once in each process. */
struct index_rig_other {
	int ask[2], answer[2]; /* Read end, write end. */
	pid_t pid;
};

/* Runs fn in a new process, which exits with what it returns; -1: there is
 * none.  It reads from ask[0] and writes to answer[1]. */
typedef int index_rig_fn(struct index_rig_other *o);
int index_rig_fork(struct index_rig_other *o, index_rig_fn *fn);

/* Waits for its end: what fn returned. */
int index_rig_wait(struct index_rig_other *o);

/* Ends it if it is there still: it finds nothing more to read. */
void index_rig_close(struct index_rig_other *o);

#endif
