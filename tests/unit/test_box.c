/* SPDX-License-Identifier: Apache-2.0 */
/* Ciphers against published vectors; boxes: each tampering is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hexid.h"
#include "store/seal/aead.h"
#include "store/seal/box.h"
#include "tests/unit/seal_rig.h"

static struct aead *
keyed(enum aead_cipher cipher, const char *key_hex)
{
	uint8_t key[AEAD_KEY_BYTES] = { 0 };
	struct err err = ERR_INIT;
	struct aead *a;

	if (key_hex != NULL)
		assert_int_equal(hex_decode(key, sizeof(key), key_hex), 0);
	assert_int_equal(aead_new(&a, cipher, &err), 0);
	assert_int_equal(aead_set_key(a, key, &err), 0);
	return a;
}

/* The GCM specification, test cases 13 and 14. */
static void
test_aead_gcm_gives_its_vectors(void **state)
{
	struct aead *a = keyed(AEAD_AES_256_GCM, NULL);
	uint8_t zeros[16] = { 0 }, out[32];
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(aead_seal(a, out, 0, "", 0, "", 0, &err), 0);
	rig_expect_hex(out, 16, "530f8afbc74536b9a963b4f1c4cb738b");
	assert_int_equal(aead_open(a, zeros, 0, "", 0, out, 16, &err), 0);
	assert_int_equal(aead_seal(a, out, 0, "", 0, zeros, 16, &err), 0);
	rig_expect_hex(out, 32,
	    "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
	aead_free(a);
}

/* RFC 8439, appendix A.5: its nonce is of our form. */
static void
test_aead_chacha20_gives_rfc_8439(void **state)
{
	static const char plain[] =
	    "Internet-Drafts are draft documents valid for a maximum of six "
	    "months and may be updated, replaced, or obsoleted by other "
	    "documents at any time. It is inappropriate to use "
	    "Internet-Drafts as reference material or to cite them other than "
	    "as /\xe2\x80\x9cwork in progress./\xe2\x80\x9d";
	const size_t size = sizeof(plain) - 1;
	struct aead *a = keyed(AEAD_CHACHA20_POLY1305,
	    "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
	uint8_t ad[12], out[sizeof(plain) + 16], back[sizeof(plain)];
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(size, 265);
	hex_decode(ad, sizeof(ad), "f33388860000000000004e91");
	assert_int_equal(aead_seal(a, out, UINT64_C(0x0102030405060708), ad,
			     sizeof(ad), plain, size, &err),
	    0);
	rig_expect_hex(out, 16, "64a0861575861af460f062c79be643bd");
	rig_expect_hex(out + size, 16, "eead9d67890cbb22392336fea1851f38");
	assert_int_equal(aead_open(a, back, UINT64_C(0x0102030405060708), ad,
			     sizeof(ad), out, size + 16, &err),
	    0);
	assert_memory_equal(back, plain, size);
	aead_free(a);
}

/* Whatever is changed is found, and nothing decrypted comes out. */
static void
refuses(struct aead *a, uint64_t offset, const char *ad, const uint8_t *sealed,
    size_t size)
{
	uint8_t out[64], zeros[64] = { 0 };
	struct err err = ERR_INIT;

	memset(out, 0xee, sizeof(out));
	assert_int_equal(
	    aead_open(a, out, offset, ad, strlen(ad), sealed, size, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	rig_expect_part(err.text, "tampered with or is damaged");
	assert_memory_equal(out, zeros, size - AEAD_TAG_BYTES);
}

static void
try_tampering(enum aead_cipher cipher)
{
	struct aead *
	    a = keyed(cipher, NULL),
	   *other = keyed(cipher,
	       "0100000000000000000000000000000000000000000000000000000000000000");
	uint8_t sealed[40 + AEAD_TAG_BYTES], out[64];
	struct err err = ERR_INIT;
	size_t i;

	assert_int_equal(
	    aead_seal(a, sealed, 48, "head", 4,
		"0123456789012345678901234567890123456789", 40, &err),
	    0);
	for (i = 0; i < sizeof(sealed); i++) {
		sealed[i] ^= 0x40;
		refuses(a, 48, "head", sealed, sizeof(sealed));
		sealed[i] ^= 0x40;
	}
	refuses(a, 49, "head", sealed, sizeof(sealed));
	refuses(a, 48 + (UINT64_C(1) << 32), "head", sealed, sizeof(sealed));
	refuses(a, 48, "heap", sealed, sizeof(sealed));
	refuses(a, 48, "hea", sealed, sizeof(sealed));
	refuses(a, 48, "head", sealed, sizeof(sealed) - 1);
	refuses(a, 48, "head", sealed + 1, sizeof(sealed) - 1);
	refuses(other, 48, "head", sealed, sizeof(sealed));
	assert_int_equal(
	    aead_open(a, out, 48, "head", 4, sealed, 15, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	/* In place, too, and the context is none the worse for all that. */
	assert_int_equal(
	    aead_open(a, sealed, 48, "head", 4, sealed, sizeof(sealed), &err),
	    0);
	assert_memory_equal(
	    sealed, "0123456789012345678901234567890123456789", 40);
	aead_free(a);
	aead_free(other);
}

static void
test_aead_finds_each_change(void **state)
{
	(void)state;
	try_tampering(AEAD_AES_256_GCM);
	try_tampering(AEAD_CHACHA20_POLY1305);
}

static void
test_aead_without_a_key_does_nothing(void **state)
{
	struct err err = ERR_INIT;
	uint8_t out[32] = { 0 };
	struct aead *a;

	(void)state;
	assert_int_equal(aead_new(&a, AEAD_AES_256_GCM, &err), 0);
	assert_int_equal(aead_seal(a, out, 0, "", 0, "x", 1, &err), -1);
	assert_int_equal(err.class, ERR_BUG);
	assert_int_equal(aead_open(a, out, 0, "", 0, out, 17, &err), -1);
	assert_int_equal(err.class, ERR_BUG);
	aead_free(a);
}

static void
test_aead_names_come_back(void **state)
{
	enum aead_cipher c, fastest;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(aead_cipher_parse(&c, "chacha20-poly1305"), 0);
	assert_int_equal(c, AEAD_CHACHA20_POLY1305);
	assert_string_equal(aead_cipher_name(AEAD_AES_256_GCM), "aes-256-gcm");
	assert_int_equal(aead_cipher_parse(&c, "aes-128-gcm"), -1);
	assert_int_equal(aead_fastest(&fastest, &err), 0);
	assert_int_equal(aead_cipher_parse(&c, aead_cipher_name(fastest)), 0);
	assert_int_equal(c, fastest);
}

static const char key[] = "packs/b0/b0b1b2b3b4b5b6b7b8b9babbbcbdbebf";

/* The same bytes as another program makes from docs/seal.md. */
static void
test_box_opens_what_the_format_says(void **state)
{
	struct seal *s = rig_seal(SEAL_SECRET);
	uint8_t sealed[21], out[5];
	struct err err = ERR_INIT;
	struct box *b;

	(void)state;
	hex_decode(sealed, sizeof(sealed),
	    "dd38934d5efda0a1eef360ecded91821c1f11e885c");
	assert_int_equal(box_new(&b, s, &err), 0);
	assert_int_equal(box_open(b, key, 5, rig_object, rig_salt, &err), 0);
	assert_int_equal(
	    box_get(b, out, 80, "head", 4, sealed, sizeof(sealed), &err), 0);
	assert_memory_equal(out, "frame", 5);
	box_free(b);
	seal_free(s);
}

struct sealed {
	uint8_t salt[SEAL_SALT_BYTES];
	uint8_t bytes[5 + AEAD_TAG_BYTES];
};

static void
seal_one(struct sealed *out, const struct seal *s)
{
	struct err err = ERR_INIT;
	struct box *b;

	assert_int_equal(box_new(&b, s, &err), 0);
	assert_int_equal(box_make(b, key, 5, rig_object, out->salt, &err), 0);
	assert_int_equal(
	    box_put(b, out->bytes, 80, "head", 4, "frame", 5, &err), 0);
	box_free(b);
}

/* Opens as the object of that key, type and id; the class of the failure. */
static enum err_class
open_one(const struct seal *s, const struct sealed *in, const char *as,
    unsigned int type, const uint8_t *id)
{
	struct err err = ERR_INIT;
	uint8_t out[5];
	struct box *b;

	assert_int_equal(box_new(&b, s, &err), 0);
	if (box_open(b, as, type, id, in->salt, &err) == 0 &&
	    box_get(
		b, out, 80, "head", 4, in->bytes, sizeof(in->bytes), &err) == 0)
		assert_memory_equal(out, "frame", 5);
	box_free(b);
	return err.class;
}

static void
try_mode(enum seal_mode mode)
{
	struct seal *s = rig_seal(mode), *host = NULL;
	struct sealed in, again;

	if (mode == SEAL_PUBLIC)
		host = rig_host_seal();
	seal_one(&in, host != NULL ? host : s);
	assert_int_equal(open_one(s, &in, key, 5, rig_object), ERR_NONE);
	/* Renamed, of another type, with another's id or salt. */
	assert_int_equal(
	    open_one(s, &in, "packs/b0/x", 5, rig_object), ERR_CORRUPT);
	assert_int_equal(open_one(s, &in, key, 2, rig_object), ERR_CORRUPT);
	assert_int_equal(open_one(s, &in, key, 5, rig_repository), ERR_CORRUPT);
	seal_one(&again, host != NULL ? host : s);
	assert_memory_not_equal(again.salt, in.salt, sizeof(in.salt));
	assert_memory_not_equal(again.bytes, in.bytes, 5);
	memcpy(again.bytes, in.bytes, sizeof(in.bytes));
	assert_int_equal(open_one(s, &again, key, 5, rig_object), ERR_CORRUPT);
	if (host != NULL)
		assert_int_equal(
		    open_one(host, &in, key, 5, rig_object), ERR_AUTH);
	seal_free(host);
	seal_free(s);
}

static void
test_box_is_bound_to_its_object(void **state)
{
	(void)state;
	try_mode(SEAL_SECRET);
	try_mode(SEAL_PUBLIC);
}

static void
test_box_of_another_repository_stays_shut(void **state)
{
	struct seal_settings settings = rig_settings(SEAL_SECRET);
	uint8_t master[SEAL_KEY_BYTES] = { 9 };
	struct seal *s = rig_seal(SEAL_SECRET), *other;
	struct err err = ERR_INIT;
	struct sealed in;

	(void)state;
	assert_int_equal(seal_settings_sign(&settings, master, &err), 0);
	assert_int_equal(seal_open_master(&other, &settings, master, &err), 0);
	seal_one(&in, s);
	assert_int_equal(open_one(other, &in, key, 5, rig_object), ERR_CORRUPT);
	seal_free(other);
	seal_free(s);
}

static void
test_box_joins_and_is_reused(void **state)
{
	struct seal *s = rig_seal(SEAL_PUBLIC);
	uint8_t salt[SEAL_SALT_BYTES], made[SEAL_SALT_BYTES];
	uint8_t one[21], two[21], out[5];
	struct err err = ERR_INIT;
	struct box *a, *b;

	(void)state;
	assert_int_equal(box_new(&a, s, &err), 0);
	assert_int_equal(box_new(&b, s, &err), 0);
	assert_int_equal(box_join(b, a, &err), -1); /* There is nothing. */
	assert_int_equal(box_put(a, one, 80, "h", 1, "frame", 5, &err), -1);
	assert_int_equal(err.class, ERR_BUG);
	assert_int_equal(box_make(a, key, 5, rig_object, made, &err), 0);
	assert_int_equal(box_join(b, a, &err), 0);
	assert_int_equal(box_put(a, one, 80, "h", 1, "frame", 5, &err), 0);
	assert_int_equal(box_put(b, two, 101, "h", 1, "frame", 5, &err), 0);
	assert_memory_not_equal(one, two, 5);
	/* Another object between, and the first again. */
	assert_int_equal(box_make(b, key, 5, rig_object, salt, &err), 0);
	assert_int_equal(box_get(b, out, 80, "h", 1, one, 21, &err), -1);
	assert_int_equal(box_join(b, a, &err), 0);
	assert_int_equal(box_get(b, out, 80, "h", 1, one, 21, &err), 0);
	assert_int_equal(box_get(b, out, 101, "h", 1, two, 21, &err), 0);
	assert_int_equal(box_get(b, out, 80, "h", 1, two, 21, &err), -1);
	/* What it has is taken for an object of the same name only. */
	box_join(b, a, &err);
	assert_int_equal(
	    box_open(b, "packs/b0/x", 5, rig_object, made, &err), 0);
	assert_int_equal(box_get(b, out, 80, "h", 1, one, 21, &err), -1);
	assert_int_equal(box_open(b, key, 2, rig_object, made, &err), 0);
	assert_int_equal(box_get(b, out, 80, "h", 1, one, 21, &err), -1);
	assert_int_equal(box_open(b, key, 5, rig_object, made, &err), 0);
	assert_int_equal(box_get(b, out, 80, "h", 1, one, 21, &err), 0);
	box_free(a);
	box_free(b);
	seal_free(s);
}

/* A key that was left from before must seal nothing: its nonces are used. */
static void
test_box_that_failed_has_no_object(void **state)
{
	struct seal *host = rig_host_seal();
	uint8_t salt[SEAL_SALT_BYTES], out[21] = { 0 };
	struct err err = ERR_INIT;
	struct box *b;

	(void)state;
	assert_int_equal(box_new(&b, host, &err), 0);
	assert_int_equal(box_make(b, key, 5, rig_object, salt, &err), 0);
	assert_int_equal(box_put(b, out, 80, "h", 1, "frame", 5, &err), 0);
	assert_int_equal(
	    box_open(b, "packs/b0/x", 5, rig_object, rig_salt, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	assert_int_equal(box_put(b, out, 80, "h", 1, "other", 5, &err), -1);
	assert_int_equal(err.class, ERR_BUG);
	box_free(b);
	seal_free(host);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aead_gcm_gives_its_vectors),
		cmocka_unit_test(test_aead_chacha20_gives_rfc_8439),
		cmocka_unit_test(test_aead_finds_each_change),
		cmocka_unit_test(test_aead_without_a_key_does_nothing),
		cmocka_unit_test(test_aead_names_come_back),
		cmocka_unit_test(test_box_opens_what_the_format_says),
		cmocka_unit_test(test_box_is_bound_to_its_object),
		cmocka_unit_test(test_box_of_another_repository_stays_shut),
		cmocka_unit_test(test_box_joins_and_is_reused),
		cmocka_unit_test(test_box_that_failed_has_no_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
