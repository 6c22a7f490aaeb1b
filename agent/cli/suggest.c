/* SPDX-License-Identifier: Apache-2.0 */
/* Edit distance, for "did you mean". */
#include "agent/cli/suggest.h"

#include <string.h>

#define WORD_MAX 32
/* More edits than this and it is another word. */
#define NEAR 2

static size_t
min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

static size_t
distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], rows = strlen(a), columns = strlen(b);
	size_t i, k, diagonal, above;

	if (rows > WORD_MAX || columns > WORD_MAX)
		return WORD_MAX;
	for (k = 0; k <= columns; k++)
		row[k] = k;
	for (i = 1; i <= rows; i++) {
		diagonal = row[0];
		row[0] = i;
		for (k = 1; k <= columns; k++) {
			above = row[k];
			row[k] = min3(above + 1, row[k - 1] + 1,
			    diagonal + (a[i - 1] != b[k - 1]));
			diagonal = above;
		}
	}
	return row[columns];
}

const char *
suggest_nearest(const char *word, const char *const *known, size_t count)
{
	const char *nearest = NULL;
	size_t i, edits, fewest = NEAR + 1;

	for (i = 0; i < count; i++) {
		edits = distance(word, known[i]);
		if (edits < fewest) {
			fewest = edits;
			nearest = known[i];
		}
	}
	return nearest;
}
