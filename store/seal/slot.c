/* SPDX-License-Identifier: Apache-2.0 */
/* One slot: the master key wrapped and unwrapped. */
#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/hexid.h"
#include "store/seal/kdf.h"
#include "store/seal/secret.h"
#include "store/seal/slot_internal.h"

/* docs/seal.md says why these. */
const struct slot_cost slot_cost_default = { 131072, 4, 4 };
const struct slot_cost slot_cost_max = { UINT64_C(4) << 20, 64, 16 };

struct wrapping { /* What a secret comes to in a slot. */
	uint8_t stretched[KDF_KEY_BYTES];
	uint8_t key[KDF_KEY_BYTES];
	uint8_t proof[MAC_BYTES];
};

const char *
slot_kind_words(enum slot_kind kind)
{
	switch (kind) {
	case SLOT_PASSPHRASE:
		return "passphrase";
	case SLOT_FILE:
		return "key file";
	case SLOT_HOST:
		return "host key";
	case SLOT_RECOVERY:
		break;
	}
	return "recovery key";
}

static int
check_cost(const struct slot_cost *cost, enum err_class class, struct err *err)
{
	if (cost->lanes >= 1 && cost->lanes <= slot_cost_max.lanes &&
	    cost->passes >= 1 && cost->passes <= slot_cost_max.passes &&
	    cost->memory_kib >= 8 * cost->lanes &&
	    cost->memory_kib <= slot_cost_max.memory_kib)
		return 0;
	return err_set(err, class,
	    "the cost of a passphrase is out of bounds: %llu KiB of memory, "
	    "%llu passes, %llu lanes",
	    (unsigned long long)cost->memory_kib,
	    (unsigned long long)cost->passes, (unsigned long long)cost->lanes);
}

static int
stretch(uint8_t out[KDF_KEY_BYTES], const struct slot *slot,
    const struct slot_secret *secret, struct err *err)
{
	struct kdf_argon2 in = {
		.memory_kib = (uint32_t)slot->cost.memory_kib,
		.passes = (uint32_t)slot->cost.passes,
		.lanes = (uint32_t)slot->cost.lanes,
		.password = { secret->bytes, secret->size },
		.salt = { slot->salt, sizeof(slot->salt) },
	};

	if (slot->kind == SLOT_PASSPHRASE)
		return kdf_argon2id(out, KDF_KEY_BYTES, &in, err);
	memcpy(out, secret->bytes, SLOT_SECRET_BYTES);
	return 0;
}

static int
derive(uint8_t out[KDF_KEY_BYTES], const struct wrapping *w,
    const struct slot *slot, const char *text, struct err *err)
{
	return kdf_hkdf(out, KDF_KEY_BYTES,
	    (struct kdf_bytes){ w->stretched, sizeof(w->stretched) },
	    (struct kdf_bytes){ slot->salt, sizeof(slot->salt) },
	    (struct kdf_bytes){ text, strlen(text) }, err);
}

static int
make_wrapping(struct wrapping *w, const struct slot *slot,
    const struct slot_secret *secret, struct err *err)
{
	if (stretch(w->stretched, slot, secret, err) == -1 ||
	    derive(w->key, w, slot, "holdstill slot", err) == -1)
		return -1;
	return derive(w->proof, w, slot, "holdstill slot proof", err);
}

/* "holdstill slot", repository, slot, kind.  Returns the size. */
static size_t
bound_to(uint8_t out[128], const struct slot *slot)
{
	static const char text[] = "holdstill slot";
	const char *kind = slot_kind_name(slot->kind);
	uint8_t *at = out;

	memcpy(at, text, sizeof(text) - 1);
	at += sizeof(text) - 1;
	memcpy(at, slot->repository, SEAL_ID_BYTES);
	at += SEAL_ID_BYTES;
	memcpy(at, slot->id, SEAL_ID_BYTES);
	at += SEAL_ID_BYTES;
	memcpy(at, kind, strlen(kind));
	return (size_t)(at - out) + strlen(kind);
}

static int
check_secret(const struct slot_secret *secret, struct err *err)
{
	if (secret->kind == SLOT_PASSPHRASE) {
		if (secret->size == 0)
			return err_set(err, ERR_ARG, "the passphrase is empty");
		if (secret->size > SLOT_PASSPHRASE_MAX)
			return err_set(err, ERR_ARG,
			    "the passphrase is longer than %d bytes",
			    SLOT_PASSPHRASE_MAX);
		return 0;
	}
	if (secret->size == SLOT_SECRET_BYTES)
		return 0;
	return err_set(err, ERR_BUG, "a %s of a wrong size",
	    slot_kind_words(secret->kind));
}

static int
fill(struct slot *out, const uint8_t *repository, const char *label,
    const struct slot_secret *secret, const struct slot_cost *cost,
    struct err *err)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->repository, repository, SEAL_ID_BYTES);
	memcpy(out->label, label, strlen(label) + 1);
	clock_format_rfc3339(out->created, clock_wall_ms());
	out->kind = secret->kind;
	if (secret->kind == SLOT_PASSPHRASE)
		out->cost = *cost;
	if (hexid_random(out->id, sizeof(out->id), err) == -1)
		return -1;
	return hexid_random(out->salt, sizeof(out->salt), err);
}

static int
wrap(struct slot *slot, const struct wrapping *w,
    const uint8_t master[SEAL_KEY_BYTES], struct err *err)
{
	uint8_t ad[128];
	size_t ad_size = bound_to(ad, slot);
	struct aead *a;
	int rc = -1;

	if (aead_new(&a, AEAD_AES_256_GCM, err) == -1)
		return -1;
	if (aead_set_key(a, w->key, err) == 0)
		rc = aead_seal(a, slot->wrapped, 0, ad, ad_size, master,
		    SEAL_KEY_BYTES, err);
	aead_free(a);
	return rc;
}

static int
unwrap(uint8_t master[SEAL_KEY_BYTES], const struct slot *slot,
    const struct wrapping *w, struct err *err)
{
	uint8_t ad[128];
	size_t ad_size = bound_to(ad, slot);
	struct aead *a;
	int rc = -1;

	if (aead_new(&a, AEAD_AES_256_GCM, err) == -1)
		return -1;
	if (aead_set_key(a, w->key, err) == 0)
		rc = aead_open(a, master, 0, ad, ad_size, slot->wrapped,
		    sizeof(slot->wrapped), err);
	aead_free(a);
	return rc;
}

int
slot_make(struct slot *out, const uint8_t repository[SEAL_ID_BYTES],
    const uint8_t master[SEAL_KEY_BYTES], const struct slot_secret *secret,
    const char *label, const struct slot_cost *cost, struct err *err)
{
	struct wrapping w;
	int rc = -1;

	if (cost == NULL)
		cost = &slot_cost_default;
	errno = 0;
	if (!slot_label_valid(label))
		return err_library(err, ERR_ARG,
		    "a label is text of at most %d bytes", SLOT_LABEL_MAX);
	if (check_secret(secret, err) == -1 ||
	    (secret->kind == SLOT_PASSPHRASE &&
		check_cost(cost, ERR_ARG, err) == -1) ||
	    fill(out, repository, label, secret, cost, err) == -1)
		return -1;
	if (make_wrapping(&w, out, secret, err) == 0) {
		memcpy(out->proof, w.proof, sizeof(w.proof));
		rc = wrap(out, &w, master, err);
	}
	secret_wipe(&w, sizeof(w));
	return rc;
}

int
slot_unwrap(uint8_t master[SEAL_KEY_BYTES], const struct slot *slot,
    const struct slot_secret *secret, struct err *err)
{
	struct wrapping w;
	int rc = -1;

	if (secret->kind != slot->kind)
		return err_set(err, ERR_AUTH, "the slot is for a %s",
		    slot_kind_words(slot->kind));
	if (check_secret(secret, err) == -1 ||
	    (slot->kind == SLOT_PASSPHRASE &&
		check_cost(&slot->cost, ERR_UNSUPPORTED, err) == -1))
		return -1;
	if (make_wrapping(&w, slot, secret, err) == -1)
		goto out;
	if (!secret_equal(w.proof, slot->proof, sizeof(w.proof)))
		err_set(err, ERR_AUTH, "wrong %s", slot_kind_words(slot->kind));
	else
		rc = unwrap(master, slot, &w, err);
out:
	secret_wipe(&w, sizeof(w));
	return rc;
}
