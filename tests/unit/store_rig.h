/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository for tests: a backend with fault injection, a cache folder of
 * its own, and disks that are plain arrays, backed up and read back.
 */
#ifndef HOLDSTILL_TESTS_UNIT_STORE_RIG_H
#define HOLDSTILL_TESTS_UNIT_STORE_RIG_H

#include <stdbool.h>

#include "backends/wrap_fault.h"
#include "store/store.h"

struct rig {
	char url[256];
	char cache[256]; /* A folder, removed with the rig. */
	char root[256];  /* Holds repository and cache. */
	struct wrap_fault fault;
	struct store *store;
	bool public_mode; /* Its store is the owner's. */
};

/* Environment: the cipher that repositories of the rig are sealed with; unset,
 * they are plain. */
#define RIG_SEAL "HOLDSTILL_TEST_SEAL"
bool rig_sealed(void);
/* The key file that opens them. */
struct slot_secret;
extern const struct slot_secret rig_key;

/* A tool makes each step slow (HOLDSTILL_ROUNDS=1): fewer of the same do. */
bool rig_slow(void);

/* kind: "mem" or "dir".  Opens a new repository. */
void rig_init(struct rig *rig, const char *kind);
/* In memory and of mode public, whatever RIG_SEAL says. */
void rig_init_public(struct rig *rig);
/* As rig_try_open(), with another key than rig_key. */
int rig_open_with(struct rig *rig, struct store **out, const char *cache,
    const struct slot_secret *secret, struct err *err);
/* The same in a folder of the caller's: FOLDER/repo and FOLDER/cache, removed
 * by rig_fini() with all that is in it. */
void rig_init_in(struct rig *rig, const char *folder);
void rig_init_public_in(struct rig *rig, const char *folder);
void rig_fini(struct rig *rig);
/* Closes and opens again, as another process would. */
void rig_reopen(struct rig *rig);
/* A second handle on the same repository; caller closes. */
struct store *rig_open_store(struct rig *rig, const char *cache);
/* The same, which may fail: *out is as it was then. */
int rig_try_open(
    struct rig *rig, struct store **out, const char *cache, struct err *err);
/* The backend without faults; caller closes. */
struct backend *rig_backend(struct rig *rig);

struct image { /* A disk as an array. */
	uint8_t *bytes;
	uint64_t size;
};

void image_init(struct image *im, uint64_t size);
void image_fini(struct image *im);
void image_copy(struct image *out, const struct image *im);
/* Fills a range from a seed; compressible if asked. */
void image_fill(struct image *im, uint64_t offset, uint64_t size,
    unsigned int seed, bool compressible);

/*
 * Backs image up as one disk: the blocks in which it differs from base (all,
 * zeros as ranges, if base is NULL).  Returns 0 and the point's manifest.
 */
int rig_backup(struct rig *rig, struct store *s, struct manifest **out,
    const struct image *im, const struct manifest *parent,
    const struct image *base, struct err *err);

/* The same into the rig's store; fails the test if it fails. */
struct manifest *rig_point(struct rig *rig, const struct image *im,
    const struct manifest *parent, const struct image *base);

/* The same of count disks: vda, vdb and so on. */
int rig_backup_disks(struct store *s, struct manifest **out,
    const struct image *im, unsigned int count, const struct manifest *parent,
    const struct image *base, struct err *err);

/* Reads disk 0 back; 0 if it was read whole, -1 with err. */
int rig_read(struct store *s, const struct manifest *m, struct image *out,
    struct err *err);
/* Reads back and compares; fails the test on any difference. */
void rig_expect(
    struct store *s, const struct manifest *m, const struct image *im);

/* A prune that gives up silent sessions and forgotten points at once. */
int rig_prune(struct store *s, struct store_prune_result *out, struct err *err);
/* The same, and a repair; they fail the test if they fail. */
struct store_prune_result rig_pruned(struct store *s);
struct store_repair_result rig_repaired(struct store *s, bool dry_run);

/* Damaged objects and points that verify finds; fails the test if it cannot.
 * result may be NULL. */
uint64_t rig_verify(struct store *s, struct store_verify_result *result);

/* All keys with a prefix. */
struct keys {
	char key[512][BACKEND_KEY_MAX + 1];
	size_t count;
	uint64_t bytes;
};
void rig_keys(struct rig *rig, struct keys *out, const char *prefix);
bool rig_has_key(const struct keys *keys, const char *key);
/* The one key with a prefix. */
const char *rig_only_key(
    struct rig *rig, struct keys *keys, const char *prefix);

/* Of a repository that has two packs, one of data and one of map pieces: the
 * one or the other.  keys: of all packs, and the key's place. */
const char *rig_pack_of(struct rig *rig, struct keys *keys, bool data);

/* ---- what a test begins with ---- */

/* In variables of the test's own: a new repository, and, where there is an
 * image, a disk that does not compress. */
struct rig_start {
	struct rig *rig;
	const char *kind; /* NULL: "mem". */
	bool public_mode;
	struct image *im;    /* NULL: no disk. */
	uint64_t size_bytes; /* Of the disk. */
	struct manifest **m; /* Its point; NULL: it has none. */
};

/* A test between the two. */
#define RIG_CASE(name, start) \
	cmocka_unit_test_prestate_setup_teardown( \
	    name, rig_set_up, rig_tear_down, start)
int rig_set_up(void **state);
int rig_tear_down(void **state);

/* ---- objects as bytes ---- */

/* All of one; caller frees. */
uint8_t *rig_load(struct rig *rig, const char *key, size_t *size);
/* Puts other bytes in an object's place; size 0 removes it. */
void rig_replace(
    struct rig *rig, const char *key, const void *bytes, size_t size);
/* Changes a bit of the byte at an offset. */
void rig_flip(struct rig *rig, const char *key, size_t at);

#endif
