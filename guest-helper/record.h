/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that says what is frozen, for a helper that starts after helper and
 * dead-man were both killed: it thaws what is recorded, and only that.  Kept
 * in /run, so it does not survive the freeze's kernel.
 *
 * Each session has one of its own, by a random id: a dead-man that wakes up
 * late removes none but its own.
 */
#ifndef HOLDSTILL_GUEST_RECORD_H
#define HOLDSTILL_GUEST_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/hexid.h"
#include "guest-helper/marks.h"
#include "guest-helper/mounts.h"

/* Its name is this, a dot and the id. */
#define RECORD_FROZEN "frozen"
/* And this one before anything is frozen. */
#define RECORD_PREPARED "prepared"

struct err;

/* Opens (makes) the folder; -1 with a warning logged if that fails: the
 * record is one net more, not a condition. */
int record_open_dir(const char *dir);

/*
 * Makes a record of those with a descriptor, which counts for nothing yet, and
 * gives the marks their copy in it; out_id is "" if it fails.  Where the
 * folder is not in memory there is no copy, for its write might wait for a
 * file system that is frozen: then all count as tried once it is armed.
 */
int record_prepare(char out_id[HEXID_SIZE], struct marks *marks,
    const char *dir, const char *boot_id, const struct mounts *m,
    bool expedited, struct err *err);

/* From now on it counts. */
int record_arm(int dir_fd, const char *id, struct err *err);

/* Removes it; an absent one, "" and a folder of -1 are fine.  Neither
 * allocates nor logs. */
void record_remove(int dir_fd, const char *id);

/* That of the running kernel, which records are of; "" if it has none. */
void record_boot_id(char *out, size_t size);

/*
 * Thaws what predecessors of the same boot left, undoes what they set in the
 * file expedite_path, and removes their records, but for one of a file system
 * that could not be reached or thawed: it may be so later.  Logs nothing
 * before all is done.  Returns how many file systems were still frozen.
 */
size_t record_thaw_leftovers(const char *dir, const char *expedite_path,
    const struct mounts_paths *paths);

#endif
