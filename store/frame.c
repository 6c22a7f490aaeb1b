/* SPDX-License-Identifier: Apache-2.0 */
/* zstd contexts, made once and reused. */
#include "store/frame.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "common/err.h"

/* Level 1: the fastest that still finds most of what there is to find. */
#define LEVEL 1

struct frame_codec {
	ZSTD_CCtx *compress;
	ZSTD_DCtx *decompress;
};

struct frame_codec *
frame_codec_new(void)
{
	struct frame_codec *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
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

enum frame_coding
frame_compress(struct frame_codec *c, void *out, size_t *out_size,
    const void *buf, size_t size)
{
	size_t n = ZSTD_compressCCtx(c->compress, out, size, buf, size, LEVEL);

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
	if (ZSTD_isError(n) || n != raw_size)
		return err_set(err, ERR_CORRUPT, "data does not decompress: %s",
		    ZSTD_isError(n) ? ZSTD_getErrorName(n) : "wrong size");
	return 0;
}
