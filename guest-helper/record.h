/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that says what is about to be frozen, for a helper that starts
 * after helper and dead-man were both killed: it thaws what is recorded, and
 * only that.  Kept in /run, so it does not survive the freeze's kernel.
 */
#ifndef HOLDSTILL_GUEST_RECORD_H
#define HOLDSTILL_GUEST_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "guest-helper/mounts.h"

#define RECORD_NAME "frozen"

struct err;

/* Opens (makes) the folder; -1 with a warning logged if that fails: the
 * record is one net more, not a condition. */
int record_open_dir(const char *dir);

/* Writes the device numbers of those with a descriptor, and whether the kernel's
 * grace periods are about to be expedited. */
int record_write(const char *dir, const char *boot_id, const struct mounts *m,
    bool expedited, struct err *err);

/* Removes it; an absent one is fine. */
void record_remove(const char *dir);

/* That of the running kernel, which records are of; "" if it has none. */
void record_boot_id(char *out, size_t size);

/* Thaws what a predecessor of the same boot left, undoes what it set in the
 * file expedite_path, and removes the record.  Logs nothing before all is
 * done.  Returns how many file systems were still frozen. */
unsigned int record_thaw_leftovers(const char *dir, const char *expedite_path,
    const struct mounts_paths *paths);

#endif
