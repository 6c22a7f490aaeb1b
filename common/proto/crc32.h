/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32 (IEEE 802.3, reflected, as in zlib).  Thread-safe. */
#ifndef HOLDSTILL_COMMON_PROTO_CRC32_H
#define HOLDSTILL_COMMON_PROTO_CRC32_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32_of(const void *bytes, size_t size);

#endif
