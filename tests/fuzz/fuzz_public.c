/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole objects of a repository of mode public, as their owner reads them:
 * sealed to the public key, with a host's mark, or signed.  The first byte
 * chooses the type, the rest is the object.
 */
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "store/pack.h"
#include "store/seal/chain.h"
#include "store/seal/seal.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/one_object.h"

#define BODY_MAX (1u << 20)

static struct seal *seal;
static struct chain_checker *checker;

static void
close_keys(void)
{
	chain_checker_free(checker);
	seal_free(seal);
}

/* Any key will do, as long as it is that of the corpus. */
static void
open_keys(void)
{
	static const uint8_t master[SEAL_KEY_BYTES] =
	    "a key of the fuzzers' own";
	struct seal_settings settings = {
		.mode = SEAL_PUBLIC,
		.cipher = AEAD_AES_256_GCM,
		.repository = "fuzzed objects!",
		.block_bytes = 65536,
		.compression = "zstd:1",
		.undelete_days = 7,
	};
	struct err err = ERR_INIT;

	require(seal_settings_sign(&settings, master, &err) == 0);
	require(seal_open_master(&seal, &settings, master, &err) == 0);
	require(chain_checker_new(&checker, seal, &err) == 0);
	/* They lie in memory that leaks are not looked for in. */
	require(atexit(close_keys) == 0);
}

static int
check_mark(void *arg, const void *object, size_t size, struct err *err)
{
	uint8_t host[SEAL_ID_BYTES];
	uint64_t n;

	return chain_check(arg, host, &n, object, size, err);
}

static void
read_pack(struct backend *b)
{
	struct err err = ERR_INIT;
	struct pack_table table;
	uint64_t size;

	if (pack_read_table(&table, &size, b, seal, one_object_id, &err) == 0)
		pack_table_fini(&table);
	else
		require(
		    err.class == ERR_CORRUPT || err.class == ERR_UNSUPPORTED);
}

static void
read_object(struct backend *b, enum object_type type)
{
	const struct envelope_marks marks = { .arg = checker,
		.check = check_mark };
	struct err err = ERR_INIT;
	char key[OBJECT_KEY_SIZE], *body;
	size_t size;
	int rc;

	object_key(key, type, one_object_id);
	rc = type == OBJECT_MANIFEST
		 ? envelope_get_marked(b, seal, &marks, key, type,
		       one_object_id, BODY_MAX, &body, &size, &err)
		 : envelope_get(b, seal, key, type, one_object_id, NULL,
		       BODY_MAX, &body, &size, &err);
	if (rc == 0) {
		require(size <= BODY_MAX && body[size] == '\0');
		free(body);
	} else {
		require(
		    err.class == ERR_CORRUPT || err.class == ERR_UNSUPPORTED);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum object_type types[] = { OBJECT_INDEX, OBJECT_MANIFEST,
		OBJECT_DAMAGE, OBJECT_PACK };
	enum object_type type;

	if (seal == NULL)
		open_keys();
	if (size == 0)
		return 0;
	type = types[data[0] % 4];
	if (type == OBJECT_PACK)
		read_pack(one_object(type, data + 1, size - 1));
	else
		read_object(one_object_signed(type, data + 1, size - 1), type);
	return 0;
}
