/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of one object at a time. */
#include "store/seal/box.h"

#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "common/err.h"
#include "store/seal/secret.h"

struct box_secrets { /* In locked memory. */
	uint8_t key[SEAL_KEY_BYTES];
};

struct box {
	const struct seal *seal;
	struct aead *aead;
	struct box_secrets *secrets;
	bool ready; /* The members below are those of an object. */
	unsigned int type;
	uint8_t id[SEAL_ID_BYTES];
	uint8_t salt[SEAL_SALT_BYTES];
	char name[BACKEND_KEY_MAX + 1]; /* Its key in the repository. */
};

int
box_new(struct box **out, const struct seal *s, struct err *err)
{
	struct box *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return err_no_memory(err);
	b->seal = s;
	if ((b->secrets = secret_alloc(sizeof(*b->secrets))) == NULL) {
		box_free(b);
		return err_no_memory(err);
	}
	if (aead_new(&b->aead, seal_cipher(s), err) == -1) {
		box_free(b);
		return -1;
	}
	*out = b;
	return 0;
}

void
box_free(struct box *b)
{
	if (b == NULL)
		return;
	aead_free(b->aead);
	secret_free(b->secrets, sizeof(*b->secrets));
	free(b);
}

static int
begin(struct box *b, const char *name, unsigned int type,
    const uint8_t id[SEAL_ID_BYTES], struct err *err)
{
	b->ready = false;
	if (strlen(name) >= sizeof(b->name))
		return err_set(err, ERR_BUG, "an object's key is too long");
	memcpy(b->name, name, strlen(name) + 1);
	memcpy(b->id, id, SEAL_ID_BYTES);
	b->type = type;
	return 0;
}

static int
use_key(struct box *b, struct err *err)
{
	if (aead_set_key(b->aead, b->secrets->key, err) == -1)
		return -1;
	b->ready = true;
	return 0;
}

int
box_make(struct box *b, const char *key, unsigned int type,
    const uint8_t id[SEAL_ID_BYTES], uint8_t salt[SEAL_SALT_BYTES],
    struct err *err)
{
	if (begin(b, key, type, id, err) == -1 ||
	    seal_object_make(
		b->seal, b->secrets->key, b->salt, type, id, err) == -1)
		return -1;
	memcpy(salt, b->salt, SEAL_SALT_BYTES);
	return use_key(b, err);
}

int
box_join(struct box *b, const struct box *maker, struct err *err)
{
	if (!maker->ready)
		return err_set(err, ERR_BUG, "a box without an object");
	if (begin(b, maker->name, maker->type, maker->id, err) == -1)
		return -1;
	memcpy(b->salt, maker->salt, SEAL_SALT_BYTES);
	memcpy(b->secrets->key, maker->secrets->key, SEAL_KEY_BYTES);
	return use_key(b, err);
}

int
box_open(struct box *b, const char *key, unsigned int type,
    const uint8_t id[SEAL_ID_BYTES], const uint8_t salt[SEAL_SALT_BYTES],
    struct err *err)
{
	if (b->ready && b->type == type && strcmp(b->name, key) == 0 &&
	    memcmp(b->id, id, SEAL_ID_BYTES) == 0 &&
	    memcmp(b->salt, salt, SEAL_SALT_BYTES) == 0)
		return 0;
	if (begin(b, key, type, id, err) == -1 ||
	    seal_object_open(b->seal, b->secrets->key, salt, type, id, err) ==
		-1)
		return -1;
	memcpy(b->salt, salt, SEAL_SALT_BYTES);
	return use_key(b, err);
}

/* The object's key as text with a zero behind it, then what is bound. */
static int
associated(uint8_t *out, size_t *out_size, const struct box *b,
    const void *bound, size_t bound_size, struct err *err)
{
	size_t name = strlen(b->name) + 1;

	if (!b->ready || bound_size > BOX_BOUND_MAX)
		return err_set(err, ERR_BUG, "a box without an object");
	memcpy(out, b->name, name);
	memcpy(out + name, bound, bound_size);
	*out_size = name + bound_size;
	return 0;
}

int
box_put(struct box *b, uint8_t *out, uint64_t offset, const void *bound,
    size_t bound_size, const void *in, size_t size, struct err *err)
{
	uint8_t ad[BACKEND_KEY_MAX + 1 + BOX_BOUND_MAX];
	size_t ad_size;

	if (associated(ad, &ad_size, b, bound, bound_size, err) == -1)
		return -1;
	return aead_seal(b->aead, out, offset, ad, ad_size, in, size, err);
}

int
box_get(struct box *b, void *out, uint64_t offset, const void *bound,
    size_t bound_size, const uint8_t *in, size_t size, struct err *err)
{
	uint8_t ad[BACKEND_KEY_MAX + 1 + BOX_BOUND_MAX];
	size_t ad_size;

	if (associated(ad, &ad_size, b, bound, bound_size, err) == -1)
		return -1;
	return aead_open(b->aead, out, offset, ad, ad_size, in, size, err);
}
