/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which blocks of a disk were written, so that the others can be made zero:
 * a bit for 64 KiB, 2 MiB of memory for each TiB.
 */
#ifndef HOLDSTILL_AGENT_RESTORE_WRITTEN_H
#define HOLDSTILL_AGENT_RESTORE_WRITTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct written;

/* NULL without memory. */
struct written *written_new(uint64_t size_bytes);
void written_free(struct written *w); /* NULL is allowed. */

/* A range within the disk that begins on a block; any thread. */
void written_mark(struct written *w, uint64_t offset, size_t size);

/*
 * The first range from *offset (a block's start) on that was not written, at
 * most max_bytes (whole blocks) long; false: none.  No thread may mark
 * meanwhile.
 */
bool written_gap(const struct written *w, uint64_t *offset, uint64_t *bytes,
    uint64_t max_bytes);

#endif
