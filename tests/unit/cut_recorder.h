/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes the place of the C library's calls that change files, for the program
 * and for all libraries in it, and notes what they do below one folder: in
 * order, in memory that is shared with children.  cut_disk.h makes disks of
 * it.  The calls themselves are done.
 *
 * One process records at a time, in any number of threads.  What is written
 * through a mapping is not seen.
 */
#ifndef HOLDSTILL_TESTS_UNIT_CUT_RECORDER_H
#define HOLDSTILL_TESTS_UNIT_CUT_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cut_op {
	CUT_OPEN,     /* path; handle; offset: CUT_OPEN_* */
	CUT_WRITE,    /* handle, offset, data */
	CUT_TRUNCATE, /* handle, offset: the new size */
	CUT_SYNC,     /* handle, of a file or a folder */
	CUT_MKDIR,    /* path */
	CUT_REMOVE,   /* path, of a file or an empty folder */
	CUT_RENAME,   /* path, data: the new path with its NUL */
	CUT_LINK,     /* the same */
	CUT_NOTE,     /* Of the test: data; changes nothing. */
};
#define CUT_OPEN_CREATE 1u
#define CUT_OPEN_TRUNCATE 2u

struct cut_record {
	uint32_t total_bytes; /* With path and data, and padding. */
	uint32_t op;
	uint64_t handle; /* Each open has another. */
	uint64_t offset;
	uint32_t path_bytes; /* With NUL; follows.  0: none. */
	uint32_t data_bytes; /* Follows the path. */
};

/* Begins with an empty log of what happens below root (no slash at the end).
 * Nothing of it may be open. */
void cut_recorder_begin(const char *root);
/* Empties the log, gives the memory back. */
void cut_recorder_end(void);
/* Now and then a thread is held up before it syncs a folder: what it has put
 * there is seen by others and not yet durable.  seed 0: never. */
void cut_recorder_stall(uint64_t seed);

/* Whoever first syncs a folder at or below this path, relative to the root,
 * while there is one of this name, is held up until NULL is given. */
void cut_recorder_hold(const char *path, const char *name);
/* Is somebody? */
bool cut_recorder_holds(void);

void cut_recorder_note(const void *data, size_t size);

/* How many records there are. */
size_t cut_recorder_count(void);
/* The n-th; NULL behind the last.  prior: the one before it, or NULL: it is
 * searched for from the start. */
const struct cut_record *cut_recorder_next(const struct cut_record *prior);

static inline const char *
cut_record_path(const struct cut_record *r)
{
	return r->path_bytes == 0 ? "" : (const char *)(r + 1);
}

static inline const void *
cut_record_data(const struct cut_record *r)
{
	return (const char *)(r + 1) + r->path_bytes;
}

#endif
