/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random 128-bit names in lower-case hex, and hex of any bytes.  Names are
 * random so that nothing depends on a counter or a clock; order comes from
 * recorded parents.
 */
#ifndef HOLDSTILL_COMMON_HEXID_H
#define HOLDSTILL_COMMON_HEXID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEXID_LENGTH 32
#define HEXID_SIZE (HEXID_LENGTH + 1)

struct err;

/* Fills out with 32 random hex digits and a NUL. */
int hexid_new(char out[HEXID_SIZE], struct err *err);

/* Exactly 32 lower-case hex digits and the end? */
bool hexid_valid(const char *text);

/* The fewest digits by which a person may name one; a shorter id would be hit
 * by a slip. */
#define HEXID_START_MIN 4

/* The start of an id as a person writes it, in lower case; -1: too short, too
 * long or no digits. */
int hexid_start(char out[HEXID_SIZE], const char *text);

/* Fills size random bytes. */
int hexid_random(void *out, size_t size, struct err *err);

/* Writes 2 * size digits and a NUL to out. */
void hex_encode(char *out, const void *bytes, size_t size);

/* Reads exactly 2 * size hex digits; -1 if text is shorter or no hex. */
int hex_decode(void *out, size_t size, const char *text);

#endif
