/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes on in a repository while the power may fail: hosts that back up,
 * forget, prune and repair at once, and note what they have promised.
 */
#ifndef HOLDSTILL_TESTS_UNIT_CUT_WORK_H
#define HOLDSTILL_TESTS_UNIT_CUT_WORK_H

#include "catalog/catalog.h"
#include "catalog/journal.h"
#include "tests/unit/store_rig.h"

#define CUT_BLOCKS 24 /* Of a disk. */
#define CUT_POINTS_MAX 64

enum cut_note_kind {        /* A promise holds from the note on. */
	CUT_NOTE_INIT,      /* The repository is there. */
	CUT_NOTE_BEGIN,     /* A point of this content may come. */
	CUT_NOTE_DONE,      /* Point id is there. */
	CUT_NOTE_FORGET,    /* It may be forgotten from now on, */
	CUT_NOTE_FORGOTTEN, /* it is. */
	CUT_NOTE_PRUNE,     /* What is forgotten may go. */
	CUT_NOTE_EFFECT,    /* Effect `number` is in the journal. */
	CUT_NOTE_STRIKE,    /* It may be struck from now on, */
	CUT_NOTE_STRUCK,    /* it is. */
};

struct cut_note {
	enum cut_note_kind kind;
	char id[HEXID_SIZE];
	uint64_t number; /* Of an effect, or the content's hash. */
};

/* A host: a state folder of its own. */
struct cut_host {
	struct rig *rig; /* Its repository; no store of it is used. */
	char state[300];
	struct store *store;
	struct catalog *catalog;
	struct journal *journal;
};

enum cut_job {
	CUT_BACKUPS,
	CUT_TWO_HOSTS,
	CUT_BESIDE_PRUNE,
	CUT_FORGETS,
	CUT_ALL_AT_ONCE,
	CUT_REPAIR,
	CUT_JOBS
};
extern const char *const cut_job_name[CUT_JOBS];

struct cut_plan {
	struct rig *rig;
	char root[256]; /* Of repository and hosts. */
	enum cut_job job;
	bool init;
	uint64_t seed;
	/* Points that may be built on and forgotten. */
	char points[CUT_POINTS_MAX][HEXID_SIZE];
	size_t point_count;
};

uint64_t cut_draw(uint64_t *random, uint64_t below);
uint64_t cut_hash(const struct image *im);

/* 0: there is a repository; else -1 with err. */
int cut_init(struct rig *rig, struct err *err);

/* name: of the state folder below root.  0, or -1 with err. */
int cut_host_open(struct cut_host *h, struct rig *rig, const char *root,
    const char *name, struct err *err);
void cut_host_close(struct cut_host *h);

/* A backup as a job does it: effect, point, catalog, strike.  base: the id of
 * a point, or NULL.  Out is its manifest. */
int cut_backup(struct cut_host *h, struct manifest **out, const char *base,
    uint64_t *random, struct err *err);

/* Does all of it.  Called in a child; 0, or 1 after a message. */
int cut_work(const struct cut_plan *plan);

#endif
