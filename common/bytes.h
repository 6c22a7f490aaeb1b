/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes as people write them. */
#ifndef HOLDSTILL_COMMON_BYTES_H
#define HOLDSTILL_COMMON_BYTES_H

#include <stdint.h>

/*
 * Reads a whole number of bytes; K, M, G or T behind it stand for powers of
 * 1024, as do KiB and so on.  Returns 0, or -1, *out as it was, if the text
 * is no such size or does not fit (no struct err: the caller knows what it
 * was for).
 */
int bytes_parse(uint64_t *out, const char *text);

#endif
