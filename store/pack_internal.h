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

/* A frame is bound to the first bytes of the head, the table to those of the
 * head and of the footer. */
#define PACK_BOUND_BYTES 32

/* The head of a pack whose sizes are not known yet. */
void pack_head_begin(uint8_t out[ENVELOPE_HEAD_BYTES],
    const uint8_t id[OBJECT_ID_BYTES], unsigned int flags);

/* What the table is bound to. */
void pack_table_bound(uint8_t out[2 * PACK_BOUND_BYTES],
    const uint8_t head[ENVELOPE_HEAD_BYTES],
    const uint8_t footer[PACK_FOOTER_BYTES]);

/* SHA-256 of head (head_size bytes, with S if sealed), stored table and the
 * footer before its hash. */
int pack_footer_hash(uint8_t out[DIGEST_BYTES], const uint8_t *head,
    size_t head_size, const uint8_t *table, size_t table_size,
    const uint8_t footer[PACK_FOOTER_BYTES], struct err *err);

#endif
