/* SPDX-License-Identifier: Apache-2.0 */
/* HKDF through OpenSSL, Argon2id through libargon2: OpenSSL 3.0 has none. */
#include "store/seal/kdf.h"

#include <argon2.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdbool.h>

#include "common/err.h"

static pthread_mutex_t fetch_lock = PTHREAD_MUTEX_INITIALIZER;
static EVP_KDF *hkdf; /* Once it is there, as long as the process. */

static bool
fetch(void)
{
	bool there;

	pthread_mutex_lock(&fetch_lock);
	if (hkdf == NULL)
		hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	there = hkdf != NULL;
	pthread_mutex_unlock(&fetch_lock);
	return there;
}

/* The library's parameters are not const, yet it only reads them. */
static OSSL_PARAM
octets(const char *name, struct kdf_bytes b)
{
	static char nothing[1];
	void *data = b.size == 0 ? nothing : (void *)(uintptr_t)b.data;

	return OSSL_PARAM_construct_octet_string(name, data, b.size);
}

int
kdf_hkdf(void *out, size_t out_size, struct kdf_bytes key,
    struct kdf_bytes salt, struct kdf_bytes info, struct err *err)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[5];
	EVP_KDF_CTX *ctx;
	int ok, code;

	errno = 0;
	if (!fetch())
		return err_library(
		    err, ERR_UNSUPPORTED, "the crypto library has no HKDF");
	params[0] =
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	params[1] = octets(OSSL_KDF_PARAM_KEY, key);
	params[2] = octets(OSSL_KDF_PARAM_SALT, salt);
	params[3] = octets(OSSL_KDF_PARAM_INFO, info);
	params[4] = OSSL_PARAM_construct_end();
	if ((ctx = EVP_KDF_CTX_new(hkdf)) == NULL)
		return err_no_memory(err);
	errno = 0;
	ok = EVP_KDF_derive(ctx, out, out_size, params);
	code = errno;
	EVP_KDF_CTX_free(ctx);
	errno = code;
	return ok == 1 ? 0 : err_library(err, ERR_BUG, "HKDF failed");
}

static uint8_t *
loose(struct kdf_bytes b)
{
	return b.size == 0 ? NULL : (uint8_t *)(uintptr_t)b.data;
}

int
kdf_argon2id(
    void *out, size_t out_size, const struct kdf_argon2 *in, struct err *err)
{
	argon2_context c = {
		.out = out,
		.outlen = (uint32_t)out_size,
		.pwd = loose(in->password),
		.pwdlen = (uint32_t)in->password.size,
		.salt = loose(in->salt),
		.saltlen = (uint32_t)in->salt.size,
		.secret = loose(in->secret),
		.secretlen = (uint32_t)in->secret.size,
		.ad = loose(in->data),
		.adlen = (uint32_t)in->data.size,
		.t_cost = in->passes,
		.m_cost = in->memory_kib,
		.lanes = in->lanes,
		.threads = in->lanes,
		.version = ARGON2_VERSION_13,
		.flags = ARGON2_DEFAULT_FLAGS,
	};
	int code;

	if (out_size > UINT32_MAX || in->password.size > UINT32_MAX ||
	    in->salt.size > UINT32_MAX || in->secret.size > UINT32_MAX ||
	    in->data.size > UINT32_MAX)
		return err_set(err, ERR_ARG, "a passphrase is too long");
	code = argon2id_ctx(&c);
	if (code == ARGON2_OK)
		return 0;
	if (code == ARGON2_MEMORY_ALLOCATION_ERROR) {
		err_set(err, ERR_NO_MEMORY,
		    "a passphrase needs %u MiB of memory, which there are not",
		    in->memory_kib / 1024);
		return err_hint(err, "free memory, or use a key file");
	}
	if (code == ARGON2_THREAD_FAIL)
		return err_set(err, ERR_IO, "cannot start threads");
	return err_set(
	    err, ERR_ARG, "Argon2id refuses: %s", argon2_error_message(code));
}
