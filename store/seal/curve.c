/* SPDX-License-Identifier: Apache-2.0 */
/* X25519 and Ed25519 through OpenSSL's EVP. */
#include "store/seal/curve.h"

#include <openssl/evp.h>

#include "common/err.h"

static int
failed(struct err *err, const char *what)
{
	return err_set(err, ERR_UNSUPPORTED, "the crypto library %s", what);
}

static EVP_PKEY *
private_of(const char *type, const uint8_t key[CURVE_KEY_BYTES])
{
	return EVP_PKEY_new_raw_private_key_ex(
	    NULL, type, NULL, key, CURVE_KEY_BYTES);
}

static EVP_PKEY *
public_of(const char *type, const uint8_t key[CURVE_KEY_BYTES])
{
	return EVP_PKEY_new_raw_public_key_ex(
	    NULL, type, NULL, key, CURVE_KEY_BYTES);
}

static int
public_half(uint8_t out[CURVE_KEY_BYTES], const char *type,
    const uint8_t key[CURVE_KEY_BYTES], struct err *err)
{
	EVP_PKEY *pkey = private_of(type, key);
	size_t size = CURVE_KEY_BYTES;
	int ok = pkey != NULL &&
		 EVP_PKEY_get_raw_public_key(pkey, out, &size) == 1 &&
		 size == CURVE_KEY_BYTES;

	EVP_PKEY_free(pkey);
	return ok ? 0 : failed(err, "makes no public key");
}

int
curve_x25519_public(uint8_t out[CURVE_KEY_BYTES],
    const uint8_t private_key[CURVE_KEY_BYTES], struct err *err)
{
	return public_half(out, "X25519", private_key, err);
}

int
curve_x25519_shared(uint8_t out[CURVE_KEY_BYTES],
    const uint8_t private_key[CURVE_KEY_BYTES],
    const uint8_t public_key[CURVE_KEY_BYTES], struct err *err)
{
	EVP_PKEY *own = private_of("X25519", private_key);
	EVP_PKEY *other = public_of("X25519", public_key);
	EVP_PKEY_CTX *ctx = NULL;
	size_t size = CURVE_KEY_BYTES;
	int rc = -1;

	if (own == NULL || other == NULL ||
	    (ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL)) == NULL ||
	    EVP_PKEY_derive_init(ctx) != 1 ||
	    EVP_PKEY_derive_set_peer(ctx, other) != 1)
		failed(err, "has no X25519");
	else if (EVP_PKEY_derive(ctx, out, &size) != 1 ||
		 size != CURVE_KEY_BYTES)
		err_set(err, ERR_CORRUPT, "it holds a public key of no use");
	else
		rc = 0;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(other);
	EVP_PKEY_free(own);
	return rc;
}

int
curve_ed25519_public(uint8_t out[CURVE_KEY_BYTES],
    const uint8_t seed[CURVE_KEY_BYTES], struct err *err)
{
	return public_half(out, "ED25519", seed, err);
}

int
curve_ed25519_sign(uint8_t out[CURVE_SIGNATURE_BYTES],
    const uint8_t seed[CURVE_KEY_BYTES], const void *buf, size_t size,
    struct err *err)
{
	EVP_PKEY *pkey = private_of("ED25519", seed);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = CURVE_SIGNATURE_BYTES;
	int ok = pkey != NULL && ctx != NULL &&
		 EVP_DigestSignInit_ex(
		     ctx, NULL, NULL, NULL, NULL, pkey, NULL) == 1 &&
		 EVP_DigestSign(ctx, out, &n, buf, size) == 1 &&
		 n == CURVE_SIGNATURE_BYTES;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return ok ? 0 : failed(err, "makes no signature");
}

int
curve_ed25519_verify(const uint8_t signature[CURVE_SIGNATURE_BYTES],
    const uint8_t public_key[CURVE_KEY_BYTES], const void *buf, size_t size,
    struct err *err)
{
	EVP_PKEY *pkey = public_of("ED25519", public_key);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int rc = -1;

	if (pkey == NULL || ctx == NULL ||
	    EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, pkey, NULL) !=
		1)
		failed(err, "has no Ed25519");
	else if (EVP_DigestVerify(
		     ctx, signature, CURVE_SIGNATURE_BYTES, buf, size) != 1)
		err_set(err, ERR_CORRUPT,
		    "it was tampered with: its signature does not fit");
	else
		rc = 0;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return rc;
}
