/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC-SHA256 through OpenSSL's EVP. */
#include "store/seal/mac.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/err.h"

struct mac {
	EVP_MAC_CTX *ctx;
};

static pthread_mutex_t fetch_lock = PTHREAD_MUTEX_INITIALIZER;
static EVP_MAC *hmac; /* Once it is there, as long as the process. */

static bool
fetch(void)
{
	bool there;

	pthread_mutex_lock(&fetch_lock);
	if (hmac == NULL)
		hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	there = hmac != NULL;
	pthread_mutex_unlock(&fetch_lock);
	return there;
}

int
mac_new(struct mac **out, const void *key, size_t key_size, struct err *err)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(
				    OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end() };
	struct mac *m;

	errno = 0;
	if (!fetch())
		return err_library(
		    err, ERR_UNSUPPORTED, "the crypto library has no HMAC");
	if ((m = malloc(sizeof(*m))) == NULL)
		return err_no_memory(err);
	if ((m->ctx = EVP_MAC_CTX_new(hmac)) == NULL) {
		mac_free(m);
		return err_no_memory(err);
	}
	errno = 0;
	if (EVP_MAC_init(m->ctx, key, key_size, params) != 1) {
		err_library(err, ERR_BUG, "HMAC takes no key");
		mac_free(m);
		return -1;
	}
	*out = m;
	return 0;
}

void
mac_free(struct mac *m)
{
	if (m == NULL)
		return;
	EVP_MAC_CTX_free(m->ctx);
	free(m);
}

int
mac_of(struct mac *m, uint8_t out[MAC_BYTES], const void *buf, size_t size,
    struct err *err)
{
	size_t n;

	errno = 0;
	/* Without a key: begins anew with the one it has. */
	if (EVP_MAC_init(m->ctx, NULL, 0, NULL) != 1 ||
	    EVP_MAC_update(m->ctx, buf, size) != 1 ||
	    EVP_MAC_final(m->ctx, out, &n, MAC_BYTES) != 1 || n != MAC_BYTES)
		return err_library(err, ERR_BUG, "HMAC failed");
	return 0;
}

int
mac_once(uint8_t out[MAC_BYTES], const void *key, size_t key_size,
    const void *buf, size_t size, struct err *err)
{
	struct mac *m;
	int rc;

	if (mac_new(&m, key, key_size, err) == -1)
		return -1;
	rc = mac_of(m, out, buf, size, err);
	mac_free(m);
	return rc;
}
