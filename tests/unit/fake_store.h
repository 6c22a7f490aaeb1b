/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that is only a list of manifests in memory, for tests of what stands
 * above the store.  Defines the few store_* functions that they call.
 */
#ifndef HOLDSTILL_TESTS_UNIT_FAKE_STORE_H
#define HOLDSTILL_TESTS_UNIT_FAKE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/hexid.h"

#define FAKE_STORE_POINTS_MAX 256

struct fake_point {
	char id[HEXID_SIZE];
	char parent[HEXID_SIZE];
	const char *domain;
	int64_t time_ms;
	bool damaged; /* Reading it is ERR_CORRUPT. */
	bool newer;   /* Reading it is ERR_UNSUPPORTED. */
	bool away;    /* Reading it is ERR_IO. */
	bool gone;    /* Listed, but reading it is ERR_NOT_FOUND. */
};

/* What a struct store is, here. */
struct store {
	char id[HEXID_SIZE];
	struct fake_point points[FAKE_STORE_POINTS_MAX];
	size_t count;
	unsigned int reads; /* Calls of store_manifest_read(). */
	char forgotten;     /* Digit of a point with a word on it. */
};

/* Adds a point whose id is digit, 32 times. */
struct fake_point *fake_store_add(
    struct store *s, char digit, const char *domain, int64_t time_ms);

/* The manifest of one point as the store would read it. */
struct manifest *fake_store_manifest(const struct fake_point *point);

#endif
