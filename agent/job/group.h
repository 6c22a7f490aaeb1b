/* SPDX-License-Identifier: Apache-2.0 */
/* What a set of several members needs: phases at once, and the verdict. */
#ifndef HOLDSTILL_AGENT_JOB_GROUP_H
#define HOLDSTILL_AGENT_JOB_GROUP_H

#include "agent/job/backup_internal.h"

/*
 * Takes all members through a phase at once, one thread each, and returns
 * when the last is done.  The phase touches its own member only: no journal,
 * no catalog, no events.  -1: the first member's failure of those that
 * failed.
 */
int group_parallel(
    struct backup_set *set, backup_phase *phase, struct err *err);

/*
 * After all members were settled: was it one instant?  Fills each manifest's
 * group; does nothing for a set that is none.  Fails only without memory.
 */
int group_judge(struct backup_set *set, struct err *err);

#endif
