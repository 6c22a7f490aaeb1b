/* SPDX-License-Identifier: Apache-2.0 */
/* Claims against a plain array of flags, with few homes for many keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/endian.h"
#include "common/err.h"
#include "store/claims.h"

#define KEYS 400u

/* All in one shard; homes lie close together, so that probes run into each
 * other and around the end of the table. */
static void
name(uint8_t hash[DIGEST_BYTES], unsigned int key)
{
	memset(hash, 0, DIGEST_BYTES);
	be64_put(hash + 8, key % 2 == 0 ? key % 16 : UINT64_MAX - key % 8);
	be32_put(hash + 20, key);
}

static void
drop(struct claims *c, unsigned int key)
{
	struct pack_blob blob = { .type = BLOB_DATA };
	struct pack_table table = { .blobs = &blob, .blob_count = 1 };

	name(blob.hash, key);
	claims_drop(c, &table);
}

static void
test_claims_match_a_plain_set(void **state)
{
	bool taken[KEYS] = { false };
	uint8_t hash[DIGEST_BYTES];
	struct claims *c = claims_new();
	struct err err = ERR_INIT;
	unsigned int i, key;

	(void)state;
	srand(3);
	for (i = 0; i < 40000; i++) {
		key = (unsigned int)rand() % KEYS;
		if (rand() % 2 == 0) {
			name(hash, key);
			assert_int_equal(
			    claims_take(c, BLOB_DATA, hash, &err), !taken[key]);
			taken[key] = true;
		} else {
			drop(c, key);
			taken[key] = false;
		}
	}
	claims_free(c);
}

static void
test_claims_keep_types_apart(void **state)
{
	struct claims *c = claims_new();
	uint8_t hash[DIGEST_BYTES];
	struct err err = ERR_INIT;

	(void)state;
	name(hash, 1);
	assert_int_equal(claims_take(c, BLOB_DATA, hash, &err), 1);
	assert_int_equal(claims_take(c, BLOB_MAP, hash, &err), 1);
	assert_int_equal(claims_take(c, BLOB_MAP, hash, &err), 0);
	drop(c, 1);
	assert_int_equal(claims_take(c, BLOB_MAP, hash, &err), 0);
	assert_int_equal(claims_take(c, BLOB_DATA, hash, &err), 1);
	claims_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims_match_a_plain_set),
		cmocka_unit_test(test_claims_keep_types_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
