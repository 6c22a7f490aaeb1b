/* SPDX-License-Identifier: Apache-2.0 */
/* The footer of a pack, shared by writer, reader and verify. */
#ifndef HOLDSTILL_STORE_PACK_INTERNAL_H
#define HOLDSTILL_STORE_PACK_INTERNAL_H

#include "store/pack.h"

struct pack_footer {
	uint64_t table_offset;
	uint32_t stored_size;
	uint32_t raw_size;
	unsigned int coding;
};

/* All of it but the hash at its end. */
void pack_footer_put(
    uint8_t out[PACK_FOOTER_BYTES], const struct pack_footer *footer);

/* SHA-256 of head, stored table and the footer before its hash. */
int pack_footer_hash(uint8_t out[DIGEST_BYTES],
    const uint8_t head[ENVELOPE_HEAD_BYTES], const uint8_t *table,
    const uint8_t footer[PACK_FOOTER_BYTES], size_t table_size,
    struct err *err);

#endif
