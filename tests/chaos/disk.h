/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's disk without a guest: a row of blocks, each made from a number.
 * A disk and what it was are told apart by the numbers alone, as a bitmap
 * would.  Out of memory ends the program.
 */
#ifndef HOLDSTILL_TESTS_CHAOS_DISK_H
#define HOLDSTILL_TESTS_CHAOS_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/hexid.h"
#include "store/store.h"

struct err;

/* What comes next of a seed; the same everywhere. */
uint64_t chance(uint64_t *state);
/* Below n, which is not 0. */
uint32_t chance_below(uint64_t *state, uint32_t n);

struct disk {
	uint64_t size_bytes;
	size_t count;     /* Blocks; the last may be cut at the size. */
	uint64_t *blocks; /* 0: zeros. */
};

void disk_fini(struct disk *d);
void disk_copy(struct disk *out, const struct disk *d);
/* A new one; own tells the blocks of one guest from those of others, which
 * share the rest. */
void disk_make(struct disk *out, uint64_t *state, uint32_t own);
/* What a guest does between two backups: writes, zeros, grows. */
void disk_change(struct disk *d, uint64_t *state, uint32_t own);
/* The bytes of a block, zeros behind the disk's end. */
void disk_block(const struct disk *d, size_t i, uint8_t out[STORE_BLOCK_BYTES]);
/* Does block i have to be written on top of base? */
bool disk_differs(const struct disk *d, const struct disk *base, size_t i);
/* SHA-256 of all its bytes, as hex digits. */
#define DISK_HASH_SIZE 65
int disk_hash(const struct disk *d, char out[DISK_HASH_SIZE], struct err *err);

/* What a host remembers of a guest: its last point, and the disk then. */
struct guest {
	char point[HEXID_SIZE]; /* "": there is none. */
	struct disk disk;
};

/* An absent file is a guest without a point. */
int guest_load(struct guest *out, const char *path, struct err *err);
int guest_save(const struct guest *g, const char *path, struct err *err);

#endif
