/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pack: head, frames, table, footer (docs/format.md).  The table says what
 * each frame holds, so a pack can be used without any index.
 * No thread safety: a pack belongs to one thread at a time.
 */
#ifndef HOLDSTILL_STORE_PACK_H
#define HOLDSTILL_STORE_PACK_H

#include <stdbool.h>

#include "store/digest.h"
#include "store/envelope.h"
#include "store/frame.h"
#include "store/seal/box.h"

struct err;

/* A pack is closed once its frames reach this. */
#define PACK_TARGET_BYTES (32u << 20)
/* Bounds the table, however well the data compress. */
#define PACK_BLOBS_MAX 16384u
/* No frame that we make has more. */
#define FRAME_BLOBS_MAX 64u
#define PACK_FOOTER_BYTES 64

enum blob_type {
	BLOB_DATA = 1, /* A block of a disk. */
	BLOB_MAP = 2,  /* A piece of a map.  Guests cannot make these. */
};

struct pack_blob {
	enum blob_type type;
	uint32_t offset; /* In the frame, before compression. */
	uint32_t size;
	uint8_t hash[DIGEST_BYTES];
};

struct pack_frame {
	uint32_t offset; /* From the pack's start. */
	uint32_t stored_size;
	uint32_t raw_size;
	unsigned int coding;
	uint64_t checksum; /* Of the stored bytes. */
	uint32_t first_blob;
	uint32_t blob_count;
};

struct pack_table {
	struct pack_frame *frames;
	uint32_t frame_count, frame_capacity;
	struct pack_blob *blobs;
	uint32_t blob_count, blob_capacity;
};

struct pack { /* One being built, in memory. */
	/* May be changed until there is a frame. */
	uint8_t id[OBJECT_ID_BYTES];
	unsigned int flags;
	struct box *box; /* NULL: plain. */
	uint8_t *data;
	size_t size, capacity;
	struct pack_table table;
};

/* With a random id.  seal NULL: a plain one; else it outlives the pack. */
int pack_new(struct pack **out, const struct seal *seal, struct err *err);
void pack_free(struct pack *p); /* NULL is allowed. */
bool pack_full(const struct pack *p);

/* Copies, or seals, a frame into the pack; blobs lie in it in rising order. */
int pack_add_frame(struct pack *p, enum frame_coding coding, const void *stored,
    size_t stored_size, size_t raw_size, const struct pack_blob *blobs,
    uint32_t count, struct err *err);

/* Writes table and footer: data and size are the object then. */
int pack_finish(struct pack *p, struct err *err);

/* ---- tables ---- */

void pack_table_fini(struct pack_table *t);
/* Bytes of the encoded form. */
size_t pack_table_size(const struct pack_table *t);
void pack_table_encode(uint8_t *out, const struct pack_table *t);
/* Everything in it is checked against pack_size.  Caller finis *out. */
int pack_table_decode(struct pack_table *out, const uint8_t *in, size_t size,
    uint64_t pack_size, bool sealed, struct err *err);

/* Reads the table of a stored pack: head, footer, checksum, seal checked. */
int pack_read_table(struct pack_table *out, uint64_t *pack_size,
    struct backend *b, const struct seal *seal,
    const uint8_t id[OBJECT_ID_BYTES], struct err *err);

/* The same; bound, DIGEST_BYTES, is the hash in its footer, of head and table. */
int pack_read_table_bound(struct pack_table *out, uint64_t *pack_size,
    uint8_t *bound, struct backend *b, const struct seal *seal,
    const uint8_t id[OBJECT_ID_BYTES], struct err *err);

/*
 * Opens a sealed frame, stored_size bytes at that offset of the pack, into out,
 * AEAD_TAG_BYTES less, which may be where stored is.  salt is the pack's.
 */
int pack_open_frame(struct box *box, const struct seal *seal, void *out,
    const uint8_t id[OBJECT_ID_BYTES], const uint8_t salt[SEAL_SALT_BYTES],
    uint64_t offset, const uint8_t *stored, size_t stored_size,
    struct err *err);

#endif
