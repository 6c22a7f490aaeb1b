/* SPDX-License-Identifier: Apache-2.0 */
/* Counts allocations and fails the one that is asked for. */
#include "tests/alloc/alloc_fail.h"

#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <lmdb.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

/* The wrapped calls have no other declaration. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#ifdef __clang__
#pragma clang diagnostic ignored "-Wmissing-variable-declarations"
#endif

void __sanitizer_print_stack_trace(void) __attribute__((weak));

static atomic_bool armed, trace, thread_failed;
static bool onwards;
static uint64_t nth;
static atomic_uint_fast64_t counted, failed;

void
alloc_fail_arm(uint64_t n, bool and_onwards, bool with_trace)
{
	nth = n;
	onwards = and_onwards;
	counted = 0;
	failed = 0;
	trace = with_trace;
	thread_failed = false;
	armed = true;
}

uint64_t
alloc_fail_disarm(void)
{
	armed = false;
	return counted;
}

uint64_t
alloc_fail_failed(void)
{
	return failed;
}

bool
alloc_fail_thread(void)
{
	return thread_failed;
}

/* ---- places ---- */

#define FRAMES_MAX 48

static atomic_bool surveying;
static pthread_mutex_t survey_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t places[ALLOC_FAIL_PLACES_MAX];    /* Numbers, rising. */
static uint64_t known[2 * ALLOC_FAIL_PLACES_MAX]; /* Hashes; 0: free. */
static size_t place_count;

void
alloc_fail_survey(void)
{
	memset(known, 0, sizeof(known));
	place_count = 0;
	alloc_fail_arm(0, false, false);
	surveying = true;
}

size_t
alloc_fail_places(const uint64_t **out)
{
	surveying = false;
	*out = places;
	return place_count;
}

static uint64_t
hash_callers(void)
{
	void *frames[FRAMES_MAX];
	int n = backtrace(frames, FRAMES_MAX), i;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (i = 0; i < n; i++)
		hash = (hash ^ (uintptr_t)frames[i]) *
		       UINT64_C(0x9e3779b97f4a7c15);
	return hash | 1;
}

static void
note_place(uint64_t number)
{
	uint64_t hash = hash_callers();
	size_t at = (hash >> 32) % (2 * ALLOC_FAIL_PLACES_MAX);

	pthread_mutex_lock(&survey_lock);
	while (known[at] != 0 && known[at] != hash)
		at = (at + 1) % (2 * ALLOC_FAIL_PLACES_MAX);
	if (known[at] == 0 && place_count < ALLOC_FAIL_PLACES_MAX) {
		known[at] = hash;
		places[place_count++] = number;
	}
	pthread_mutex_unlock(&survey_lock);
}

/* Is this the one?  errno says so, too. */
static bool
fails(void)
{
	uint64_t n;

	if (!armed)
		return false;
	n = ++counted;
	if (surveying)
		note_place(n);
	if (nth == 0 || n < nth || (n > nth && !onwards))
		return false;
	failed++;
	if (atomic_exchange(&trace, false) &&
	    __sanitizer_print_stack_trace != NULL)
		__sanitizer_print_stack_trace();
	errno = ENOMEM;
	return true;
}

#define WRAP(type, name, params, args, failure) \
	type __real_##name params; \
	type __wrap_##name params; \
	type __wrap_##name params \
	{ \
		return fails() ? (failure) : __real_##name args; \
	}

/* ---- our own ---- */

WRAP(void *, malloc, (size_t size), (size), NULL)
WRAP(void *, calloc, (size_t n, size_t size), (n, size), NULL)
WRAP(void *, realloc, (void *p, size_t size), (p, size), NULL)
WRAP(void *, aligned_alloc, (size_t align, size_t size), (align, size), NULL)
WRAP(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size), NULL)
WRAP(char *, strdup, (const char *s), (s), NULL)
WRAP(char *, strndup, (const char *s, size_t n), (s, n), NULL)
WRAP(char *, realpath, (const char *path, char *out), (path, out), NULL)
WRAP(DIR *, opendir, (const char *path), (path), NULL)
WRAP(DIR *, fdopendir, (int fd), (fd), NULL)

/* As glibc: what it points to is not defined after a failure. */
static int __attribute__((format(printf, 2, 0)))
print(char **out, const char *format, va_list ap)
{
	if (fails()) {
		*out = (char *)(uintptr_t)1;
		return -1;
	}
	return vasprintf(out, format, ap);
}

int __wrap_asprintf(char **out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int
__wrap_asprintf(char **out, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = print(out, format, ap);
	va_end(ap);
	return n;
}

/* What asprintf is called with _FORTIFY_SOURCE. */
int __wrap___asprintf_chk(char **out, int flag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int
__wrap___asprintf_chk(char **out, int flag, const char *format, ...)
{
	va_list ap;
	int n;

	(void)flag;
	va_start(ap, format);
	n = print(out, format, ap);
	va_end(ap);
	return n;
}

int __real_pthread_create(
    pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(
    pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int
__wrap_pthread_create(
    pthread_t *out, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	if (!fails())
		return __real_pthread_create(out, attr, fn, arg);
	thread_failed = true;
	return EAGAIN;
}

/* Found once it was there; without memory for it, nothing is. */
WRAP(EVP_MD *, EVP_MD_fetch,
    (OSSL_LIB_CTX * c, const char *name, const char *properties),
    (c, name, properties), NULL)
WRAP(EVP_MAC *, EVP_MAC_fetch,
    (OSSL_LIB_CTX * c, const char *name, const char *properties),
    (c, name, properties), NULL)
WRAP(EVP_KDF *, EVP_KDF_fetch,
    (OSSL_LIB_CTX * c, const char *name, const char *properties),
    (c, name, properties), NULL)
WRAP(EVP_CIPHER *, EVP_CIPHER_fetch,
    (OSSL_LIB_CTX * c, const char *name, const char *properties),
    (c, name, properties), NULL)

/* ---- zstd and LMDB, which allocate as they work ---- */

WRAP(ZSTD_CCtx *, ZSTD_createCCtx, (void), (), NULL)
WRAP(ZSTD_DCtx *, ZSTD_createDCtx, (void), (), NULL)
WRAP(size_t, ZSTD_compressCCtx,
    (ZSTD_CCtx * c, void *out, size_t size, const void *in, size_t in_size,
	int level),
    (c, out, size, in, in_size, level),
    (size_t) - (ZSTD_error_memory_allocation))
WRAP(size_t, ZSTD_decompressDCtx,
    (ZSTD_DCtx * d, void *out, size_t size, const void *in, size_t in_size),
    (d, out, size, in, in_size), (size_t) - (ZSTD_error_memory_allocation))

WRAP(int, mdb_env_create, (MDB_env * *env), (env), ENOMEM)
WRAP(int, mdb_env_open,
    (MDB_env * env, const char *path, unsigned int flags, mdb_mode_t mode),
    (env, path, flags, mode), ENOMEM)
WRAP(int, mdb_txn_begin,
    (MDB_env * env, MDB_txn *parent, unsigned int flags, MDB_txn **txn),
    (env, parent, flags, txn), ENOMEM)
WRAP(int, mdb_dbi_open,
    (MDB_txn * txn, const char *name, unsigned int flags, MDB_dbi *dbi),
    (txn, name, flags, dbi), ENOMEM)
WRAP(int, mdb_put,
    (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *data,
	unsigned int flags),
    (txn, dbi, key, data, flags), ENOMEM)
WRAP(int, mdb_del, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *data),
    (txn, dbi, key, data), ENOMEM)
WRAP(int, mdb_drop, (MDB_txn * txn, MDB_dbi dbi, int del), (txn, dbi, del),
    ENOMEM)
WRAP(int, mdb_cursor_open, (MDB_txn * txn, MDB_dbi dbi, MDB_cursor **cursor),
    (txn, dbi, cursor), ENOMEM)
WRAP(int, mdb_cursor_put,
    (MDB_cursor * cursor, MDB_val *key, MDB_val *data, unsigned int flags),
    (cursor, key, data, flags), ENOMEM)
WRAP(int, mdb_cursor_del, (MDB_cursor * cursor, unsigned int flags),
    (cursor, flags), ENOMEM)

/* A commit that fails has ended its transaction. */
int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);
int
__wrap_mdb_txn_commit(MDB_txn *txn)
{
	if (!fails())
		return __real_mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return ENOMEM;
}

/* ---- libraries with hooks ---- */

static void *
crypto_new(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return size == 0 || fails() ? NULL : __real_malloc(size);
}

static void *
crypto_more(void *p, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	if (size == 0) {
		free(p);
		return NULL;
	}
	return fails() ? NULL : __real_realloc(p, size);
}

static void
crypto_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

static sqlite3_mem_methods sqlite;

static void *
sqlite_new(int size)
{
	return fails() ? NULL : sqlite.xMalloc(size);
}

static void *
sqlite_more(void *p, int size)
{
	return fails() ? NULL : sqlite.xRealloc(p, size);
}

#define SECURE_HEAP_BYTES 32768

static void
warm_up(void)
{
	static const char *const ciphers[] = { "AES-256-GCM",
		"ChaCha20-Poly1305" };
	char digest[] = "SHA256", key[32] = "key", out[32];
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(
				    OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(
		    OSSL_KDF_PARAM_KEY, key, sizeof(key)),
		OSSL_PARAM_construct_end() };
	EVP_MD *md = EVP_MD_fetch(NULL, digest, NULL);
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_KDF *hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);
	EVP_KDF_CTX *kdf = EVP_KDF_CTX_new(hkdf);
	EVP_CIPHER_CTX *ctx;
	EVP_CIPHER *cipher;
	size_t i;

	CRYPTO_secure_malloc_init(SECURE_HEAP_BYTES, 64);
	EVP_MAC_init(mac, (unsigned char *)key, sizeof(key), params);
	EVP_KDF_derive(kdf, (unsigned char *)out, sizeof(out), params);
	for (i = 0; i < 2; i++) {
		cipher = EVP_CIPHER_fetch(NULL, ciphers[i], NULL);
		ctx = EVP_CIPHER_CTX_new();
		EVP_EncryptInit_ex2(ctx, cipher, NULL, NULL, NULL);
		EVP_CIPHER_CTX_free(ctx);
		EVP_CIPHER_free(cipher);
	}
	EVP_MAC_CTX_free(mac);
	EVP_KDF_CTX_free(kdf);
	EVP_MAC_free(hmac);
	EVP_KDF_free(hkdf);
	EVP_MD_free(md);
}

void
alloc_fail_hooks(void)
{
	sqlite3_mem_methods ours;

	if (CRYPTO_set_mem_functions(crypto_new, crypto_more, crypto_free) !=
		1 ||
	    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite) != SQLITE_OK)
		abort();
	warm_up();
	ours = sqlite;
	ours.xMalloc = sqlite_new;
	ours.xRealloc = sqlite_more;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) != SQLITE_OK)
		abort();
}
