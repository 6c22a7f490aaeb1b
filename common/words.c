/* SPDX-License-Identifier: Apache-2.0 */
/* Names, near misses and lists of them. */
#include "common/words.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char *
name_at(const void *names, size_t i, size_t stride)
{
	return *(const char *const *)(const void *)((const char *)names +
						    i * stride);
}

bool
words_find(size_t *out, const char *word, size_t size, const void *names,
    size_t count, size_t stride)
{
	const char *name;
	size_t i;

	for (i = 0; i < count; i++) {
		name = name_at(names, i, stride);
		if (strlen(name) != size || memcmp(name, word, size) != 0)
			continue;
		*out = i;
		return true;
	}
	return false;
}

#define WORD_MAX 40

/* Edits between two words: insertions, removals, changes. */
static unsigned int
distance(const char *a, const char *b)
{
	unsigned int row[WORD_MAX + 1], above, left, i, j;
	size_t size = strlen(b);

	if (strlen(a) > WORD_MAX || size > WORD_MAX)
		return UINT32_MAX;
	for (j = 0; j <= size; j++)
		row[j] = j;
	for (i = 1; a[i - 1] != '\0'; i++) {
		above = row[0];
		row[0] = i;
		for (j = 1; j <= size; j++) {
			left = row[j - 1] + 1;
			above += a[i - 1] != b[j - 1];
			if (row[j] + 1 < left)
				left = row[j] + 1;
			if (above < left)
				left = above;
			above = row[j];
			row[j] = left;
		}
	}
	return row[size];
}

const char *
words_nearest(const char *word, unsigned int most_edits, const void *names,
    size_t count, size_t stride)
{
	const char *best = NULL;
	unsigned int least = most_edits + 1, d;
	size_t i;

	for (i = 0; i < count; i++) {
		d = distance(word, name_at(names, i, stride));
		if (d >= least)
			continue;
		least = d;
		best = name_at(names, i, stride);
	}
	return best;
}

void
words_join(
    char *out, size_t size, const void *names, size_t count, size_t stride)
{
	size_t i, used;

	out[0] = '\0';
	for (i = 0; i < count; i++) {
		used = strlen(out);
		snprintf(out + used, size - used, "%s%s", i == 0 ? "" : ", ",
		    name_at(names, i, stride));
	}
}
