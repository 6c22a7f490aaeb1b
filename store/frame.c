/* SPDX-License-Identifier: Apache-2.0 */
/* zstd contexts, made once and reused. */
#include "store/frame.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "common/err.h"

/* The fastest level that still finds most of what there is to find. */
#define LEVEL_DEFAULT 1

/*
 * Up to level 4 zstd gives up on what does not compress at 1.5 to 4.5 GB/s,
 * faster than it is hashed.  From 5 on it tries at 100 to 280 MB/s; a look at
 * a sixteenth with LEVEL_PROBE costs 2 % of level 5 and spares that
 * (docs/compression.md).
 */
#define LEVEL_SEARCHES 5
#define LEVEL_PROBE (-1)
#define PROBE_STEP 65536u
#define PROBE_BYTES 4096u

struct frame_codec {
	int level;
	ZSTD_CCtx *compress;
	ZSTD_DCtx *decompress;
};

struct frame_codec *
frame_codec_new(void)
{
	struct frame_codec *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->level = LEVEL_DEFAULT;
	c->compress = ZSTD_createCCtx();
	c->decompress = ZSTD_createDCtx();
	if (c->compress == NULL || c->decompress == NULL) {
		frame_codec_free(c);
		return NULL;
	}
	return c;
}

void
frame_codec_free(struct frame_codec *c)
{
	if (c == NULL)
		return;
	ZSTD_freeCCtx(c->compress);
	ZSTD_freeDCtx(c->decompress);
	free(c);
}

void
frame_codec_level(struct frame_codec *c, int level)
{
	c->level = level;
}

/* Do samples, one in the middle of each step, shrink by less than a 32nd? */
static bool
looks_incompressible(
    struct frame_codec *c, void *out, const uint8_t *buf, size_t size)
{
	size_t at, n, taken = 0, left = 0;

	for (at = PROBE_STEP / 2; at + PROBE_BYTES <= size; at += PROBE_STEP) {
		n = ZSTD_compressCCtx(
		    c->compress, out, size, buf + at, PROBE_BYTES, LEVEL_PROBE);
		left += ZSTD_isError(n) || n > PROBE_BYTES ? PROBE_BYTES : n;
		taken += PROBE_BYTES;
	}
	return left > taken - taken / 32;
}

enum frame_coding
frame_compress(struct frame_codec *c, void *out, size_t *out_size,
    const void *buf, size_t size)
{
	int level = c->level;
	size_t n;

	if (level == FRAME_LEVEL_STORE)
		return FRAME_RAW;
	/* Level 1 then takes what little there is. */
	if (level >= LEVEL_SEARCHES && looks_incompressible(c, out, buf, size))
		level = LEVEL_DEFAULT;
	n = ZSTD_compressCCtx(c->compress, out, size, buf, size, level);

	/* No room is the same as no gain. */
	if (ZSTD_isError(n) || n >= size)
		return FRAME_RAW;
	*out_size = n;
	return FRAME_ZSTD;
}

int
frame_decompress(struct frame_codec *c, enum frame_coding coding, void *out,
    size_t raw_size, const void *stored, size_t stored_size, struct err *err)
{
	size_t n;

	if (coding == FRAME_RAW) {
		if (stored_size != raw_size)
			return err_set(err, ERR_CORRUPT,
			    "a stored size is "
			    "wrong");
		memcpy(out, stored, raw_size);
		return 0;
	}
	if (coding != FRAME_ZSTD)
		return err_set(err, ERR_CORRUPT, "unknown coding %u",
		    (unsigned int)coding);
	n = ZSTD_decompressDCtx(
	    c->decompress, out, raw_size, stored, stored_size);
	if (ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
		return err_no_memory(err);
	if (ZSTD_isError(n) || n != raw_size)
		return err_set(err, ERR_CORRUPT, "data does not decompress: %s",
		    ZSTD_isError(n) ? ZSTD_getErrorName(n) : "wrong size");
	return 0;
}
