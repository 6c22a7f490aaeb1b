/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository of mode public for tests: the owner's store, in public_rig, and
 * a host that may only add.
 */
#ifndef HOLDSTILL_TESTS_UNIT_PUBLIC_RIG_H
#define HOLDSTILL_TESTS_UNIT_PUBLIC_RIG_H

#include "common/err.h"
#include "store/seal/slot.h"
#include "tests/unit/store_rig.h"

#define BLOCK STORE_BLOCK_BYTES

extern struct rig public_rig;
extern struct keys public_keys; /* For rig_keys(). */
extern struct image public_im;
extern struct store *public_host; /* Host "a", open. */

struct slot_secret public_secret_of(const char *path);
/* A file in the rig's folder. */
char *public_path_of(char out[300], const char *name);
/* Writes the key of a host to that file. */
void public_make_host(const char *name);
/* Opens with it, and a state folder of that name; public_open_host() has one
 * of the host's own. */
int public_try_host(
    struct store **out, const char *name, const char *state, struct err *err);
struct store *public_open_host(const char *name);
/* Of each test. */
int public_setup(void **state);
int public_teardown(void **state);
/* These fail the test where they fail. */
struct manifest *public_backup(struct store *s, const struct image *now,
    const struct manifest *parent, const struct image *base);
/* As the owner has it, from the repository alone. */
void public_expect(const char *id, const struct image *now);
/* Puts bytes under a key, NULL removes what is there. */
void public_place(const char *key, const void *bytes, size_t size);
/* The hash of an object, as anybody can make it. */
void public_mend(uint8_t *bytes, size_t size);
/* Is err of that class, and does it say so? */
void public_expect_words(
    const struct err *err, enum err_class class, const char *words);

/* ---- what who took the host can put ---- */

/* A pack of that id that says it has blocks of the disk, and has nothing of
 * them; with an index. */
void public_put_liar(const uint8_t pack_id[OBJECT_ID_BYTES]);
/* Indexes that say of each pack that there is nothing in it. */
void public_put_lying_indexes(unsigned int count);

#endif
