/* SPDX-License-Identifier: Apache-2.0 */
/* Names that are allowed somewhere: count of them, stride bytes apart, each
 * of which begins with a char pointer. */
#ifndef HOLDSTILL_COMMON_INI_INI_WORDS_H
#define HOLDSTILL_COMMON_INI_INI_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* The place of a word of that size among them; false: it is none of them. */
bool ini_words_find(size_t *out, const char *word, size_t size,
    const void *names, size_t count, size_t stride);

/* The one nearest to word, or NULL if none is near. */
const char *ini_words_nearest(
    const char *word, const void *names, size_t count, size_t stride);

/* "a, b, c", cut when full. */
void ini_words_join(
    char *out, size_t size, const void *names, size_t count, size_t stride);

#endif
