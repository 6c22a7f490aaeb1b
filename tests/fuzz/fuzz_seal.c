/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What opens a repository, from hostile bytes: key slots, host keys, recovery
 * keys.  The first byte says which.
 */
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/json/json.h"
#include "store/seal/hostkey.h"
#include "store/seal/recovery.h"
#include "store/seal/slot_internal.h"
#include "tests/fuzz/fuzz.h"

static void
require(bool holds)
{
	if (!holds)
		abort();
}

/* What is taken prints, and is taken again. */
static void
check_slot(const char *text, size_t size)
{
	struct err err = ERR_INIT;
	struct slot slot, again;
	json_t *json, *printed;

	if (json_parse(&json, text, size, &err) == -1)
		return;
	if (slot_from_json(&slot, json, &err) == 0) {
		require((printed = slot_to_json(&slot)) != NULL);
		require(slot_from_json(&again, printed, &err) == 0);
		require(memcmp(&slot, &again, sizeof(slot)) == 0);
		json_decref(printed);
	}
	json_decref(json);
}

static void
check_hostkey(const char *text)
{
	char printed[HOSTKEY_TEXT_SIZE];
	struct err err = ERR_INIT;
	struct hostkey key;

	if (hostkey_parse(&key, text, &err) == 0) {
		require(hostkey_print(printed, &key, &err) > 0);
		require(strlen(printed) == strlen(text));
	}
}

static void
check_recovery(const char *text)
{
	uint8_t secret[RECOVERY_SECRET_BYTES], again[RECOVERY_SECRET_BYTES];
	char printed[RECOVERY_TEXT_SIZE];
	struct err err = ERR_INIT;

	if (recovery_parse(secret, text, &err) == 0) {
		require(recovery_print(printed, secret, &err) == 0);
		require(recovery_parse(again, printed, &err) == 0);
		require(memcmp(secret, again, sizeof(secret)) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	/* In memory of its own size, for the sanitizer to see every step. */
	if ((text = malloc(size)) == NULL)
		abort();
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (data[0] == 's')
		check_slot(text, size - 1);
	else if (data[0] == 'h')
		check_hostkey(text);
	else
		check_recovery(text);
	free(text);
	return 0;
}
