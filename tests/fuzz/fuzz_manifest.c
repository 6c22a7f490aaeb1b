/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: what was read is written and reads the same. */
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/json/json.h"
#include "store/manifest.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/one_object.h"

static struct manifest *
parse(const char *text, size_t size)
{
	struct err err = ERR_INIT;
	struct manifest *m = NULL;
	json_t *json = NULL;

	if (json_parse(&json, text, size, &err) == -1 ||
	    manifest_from_json(&m, json, &err) == -1)
		require(err.class == ERR_CORRUPT);
	json_decref(json);
	return m;
}

static char *
text_of(const struct manifest *m)
{
	json_t *json = manifest_to_json(m, true);
	char *text;

	require(json != NULL);
	text = json_text(json, false);
	require(text != NULL);
	json_decref(json);
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct manifest *m = parse((const char *)data, size), *again;
	char *text, *text_again;

	if (m == NULL)
		return 0;
	require(m->disk_count <= MANIFEST_DISKS_MAX);
	text = text_of(m);
	require((again = parse(text, strlen(text))) != NULL);
	text_again = text_of(again);
	require(strcmp(text, text_again) == 0);
	free(text);
	free(text_again);
	manifest_free(m);
	manifest_free(again);
	return 0;
}
