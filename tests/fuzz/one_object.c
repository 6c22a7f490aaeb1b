/* SPDX-License-Identifier: Apache-2.0 */
/* One object in memory of its own size, for the sanitizer to see each step
 * outside. */
#include "tests/fuzz/one_object.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "common/endian.h"
#include "common/err.h"

const uint8_t one_object_id[OBJECT_ID_BYTES] = "holdstill fuzzer";

static char object_name[OBJECT_KEY_SIZE];
static uint8_t *object;
static size_t object_size;

void
require(bool holds)
{
	if (!holds)
		abort();
}

static int
has(const char *key, struct err *err)
{
	if (strcmp(key, object_name) == 0)
		return 0;
	return err_set(err, ERR_NOT_FOUND, "no object '%s'", key);
}

static void
one_close(struct backend *b)
{
	(void)b;
}

static int
one_put(struct backend *b, const char *key, const void *buf, size_t size,
    struct err *err)
{
	(void)b;
	(void)key;
	(void)buf;
	(void)size;
	(void)err;
	return 0;
}

static int
one_get(struct backend *b, const char *key, uint64_t offset, void *buf,
    size_t size, struct err *err)
{
	(void)b;
	if (has(key, err) == -1)
		return -1;
	if (offset > object_size || size > object_size - offset)
		return err_set(err, ERR_CORRUPT, "object '%s' ends", key);
	memcpy(buf, object + offset, size);
	return 0;
}

static int
one_stat(struct backend *b, const char *key, uint64_t *out, struct err *err)
{
	(void)b;
	*out = object_size;
	return has(key, err);
}

static int
one_remove(struct backend *b, const char *key, struct err *err)
{
	(void)b;
	(void)key;
	(void)err;
	return 0;
}

static int
one_list(struct backend *b, const char *prefix, backend_visit_fn *fn, void *arg,
    struct err *err)
{
	(void)b;
	(void)err;
	if (strncmp(object_name, prefix, strlen(prefix)) == 0)
		fn(arg, object_name, object_size);
	return 0;
}

static const struct backend_ops ops = {
	.scheme = "one",
	.close = one_close,
	.put = one_put,
	.get = one_get,
	.stat = one_stat,
	.remove = one_remove,
	.list = one_list,
};

static struct backend *
backend_of(enum object_type type, size_t size)
{
	static struct backend backend = { .ops = &ops };

	object_key(object_name, type, one_object_id);
	free(object);
	require((object = malloc(size + 1)) != NULL);
	object_size = size;
	return &backend;
}

struct backend *
one_object(enum object_type type, const uint8_t *data, size_t size)
{
	struct backend *b = backend_of(type, size);

	if (size > 0)
		memcpy(object, data, size);
	return b;
}

/* SHA-256 without a context of the store's: some fuzzers stand in for it. */
static void
put_hash(void)
{
	if (object_size >= SHA256_DIGEST_LENGTH)
		SHA256(object, object_size - SHA256_DIGEST_LENGTH,
		    object + object_size - SHA256_DIGEST_LENGTH);
}

struct backend *
one_object_signed(enum object_type type, const uint8_t *data, size_t size)
{
	struct backend *b = one_object(type, data, size);

	put_hash();
	return b;
}

struct backend *
one_object_around(enum object_type type, unsigned int coding, uint64_t raw_size,
    const uint8_t *body, size_t size)
{
	struct backend *b =
	    backend_of(type, ENVELOPE_HEAD_BYTES + size + SHA256_DIGEST_LENGTH);
	struct object_head head = { .type = type,
		.coding = coding,
		.stored_size = size,
		.raw_size = raw_size };

	memcpy(head.id, one_object_id, sizeof(head.id));
	envelope_head_put(object, &head);
	if (size > 0)
		memcpy(object + ENVELOPE_HEAD_BYTES, body, size);
	put_hash();
	return b;
}
