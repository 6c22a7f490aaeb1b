/* SPDX-License-Identifier: Apache-2.0 */
/* Authenticated encryption through OpenSSL's EVP. */
#include "store/seal/aead.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/endian.h"
#include "common/err.h"

#define NONCE_BYTES 12
#define MESSAGE_MAX ((size_t)1 << 30)
#define TRIAL_BYTES ((size_t)1 << 18)
#define TRIALS 5

struct aead {
	EVP_CIPHER_CTX *seal, *open;
	bool keyed;
};

static const struct {
	const char *stored, *library;
} names[] = {
	[AEAD_AES_256_GCM] = { "aes-256-gcm", "AES-256-GCM" },
	[AEAD_CHACHA20_POLY1305] = { "chacha20-poly1305", "ChaCha20-Poly1305" },
};
#define CIPHERS (sizeof(names) / sizeof(names[0]))

static pthread_mutex_t fetch_lock = PTHREAD_MUTEX_INITIALIZER;
/* Once they are there, as long as the process. */
static EVP_CIPHER *ciphers[CIPHERS];

static bool
fetch(enum aead_cipher cipher)
{
	bool there;

	pthread_mutex_lock(&fetch_lock);
	if (ciphers[cipher] == NULL)
		ciphers[cipher] =
		    EVP_CIPHER_fetch(NULL, names[cipher].library, NULL);
	there = ciphers[cipher] != NULL;
	pthread_mutex_unlock(&fetch_lock);
	return there;
}

const char *
aead_cipher_name(enum aead_cipher cipher)
{
	return (size_t)cipher < CIPHERS ? names[cipher].stored : "none";
}

int
aead_cipher_parse(enum aead_cipher *out, const char *name)
{
	size_t i;

	for (i = 0; i < CIPHERS; i++) {
		if (strcmp(name, names[i].stored) == 0) {
			*out = (enum aead_cipher)i;
			return 0;
		}
	}
	return -1;
}

int
aead_new(struct aead **out, enum aead_cipher cipher, struct err *err)
{
	struct aead *a;

	errno = 0;
	if ((size_t)cipher >= CIPHERS || !fetch(cipher))
		return err_library(err, ERR_UNSUPPORTED,
		    "the crypto library has no %s", aead_cipher_name(cipher));
	if ((a = calloc(1, sizeof(*a))) == NULL)
		return err_no_memory(err);
	a->seal = EVP_CIPHER_CTX_new();
	a->open = EVP_CIPHER_CTX_new();
	if (a->seal == NULL || a->open == NULL ||
	    EVP_EncryptInit_ex2(a->seal, ciphers[cipher], NULL, NULL, NULL) !=
		1 ||
	    EVP_DecryptInit_ex2(a->open, ciphers[cipher], NULL, NULL, NULL) !=
		1) {
		aead_free(a);
		return err_no_memory(err);
	}
	*out = a;
	return 0;
}

void
aead_free(struct aead *a)
{
	if (a == NULL)
		return;
	EVP_CIPHER_CTX_free(a->seal);
	EVP_CIPHER_CTX_free(a->open);
	free(a);
}

int
aead_set_key(struct aead *a, const uint8_t key[AEAD_KEY_BYTES], struct err *err)
{
	a->keyed = false;
	errno = 0;
	if (EVP_EncryptInit_ex2(a->seal, NULL, key, NULL, NULL) != 1 ||
	    EVP_DecryptInit_ex2(a->open, NULL, key, NULL, NULL) != 1)
		return err_library(err, ERR_BUG, "a cipher takes no key");
	a->keyed = true;
	return 0;
}

static void
make_nonce(uint8_t nonce[NONCE_BYTES], uint64_t offset)
{
	memset(nonce, 0, NONCE_BYTES);
	be64_put(nonce + NONCE_BYTES - 8, offset);
}

int
aead_seal(struct aead *a, uint8_t *out, uint64_t offset, const void *ad,
    size_t ad_size, const void *in, size_t size, struct err *err)
{
	uint8_t nonce[NONCE_BYTES];
	int n;

	if (!a->keyed || size > MESSAGE_MAX || ad_size > MESSAGE_MAX)
		return err_set(err, ERR_BUG, "no key, or too large to seal");
	make_nonce(nonce, offset);
	errno = 0;
	if (EVP_EncryptInit_ex2(a->seal, NULL, NULL, nonce, NULL) != 1 ||
	    EVP_EncryptUpdate(a->seal, NULL, &n, ad, (int)ad_size) != 1 ||
	    (size > 0 &&
		EVP_EncryptUpdate(a->seal, out, &n, in, (int)size) != 1) ||
	    EVP_EncryptFinal_ex(a->seal, out + size, &n) != 1 || n != 0 ||
	    EVP_CIPHER_CTX_ctrl(a->seal, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_BYTES,
		out + size) != 1)
		return err_library(err, ERR_BUG, "a cipher failed");
	return 0;
}

int
aead_open(struct aead *a, void *out, uint64_t offset, const void *ad,
    size_t ad_size, const uint8_t *in, size_t size, struct err *err)
{
	uint8_t nonce[NONCE_BYTES], tag[AEAD_TAG_BYTES], end[AEAD_TAG_BYTES];
	size_t plain;
	int n;

	if (!a->keyed || size > MESSAGE_MAX || ad_size > MESSAGE_MAX)
		return err_set(err, ERR_BUG, "no key, or too large to open");
	if (size < AEAD_TAG_BYTES)
		return err_set(
		    err, ERR_CORRUPT, "it is too short to be sealed");
	plain = size - AEAD_TAG_BYTES;
	memcpy(tag, in + plain, sizeof(tag));
	make_nonce(nonce, offset);
	errno = 0;
	if (EVP_DecryptInit_ex2(a->open, NULL, NULL, nonce, NULL) == 1 &&
	    EVP_CIPHER_CTX_ctrl(
		a->open, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) == 1 &&
	    EVP_DecryptUpdate(a->open, NULL, &n, ad, (int)ad_size) == 1 &&
	    (plain == 0 ||
		EVP_DecryptUpdate(a->open, out, &n, in, (int)plain) == 1) &&
	    EVP_DecryptFinal_ex(a->open, end, &n) == 1 && n == 0)
		return 0;
	/* It was decrypted before it was known to be wrong. */
	OPENSSL_cleanse(out, plain);
	return err_library(err, ERR_CORRUPT,
	    "it was tampered with or is damaged: its seal does not fit");
}

/* Of this thread: a busy machine does not decide which cipher it gets. */
static uint64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Nanoseconds of the best trial. */
static int
try_one(uint64_t *out, enum aead_cipher cipher, uint8_t *buf, struct err *err)
{
	uint8_t key[AEAD_KEY_BYTES] = { 0 };
	struct aead *a;
	uint64_t start, took;
	int i, rc;

	if (aead_new(&a, cipher, err) == -1)
		return -1;
	*out = UINT64_MAX;
	rc = aead_set_key(a, key, err);
	for (i = 0; rc == 0 && i < TRIALS; i++) {
		start = cpu_ns();
		rc = aead_seal(
		    a, buf, (uint64_t)i, key, 1, buf, TRIAL_BYTES, err);
		took = cpu_ns() - start;
		if (took < *out)
			*out = took;
	}
	aead_free(a);
	return rc;
}

int
aead_fastest(enum aead_cipher *out, struct err *err)
{
	uint8_t *buf = calloc(1, TRIAL_BYTES + AEAD_TAG_BYTES);
	uint64_t best = UINT64_MAX, took;
	size_t i;
	int rc = -1;

	if (buf == NULL)
		return err_no_memory(err);
	for (i = 0; i < CIPHERS; i++) {
		if (try_one(&took, (enum aead_cipher)i, buf, err) == -1)
			continue;
		if (took < best) {
			*out = (enum aead_cipher)i;
			best = took;
		}
		rc = 0;
	}
	free(buf);
	if (rc == 0)
		err_clear(err);
	return rc;
}
