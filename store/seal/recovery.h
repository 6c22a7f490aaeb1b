/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recovery key: 32 random bytes for paper, in Crockford's base32 with three
 * bytes that find a typing error.
 */
#ifndef HOLDSTILL_STORE_SEAL_RECOVERY_H
#define HOLDSTILL_STORE_SEAL_RECOVERY_H

#include <stdint.h>

#define RECOVERY_SECRET_BYTES 32
#define RECOVERY_TEXT_SIZE 70 /* 14 groups of 4, 13 dashes, a NUL. */

struct err;

/* A secret: the caller wipes out. */
int recovery_print(char out[RECOVERY_TEXT_SIZE],
    const uint8_t secret[RECOVERY_SECRET_BYTES], struct err *err);

/*
 * Reads what a person typed: any case, O for 0, I and L for 1, dashes and
 * blanks anywhere.  ERR_ARG says what is wrong: a character, the length, or
 * some other typing error.
 */
int recovery_parse(
    uint8_t secret[RECOVERY_SECRET_BYTES], const char *text, struct err *err);

#endif
