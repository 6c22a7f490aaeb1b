/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files of lines "NAME VALUE", as host keys and chain states are.  A
 * reader takes the lines in their order and refuses all else.
 */
#ifndef HOLDSTILL_STORE_SEAL_LINES_H
#define HOLDSTILL_STORE_SEAL_LINES_H

#include <stddef.h>
#include <stdint.h>

struct err;

/*
 * Each takes the next line of *text and moves *text behind it.  ERR_CORRUPT,
 * with the line's name, if it is another line.
 */
int lines_title(const char **text, const char *title, struct err *err);
/* A value of 1 to size - 1 characters, without blanks. */
int lines_word(char *out, size_t size, const char **text, const char *name,
    struct err *err);
/* Exactly size bytes in hex. */
int lines_hex(void *out, size_t size, const char **text, const char *name,
    struct err *err);
int lines_u64(
    uint64_t *out, const char **text, const char *name, struct err *err);
/* Nothing follows. */
int lines_end(const char *text, struct err *err);

#endif
