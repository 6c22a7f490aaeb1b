/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks: objects that say what a repair found damaged.  A marked pack counts
 * as one that is not there, so that nobody refers to it and the next backup
 * stores anew what it meets again.  A marked point has told what of its disks
 * is lost.  A mark says nothing that could not be found again: it is put
 * under an id of its own, and may be removed by whoever finds it untrue.
 */
#ifndef HOLDSTILL_STORE_DAMAGE_H
#define HOLDSTILL_STORE_DAMAGE_H

#include "store/hurt.h"
#include "store/idset.h"

struct damage_mark { /* One object. */
	uint8_t id[OBJECT_ID_BYTES];
	bool of_point;                    /* Else of a pack. */
	uint8_t subject[OBJECT_ID_BYTES]; /* The pack, or the point. */
	struct hurt_disk *disks;          /* Of a point. */
	size_t disk_count;
};

struct damage { /* Zeroed is empty. */
	struct damage_mark *marks;
	size_t count;
	struct idset packs; /* Marked ones, sorted. */
	struct idset bad;   /* Marks that cannot be read. */
};

/*
 * Reads all marks; those that are damaged themselves are left out.
 * seal, here and below: the repository's keys, NULL where it is plain.
 */
int damage_load(struct damage *out, struct backend *b, const struct seal *seal,
    struct err *err);
/* The same for whoever takes away or builds upon what is not marked: a mark
 * that cannot be read is an error. */
int damage_load_sure(struct damage *out, struct backend *b,
    const struct seal *seal, struct err *err);
void damage_fini(struct damage *d);

/* Takes the marked packs out of a sorted list of packs. */
int damage_hide_packs(struct idset *packs, struct backend *b,
    const struct seal *seal, struct err *err);

int damage_put_pack(struct backend *b, const struct seal *seal,
    const uint8_t pack[OBJECT_ID_BYTES], struct err *err);
int damage_put_point(struct backend *b, const struct seal *seal,
    const uint8_t point[OBJECT_ID_BYTES], const struct hurt_disk *disks,
    size_t count, struct err *err);
int damage_remove(
    struct backend *b, const struct damage_mark *mark, struct err *err);

#endif
