/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and durations as people read them. */
#ifndef HOLDSTILL_AGENT_CLI_FORMAT_H
#define HOLDSTILL_AGENT_CLI_FORMAT_H

#include <stdint.h>

#define FORMAT_SIZE 24

/* "0 B", "512 KiB", "4.0 GiB"; returns out. */
char *format_bytes(char out[FORMAT_SIZE], uint64_t bytes);

/* "1 pack", "3 packs", for %s behind the number: "" or "s". */
const char *format_plural(uint64_t count);

/* "850 ms", "12.4 s", "3:05", "1:02:03"; returns out. */
char *format_duration(char out[FORMAT_SIZE], int64_t ms);

#endif
