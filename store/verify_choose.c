/* SPDX-License-Identifier: Apache-2.0 */
/* Which packs a verify reads, and in which order. */
#include <stdlib.h>

#include "store/verify_internal.h"

/* splitmix64: for a fair choice, not for secrets. */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static void
shuffle(size_t *chosen, size_t count, uint64_t seed)
{
	size_t i, other, kept;

	for (i = 0; i + 1 < count; i++) {
		other = i + (size_t)(next_random(&seed) % (count - i));
		kept = chosen[i];
		chosen[i] = chosen[other];
		chosen[other] = kept;
	}
}

struct by_age {
	int64_t checked_ms;
	size_t place; /* In the shuffled order. */
	size_t pack;
};

static int
compare_age(const void *a, const void *b)
{
	const struct by_age *x = a, *y = b;

	if (x->checked_ms != y->checked_ms)
		return x->checked_ms < y->checked_ms ? -1 : 1;
	return x->place < y->place ? -1 : 1;
}

/* Never checked first, then the longest ago; what is equal stays shuffled. */
static int
sort_by_age(
    size_t *chosen, size_t count, const int64_t *checked_ms, struct err *err)
{
	struct by_age *sorted = calloc(count + 1, sizeof(*sorted));
	size_t i;

	if (sorted == NULL)
		return err_no_memory(err);
	for (i = 0; i < count; i++) {
		sorted[i].checked_ms = checked_ms[chosen[i]];
		sorted[i].place = i;
		sorted[i].pack = chosen[i];
	}
	if (count > 1)
		qsort(sorted, count, sizeof(*sorted), compare_age);
	for (i = 0; i < count; i++)
		chosen[i] = sorted[i].pack;
	free(sorted);
	return 0;
}

static int
remember(struct verify *v, struct err *err)
{
	const struct store_verify_memory *memory = v->options->memory;

	v->checked_ms = calloc(v->packs.count + 1, sizeof(*v->checked_ms));
	if (v->checked_ms == NULL)
		return err_no_memory(err);
	if (memory == NULL)
		return 0;
	return memory->begin(memory->arg,
	    (const uint8_t(*)[STORE_PACK_ID_BYTES])v->packs.ids, v->packs.count,
	    v->checked_ms, err);
}

static int
order(size_t *chosen, size_t *count, struct verify *v, struct err *err)
{
	const struct store_verify_options *o = v->options;
	uint64_t seed = o->seed;
	size_t percent = o->sample_percent;

	if (seed == 0 && hexid_random(&seed, sizeof(seed), err) == -1)
		return -1;
	shuffle(chosen, *count, seed);
	if (percent > 0 && percent < 100)
		*count = (*count * percent + 99) / 100;
	if (o->budget_ms > 0)
		return sort_by_age(chosen, *count, v->checked_ms, err);
	return 0;
}

int
verify_choose(size_t **out, size_t *count, struct verify *v, struct err *err)
{
	const struct store_verify_options *o = v->options;
	bool all = o->sample_percent == 0 || o->sample_percent >= 100;
	size_t *chosen, i;

	*count = 0;
	if (remember(v, err) == -1)
		return -1;
	chosen = calloc(v->packs.count + 1, sizeof(*chosen));
	if (chosen == NULL)
		return err_no_memory(err);
	for (i = 0; i < v->packs.count; i++)
		if (o->points == NULL || marks_any(&v->marks, i))
			chosen[(*count)++] = i;
	v->result->packs_wanted = *count;
	if ((!all || o->budget_ms > 0) && order(chosen, count, v, err) == -1) {
		free(chosen);
		return -1;
	}
	*out = chosen;
	return 0;
}
