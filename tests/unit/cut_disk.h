/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder on a disk that may lose power: what is durable by the letter of
 * POSIX, and what may be there besides.  A file's bytes are durable after a
 * sync of the file, a name after a sync of its folder, and neither by the
 * other; of what is not, any part may be there in any order.
 */
#ifndef HOLDSTILL_TESTS_UNIT_CUT_DISK_H
#define HOLDSTILL_TESTS_UNIT_CUT_DISK_H

#include <stddef.h>
#include <stdint.h>

struct cut_disk;

struct cut_disk *cut_disk_new(void); /* An empty folder. */
void cut_disk_free(struct cut_disk *d);

enum cut_mode {
	CUT_CLEAN, /* No cut: all that was done is there. */
	CUT_BARE,  /* Only what is durable. */
	CUT_ORDER, /* Names up to some moment, bytes by chance. */
	CUT_ANY,   /* Each name and each sector by chance. */
	CUT_MODES
};

/*
 * Plays the recorder's first `records` records, ends them in this way, and
 * takes what is left for durable.
 */
void cut_disk_play(
    struct cut_disk *d, size_t records, enum cut_mode mode, uint64_t seed);

/* What the last play has lost or spoilt. */
struct cut_loss {
	uint64_t names;   /* Not as they were at the cut. */
	uint64_t files;   /* With other bytes than at the cut. */
	uint64_t garbage; /* Of these: with bytes that nobody wrote. */
};
struct cut_loss cut_disk_loss(const struct cut_disk *d);

/* Makes the folder at path, which is not there, with all that is in it. */
void cut_disk_write(const struct cut_disk *d, const char *path);

/* Compares with the folder at path; the number of files and folders that
 * differ, each printed.  Mapped files are left out. */
unsigned int cut_disk_compare(const struct cut_disk *d, const char *path);

#endif
