/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has become of each freeze of a session, in memory that helper, dead-man
 * and those that thaw in its place share, so that it outlives each of them:
 * only what the dead-man froze may be thawed for it, and not what somebody
 * else had frozen before.  A copy is in the record, for a helper that starts
 * after all of them were killed.
 *
 * Just tried counts as ours: there is no moment between a FIFREEZE and the
 * mark of its result that nobody can be killed in, and a file system that
 * nobody thaws is worse than one that is thawed too early.
 *
 * But for marks_open() nothing here allocates or logs.
 */
#ifndef HOLDSTILL_GUEST_MARKS_H
#define HOLDSTILL_GUEST_MARKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/proto/message.h"

struct err;

enum marks_value { /* As in the record. */
	MARKS_NONE = '-',
	MARKS_TRIED = '?',   /* It may be frozen, or soon. */
	MARKS_FROZEN = 'F',  /* By the dead-man. */
	MARKS_REFUSED = 'x', /* By somebody else, or not at all. */
	MARKS_THAWED = 't',
};

/* Places: the grace periods of the kernel's RCU, then the file systems. */
#define MARKS_EXPEDITED 0
#define MARKS_FS(i) (1 + (i))
#define MARKS_MAX MARKS_FS(MESSAGE_FILESYSTEMS_MAX)

struct marks {
	_Atomic unsigned char *places; /* NULL: not open. */
	int fd;                        /* Of the record's copy; -1: none. */
	off_t at;                      /* Where that begins. */
};

/* Shared with what is forked from then on. */
int marks_open(struct marks *m, struct err *err);
void marks_close(struct marks *m);

enum marks_value marks_get(const struct marks *m, size_t place);
void marks_set(struct marks *m, size_t place, enum marks_value value);

/* Was it thawed in the dead-man's place?  A later helper has but the copy to
 * say so. */
bool marks_thawed(const struct marks *m, size_t place);

/* How many of the first file systems are ours: they may be frozen. */
size_t marks_left(const struct marks *m, size_t count);

/* Of a record, too, where a damaged mark counts as tried. */
bool marks_is_ours(int value);

#endif
