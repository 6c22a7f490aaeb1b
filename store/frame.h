/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zstd for frames and small objects.  A codec holds reusable contexts and
 * belongs to one thread at a time.
 */
#ifndef HOLDSTILL_STORE_FRAME_H
#define HOLDSTILL_STORE_FRAME_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct err;
struct frame_codec;

/* The largest frame, before compression: one chunk. */
#define FRAME_RAW_MAX (STORE_CHUNK_BLOCKS * STORE_BLOCK_BYTES)

enum frame_coding { FRAME_RAW = 0, FRAME_ZSTD = 1 };

/* Of frame_codec_level(): nothing is compressed. */
#define FRAME_LEVEL_STORE INT_MIN

struct frame_codec *frame_codec_new(void);    /* NULL without memory. */
void frame_codec_free(struct frame_codec *c); /* NULL is allowed. */

/* What frame_compress() uses from now on: a level of zstd (at first 1), or
 * FRAME_LEVEL_STORE. */
void frame_codec_level(struct frame_codec *c, int level);

/*
 * Compresses into out (at least size bytes) and sets *out_size; returns
 * FRAME_ZSTD, or FRAME_RAW when it does not shrink: then out is undefined
 * and the input is to be stored as it is.
 */
enum frame_coding frame_compress(struct frame_codec *c, void *out,
    size_t *out_size, const void *buf, size_t size);

/* Gives exactly raw_size bytes or ERR_CORRUPT. */
int frame_decompress(struct frame_codec *c, enum frame_coding coding, void *out,
    size_t raw_size, const void *stored, size_t stored_size, struct err *err);

#endif
