/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session of the host with a fake guest, driven step by step; the domain
 * has an agent besides, which could freeze as well.
 */
#ifndef HOLDSTILL_TESTS_QUIESCE_RIG_H
#define HOLDSTILL_TESTS_QUIESCE_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/quiesce/quiesce.h"
#include "common/err.h"
#include "fake_domain.h"
#include "fake_guest.h"
#include "store/manifest.h"

#define SESSION "0123456789abcdef0123456789abcdef"
#define POINT "fedcba9876543210fedcba9876543210"
#define MS_NS UINT64_C(1000000)

struct quiesce_rig {
	struct fake_guest guest;
	struct quiesce *q;
	struct manifest_freeze proof; /* Of the last hold, and its level. */
	enum manifest_consistency level;
	struct err err;
	unsigned int lease_ms; /* 10000 unless the test wants another. */
	int64_t busy_until_ms; /* Until then the channel is still in use. */
};

/* A test with its rig set up and torn down. */
#define QUIESCE_RIG_CASE(name, rig) \
	cmocka_unit_test_prestate_setup_teardown( \
	    name, quiesce_rig_set_up, quiesce_rig_tear_down, rig)
int quiesce_rig_set_up(void **state);
int quiesce_rig_tear_down(void **state);

void quiesce_rig_begin(struct quiesce_rig *r, enum manifest_consistency prefer);

/* Freezes for so long, and thaws. */
void quiesce_rig_hold(struct quiesce_rig *r, int ms);

/* The session ends and the guest stops; the proof stays. */
void quiesce_rig_end(struct quiesce_rig *r);

/* The whole with this guest: the level and a part of the reason. */
void quiesce_rig_expect(struct quiesce_rig *r,
    void (*tweak)(struct message *, uint8_t), int hold_ms,
    enum manifest_consistency level, const char *reason);

#endif
