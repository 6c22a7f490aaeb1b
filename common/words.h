/* SPDX-License-Identifier: Apache-2.0 */
/* Names that are allowed somewhere: count of them, stride bytes apart, each
 * of which begins with a char pointer. */
#ifndef HOLDSTILL_COMMON_WORDS_H
#define HOLDSTILL_COMMON_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* The place of a word of that size among them; false: it is none of them. */
bool words_find(size_t *out, const char *word, size_t size, const void *names,
    size_t count, size_t stride);

/* The one nearest to word, or NULL if none is so near.  Edits are letters put
 * in, left out or changed. */
const char *words_nearest(const char *word, unsigned int most_edits,
    const void *names, size_t count, size_t stride);

/* "a, b, c", cut when full. */
void words_join(
    char *out, size_t size, const void *names, size_t count, size_t stride);

#endif
