/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of a repository: derived as docs/seal.md says, and checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hexid.h"
#include "store/digest.h"
#include "store/seal/curve.h"
#include "store/seal/mac.h"
#include "tests/unit/seal_rig.h"

/* Figures of another program that follows docs/seal.md. */
static void
test_seal_names_blobs_by_the_key(void **state)
{
	struct seal *s = rig_seal(SEAL_SECRET), *host = rig_host_seal();
	uint8_t hash[DIGEST_BYTES], name[MAC_BYTES], same[MAC_BYTES];
	struct err err = ERR_INIT;
	struct mac *m;

	(void)state;
	assert_int_equal(digest_once(hash, "abc", 3, &err), 0);
	assert_int_equal(seal_namer(&m, s, &err), 0);
	assert_int_equal(mac_of(m, name, hash, sizeof(hash), &err), 0);
	mac_free(m);
	rig_expect_hex(name, sizeof(name),
	    "59610d271c3ceee411fccc6da72c287389b8b91613d44fff771727099bf84e9a");
	/* A host finds the same names, or there were no deduplication. */
	assert_int_equal(seal_namer(&m, host, &err), 0);
	assert_int_equal(mac_of(m, same, hash, sizeof(hash), &err), 0);
	mac_free(m);
	assert_memory_equal(same, name, sizeof(name));
	seal_free(host);
	seal_free(s);
}

static void
test_seal_objects_have_their_keys(void **state)
{
	struct seal *s = rig_seal(SEAL_SECRET), *p = rig_seal(SEAL_PUBLIC);
	uint8_t key[SEAL_KEY_BYTES], e[32], half[32];
	struct err err = ERR_INIT;
	size_t i;

	(void)state;
	assert_int_equal(
	    seal_object_open(s, key, rig_salt, 5, rig_object, &err), 0);
	rig_expect_hex(key, sizeof(key),
	    "5e8814bb473ab635db6777883b0f660de138b88d75afa4a7ae65fa46a3ae2fd6");
	for (i = 0; i < sizeof(e); i++)
		e[i] = (uint8_t)(0x40 + i);
	assert_int_equal(curve_x25519_public(half, e, &err), 0);
	assert_int_equal(
	    seal_object_open(p, key, half, 5, rig_object, &err), 0);
	rig_expect_hex(key, sizeof(key),
	    "73e890d673ad45493b1b4b1bfeda2620bdf054adc08c6bc1cdb1b725d5c9b0a7");
	/* A salt that is a point of small order. */
	memset(half, 0, sizeof(half));
	assert_int_equal(
	    seal_object_open(p, key, half, 5, rig_object, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	seal_free(p);
	seal_free(s);
}

static void
test_seal_hosts_make_what_they_cannot_open(void **state)
{
	struct seal *host = rig_host_seal(), *s = rig_seal(SEAL_PUBLIC);
	uint8_t key[SEAL_KEY_BYTES], salt[SEAL_SALT_BYTES];
	uint8_t again[SEAL_KEY_BYTES];
	struct err err = ERR_INIT;

	(void)state;
	assert_false(seal_can_open(host));
	assert_true(seal_can_open(s));
	assert_int_equal(
	    seal_object_make(host, key, salt, 3, rig_object, &err), 0);
	assert_int_equal(
	    seal_object_open(s, again, salt, 3, rig_object, &err), 0);
	assert_memory_equal(key, again, sizeof(key));
	assert_int_equal(
	    seal_object_open(host, again, salt, 3, rig_object, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	rig_expect_part(err.hint, "passphrase");
	seal_free(s);
	seal_free(host);
}

/* Each member that somebody might change in `config`. */
static void
test_seal_changed_settings_are_found(void **state)
{
	const struct seal_settings good = rig_settings(SEAL_SECRET);
	struct seal_settings bad[8] = { good, good, good, good, good, good,
		good, good };
	struct err err = ERR_INIT;
	struct seal *s;
	size_t i;

	(void)state;
	rig_expect_hex(good.check, sizeof(good.check),
	    "89dd72da1055fa0c4b43622f5e6b7f770c7d81eca0a22cd8b13584af5ebc28e7");
	bad[0].mode = SEAL_PUBLIC;
	bad[1].cipher = AEAD_CHACHA20_POLY1305;
	bad[2].repository[15] ^= 1;
	bad[3].block_bytes *= 2;
	bad[4].check[31] ^= 1;
	strcpy(bad[5].compression, "none");
	bad[6].undelete_days = 0;
	/* No byte of one is taken for one of its neighbour. */
	strcpy(bad[7].compression, "zstd:30");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err_clear(&err);
		assert_int_equal(
		    seal_open_master(&s, &bad[i], rig_master, &err), -1);
		assert_int_equal(err.class, ERR_CORRUPT);
		rig_expect_part(err.text, "'config' was tampered with");
	}
}

static void
test_seal_a_key_for_plain_settings_is_refused(void **state)
{
	struct seal_settings none = rig_settings(SEAL_NONE);
	struct hostkey key = rig_hostkey();
	struct err err = ERR_INIT;
	struct seal *s;

	(void)state;
	assert_int_equal(seal_open_master(&s, &none, rig_master, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	rig_expect_part(err.text, "not encrypted");
	err_clear(&err);
	assert_int_equal(seal_open_host(&s, &none, &key, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	rig_expect_part(err.text, "not encrypted");
	assert_int_equal(seal_mode(NULL), SEAL_NONE);
}

static void
test_seal_a_host_key_fits_its_repository_only(void **state)
{
	struct seal_settings settings = rig_settings(SEAL_PUBLIC);
	struct hostkey key = rig_hostkey();
	struct err err = ERR_INIT;
	struct seal *s;

	(void)state;
	settings.cipher = AEAD_CHACHA20_POLY1305;
	assert_int_equal(seal_open_host(&s, &settings, &key, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	rig_expect_part(err.text, "changed");
	settings = rig_settings(SEAL_SECRET);
	assert_int_equal(seal_open_host(&s, &settings, &key, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	settings = rig_settings(SEAL_PUBLIC);
	settings.repository[0] ^= 1;
	assert_int_equal(seal_open_host(&s, &settings, &key, &err), -1);
	rig_expect_part(err.text, "another repository");
}

static void
test_seal_only_the_owner_signs(void **state)
{
	struct seal *owner = rig_seal(SEAL_PUBLIC), *host = rig_host_seal();
	struct seal *secret = rig_seal(SEAL_SECRET);
	uint8_t signature[SEAL_SIGNATURE_BYTES];
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(seal_sign(host, signature, "epoch", 5, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	assert_int_equal(seal_sign(secret, signature, "epoch", 5, &err), -1);
	assert_int_equal(err.class, ERR_BUG);
	assert_int_equal(seal_sign(owner, signature, "epoch", 5, &err), 0);
	assert_int_equal(seal_verify(host, signature, "epoch", 5, &err), 0);
	assert_int_equal(seal_verify(host, signature, "epocH", 5, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	signature[3] ^= 1;
	assert_int_equal(seal_verify(owner, signature, "epoch", 5, &err), -1);
	seal_free(secret);
	seal_free(host);
	seal_free(owner);
}

static void
test_seal_words_come_back(void **state)
{
	enum seal_mode mode;

	(void)state;
	assert_int_equal(seal_mode_parse(&mode, "public"), 0);
	assert_int_equal(mode, SEAL_PUBLIC);
	assert_string_equal(seal_mode_name(SEAL_SECRET), "secret");
	assert_int_equal(seal_mode_parse(&mode, "open"), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seal_names_blobs_by_the_key),
		cmocka_unit_test(test_seal_objects_have_their_keys),
		cmocka_unit_test(test_seal_hosts_make_what_they_cannot_open),
		cmocka_unit_test(test_seal_changed_settings_are_found),
		cmocka_unit_test(test_seal_a_key_for_plain_settings_is_refused),
		cmocka_unit_test(test_seal_a_host_key_fits_its_repository_only),
		cmocka_unit_test(test_seal_only_the_owner_signs),
		cmocka_unit_test(test_seal_words_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
