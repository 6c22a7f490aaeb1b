/* SPDX-License-Identifier: Apache-2.0 */
/* The entry that each fuzz_*.c has: libFuzzer's, or that of replay.c. */
#ifndef HOLDSTILL_TESTS_FUZZ_H
#define HOLDSTILL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
