/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole objects.  The first byte is the type that is asked for, with bit 7:
 * the rest is coding, size before compression (3 bytes) and body; else it is
 * the object.
 */
#include <stdlib.h>

#include "common/err.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/one_object.h"

#define BODY_MAX (1u << 20)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	enum object_type type;
	struct backend *b;
	char key[OBJECT_KEY_SIZE], *body;
	size_t body_size;

	if (size < 5)
		return 0;
	type = OBJECT_CONFIG + (data[0] & 0x7f) % 4;
	if ((data[0] & 0x80) != 0)
		b = one_object_around(type, data[1],
		    (uint32_t)data[2] << 16 | (uint32_t)data[3] << 8 | data[4],
		    data + 5, size - 5);
	else
		b = one_object_signed(type, data + 1, size - 1);
	object_key(key, type, one_object_id);
	if (envelope_get(b, key, type, one_object_id, NULL, BODY_MAX, &body,
		&body_size, &err) == 0) {
		require(body_size <= BODY_MAX && body[body_size] == '\0');
		free(body);
	} else {
		require(
		    err.class == ERR_CORRUPT || err.class == ERR_UNSUPPORTED);
	}
	return 0;
}
