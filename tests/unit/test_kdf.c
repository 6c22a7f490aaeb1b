/* SPDX-License-Identifier: Apache-2.0 */
/* Derivations, MACs and curves against published vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hexid.h"
#include "store/seal/curve.h"
#include "store/seal/kdf.h"
#include "store/seal/mac.h"
#include "tests/unit/seal_rig.h"

static void
count_up(uint8_t *out, unsigned int first, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		out[i] = (uint8_t)(first + i);
}

/* RFC 5869, appendix A.1 to A.3. */
static void
test_kdf_hkdf_gives_rfc_5869(void **state)
{
	uint8_t ikm[80], salt[80], info[80], out[82];
	struct err err = ERR_INIT;

	(void)state;
	memset(ikm, 0x0b, 22);
	count_up(salt, 0, 13);
	count_up(info, 0xf0, 10);
	assert_int_equal(kdf_hkdf(out, 42, (struct kdf_bytes){ ikm, 22 },
			     (struct kdf_bytes){ salt, 13 },
			     (struct kdf_bytes){ info, 10 }, &err),
	    0);
	rig_expect_hex(out, 42,
	    "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
	    "34007208d5b887185865");
	assert_int_equal(kdf_hkdf(out, 42, (struct kdf_bytes){ ikm, 22 },
			     (struct kdf_bytes){ NULL, 0 },
			     (struct kdf_bytes){ NULL, 0 }, &err),
	    0);
	rig_expect_hex(out, 42,
	    "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
	    "9d201395faa4b61a96c8");
	count_up(ikm, 0, 80);
	count_up(salt, 0x60, 80);
	count_up(info, 0xb0, 80);
	assert_int_equal(kdf_hkdf(out, 82, (struct kdf_bytes){ ikm, 80 },
			     (struct kdf_bytes){ salt, 80 },
			     (struct kdf_bytes){ info, 80 }, &err),
	    0);
	rig_expect_hex(out, 82,
	    "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
	    "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
	    "cc30c58179ec3e87c14c01d5c1f3434f1d87");
}

/* RFC 9106, section 5.3. */
static void
test_kdf_argon2id_gives_rfc_9106(void **state)
{
	uint8_t password[32], salt[16], secret[8], data[12], out[32];
	struct kdf_argon2 in = {
		.memory_kib = 32,
		.passes = 3,
		.lanes = 4,
		.password = { password, sizeof(password) },
		.salt = { salt, sizeof(salt) },
		.secret = { secret, sizeof(secret) },
		.data = { data, sizeof(data) },
	};
	struct err err = ERR_INIT;

	(void)state;
	memset(password, 1, sizeof(password));
	memset(salt, 2, sizeof(salt));
	memset(secret, 3, sizeof(secret));
	memset(data, 4, sizeof(data));
	assert_int_equal(kdf_argon2id(out, sizeof(out), &in, &err), 0);
	rig_expect_hex(out, sizeof(out),
	    "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
	assert_int_equal(password[0], 1);
	in.memory_kib = 8;
	assert_int_equal(kdf_argon2id(out, sizeof(out), &in, &err), -1);
	assert_int_equal(err.class, ERR_ARG);
}

/* RFC 4231, cases 1 and 2; twice, for a mac is reused. */
static void
test_mac_gives_rfc_4231(void **state)
{
	uint8_t key[20], out[MAC_BYTES];
	struct err err = ERR_INIT;
	struct mac *m;
	int i;

	(void)state;
	memset(key, 0x0b, sizeof(key));
	assert_int_equal(mac_new(&m, key, sizeof(key), &err), 0);
	for (i = 0; i < 2; i++) {
		assert_int_equal(mac_of(m, out, "Hi There", 8, &err), 0);
		rig_expect_hex(out, sizeof(out),
		    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2"
		    "e32cff7");
	}
	mac_free(m);
	assert_int_equal(
	    mac_once(out, "Jefe", 4, "what do ya want for nothing?", 28, &err),
	    0);
	rig_expect_hex(out, sizeof(out),
	    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/* RFC 7748, section 6.1. */
static void
test_curve_x25519_gives_rfc_7748(void **state)
{
	uint8_t alice[32], bob[32], half[32], out[32];
	struct err err = ERR_INIT;

	(void)state;
	hex_decode(alice, 32, /* Her public half. */
	    "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
	hex_decode(bob, 32,
	    "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
	assert_int_equal(curve_x25519_public(half, bob, &err), 0);
	rig_expect_hex(half, 32,
	    "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
	assert_int_equal(curve_x25519_shared(out, bob, alice, &err), 0);
	rig_expect_hex(out, 32,
	    "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
	/* A point of small order would make the key known to all. */
	memset(half, 0, sizeof(half));
	assert_int_equal(curve_x25519_shared(out, bob, half, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
}

/* RFC 8032, section 7.1, test 1. */
static void
test_curve_ed25519_gives_rfc_8032(void **state)
{
	uint8_t seed[32], half[32], signature[CURVE_SIGNATURE_BYTES];
	struct err err = ERR_INIT;

	(void)state;
	hex_decode(seed, 32,
	    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
	assert_int_equal(curve_ed25519_public(half, seed, &err), 0);
	rig_expect_hex(half, 32,
	    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
	assert_int_equal(curve_ed25519_sign(signature, seed, "", 0, &err), 0);
	rig_expect_hex(signature, sizeof(signature),
	    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555f"
	    "b8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
	assert_int_equal(curve_ed25519_verify(signature, half, "", 0, &err), 0);
	assert_int_equal(
	    curve_ed25519_verify(signature, half, "x", 1, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kdf_hkdf_gives_rfc_5869),
		cmocka_unit_test(test_kdf_argon2id_gives_rfc_9106),
		cmocka_unit_test(test_mac_gives_rfc_4231),
		cmocka_unit_test(test_curve_x25519_gives_rfc_7748),
		cmocka_unit_test(test_curve_ed25519_gives_rfc_8032),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
