/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast one core seals, opens, names and derives:
 *     bench_seal [SECONDS]
 * SECONDS (default 1) for each line; figures are those of processor time, so
 * that others on the machine disturb them less.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/err.h"
#include "common/hexid.h"
#include "store/digest.h"
#include "store/seal/box.h"
#include "store/seal/mac.h"
#include "store/seal/slot.h"

#define FRAME_BYTES ((size_t)1 << 20)

struct bench {
	double seconds;
	struct seal *seal;
	struct box *box;
	struct mac *mac;
	struct digest *digest;
	size_t size;
	uint8_t *in, *out;
	uint64_t offset;
	struct err err;
};

typedef int step_fn(struct bench *b);

static double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
run(struct bench *b, const char *what, size_t size, step_fn *step)
{
	double start = cpu_seconds(), spent;
	uint64_t n = 0;

	b->size = size;
	do {
		if (step(b) == -1)
			return -1;
		n++;
		spent = cpu_seconds() - start;
	} while (spent < b->seconds);
	printf("%-32s %8.0f MB/s %10.2f us each\n", what,
	    (double)n * (double)size / spent / 1e6, spent / (double)n * 1e6);
	return 0;
}

static int
step_seal(struct bench *b)
{
	b->offset += b->size;
	return box_put(
	    b->box, b->out, b->offset, "head", 4, b->in, b->size, &b->err);
}

static int
step_open(struct bench *b)
{
	return box_get(b->box, b->in, b->offset, "head", 4, b->out,
	    b->size + AEAD_TAG_BYTES, &b->err);
}

static int
step_hmac(struct bench *b)
{
	return mac_of(b->mac, b->out, b->in, b->size, &b->err);
}

static int
step_digest(struct bench *b)
{
	return digest_of(b->digest, b->out, b->in, b->size, &b->err);
}

static int
step_make(struct bench *b)
{
	uint8_t salt[SEAL_SALT_BYTES], id[SEAL_ID_BYTES] = { 1 };

	return box_make(b->box, "packs/01/01", 5, id, salt, &b->err);
}

static int
open_seal(struct bench *b, enum seal_mode mode, enum aead_cipher cipher)
{
	struct seal_settings settings = { .mode = mode, .cipher = cipher };
	uint8_t master[SEAL_KEY_BYTES] = { 1 };

	if (seal_settings_sign(&settings, master, &b->err) == -1 ||
	    seal_open_master(&b->seal, &settings, master, &b->err) == -1)
		return -1;
	return box_new(&b->box, b->seal, &b->err);
}

static void
close_seal(struct bench *b)
{
	box_free(b->box);
	seal_free(b->seal);
	b->box = NULL;
	b->seal = NULL;
}

static int
run_cipher(struct bench *b, enum aead_cipher cipher)
{
	const char *name = aead_cipher_name(cipher);
	size_t sizes[] = { FRAME_BYTES, 65536, 4096 }, i;
	char what[64];

	if (open_seal(b, SEAL_SECRET, cipher) == -1 || step_make(b) == -1)
		return -1;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(what, sizeof(what), "%s seal %zu", name, sizes[i]);
		if (run(b, what, sizes[i], step_seal) == -1)
			return -1;
		snprintf(what, sizeof(what), "%s open %zu", name, sizes[i]);
		if (run(b, what, sizes[i], step_open) == -1)
			return -1;
	}
	close_seal(b);
	return 0;
}

static int
run_names(struct bench *b)
{
	if (open_seal(b, SEAL_PUBLIC, AEAD_AES_256_GCM) == -1 ||
	    seal_namer(&b->mac, b->seal, &b->err) == -1 ||
	    digest_new(&b->digest, NULL, &b->err) == -1)
		return -1;
	if (run(b, "sha-256 65536", 65536, step_digest) == -1 ||
	    run(b, "hmac-sha-256 65536", 65536, step_hmac) == -1 ||
	    run(b, "hmac-sha-256 32 (a name)", 32, step_hmac) == -1 ||
	    run(b, "new object, public", 0, step_make) == -1)
		return -1;
	close_seal(b);
	if (open_seal(b, SEAL_SECRET, AEAD_AES_256_GCM) == -1)
		return -1;
	return run(b, "new object, secret", 0, step_make);
}

static int
run_slot(struct bench *b)
{
	const struct slot_secret secret = { SLOT_PASSPHRASE, "passphrase", 10 };
	uint8_t id[SEAL_ID_BYTES] = { 1 }, master[SEAL_KEY_BYTES] = { 1 };
	struct timespec start, end; /* Of all its threads. */
	struct slot slot;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	if (slot_make(&slot, id, master, &secret, "", NULL, &b->err) == -1)
		return -1;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	printf("passphrase: %llu MiB, %llu passes, %llu lanes: %.2f s of "
	       "processor time\n",
	    (unsigned long long)slot.cost.memory_kib / 1024,
	    (unsigned long long)slot.cost.passes,
	    (unsigned long long)slot.cost.lanes,
	    (double)(end.tv_sec - start.tv_sec) +
		(double)(end.tv_nsec - start.tv_nsec) / 1e9);
	return 0;
}

int
main(int argc, char **argv)
{
	struct bench b = { .seconds = argc > 1 ? atof(argv[1]) : 1 };
	enum aead_cipher fastest;
	int rc = 1;

	b.in = calloc(1, FRAME_BYTES + AEAD_TAG_BYTES);
	b.out = calloc(1, FRAME_BYTES + AEAD_TAG_BYTES);
	if (b.in == NULL || b.out == NULL)
		err_no_memory(&b.err);
	else if (hexid_random(b.in, FRAME_BYTES, &b.err) == 0 &&
		 run_cipher(&b, AEAD_AES_256_GCM) == 0 &&
		 run_cipher(&b, AEAD_CHACHA20_POLY1305) == 0 &&
		 run_names(&b) == 0 && run_slot(&b) == 0 &&
		 aead_fastest(&fastest, &b.err) == 0) {
		printf("chosen here: %s\n", aead_cipher_name(fastest));
		rc = 0;
	}
	if (rc != 0)
		fprintf(stderr, "bench_seal: %s\n", b.err.text);
	close_seal(&b);
	mac_free(b.mac);
	digest_free(b.digest);
	free(b.in);
	free(b.out);
	return rc;
}
