/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: coding, size before compression (3 bytes), stored bytes. */
#include <stdlib.h>

#include "common/err.h"
#include "store/frame.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/one_object.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct frame_codec *codec;
	struct err err = ERR_INIT;
	size_t raw_size;
	uint8_t *raw;

	if (codec == NULL)
		codec = frame_codec_new();
	require(codec != NULL);
	if (size < 4)
		return 0;
	raw_size = (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];
	raw_size %= FRAME_RAW_MAX + 1;
	/* Of this size, for the sanitizer to see each byte too much. */
	require((raw = malloc(raw_size + (raw_size == 0))) != NULL);
	if (frame_decompress(
		codec, data[0], raw, raw_size, data + 4, size - 4, &err) == -1)
		require(err.class == ERR_CORRUPT);
	free(raw);
	return 0;
}
