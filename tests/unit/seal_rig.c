/* SPDX-License-Identifier: Apache-2.0 */
/* One repository's keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/err.h"
#include "common/hexid.h"
#include "tests/unit/seal_rig.h"

#define FOUR(x) (x), (x) + 1, (x) + 2, (x) + 3
#define SIXTEEN(x) FOUR(x), FOUR((x) + 4), FOUR((x) + 8), FOUR((x) + 12)

const uint8_t rig_master[SEAL_KEY_BYTES] = { SIXTEEN(0x00), SIXTEEN(0x10) };
const uint8_t rig_repository[SEAL_ID_BYTES] = { SIXTEEN(0xa0) };
const uint8_t rig_object[SEAL_ID_BYTES] = { SIXTEEN(0xb0) };
const uint8_t rig_salt[SEAL_SALT_BYTES] = { SIXTEEN(0xc0), SIXTEEN(0xd0) };
const uint8_t rig_host[SEAL_ID_BYTES] = { SIXTEEN(0x10) };

struct seal_settings
rig_settings(enum seal_mode mode)
{
	struct seal_settings settings = {
		.mode = mode,
		.cipher = AEAD_AES_256_GCM,
		.block_bytes = 65536,
		.compression = "zstd:3",
		.undelete_days = 14,
	};
	struct err err = ERR_INIT;

	memcpy(settings.repository, rig_repository, SEAL_ID_BYTES);
	assert_int_equal(seal_settings_sign(&settings, rig_master, &err), 0);
	return settings;
}

struct seal *
rig_seal(enum seal_mode mode)
{
	struct seal_settings settings = rig_settings(mode);
	struct err err = ERR_INIT;
	struct seal *s;

	if (seal_open_master(&s, &settings, rig_master, &err) == -1)
		fail_msg("%s", err.text);
	return s;
}

struct hostkey
rig_hostkey(void)
{
	struct seal *s = rig_seal(SEAL_PUBLIC);
	struct err err = ERR_INIT;
	struct hostkey key;

	memset(&key, 0, sizeof(key));
	memcpy(key.host, rig_host, sizeof(rig_host));
	assert_int_equal(seal_fill_host(s, &key, &err), 0);
	seal_free(s);
	return key;
}

struct seal *
rig_host_seal(void)
{
	struct seal_settings settings = rig_settings(SEAL_PUBLIC);
	struct hostkey key = rig_hostkey();
	struct err err = ERR_INIT;
	struct seal *s;

	if (seal_open_host(&s, &settings, &key, &err) == -1)
		fail_msg("%s", err.text);
	return s;
}

void
rig_expect_hex(const void *bytes, size_t size, const char *hex)
{
	char found[2 * 512 + 1];

	assert_true(size <= 512);
	hex_encode(found, bytes, size);
	assert_string_equal(found, hex);
}

void
rig_expect_part(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("'%s' has no '%s'", text, part);
}
