/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of one object, sealed or opened: the object's key, its cipher,
 * and what each message is bound to.  A box is reused for many objects and
 * belongs to one thread at a time; the struct seal is borrowed and outlives
 * it.  Several boxes may seal messages of one new object at once: one makes
 * the salt, the others join.
 */
#ifndef HOLDSTILL_STORE_SEAL_BOX_H
#define HOLDSTILL_STORE_SEAL_BOX_H

#include "store/seal/seal.h"

struct box;

int box_new(struct box **out, const struct seal *s, struct err *err);
void box_free(struct box *b); /* NULL is allowed.  Wipes the key. */

/*
 * A new object: its key in the repository ("packs/0f/0f12..."), its type and
 * the id in its head.  salt is filled and goes behind the head.  A second put
 * of other bytes, were it under the same id, begins anew: no nonce is used
 * twice.
 */
int box_make(struct box *b, const char *key, unsigned int type,
    const uint8_t id[SEAL_ID_BYTES], uint8_t salt[SEAL_SALT_BYTES],
    struct err *err);

/* Another box goes on with b's new object. */
int box_join(struct box *b, const struct box *maker, struct err *err);

/*
 * A stored object.  Cheap if it is the one that the box has already.
 * ERR_AUTH: only a host's keys are there.
 */
int box_open(struct box *b, const char *key, unsigned int type,
    const uint8_t id[SEAL_ID_BYTES], const uint8_t salt[SEAL_SALT_BYTES],
    struct err *err);

/* Associated data of a message beside the object's key: at most this. */
#define BOX_BOUND_MAX 128

/*
 * As aead_seal() and aead_open(); offset is where the message begins in the
 * object.  bound is what the message is bound to, the head as a rule.
 */
int box_put(struct box *b, uint8_t *out, uint64_t offset, const void *bound,
    size_t bound_size, const void *in, size_t size, struct err *err);
int box_get(struct box *b, void *out, uint64_t offset, const void *bound,
    size_t bound_size, const uint8_t *in, size_t size, struct err *err);

#endif
