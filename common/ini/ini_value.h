/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of keys.  What fails does so with ERR_ARG and a hint, *out as it
 * was, and neither key nor place in the text.
 */
#ifndef HOLDSTILL_COMMON_INI_INI_VALUE_H
#define HOLDSTILL_COMMON_INI_INI_VALUE_H

#include <stdbool.h>
#include <stddef.h>

struct err;

/* "yes" or "no". */
int ini_value_yes_no(bool *out, const char *value, struct err *err);

/* Decimal digits, from min to max. */
int ini_value_number(unsigned int *out, const char *value, unsigned int min,
    unsigned int max, struct err *err);

/* The next word of a list, which blanks and commas part, and its size; *rest
 * goes on behind it.  NULL: there is none left. */
const char *ini_value_next(const char **rest, size_t *out_size);

#endif
