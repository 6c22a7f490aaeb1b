/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes as people write them. */
#include "common/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/ckd.h"

/* The power of two that the suffix stands for, or -1. */
static int
suffix_shift(const char *suffix)
{
	static const char letters[] = "KMGT";
	const char *letter;

	if (suffix[0] == '\0')
		return 0;
	letter = strchr(letters, suffix[0]);
	if (letter == NULL ||
	    (suffix[1] != '\0' && strcmp(suffix + 1, "iB") != 0))
		return -1;
	return 10 * (int)(letter - letters + 1);
}

int
bytes_parse(uint64_t *out, const char *text)
{
	unsigned long long number;
	uint64_t bytes;
	char *end;
	int shift;

	/* strtoull() takes blanks and signs. */
	if (text[0] < '0' || text[0] > '9')
		return -1;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno != 0 || (shift = suffix_shift(end)) == -1 ||
	    ckd_mul(&bytes, (uint64_t)number, UINT64_C(1) << shift))
		return -1;
	*out = bytes;
	return 0;
}
