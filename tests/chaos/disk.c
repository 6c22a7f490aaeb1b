/* SPDX-License-Identifier: Apache-2.0 */
/* Disks made of numbers. */
#include "tests/chaos/disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"
#include "store/digest.h"

#define GUEST_MAX (1u << 20)
/* Blocks that any guest may have: from a pool as small as this they do. */
#define SHARED_BLOCKS 160u

uint64_t
chance(uint64_t *state)
{
	uint64_t v = *state += UINT64_C(0x9e3779b97f4a7c15);

	v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
	return v ^ v >> 31;
}

uint32_t
chance_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(chance(state) >> 32) % n;
}

static void *
need(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

void
disk_fini(struct disk *d)
{
	free(d->blocks);
	d->blocks = NULL;
}

void
disk_copy(struct disk *out, const struct disk *d)
{
	*out = *d;
	out->blocks = need(malloc((d->count + 1) * sizeof(*d->blocks)));
	if (d->count > 0)
		memcpy(out->blocks, d->blocks, d->count * sizeof(*d->blocks));
}

static uint64_t
draw_block(uint64_t *state, uint32_t own)
{
	switch (chance_below(state, 8)) {
	case 0:
		return 0;
	case 1:
	case 2:
	case 3:
		return 1 + chance_below(state, SHARED_BLOCKS);
	default:
		return (uint64_t)(own + 1) << 48 | chance(state) >> 16;
	}
}

static void
resize(struct disk *d, uint64_t *state, uint64_t size_bytes, uint32_t own)
{
	size_t count =
	    (size_t)((size_bytes + STORE_BLOCK_BYTES - 1) / STORE_BLOCK_BYTES);

	d->blocks =
	    need(reallocarray(d->blocks, count + 1, sizeof(*d->blocks)));
	d->size_bytes = size_bytes;
	for (; d->count < count; d->count++)
		d->blocks[d->count] = draw_block(state, own);
	d->count = count;
}

void
disk_make(struct disk *out, uint64_t *state, uint32_t own)
{
	/* Some have more than one pack. */
	uint32_t count = chance_below(state, 10) == 0
			     ? 600 + chance_below(state, 100)
			     : 40 + chance_below(state, 100);

	*out = (struct disk){ .count = 0 };
	resize(out, state,
	    (uint64_t)count * STORE_BLOCK_BYTES -
		chance_below(state, 3) * 12345,
	    own);
}

void
disk_change(struct disk *d, uint64_t *state, uint32_t own)
{
	uint32_t writes = 1 + chance_below(state, 8), length;
	size_t at;

	if (chance_below(state, 10) == 0)
		resize(
		    d, state, d->size_bytes + chance_below(state, 500000), own);
	while (writes-- > 0) {
		at = chance_below(state, (uint32_t)d->count);
		length = 1 + chance_below(state, 8);
		for (; length > 0 && at < d->count; length--)
			d->blocks[at++] = draw_block(state, own);
	}
}

void
disk_block(const struct disk *d, size_t i, uint8_t out[STORE_BLOCK_BYTES])
{
	uint64_t state = d->blocks[i], word, at = i * STORE_BLOCK_BYTES;
	/* One in four compresses. */
	const uint64_t mask =
	    state % 4 == 0 ? UINT64_C(0x0303030303030303) : UINT64_MAX;
	size_t k;

	memset(out, 0, STORE_BLOCK_BYTES);
	if (state == 0)
		return;
	for (k = 0; k < STORE_BLOCK_BYTES; k += sizeof(word)) {
		word = chance(&state) & mask;
		memcpy(out + k, &word, sizeof(word));
	}
	if (d->size_bytes - at < STORE_BLOCK_BYTES)
		memset(out + (d->size_bytes - at), 0,
		    STORE_BLOCK_BYTES - (size_t)(d->size_bytes - at));
}

bool
disk_differs(const struct disk *d, const struct disk *base, size_t i)
{
	/* Behind the base's end it reads as zeros; at the end it was cut. */
	if (i >= base->count)
		return d->blocks[i] != 0;
	if (d->size_bytes != base->size_bytes && i + 1 == base->count)
		return true;
	return d->blocks[i] != base->blocks[i];
}

int
disk_hash(const struct disk *d, char out[DISK_HASH_SIZE], struct err *err)
{
	uint8_t *bytes = need(calloc(d->count + 1, STORE_BLOCK_BYTES));
	uint8_t hash[DIGEST_BYTES];
	size_t i;
	int rc;

	for (i = 0; i < d->count; i++)
		disk_block(d, i, bytes + i * STORE_BLOCK_BYTES);
	rc = digest_once(hash, bytes, (size_t)d->size_bytes, err);
	free(bytes);
	if (rc == 0)
		hex_encode(out, hash, sizeof(hash));
	return rc;
}

/* ---- a guest's file: its point, size and count, then the blocks ---- */

struct head {
	char point[HEXID_SIZE];
	uint64_t size_bytes, count;
};

int
guest_load(struct guest *out, const char *path, struct err *err)
{
	struct head head;
	char *text;
	size_t size;

	*out = (struct guest){ .point = "" };
	if (access(path, F_OK) == -1)
		return 0;
	if (io_read_file(&text, &size, path, GUEST_MAX, err) == -1)
		return -1;
	memcpy(&head, text, sizeof(head));
	memcpy(out->point, head.point, sizeof(out->point));
	out->disk.size_bytes = head.size_bytes;
	out->disk.count = (size_t)head.count;
	out->disk.blocks =
	    need(malloc((out->disk.count + 1) * sizeof(*out->disk.blocks)));
	memcpy(out->disk.blocks, text + sizeof(head),
	    out->disk.count * sizeof(*out->disk.blocks));
	free(text);
	return 0;
}

int
guest_save(const struct guest *g, const char *path, struct err *err)
{
	const struct disk *d = &g->disk;
	size_t size = sizeof(struct head) + d->count * sizeof(*d->blocks);
	struct head head = { .size_bytes = d->size_bytes, .count = d->count };
	char *text = need(malloc(size));
	int rc;

	memcpy(head.point, g->point, sizeof(head.point));
	memcpy(text, &head, sizeof(head));
	memcpy(text + sizeof(head), d->blocks, d->count * sizeof(*d->blocks));
	rc = io_replace_file(path, text, size, 0600, err);
	free(text);
	return rc;
}
