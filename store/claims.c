/* SPDX-License-Identifier: Apache-2.0 */
/* A sharded hash table with linear probing. */
#include "store/claims.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/endian.h"
#include "common/err.h"

#define SHARDS 32u
#define KEY_BYTES (1 + DIGEST_BYTES)

struct shard {
	pthread_mutex_t lock;
	uint8_t (*slots)[KEY_BYTES]; /* First byte 0: empty. */
	size_t capacity;             /* A power of two. */
	size_t count;
};

struct claims {
	struct shard shards[SHARDS];
};

struct claims *
claims_new(void)
{
	struct claims *c = calloc(1, sizeof(*c));
	unsigned int i;

	for (i = 0; c != NULL && i < SHARDS; i++)
		pthread_mutex_init(&c->shards[i].lock, NULL);
	return c;
}

void
claims_free(struct claims *c)
{
	unsigned int i;

	if (c == NULL)
		return;
	for (i = 0; i < SHARDS; i++) {
		pthread_mutex_destroy(&c->shards[i].lock);
		free(c->shards[i].slots);
	}
	free(c);
}

/* Hashes are random already: any of their bytes will do. */
static size_t
home_of(const uint8_t key[KEY_BYTES], size_t capacity)
{
	return (size_t)be64_get(key + 9) & (capacity - 1);
}

/* The key's slot, or the empty one where it belongs. */
static size_t
find_slot(const struct shard *s, const uint8_t key[KEY_BYTES])
{
	size_t i = home_of(key, s->capacity);

	while (s->slots[i][0] != 0 && memcmp(s->slots[i], key, KEY_BYTES) != 0)
		i = (i + 1) & (s->capacity - 1);
	return i;
}

static int
shard_grow(struct shard *s, struct err *err)
{
	struct shard larger = { .capacity =
				    s->capacity > 0 ? s->capacity * 2 : 64 };
	size_t i;

	larger.slots = calloc(larger.capacity, KEY_BYTES);
	if (larger.slots == NULL)
		return err_no_memory(err);
	for (i = 0; i < s->capacity; i++) {
		if (s->slots[i][0] != 0)
			memcpy(larger.slots[find_slot(&larger, s->slots[i])],
			    s->slots[i], KEY_BYTES);
	}
	free(s->slots);
	s->slots = larger.slots;
	s->capacity = larger.capacity;
	return 0;
}

static int
shard_take(struct shard *s, const uint8_t key[KEY_BYTES], struct err *err)
{
	size_t i;

	if (s->count * 4 >= s->capacity * 3 && shard_grow(s, err) == -1)
		return -1;
	i = find_slot(s, key);
	if (s->slots[i][0] != 0)
		return 0;
	memcpy(s->slots[i], key, KEY_BYTES);
	s->count++;
	return 1;
}

/* Empties a slot and moves up what had to go past it. */
static void
shard_drop(struct shard *s, const uint8_t key[KEY_BYTES])
{
	size_t hole, i, mask = s->capacity - 1;

	if (s->count == 0)
		return;
	hole = find_slot(s, key);
	if (s->slots[hole][0] == 0)
		return;
	s->count--;
	for (i = (hole + 1) & mask; s->slots[i][0] != 0; i = (i + 1) & mask) {
		if (((i - home_of(s->slots[i], s->capacity)) & mask) <
		    ((i - hole) & mask))
			continue;
		memcpy(s->slots[hole], s->slots[i], KEY_BYTES);
		hole = i;
	}
	s->slots[hole][0] = 0;
}

static struct shard *
key_of(struct claims *c, uint8_t key[KEY_BYTES], enum blob_type type,
    const uint8_t *hash)
{
	key[0] = (uint8_t)type;
	memcpy(key + 1, hash, DIGEST_BYTES);
	return &c->shards[hash[0] % SHARDS];
}

int
claims_take(struct claims *c, enum blob_type type,
    const uint8_t hash[DIGEST_BYTES], struct err *err)
{
	uint8_t key[KEY_BYTES];
	struct shard *s = key_of(c, key, type, hash);
	int rc;

	pthread_mutex_lock(&s->lock);
	rc = shard_take(s, key, err);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void
claims_drop(struct claims *c, const struct pack_table *table)
{
	uint8_t key[KEY_BYTES];
	struct shard *s;
	uint32_t i;

	for (i = 0; i < table->blob_count; i++) {
		s = key_of(c, key, table->blobs[i].type, table->blobs[i].hash);
		pthread_mutex_lock(&s->lock);
		shard_drop(s, key);
		pthread_mutex_unlock(&s->lock);
	}
}
