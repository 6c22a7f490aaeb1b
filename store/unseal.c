/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of sealed packs; the salts of the packs that were read last. */
#include "store/unseal.h"

#include <stdlib.h>
#include <string.h>

#include "common/endian.h"
#include "common/err.h"
#include "store/store_internal.h"

/* 200 KiB: as many packs are 128 GiB. */
#define SALTS 4096u

struct salt {
	bool used;
	uint8_t pack[OBJECT_ID_BYTES];
	uint8_t salt[SEAL_SALT_BYTES];
};

struct salts {
	pthread_mutex_t lock;
	/* A pack has one place; it drives out who was there. */
	struct salt salt[SALTS];
};

struct unseal {
	struct store *store;
	struct box *box;
};

struct salts *
salts_new(void)
{
	struct salts *s = calloc(1, sizeof(*s));

	if (s != NULL)
		pthread_mutex_init(&s->lock, NULL);
	return s;
}

void
salts_free(struct salts *s)
{
	if (s == NULL)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Ids are random: their first bytes spread evenly. */
static struct salt *
place_of(struct salts *s, const uint8_t *pack)
{
	return &s->salt[be32_get(pack) % SALTS];
}

static int
salt_of(uint8_t out[SEAL_SALT_BYTES], struct store *store, const uint8_t *pack,
    struct err *err)
{
	struct salts *s = store->salts;
	struct salt *place = place_of(s, pack);
	char key[OBJECT_KEY_SIZE];
	bool known;

	pthread_mutex_lock(&s->lock);
	known = place->used && memcmp(place->pack, pack, OBJECT_ID_BYTES) == 0;
	if (known)
		memcpy(out, place->salt, SEAL_SALT_BYTES);
	pthread_mutex_unlock(&s->lock);
	if (known)
		return 0;
	if (backend_get(store->backend, object_key(key, OBJECT_PACK, pack),
		ENVELOPE_HEAD_BYTES, out, SEAL_SALT_BYTES, err) == -1)
		return -1;
	pthread_mutex_lock(&s->lock);
	place->used = true;
	memcpy(place->pack, pack, OBJECT_ID_BYTES);
	memcpy(place->salt, out, SEAL_SALT_BYTES);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

int
unseal_new(struct unseal **out, struct store *s, struct err *err)
{
	struct unseal *u;

	*out = NULL;
	if (s->seal == NULL)
		return 0;
	if ((u = calloc(1, sizeof(*u))) == NULL)
		return err_no_memory(err);
	u->store = s;
	if (box_new(&u->box, s->seal, err) == -1) {
		free(u);
		return -1;
	}
	*out = u;
	return 0;
}

void
unseal_free(struct unseal *u)
{
	if (u == NULL)
		return;
	box_free(u->box);
	free(u);
}

int
unseal_frame(struct unseal *u, void *out, const uint8_t pack[OBJECT_ID_BYTES],
    uint32_t offset, const uint8_t *stored, size_t stored_size, struct err *err)
{
	uint8_t salt[SEAL_SALT_BYTES];

	if (salt_of(salt, u->store, pack, err) == -1)
		return -1;
	return pack_open_frame(u->box, u->store->seal, out, pack, salt, offset,
	    stored, stored_size, err);
}
