/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done while memory runs out: scenes, each in a copy of a small
 * repository of its own, in a process of its own.
 */
#ifndef HOLDSTILL_TESTS_ALLOC_ALLOC_SCENE_H
#define HOLDSTILL_TESTS_ALLOC_ALLOC_SCENE_H

#include "common/err.h"
#include "tests/unit/store_rig.h"

#define BLOCK ((uint64_t)STORE_BLOCK_BYTES)
#define POINTS 3

struct scene;

/* The repository: point 0 is forgotten, and point 1 has a quarter of its
 * blocks; 2 is an incremental of 1. */
struct world {
	const struct scene *scene;
	struct rig rig;
	struct image image[POINTS];
	struct manifest *point[POINTS];
	unsigned int threads; /* For all that asks. */
	bool again;           /* The second time: no memory is missing. */
	bool hurt;            /* Points need not be whole. */

	/* Of a scene, from its begin to its end. */
	struct store_session *session;
	struct manifest *made;
	struct image new_image;
	struct store_verify_result verified;
	struct store_repair_result repaired;
	unsigned int told; /* Damage, or points. */
	void *thing;
};

struct scene {
	const char *name;
	bool sealed_too; /* Once more in an encrypted repository. */
	bool sealed;     /* In such a one only. */
	bool closed;     /* The scene opens the store itself, if it does. */
	bool big;        /* Seconds a run: fewer of them. */
	/* Nothing fails in begin and end.  Both are called twice: for the run
	 * in which something does, and for the one after it. */
	void (*begin)(struct world *w); /* NULL is allowed. */
	int (*run)(struct world *w, struct err *err);
	/* Frees what there is, and asserts that all is well, if done; or that
	 * nothing came of it.  NULL is allowed. */
	void (*end)(struct world *w, bool done);
};

extern const struct scene alloc_scenes[];
extern const size_t alloc_scene_count;
/* In alloc_scenes_more.c; part of the above. */
int scene_catalog(struct world *w, struct err *err);
void scene_catalog_end(struct world *w, bool done);
int scene_verify_memory(struct world *w, struct err *err);
int scene_manifest(struct world *w, struct err *err);
void scene_manifest_end(struct world *w, bool done);
void scene_config_begin(struct world *w);
int scene_config(struct world *w, struct err *err);
void scene_config_end(struct world *w, bool done);
int scene_restore(struct world *w, struct err *err);
void scene_restore_end(struct world *w, bool done);
void scene_flip_begin(struct world *w);
void scene_flip_index_begin(struct world *w);
int scene_repair(struct world *w, struct err *err);
void scene_repair_end(struct world *w, bool done);
void scene_repair_index_end(struct world *w, bool done);
void scene_repair_whole_end(struct world *w, bool done);
int scene_lost(struct world *w, struct err *err);
int scene_key(struct world *w, struct err *err);

/* Makes it in folder, in a process that does nothing else: what libraries do
 * once is then done in each scene. */
void world_make(struct world *w, const char *folder);
/* What is known of the one in folder. */
void world_load(struct world *w, const char *folder);
void world_free(struct world *w);
/* Opens a copy of it; all points are as they were, and a verify is content. */
void world_open(struct world *w, const char *folder);
void world_check(struct world *w);
void world_close(struct world *w);
/* A path in the world's folder; two at a time. */
const char *world_path(const struct world *w, const char *name);
/* A manifest for one disk, with something of everything. */
struct manifest *world_describe(uint64_t size_bytes);

#endif
