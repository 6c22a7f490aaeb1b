/* SPDX-License-Identifier: Apache-2.0 */
/* Random names and hexadecimal. */
#include "common/hexid.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

#include "common/err.h"

static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int
hexid_random(void *out, size_t size, struct err *err)
{
	uint8_t *p = out;
	ssize_t n;

	while (size > 0) {
		n = getrandom(p, size, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(
			    err, errno, "cannot read random bytes");
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

int
hexid_new(char out[HEXID_SIZE], struct err *err)
{
	uint8_t bytes[HEXID_LENGTH / 2];

	if (hexid_random(bytes, sizeof(bytes), err) == -1)
		return -1;
	hex_encode(out, bytes, sizeof(bytes));
	return 0;
}

bool
hexid_valid(const char *text)
{
	size_t i;

	for (i = 0; i < HEXID_LENGTH; i++)
		if (digit_value(text[i]) == -1)
			return false;
	return text[i] == '\0';
}

int
hexid_start(char out[HEXID_SIZE], const char *text)
{
	size_t i, n = strlen(text);

	if (n < HEXID_START_MIN || n > HEXID_LENGTH)
		return -1;
	for (i = 0; i <= n; i++)
		out[i] = (char)tolower((unsigned char)text[i]);
	return strspn(out, "0123456789abcdef") == n ? 0 : -1;
}

void
hex_encode(char *out, const void *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = bytes;

	for (; size > 0; size--, p++) {
		*out++ = digits[*p >> 4];
		*out++ = digits[*p & 15];
	}
	*out = '\0';
}

int
hex_decode(void *out, size_t size, const char *text)
{
	uint8_t *p = out;
	int high, low;

	for (; size > 0; size--, text += 2) {
		if ((high = digit_value(text[0])) == -1 ||
		    (low = digit_value(text[1])) == -1)
			return -1;
		*p++ = (uint8_t)(high << 4 | low);
	}
	return 0;
}
