/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of blocks as bit strings. */
#include "agent/source/extents.h"

#include <stdlib.h>
#include <string.h>

#include "common/ckd.h"
#include "common/err.h"
#include "store/store.h"

#define WORD_BITS 64u

static uint64_t
words_of(uint64_t block_count)
{
	return block_count / WORD_BITS + 1;
}

int
extent_set_init(struct extent_set *set, uint64_t first_block,
    uint64_t block_count, struct err *err)
{
	set->words = calloc(words_of(block_count), sizeof(*set->words));
	if (set->words == NULL)
		return err_no_memory(err);
	set->first_block = first_block;
	set->block_count = block_count;
	return 0;
}

void
extent_set_fini(struct extent_set *set)
{
	free(set->words);
	set->words = NULL;
}

void
extent_set_move(
    struct extent_set *set, uint64_t first_block, uint64_t block_count)
{
	memset(set->words, 0, words_of(block_count) * sizeof(*set->words));
	set->first_block = first_block;
	set->block_count = block_count;
}

/* Sets the bits [first, end). */
static void
fill(uint64_t *words, uint64_t first, uint64_t end)
{
	while (first < end) {
		if (first % WORD_BITS == 0 && end - first >= WORD_BITS) {
			words[first / WORD_BITS] = UINT64_MAX;
			first += WORD_BITS;
		} else {
			words[first / WORD_BITS] |= (uint64_t)1
						    << first % WORD_BITS;
			first++;
		}
	}
}

void
extent_set_add(struct extent_set *set, uint64_t offset, uint64_t bytes)
{
	uint64_t set_end = set->first_block + set->block_count;
	uint64_t first = offset / STORE_BLOCK_BYTES, last, end;

	if (bytes == 0)
		return;
	if (ckd_add(&last, offset, bytes - 1))
		last = UINT64_MAX;
	end = last / STORE_BLOCK_BYTES + 1;
	if (first < set->first_block)
		first = set->first_block;
	if (end > set_end)
		end = set_end;
	if (first < end)
		fill(set->words, first - set->first_block,
		    end - set->first_block);
}

bool
extent_set_has(const struct extent_set *set, uint64_t block)
{
	uint64_t bit = block - set->first_block;

	if (block < set->first_block || bit >= set->block_count)
		return false;
	return set->words[bit / WORD_BITS] >> bit % WORD_BITS & 1;
}

uint64_t
extent_set_count(const struct extent_set *set)
{
	uint64_t count = 0, i;

	for (i = 0; i < words_of(set->block_count); i++)
		count += (uint64_t)__builtin_popcountll(set->words[i]);
	return count;
}

/* The first bit in [from, end) that is as wanted, or end. */
static uint64_t
find(const struct extent_set *set, bool present, uint64_t from, uint64_t end)
{
	uint64_t word, found;

	while (from < end) {
		word = set->words[from / WORD_BITS];
		if (!present)
			word = ~word;
		word &= UINT64_MAX << from % WORD_BITS;
		if (word != 0) {
			found = from / WORD_BITS * WORD_BITS +
				(uint64_t)__builtin_ctzll(word);
			return found < end ? found : end;
		}
		from = (from / WORD_BITS + 1) * WORD_BITS;
	}
	return end;
}

uint64_t
extent_set_run(const struct extent_set *set, bool present, uint64_t from,
    uint64_t end, uint64_t *out_first)
{
	uint64_t base = set->first_block, first, last;

	if (from < base)
		from = base;
	if (end > base + set->block_count)
		end = base + set->block_count;
	if (from >= end)
		return 0;
	first = find(set, present, from - base, end - base);
	last = find(set, !present, first, end - base);
	*out_first = first + base;
	return last - first;
}
