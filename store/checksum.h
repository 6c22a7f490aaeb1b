/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XXH64 with seed 0: finds accidental damage of stored frames at the speed of
 * memory.  Never a proof of content; that is what hashes are for.
 */
#ifndef HOLDSTILL_STORE_CHECKSUM_H
#define HOLDSTILL_STORE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint64_t checksum_of(const void *buf, size_t size);

#endif
