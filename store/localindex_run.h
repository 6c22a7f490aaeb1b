/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run: a file of sorted entries that never changes.  Each page has a
 * checksum; the first hashes of all pages are kept in memory, so a look is one
 * read.  Not mapped: what it takes of memory is the kernel's to give and take.
 *
 *   page 0             magic, version, entries, pages
 *   pages 1..n         checksum, RUN_PAGE_ENTRIES entries, the last one fewer
 *   behind them        first 8 bytes of each page's first entry; checksum
 *
 * Codes are 0, those of errno, or MDB_CORRUPTED.
 */
#ifndef HOLDSTILL_STORE_LOCALINDEX_RUN_H
#define HOLDSTILL_STORE_LOCALINDEX_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/digest.h"

/* Hash, type of blob. */
#define RUN_NAME_BYTES (DIGEST_BYTES + 1)
/* And number of the pack: entries are sorted by it. */
#define RUN_KEY_BYTES (RUN_NAME_BYTES + 4)
/* And the place. */
#define RUN_ENTRY_BYTES 56
#define RUN_PAGE_BYTES 4096
#define RUN_PAGE_ENTRIES ((RUN_PAGE_BYTES - 8) / RUN_ENTRY_BYTES)

struct run;
int localindex_run_open(struct run **out, const char *path);
void localindex_run_close(struct run *r); /* NULL is allowed. */
uint64_t localindex_run_entries(const struct run *r);

/* Calls fn with each entry of that name. */
typedef void localindex_run_fn(void *arg, const uint8_t entry[RUN_ENTRY_BYTES]);
int localindex_run_find(const struct run *r, const uint8_t name[RUN_NAME_BYTES],
    localindex_run_fn *fn, void *arg);

/* From the first entry to the last. */
struct run_cursor;
int localindex_run_cursor_new(struct run_cursor **out, const struct run *r);
void localindex_run_cursor_free(struct run_cursor *c); /* NULL is allowed. */
/* *out: the next entry, valid until the next call; NULL: the end. */
int localindex_run_cursor_next(const uint8_t **out, struct run_cursor *c);

/* A new one; sorted entries only.  The file is durable after finish. */
struct run_writer;
int localindex_run_writer_new(struct run_writer **out, const char *path);
int localindex_run_writer_add(
    struct run_writer *w, const uint8_t entry[RUN_ENTRY_BYTES]);
int localindex_run_writer_finish(struct run_writer *w);
/* Removes the file unless it was finished.  NULL is allowed. */
void localindex_run_writer_free(struct run_writer *w);

/* ---- the runs of an index ---- */

#define LOCALINDEX_RUNS_MAX 24u

struct run_set { /* Oldest first. */
	unsigned int users;
	unsigned int count;
	uint64_t number[LOCALINDEX_RUNS_MAX];
	struct run *run[LOCALINDEX_RUNS_MAX]; /* NULL: damaged. */
};

#endif
