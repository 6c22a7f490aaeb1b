/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery keys to text and back. */
#include "store/seal/recovery.h"

#include <ctype.h>
#include <string.h>

#include "common/err.h"
#include "store/digest.h"
#include "store/seal/secret.h"

#define CHECK_BYTES 3
#define ALL_BYTES (RECOVERY_SECRET_BYTES + CHECK_BYTES)
#define CHARACTERS 56u /* 8 bits of 35 bytes in fives. */
#define GROUP 4u

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

int
recovery_print(char out[RECOVERY_TEXT_SIZE],
    const uint8_t secret[RECOVERY_SECRET_BYTES], struct err *err)
{
	uint8_t all[ALL_BYTES + 1] = { 0 }, hash[DIGEST_BYTES];
	unsigned int i, bit, two;

	if (digest_once(hash, secret, RECOVERY_SECRET_BYTES, err) == -1)
		return -1;
	memcpy(all, secret, RECOVERY_SECRET_BYTES);
	memcpy(all + RECOVERY_SECRET_BYTES, hash, CHECK_BYTES);
	for (i = 0; i < CHARACTERS; i++) {
		if (i > 0 && i % GROUP == 0)
			*out++ = '-';
		bit = 5 * i;
		two = (unsigned int)all[bit / 8] << 8 | all[bit / 8 + 1];
		*out++ = digits[two >> (11 - bit % 8) & 31];
	}
	*out = '\0';
	secret_wipe(all, sizeof(all));
	return 0;
}

/* -1: no digit. */
static int
digit_value(char c)
{
	const char *p;

	c = (char)toupper((unsigned char)c);
	if (c == 'O')
		c = '0';
	if (c == 'I' || c == 'L')
		c = '1';
	p = c == '\0' ? NULL : strchr(digits, c);
	return p == NULL ? -1 : (int)(p - digits);
}

/* Fills all from the digits of text. */
static int
take_digits(uint8_t all[ALL_BYTES + 1], const char *text, struct err *err)
{
	unsigned int n = 0, bit, shifted;
	int value;

	for (; *text != '\0'; text++) {
		if (*text == '-' || isspace((unsigned char)*text))
			continue;
		if ((value = digit_value(*text)) == -1)
			return err_set(err, ERR_ARG,
			    "the recovery key has a character that is in "
			    "none, behind its first %u",
			    n);
		if (n < CHARACTERS) {
			bit = 5 * n;
			shifted = (unsigned int)value << (11 - bit % 8);
			all[bit / 8] |= (uint8_t)(shifted >> 8);
			all[bit / 8 + 1] |= (uint8_t)shifted;
		}
		n++;
	}
	if (n == CHARACTERS)
		return 0;
	return err_set(err, ERR_ARG,
	    "the recovery key has %u characters instead of %u", n, CHARACTERS);
}

int
recovery_parse(
    uint8_t secret[RECOVERY_SECRET_BYTES], const char *text, struct err *err)
{
	uint8_t all[ALL_BYTES + 1] = { 0 }, hash[DIGEST_BYTES];
	int rc = -1;

	if (take_digits(all, text, err) == 0 &&
	    digest_once(hash, all, RECOVERY_SECRET_BYTES, err) == 0) {
		if (memcmp(hash, all + RECOVERY_SECRET_BYTES, CHECK_BYTES) ==
		    0) {
			memcpy(secret, all, RECOVERY_SECRET_BYTES);
			rc = 0;
		} else {
			err_set(err, ERR_ARG,
			    "the recovery key is mistyped: compare it with "
			    "the paper");
		}
	}
	secret_wipe(all, sizeof(all));
	return rc;
}
