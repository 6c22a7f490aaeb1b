/* SPDX-License-Identifier: Apache-2.0 */
/* Reading values. */
#include "common/ini/ini_value.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

#define LIST_SEPARATORS ", \t"

int
ini_value_yes_no(bool *out, const char *value, struct err *err)
{
	bool yes = strcmp(value, "yes") == 0;

	if (!yes && strcmp(value, "no") != 0) {
		err_set(
		    err, ERR_ARG, "'%.100s' is neither 'yes' nor 'no'", value);
		return err_hint(err, "write yes or no");
	}
	*out = yes;
	return 0;
}

int
ini_value_number(unsigned int *out, const char *value, unsigned int min,
    unsigned int max, struct err *err)
{
	unsigned long n = 0;
	char *end = NULL;

	if (isdigit((unsigned char)value[0]))
		n = strtoul(value, &end, 10);
	if (end == NULL || *end != '\0' || n < min || n > max) {
		err_set(err, ERR_ARG, "'%.100s' is no number from %u to %u",
		    value, min, max);
		return err_hint(
		    err, "write a whole number from %u to %u", min, max);
	}
	*out = (unsigned int)n;
	return 0;
}

const char *
ini_value_next(const char **rest, size_t *out_size)
{
	const char *word = *rest + strspn(*rest, LIST_SEPARATORS);

	*out_size = strcspn(word, LIST_SEPARATORS);
	*rest = word + *out_size;
	return *out_size > 0 ? word : NULL;
}
