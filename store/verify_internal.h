/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of verify share; nobody else includes this. */
#ifndef HOLDSTILL_STORE_VERIFY_INTERNAL_H
#define HOLDSTILL_STORE_VERIFY_INTERNAL_H

#include "common/err.h"
#include "store/walk.h"

/* A damaged frame, or a whole pack: then frame_offset is 0. */
struct verify_bad {
	uint8_t pack[OBJECT_ID_BYTES];
	uint32_t frame_offset;
};

/* A blob of a pack that an index names and that is not there. */
struct verify_lost {
	uint8_t pack[OBJECT_ID_BYTES];
	enum blob_type type;
	uint8_t hash[DIGEST_BYTES];
	bool told; /* Of the pack. */
};

struct verify {
	struct store *store;
	const struct store_verify_options *options;
	struct idset packs;  /* All that are there. */
	struct idset points; /* Those to be checked. */
	struct marks marks;  /* What those points use. */
	bool hurt;           /* Some blob that a point uses is not well. */

	pthread_mutex_t lock; /* Guards from here on while threads run. */
	store_damage_fn *fn;
	void *arg;
	struct store_verify_result *result;
	struct verify_bad *bad;
	size_t bad_count, bad_capacity;
	struct verify_lost *lost;
	size_t lost_count, lost_capacity;
};

/* Tells of a damaged object; thread-safe. */
void verify_tell_object(struct verify *v, const char *key, const char *what);

/* Damage is told and forgotten; what keeps us from checking is returned. */
int verify_tell_or_fail(struct verify *v, const char *key, struct err *err);

/* Makes room for one more; NULL without memory. */
void *verify_grow(void *array, size_t count, size_t *capacity, size_t each);

/* ---- verify_small.c: settings, epochs, sessions, words ---- */
int verify_small(struct verify *v, struct err *err);

/* ---- verify_packs.c: each pack, in threads ---- */
int verify_packs(struct verify *v, struct err *err);

/* ---- verify_points.c: what the damage does to points ---- */
/* Marks what the points use and notes whether anything is missing. */
int verify_mark_points(struct verify *v, struct err *err);
/* Tells for each point and disk which damaged objects it needs. */
int verify_tell_points(struct verify *v, struct err *err);

#endif
