/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 through OpenSSL's EVP: the algorithm is fetched once.  Names of
 * sealed repositories are a MAC of it.
 */
#include "store/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "store/seal/mac.h"
#include "store/seal/seal.h"

struct digest {
	EVP_MD_CTX *ctx;
	struct mac *namer; /* NULL: the hash is the name. */
};

static pthread_mutex_t fetch_lock = PTHREAD_MUTEX_INITIALIZER;
static EVP_MD *sha256; /* Once it is there, as long as the process. */

/* Whoever had no memory for it may have it later. */
static bool
fetch(void)
{
	bool there;

	pthread_mutex_lock(&fetch_lock);
	if (sha256 == NULL)
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	there = sha256 != NULL;
	pthread_mutex_unlock(&fetch_lock);
	return there;
}

int
digest_new(struct digest **out, const struct seal *seal, struct err *err)
{
	struct digest *d;

	errno = 0;
	if (!fetch())
		return err_library(err, ERR_UNSUPPORTED,
		    "the crypto library has "
		    "no SHA-256");
	if ((d = calloc(1, sizeof(*d))) == NULL)
		return err_no_memory(err);
	if ((d->ctx = EVP_MD_CTX_new()) == NULL) {
		free(d);
		return err_no_memory(err);
	}
	if (seal != NULL && seal_namer(&d->namer, seal, err) == -1) {
		digest_free(d);
		return -1;
	}
	*out = d;
	return 0;
}

void
digest_free(struct digest *d)
{
	if (d == NULL)
		return;
	mac_free(d->namer);
	EVP_MD_CTX_free(d->ctx);
	free(d);
}

int
digest_of(struct digest *d, uint8_t out[DIGEST_BYTES], const void *buf,
    size_t size, struct err *err)
{
	uint8_t hash[DIGEST_BYTES];

	errno = 0;
	if (EVP_DigestInit_ex2(d->ctx, sha256, NULL) != 1 ||
	    EVP_DigestUpdate(d->ctx, buf, size) != 1 ||
	    EVP_DigestFinal_ex(d->ctx, hash, NULL) != 1)
		return err_library(err, ERR_BUG, "SHA-256 failed");
	if (d->namer != NULL)
		return mac_of(d->namer, out, hash, sizeof(hash), err);
	memcpy(out, hash, sizeof(hash));
	return 0;
}

int
digest_once(
    uint8_t out[DIGEST_BYTES], const void *buf, size_t size, struct err *err)
{
	struct digest *d;
	int rc;

	if (digest_new(&d, NULL, err) == -1)
		return -1;
	rc = digest_of(d, out, buf, size, err);
	digest_free(d);
	return rc;
}

bool
digest_is_zero(const uint8_t hash[DIGEST_BYTES])
{
	static const uint8_t zero[DIGEST_BYTES];

	return memcmp(hash, zero, sizeof(zero)) == 0;
}
