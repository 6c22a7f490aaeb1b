/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which packs the prunes of this machine have put, with blobs that they had
 * read and found right (docs/seal.md): a file in the state folder.  An id
 * alone says nothing, for it comes free again when its pack is removed: each
 * goes with the hashes of its table and of all its bytes, and is dropped, for
 * good, before the pack that an epoch dooms is removed.
 */
#ifndef HOLDSTILL_STORE_OWNPACKS_H
#define HOLDSTILL_STORE_OWNPACKS_H

#include "store/digest.h"
#include "store/epochs.h"

struct own_pack {
	uint8_t id[OBJECT_ID_BYTES];
	uint8_t table[DIGEST_BYTES]; /* What its footer ends with. */
	uint8_t whole[DIGEST_BYTES]; /* SHA-256 of all its bytes. */
};

struct ownpacks {               /* Zeroed is empty. */
	struct own_pack *packs; /* Sorted by id. */
	size_t count, capacity;
	bool dated;
	uint64_t epoch; /* Dated: none of these is doomed up to this one. */
};

/*
 * Those that are there as they were put, as far as the lists of the epochs
 * since the last call tell; if these cannot all be read, each is read.  e is
 * the newest epoch.  dry: the file stays as it is.  Caller finis.
 */
int ownpacks_load(struct ownpacks *out, struct store *s, const struct epoch *e,
    bool dry, struct err *err);
void ownpacks_fini(struct ownpacks *own);

/* Durable when it returns; number: of the newest epoch that is known. */
int ownpacks_add(struct store *s, uint64_t number, const struct own_pack *pack,
    struct err *err);

/* NULL: it is none of them. */
const struct own_pack *ownpacks_find(
    const struct ownpacks *own, const uint8_t id[OBJECT_ID_BYTES]);

#endif
