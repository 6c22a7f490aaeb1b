/* SPDX-License-Identifier: Apache-2.0 */
/* What a verify, or the marks of a repair, say that points have lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "common/err.h"
#include "tests/unit/hurt_rig.h"

#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)

static void
see(void *arg, const struct store_hurt *told)
{
	struct hurt_rig_seen *hurt = arg;
	size_t i;

	hurt->count++;
	assert_string_equal(told->disk, "vda");
	snprintf(hurt->point, sizeof(hurt->point), "%s", told->point);
	hurt->bytes = told->bytes;
	hurt->range_count = told->range_count;
	hurt->more = told->more;
	for (i = 0; i < told->range_count && i < HURT_RIG_RANGES_MAX; i++)
		hurt->ranges[i] = told->ranges[i];
}

struct hurt_rig_seen
hurt_rig_verify(struct store *s, struct store_verify_result *result)
{
	struct hurt_rig_seen hurt = { .count = 0 };
	struct store_verify_options options = { .threads = 2, .hurt = see };
	struct err err = ERR_INIT;

	if (store_verify(s, &options, NULL, &hurt, result, &err) == -1)
		fail_msg("verify: %s", err.text);
	return hurt;
}

struct hurt_rig_seen
hurt_rig_marks(struct store *s)
{
	struct hurt_rig_seen hurt = { .count = 0 };
	struct err err = ERR_INIT;

	assert_int_equal(store_marks(s, see, &hurt, &err), 0);
	return hurt;
}

void
hurt_rig_block(struct rig *rig, uint64_t block)
{
	struct keys packs;

	/* Blocks are stored as they are, in their order. */
	rig_flip(rig, rig_pack_of(rig, &packs, true), 48 + block * BLOCK);
}

void
hurt_rig_expect_block(
    const struct hurt_rig_seen *hurt, const struct manifest *m, uint64_t block)
{
	assert_int_equal(hurt->count, 1);
	assert_string_equal(hurt->point, m->id);
	assert_int_equal(hurt->bytes, BLOCK);
	assert_int_equal(hurt->range_count, 1);
	assert_int_equal(hurt->ranges[0].offset, block * BLOCK);
	assert_int_equal(hurt->ranges[0].bytes, BLOCK);
	assert_false(hurt->more);
}
