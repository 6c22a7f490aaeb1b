/* SPDX-License-Identifier: Apache-2.0 */
/* Names that are allowed somewhere, for messages about one that is not. */
#ifndef HOLDSTILL_COMMON_INI_INI_WORDS_H
#define HOLDSTILL_COMMON_INI_INI_WORDS_H

#include <stddef.h>

/* The nearest of count names (stride bytes apart, each begins with a char
 * pointer) to word, or NULL if none is near. */
const char *ini_words_nearest(
    const char *word, const void *names, size_t count, size_t stride);

/* "a, b, c", cut when full. */
void ini_words_join(
    char *out, size_t size, const void *names, size_t count, size_t stride);

#endif
