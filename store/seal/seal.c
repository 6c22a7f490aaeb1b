/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of an open repository and what is derived from them. */
#include "store/seal/seal.h"

#include <string.h>

#include "common/endian.h"
#include "common/err.h"
#include "common/hexid.h"
#include "store/seal/curve.h"
#include "store/seal/hostkey.h"
#include "store/seal/kdf.h"
#include "store/seal/mac.h"
#include "store/seal/secret.h"

struct seal {
	enum seal_mode mode;
	enum aead_cipher cipher;
	uint8_t repository[SEAL_ID_BYTES];
	bool has_master; /* Else master, x25519 and seed are zeros. */
	uint8_t master[SEAL_KEY_BYTES];
	uint8_t names[SEAL_KEY_BYTES];
	/* Mode public only. */
	uint8_t x25519[SEAL_KEY_BYTES];
	uint8_t x25519_public[SEAL_KEY_BYTES];
	uint8_t seed[SEAL_KEY_BYTES];
	uint8_t ed25519_public[SEAL_KEY_BYTES];
};

static const char *const modes[] = {
	[SEAL_NONE] = "none",
	[SEAL_SECRET] = "secret",
	[SEAL_PUBLIC] = "public",
};
#define MODES (sizeof(modes) / sizeof(modes[0]))

const char *
seal_mode_name(enum seal_mode mode)
{
	return (size_t)mode < MODES ? modes[mode] : "unknown";
}

const char *
seal_mode_words(enum seal_mode mode)
{
	static const char *const words[] = {
		[SEAL_NONE] = "none",
		[SEAL_SECRET] = "passphrase or key file",
		[SEAL_PUBLIC] = "public-key",
	};

	return (size_t)mode < MODES ? words[mode] : "unknown";
}

int
seal_mode_parse(enum seal_mode *out, const char *name)
{
	size_t i;

	for (i = 0; i < MODES; i++) {
		if (strcmp(name, modes[i]) == 0) {
			*out = (enum seal_mode)i;
			return 0;
		}
	}
	return -1;
}

/* HKDF(key, salt, text) of 32 bytes; salt NULL: none. */
static int
derive(uint8_t out[SEAL_KEY_BYTES], const uint8_t key[SEAL_KEY_BYTES],
    const uint8_t *salt, size_t salt_size, const char *text, struct err *err)
{
	return kdf_hkdf(out, SEAL_KEY_BYTES,
	    (struct kdf_bytes){ key, SEAL_KEY_BYTES },
	    (struct kdf_bytes){ salt, salt_size },
	    (struct kdf_bytes){ text, strlen(text) }, err);
}

/* With its end: where the next begins cannot be mistaken. */
static uint8_t *
text_put(uint8_t *at, const char *text)
{
	size_t size = strlen(text) + 1;

	memcpy(at, text, size);
	return at + size;
}

static int
config_check(uint8_t out[MAC_BYTES], const struct seal_settings *settings,
    const uint8_t master[SEAL_KEY_BYTES], struct err *err)
{
	uint8_t text[SEAL_ID_BYTES + 64 + 4 + SEAL_TEXT_SIZE + 4];
	uint8_t key[SEAL_KEY_BYTES], *at = text;
	int rc;

	memcpy(at, settings->repository, SEAL_ID_BYTES);
	at = text_put(at + SEAL_ID_BYTES, seal_mode_name(settings->mode));
	at = text_put(at, aead_cipher_name(settings->cipher));
	be32_put(at, settings->block_bytes);
	at = text_put(at + 4, settings->compression);
	be32_put(at, settings->undelete_days);
	at += 4;
	if (derive(key, master, NULL, 0, "holdstill config", err) == -1)
		return -1;
	rc = mac_once(out, key, sizeof(key), text, (size_t)(at - text), err);
	secret_wipe(key, sizeof(key));
	return rc;
}

int
seal_settings_sign(struct seal_settings *settings,
    const uint8_t master[SEAL_KEY_BYTES], struct err *err)
{
	return config_check(settings->check, settings, master, err);
}

static int
refuse_none(struct err *err)
{
	err_set(err, ERR_AUTH,
	    "a key was given, and its settings say that it is not encrypted");
	return err_hint(err,
	    "if it never was, give no key; else somebody has replaced its "
	    "settings: do not write to it");
}

static struct seal *
new_seal(const struct seal_settings *settings)
{
	struct seal *s = secret_alloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	s->mode = settings->mode;
	s->cipher = settings->cipher;
	memcpy(s->repository, settings->repository, SEAL_ID_BYTES);
	return s;
}

static int
derive_all(struct seal *s, struct err *err)
{
	if (derive(s->names, s->master, NULL, 0, "holdstill names", err) == -1)
		return -1;
	if (s->mode != SEAL_PUBLIC)
		return 0;
	if (derive(s->x25519, s->master, NULL, 0, "holdstill x25519", err) ==
		-1 ||
	    derive(s->seed, s->master, NULL, 0, "holdstill ed25519", err) ==
		-1 ||
	    curve_x25519_public(s->x25519_public, s->x25519, err) == -1)
		return -1;
	return curve_ed25519_public(s->ed25519_public, s->seed, err);
}

int
seal_open_master(struct seal **out, const struct seal_settings *settings,
    const uint8_t master[SEAL_KEY_BYTES], struct err *err)
{
	uint8_t check[MAC_BYTES];
	struct seal *s;

	if (settings->mode == SEAL_NONE)
		return refuse_none(err);
	if (config_check(check, settings, master, err) == -1)
		return -1;
	if (!secret_equal(check, settings->check, sizeof(check)))
		return err_set(err, ERR_CORRUPT,
		    "object 'config' was tampered with: its settings are not "
		    "those that the key's owner made");
	if ((s = new_seal(settings)) == NULL)
		return err_no_memory(err);
	s->has_master = true;
	memcpy(s->master, master, SEAL_KEY_BYTES);
	if (derive_all(s, err) == -1) {
		seal_free(s);
		return -1;
	}
	*out = s;
	return 0;
}

int
seal_open_host(struct seal **out, const struct seal_settings *settings,
    const struct hostkey *key, struct err *err)
{
	struct seal *s;

	if (memcmp(key->repository, settings->repository, SEAL_ID_BYTES) != 0)
		return err_set(err, ERR_AUTH, "it is of another repository");
	if (settings->mode == SEAL_NONE)
		return refuse_none(err);
	if (settings->mode != SEAL_PUBLIC || settings->cipher != key->cipher)
		return err_set(err, ERR_AUTH,
		    "the repository says that it is encrypted with %s and %s, the "
		    "host key that it is with public-key and %s: somebody may "
		    "have changed its settings",
		    seal_mode_words(settings->mode),
		    aead_cipher_name(settings->cipher),
		    aead_cipher_name(key->cipher));
	if ((s = new_seal(settings)) == NULL)
		return err_no_memory(err);
	memcpy(s->names, key->names, SEAL_KEY_BYTES);
	memcpy(s->x25519_public, key->x25519, SEAL_KEY_BYTES);
	memcpy(s->ed25519_public, key->ed25519, SEAL_KEY_BYTES);
	*out = s;
	return 0;
}

void
seal_free(struct seal *s)
{
	secret_free(s, sizeof(*s));
}

enum seal_mode
seal_mode(const struct seal *s)
{
	return s == NULL ? SEAL_NONE : s->mode;
}

enum aead_cipher
seal_cipher(const struct seal *s)
{
	return s->cipher;
}

const uint8_t *
seal_repository(const struct seal *s)
{
	return s->repository;
}

bool
seal_can_open(const struct seal *s)
{
	return s == NULL || s->has_master;
}

int
seal_namer(struct mac **out, const struct seal *s, struct err *err)
{
	return mac_new(out, s->names, SEAL_KEY_BYTES, err);
}

/* "holdstill object", type, id, and in mode public P. */
static int
object_key_of(const struct seal *s, uint8_t key[SEAL_KEY_BYTES],
    const uint8_t secret[SEAL_KEY_BYTES], const uint8_t salt[SEAL_SALT_BYTES],
    unsigned int type, const uint8_t id[SEAL_ID_BYTES], struct err *err)
{
	static const char text[] = "holdstill object";
	uint8_t info[sizeof(text) - 1 + 1 + SEAL_ID_BYTES + SEAL_KEY_BYTES];
	uint8_t *at = info;

	memcpy(at, text, sizeof(text) - 1);
	at += sizeof(text) - 1;
	*at++ = (uint8_t)type;
	memcpy(at, id, SEAL_ID_BYTES);
	at += SEAL_ID_BYTES;
	if (s->mode == SEAL_PUBLIC) {
		memcpy(at, s->x25519_public, SEAL_KEY_BYTES);
		at += SEAL_KEY_BYTES;
	}
	return kdf_hkdf(key, SEAL_KEY_BYTES,
	    (struct kdf_bytes){ secret, SEAL_KEY_BYTES },
	    (struct kdf_bytes){ salt, SEAL_SALT_BYTES },
	    (struct kdf_bytes){ info, (size_t)(at - info) }, err);
}

int
seal_object_make(const struct seal *s, uint8_t key[SEAL_KEY_BYTES],
    uint8_t salt[SEAL_SALT_BYTES], unsigned int type,
    const uint8_t id[SEAL_ID_BYTES], struct err *err)
{
	uint8_t fresh[SEAL_KEY_BYTES], shared[SEAL_KEY_BYTES];
	int rc = -1;

	if (s->mode == SEAL_SECRET) {
		if (hexid_random(salt, SEAL_SALT_BYTES, err) == -1)
			return -1;
		return object_key_of(s, key, s->master, salt, type, id, err);
	}
	if (hexid_random(fresh, sizeof(fresh), err) == 0 &&
	    curve_x25519_public(salt, fresh, err) == 0 &&
	    curve_x25519_shared(shared, fresh, s->x25519_public, err) == 0)
		rc = object_key_of(s, key, shared, salt, type, id, err);
	secret_wipe(fresh, sizeof(fresh));
	secret_wipe(shared, sizeof(shared));
	return rc;
}

static int
need_master(const struct seal *s, const char *what, struct err *err)
{
	if (s->has_master)
		return 0;
	err_set(err, ERR_AUTH, "a host key %s", what);
	return err_hint(
	    err, "give the owner's key: --passphrase-file or --key-file");
}

int
seal_copy_master(
    const struct seal *s, uint8_t out[SEAL_KEY_BYTES], struct err *err)
{
	if (need_master(s, "makes no key slot", err) == -1)
		return -1;
	memcpy(out, s->master, SEAL_KEY_BYTES);
	return 0;
}

int
seal_object_open(const struct seal *s, uint8_t key[SEAL_KEY_BYTES],
    const uint8_t salt[SEAL_SALT_BYTES], unsigned int type,
    const uint8_t id[SEAL_ID_BYTES], struct err *err)
{
	uint8_t shared[SEAL_KEY_BYTES];
	int rc = -1;

	if (need_master(s, "opens nothing that is stored", err) == -1)
		return -1;
	if (s->mode == SEAL_SECRET)
		return object_key_of(s, key, s->master, salt, type, id, err);
	if (curve_x25519_shared(shared, s->x25519, salt, err) == 0)
		rc = object_key_of(s, key, shared, salt, type, id, err);
	secret_wipe(shared, sizeof(shared));
	return rc;
}

static int
need_public(const struct seal *s, struct err *err)
{
	if (s->mode == SEAL_PUBLIC)
		return 0;
	return err_set(err, ERR_BUG, "the repository is not of mode 'public'");
}

int
seal_sign(const struct seal *s, uint8_t out[SEAL_SIGNATURE_BYTES],
    const void *buf, size_t size, struct err *err)
{
	if (need_public(s, err) == -1 ||
	    need_master(s, "signs nothing", err) == -1)
		return -1;
	return curve_ed25519_sign(out, s->seed, buf, size, err);
}

int
seal_verify(const struct seal *s, const uint8_t signature[SEAL_SIGNATURE_BYTES],
    const void *buf, size_t size, struct err *err)
{
	if (need_public(s, err) == -1)
		return -1;
	return curve_ed25519_verify(
	    signature, s->ed25519_public, buf, size, err);
}

int
seal_chain_start(const struct seal *s, uint8_t out[SEAL_KEY_BYTES],
    const uint8_t host[SEAL_ID_BYTES], struct err *err)
{
	if (need_master(s, "knows no first key of a chain", err) == -1)
		return -1;
	return derive(
	    out, s->master, host, SEAL_ID_BYTES, "holdstill host", err);
}

int
seal_fill_host(const struct seal *s, struct hostkey *key, struct err *err)
{
	if (s->mode != SEAL_PUBLIC)
		return err_set(err, ERR_ARG,
		    "the repository is encrypted with %s: only one of "
		    "'init --encrypt public-key' has host keys",
		    seal_mode_words(s->mode));
	if (seal_chain_start(s, key->chain, key->host, err) == -1)
		return -1;
	key->has_chain = true;
	key->cipher = s->cipher;
	memcpy(key->repository, s->repository, SEAL_ID_BYTES);
	memcpy(key->x25519, s->x25519_public, SEAL_KEY_BYTES);
	memcpy(key->ed25519, s->ed25519_public, SEAL_KEY_BYTES);
	memcpy(key->names, s->names, SEAL_KEY_BYTES);
	return 0;
}
