/* SPDX-License-Identifier: Apache-2.0 */
/* XXH64 as its specification describes it. */
#include "store/checksum.h"

#define P1 UINT64_C(0x9e3779b185ebca87)
#define P2 UINT64_C(0xc2b2ae3d27d4eb4f)
#define P3 UINT64_C(0x165667b19e3779f9)
#define P4 UINT64_C(0x85ebca77c2b2ae63)
#define P5 UINT64_C(0x27d4eb2f165667c5)

static uint64_t
rotate(uint64_t v, int bits)
{
	return v << bits | v >> (64 - bits);
}

static uint64_t
le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static uint64_t
le64(const uint8_t *p)
{
	return le32(p) | le32(p + 4) << 32;
}

static uint64_t
step(uint64_t lane, uint64_t input)
{
	return rotate(lane + input * P2, 31) * P1;
}

static uint64_t
merge(uint64_t hash, uint64_t lane)
{
	return (hash ^ step(0, lane)) * P1 + P4;
}

/* Takes 32 bytes at a time; returns what they come to. */
static uint64_t
stripes(const uint8_t **p, size_t *left)
{
	uint64_t a = P1 + P2, b = P2, c = 0, d = 0 - P1, hash;

	for (; *left >= 32; *left -= 32, *p += 32) {
		a = step(a, le64(*p));
		b = step(b, le64(*p + 8));
		c = step(c, le64(*p + 16));
		d = step(d, le64(*p + 24));
	}
	hash = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
	return merge(merge(merge(merge(hash, a), b), c), d);
}

uint64_t
checksum_of(const void *buf, size_t size)
{
	const uint8_t *p = buf;
	size_t left = size;
	uint64_t hash = size >= 32 ? stripes(&p, &left) : P5;

	hash += size;
	for (; left >= 8; left -= 8, p += 8)
		hash = rotate(hash ^ step(0, le64(p)), 27) * P1 + P4;
	if (left >= 4) {
		hash = rotate(hash ^ le32(p) * P1, 23) * P2 + P3;
		p += 4;
		left -= 4;
	}
	for (; left > 0; left--, p++)
		hash = rotate(hash ^ *p * P5, 11) * P1;
	hash = (hash ^ hash >> 33) * P2;
	hash = (hash ^ hash >> 29) * P3;
	return hash ^ hash >> 32;
}
