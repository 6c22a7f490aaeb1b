/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of verify share; nobody else includes this. */
#ifndef HOLDSTILL_STORE_VERIFY_INTERNAL_H
#define HOLDSTILL_STORE_VERIFY_INTERNAL_H

#include "common/err.h"
#include "store/damage.h"
#include "store/grow.h"
#include "store/view.h"
#include "store/walk.h"

#define VERIFY_ALL UINT32_MAX

struct verify_bad { /* What cannot be read back. */
	uint8_t pack[OBJECT_ID_BYTES];
	uint32_t frame_offset; /* Or VERIFY_ALL of the pack. */
	uint32_t blob_offset;  /* In the frame, or VERIFY_ALL of it. */
};

/* A blob of a pack that an index names and that is not there. */
struct verify_lost {
	uint8_t pack[OBJECT_ID_BYTES];
	enum blob_type type;
	uint8_t hash[DIGEST_BYTES];
	bool told; /* Of the pack. */
};

struct verify {
	struct view view;
	struct store *store; /* The view's. */
	const struct store_verify_options *options;
	struct idset indexes;
	struct idset packs;   /* All that are there and not marked. */
	struct idset points;  /* Those to be checked. */
	struct damage damage; /* The marks there were. */
	struct idset missing; /* Packs that an index names. */
	int64_t *checked_ms;  /* Of each of packs, or NULL. */
	uint64_t deadline_ms; /* Monotonic; 0: none. */
	bool unsupported;     /* Something was made by a later program. */
	/* What repair has to see to: */
	struct idset bad_packs, bad_indexes, bad_points;
	struct marks marks;    /* What those points use. */
	struct idset given_up; /* Tombstones instead of points. */
	bool hurt;             /* Some blob that a point uses is not well. */
	struct idset strays;   /* store/strays.h */
	/* Of the chain of epochs, its sessions and words; the newest epoch
	 * cannot be read, or nobody can register in it. */
	char (*bad_small)[OBJECT_KEY_SIZE];
	size_t bad_small_count, bad_small_capacity;
	bool bad_chain;
	struct idset hurt_points;

	pthread_mutex_t lock; /* Guards from here on while threads run. */
	store_damage_fn *fn;
	void *arg;
	struct store_verify_result *result;
	struct verify_bad *bad;
	size_t bad_count, bad_capacity;
	struct verify_lost *lost;
	size_t lost_count, lost_capacity;
};

/* Everything but the taking away of marks. */
int verify_run(struct verify *v, struct err *err);
int verify_init(struct verify *v, struct store *s,
    const struct store_verify_options *options, store_damage_fn *fn, void *arg,
    struct store_verify_result *result, struct err *err);
void verify_fini(struct verify *v);

/* Tells of damage, without saying the object's name twice; thread-safe where
 * the lock is held. */
void verify_tell(struct verify *v, struct store_damage damage);

/* Is it damage that is told, or does it keep us from checking? */
bool verify_is_damage(struct verify *v, const struct err *err);

/* What some index says is in a pack: 1, 0 (none names it), or -1. */
int verify_find_table(struct verify *v, const uint8_t pack[OBJECT_ID_BYTES],
    struct pack_table *out, struct err *err);

/* The missing pack that had a blob, or NULL. */
struct verify_lost *verify_find_lost(
    struct verify *v, enum blob_type type, const uint8_t *hash);

/* Tells of a damaged object; thread-safe. */
void verify_tell_object(struct verify *v, const char *key, const char *what);

/* Damage is told and forgotten; what keeps us from checking is returned. */
int verify_tell_or_fail(struct verify *v, const char *key, struct err *err);

/* ---- verify_small.c: settings, epochs, sessions, words ---- */
int verify_small(struct verify *v, struct err *err);

/* ---- verify_packs.c: each pack, in threads ---- */
int verify_packs(struct verify *v, struct err *err);
/* Was the blob found damaged? */
bool verify_is_bad(const struct verify *v, const struct blob_place *place);

/* ---- verify_choose.c: which of them, in which order ---- */
/* Indexes of packs, in new memory. */
int verify_choose(
    size_t **out, size_t *count, struct verify *v, struct err *err);

/* ---- verify_points.c: what the damage does to points ---- */
/* Marks what the points use and notes whether anything is missing. */
int verify_mark_points(struct verify *v, struct err *err);
/* ---- verify_chains.c ---- */
struct host_links;
int verify_chains(struct verify *v, struct host_links *links, struct err *err);

/* Tells for each point and disk which damaged objects it needs. */
int verify_tell_points(struct verify *v, struct err *err);
/*
 * Looks again at the points that are marked, and takes the marks away of
 * those that are gone, or lack nothing and were not found hurt.  The local
 * index is as new as can be.
 */
int verify_unmark_points(struct verify *v, struct err *err);
/* What the disks of a point lack; *out has as many as the manifest.  Caller
 * frees with hurt_free_all().  1: something, 0: nothing. */
int verify_hurt_of(struct hurt_disk **out, struct store *s,
    const struct manifest *m, struct err *err);

#endif
