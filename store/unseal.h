/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of sealed packs, opened.  What a pack's key is made of lies behind
 * its head: read once for each pack, then kept.
 */
#ifndef HOLDSTILL_STORE_UNSEAL_H
#define HOLDSTILL_STORE_UNSEAL_H

#include "store/pack.h"

struct err;
struct salts;
struct store;
struct unseal;

/* Of all packs that were read last; thread-safe. */
struct salts *salts_new(void);   /* NULL without memory. */
void salts_free(struct salts *); /* NULL is allowed. */

/*
 * Belongs to one thread at a time.  *out is NULL for a plain repository, whose
 * frames need nothing.
 */
int unseal_new(struct unseal **out, struct store *s, struct err *err);
void unseal_free(struct unseal *u); /* NULL is allowed. */

/*
 * Opens the stored_size bytes of the frame at that offset of the pack into
 * out, AEAD_TAG_BYTES less; out may be stored.  ERR_NOT_FOUND: there is no
 * such pack.  ERR_CORRUPT: damaged or tampered with.
 */
int unseal_frame(struct unseal *u, void *out,
    const uint8_t pack[OBJECT_ID_BYTES], uint32_t offset, const uint8_t *stored,
    size_t stored_size, struct err *err);

#endif
