/* SPDX-License-Identifier: Apache-2.0 */
/* Locked memory from the crypto library's secure heap. */
#include "store/seal/secret.h"

#include <openssl/crypto.h>
#include <pthread.h>

/* Some tens of keys; below the 64 KiB that anybody may lock. */
#define HEAP_BYTES 32768
#define HEAP_SMALLEST 64

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
make_heap(void)
{
	/* Where it fails, the functions below use the ordinary heap. */
	if (!CRYPTO_secure_malloc_initialized())
		CRYPTO_secure_malloc_init(HEAP_BYTES, HEAP_SMALLEST);
}

void *
secret_alloc(size_t size)
{
	void *p;

	pthread_once(&once, make_heap);
	p = OPENSSL_secure_zalloc(size);
	/* Full: better unlocked than no backup. */
	return p != NULL ? p : OPENSSL_zalloc(size);
}

void
secret_free(void *p, size_t size)
{
	/* Knows by itself which heap p is of. */
	OPENSSL_secure_clear_free(p, size);
}

void
secret_wipe(void *p, size_t size)
{
	OPENSSL_cleanse(p, size);
}

bool
secret_equal(const void *a, const void *b, size_t size)
{
	return CRYPTO_memcmp(a, b, size) == 0;
}
