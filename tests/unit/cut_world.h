/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder with a repository and its hosts, on a disk that loses power, and
 * what was promised of them: taken from the notes of cut_work.h, and held
 * against what is there after a cut.
 */
#ifndef HOLDSTILL_TESTS_UNIT_CUT_WORLD_H
#define HOLDSTILL_TESTS_UNIT_CUT_WORLD_H

#include "tests/unit/cut_disk.h"
#include "tests/unit/cut_work.h"

#define CUT_BEGUN_MAX 256
#define CUT_EFFECTS_MAX 256

enum cut_promise {
	CUT_KEPT,      /* Listed, and restores. */
	CUT_EITHER,    /* There, listed or forgotten. */
	CUT_FORGOTTEN, /* There, not listed. */
	CUT_GONE,      /* May be gone; else it restores. */
	CUT_HURT,      /* Damaged on purpose. */
};

struct cut_point {
	char id[HEXID_SIZE];
	uint64_t hash;
	enum cut_promise promise;
	bool listed;
};

struct cut_effect {
	uint64_t number;
	bool may_be, must_be, seen;
};

struct cut_world {
	char root[256];
	struct rig rig;
	struct cut_disk *disk;
	uint64_t random;
	bool made;      /* The repository was reported made. */
	bool repairing; /* At the cut. */
	bool damaged;   /* On purpose, at some time. */
	bool pruned;    /* In this round. */
	struct cut_point points[CUT_POINTS_MAX];
	size_t point_count;
	uint64_t begun[CUT_BEGUN_MAX]; /* Contents of points that may come. */
	size_t begun_count;
	struct cut_effect effects[CUT_EFFECTS_MAX];
	size_t effect_count;
};

/* Of all worlds. */
struct cut_counts {
	uint64_t points, restores, late, effects;
};
extern struct cut_counts cut_world_counts;

/* Fails the test if the state folder of this name does not open.  Notes which
 * effects the journal has, and strikes them. */
void cut_world_open_host(
    struct cut_world *w, struct cut_host *h, const char *name);

/* Takes the notes among so many records. */
void cut_world_take_notes(struct cut_world *w, size_t records);

/* The machine comes up again: fails the test where a promise does not hold, or
 * where the next backup and prune do not work. */
void cut_world_check(struct cut_world *w);

#endif
