/* SPDX-License-Identifier: Apache-2.0 */
/* What a verify, or the marks of a repair, say that points have lost. */
#ifndef HOLDSTILL_TESTS_UNIT_HURT_RIG_H
#define HOLDSTILL_TESTS_UNIT_HURT_RIG_H

#include "tests/unit/store_rig.h"

#define HURT_RIG_RANGES_MAX 8

struct hurt_rig_seen {
	unsigned int count; /* Of disks; all else is of the last one. */
	char point[HEXID_SIZE];
	uint64_t bytes;
	struct store_range ranges[HURT_RIG_RANGES_MAX];
	size_t range_count; /* May be more than there is room for. */
	bool more;
};

/* These fail the test if they fail, or tell of another disk than vda. */
struct hurt_rig_seen hurt_rig_verify(
    struct store *s, struct store_verify_result *result);
struct hurt_rig_seen hurt_rig_marks(struct store *s);

/* Makes one block wrong, in a repository as rig_pack_of() wants it, whose
 * disk does not compress. */
void hurt_rig_block(struct rig *rig, uint64_t block);

/* Is that all, and of that point? */
void hurt_rig_expect_block(
    const struct hurt_rig_seen *hurt, const struct manifest *m, uint64_t block);

#endif
