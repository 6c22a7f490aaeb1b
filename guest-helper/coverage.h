/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a backup have a writer's data?  A writer holds its application still
 * wherever that keeps its files; only what is frozen and lies on disks of the
 * backup is in the picture.
 */
#ifndef HOLDSTILL_GUEST_COVERAGE_H
#define HOLDSTILL_GUEST_COVERAGE_H

#include <stdbool.h>

#include "common/proto/message.h"
#include "guest-helper/mountinfo.h"
#include "guest-helper/mounts.h"

struct coverage {
	const struct mounts *mounts; /* The plan, opened; the caller's. */
	struct mountinfo table;
};

/* A table that cannot be read covers nothing.  The caller calls
 * coverage_fini. */
void coverage_init(struct coverage *c, const struct mounts *mounts,
    const struct mounts_paths *paths);
void coverage_fini(struct coverage *c);

/*
 * arg: the struct coverage.  False, and why, if path or anything mounted
 * below it is not in the backup.  NULL: a place that nobody named, which is
 * covered if nothing at all was left out.  As writers_check_data() has it.
 */
bool coverage_holds(
    void *arg, const char *path, char reason[MESSAGE_REASON_SIZE]);

#endif
