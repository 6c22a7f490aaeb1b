/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key slots: the master key, wrapped by a passphrase, a key file or a recovery
 * key, as objects keys/ID (docs/seal.md).
 */
#ifndef HOLDSTILL_STORE_SEAL_SLOT_H
#define HOLDSTILL_STORE_SEAL_SLOT_H

#include <stddef.h>
#include <stdint.h>

#include "backends/backend.h"
#include "common/clock.h"
#include "store/seal/mac.h"
#include "store/seal/seal.h"

#define SLOT_LABEL_MAX 64
#define SLOT_SALT_BYTES 32
#define SLOT_SECRET_BYTES 32 /* Of a key file or a recovery key. */
#define SLOT_PASSPHRASE_MAX 1024
/* A repository has no more; so nobody can make us try without end. */
#define SLOTS_MAX 32u

struct err;

enum slot_kind {
	SLOT_PASSPHRASE,
	SLOT_FILE,
	SLOT_RECOVERY,
	/* No slot: bytes are the path of a host key (store/seal/hostkey.h). */
	SLOT_HOST,
};

/* What opens a slot; borrowed.  A passphrase is bytes, without a line end. */
struct slot_secret {
	enum slot_kind kind;
	const void *bytes;
	size_t size;
};

struct slot_cost { /* Of Argon2id. */
	uint64_t memory_kib, passes, lanes;
};
/* As for a new passphrase slot by default; and what is the most allowed. */
extern const struct slot_cost slot_cost_default, slot_cost_max;

struct slot {
	uint8_t id[SEAL_ID_BYTES];
	uint8_t repository[SEAL_ID_BYTES];
	enum slot_kind kind;
	char label[SLOT_LABEL_MAX + 1];
	char created[CLOCK_RFC3339_SIZE];
	uint8_t salt[SLOT_SALT_BYTES];
	struct slot_cost cost; /* Zeros but for a passphrase. */
	uint8_t proof[MAC_BYTES];
	uint8_t wrapped[SEAL_KEY_BYTES + AEAD_TAG_BYTES];
};

/* "passphrase", "file", "recovery". */
const char *slot_kind_name(enum slot_kind kind);
/* "passphrase", "key file", "recovery key". */
const char *slot_kind_words(enum slot_kind kind);

/* ---- one slot ---- */

/*
 * A new slot with a random id.  cost NULL: the default.  ERR_ARG: the label,
 * the secret's size, or the cost is out of bounds.
 */
int slot_make(struct slot *out, const uint8_t repository[SEAL_ID_BYTES],
    const uint8_t master[SEAL_KEY_BYTES], const struct slot_secret *secret,
    const char *label, const struct slot_cost *cost, struct err *err);

/*
 * The master key, which the caller wipes.  ERR_AUTH: the secret is not this
 * slot's.  ERR_CORRUPT: it is, but the slot was tampered with.
 * ERR_UNSUPPORTED: the slot asks for more work than is allowed.
 */
int slot_unwrap(uint8_t master[SEAL_KEY_BYTES], const struct slot *slot,
    const struct slot_secret *secret, struct err *err);

/* ERR_BUSY: the repository has SLOTS_MAX already. */
int slot_put(struct backend *b, const struct slot *slot, struct err *err);
/* ERR_NOT_FOUND; ERR_CORRUPT: damaged. */
int slot_get(struct slot *out, struct backend *b,
    const uint8_t id[SEAL_ID_BYTES], struct err *err);

/* ---- all of a repository ---- */

/* What lies under keys/; caller frees. */
struct slot_list {
	struct slot *slots; /* Sorted by id. */
	size_t count;
	uint8_t (*damaged)[SEAL_ID_BYTES]; /* Could not be read. */
	size_t damaged_count;
	size_t foreign_count; /* Of other repositories; left out. */
};
int slot_list(struct slot_list *out, struct backend *b,
    const uint8_t repository[SEAL_ID_BYTES], struct err *err);
void slot_list_fini(struct slot_list *list);

/*
 * Tries the secret on each slot of its kind.  The caller wipes master.  opened
 * (may be NULL) is the slot's id.  ERR_NOT_FOUND: there is no slot of that
 * kind.  ERR_AUTH: a wrong passphrase, key file or recovery key.  ERR_CORRUPT:
 * a slot was tampered with, or those that could be it are damaged.
 * ERR_UNSUPPORTED as above.
 */
int slot_open(uint8_t master[SEAL_KEY_BYTES], uint8_t opened[SEAL_ID_BYTES],
    struct backend *b, const uint8_t repository[SEAL_ID_BYTES],
    const struct slot_secret *secret, struct err *err);

/*
 * Is there a slot, other than but (may be NULL), that opens with the secret?
 * 1 and its id, 0, or -1.  Slots that cannot be tried count as others'.
 */
int slot_find(uint8_t out[SEAL_ID_BYTES], struct backend *b,
    const uint8_t repository[SEAL_ID_BYTES], const struct slot_secret *secret,
    const uint8_t *but, struct err *err);

/*
 * Removes a slot.  ERR_BUSY: it is the last that is whole.  A damaged one may
 * be removed.  Whoever knows the master key or has a copy of the slot is not
 * shut out by it.
 */
int slot_remove(struct backend *b, const uint8_t repository[SEAL_ID_BYTES],
    const uint8_t id[SEAL_ID_BYTES], struct err *err);

#endif
