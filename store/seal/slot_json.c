/* SPDX-License-Identifier: Apache-2.0 */
/* Slots to JSON and back; what is stored is not trusted. */
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hexid.h"
#include "store/seal/slot_internal.h"

static const char *const kinds[] = {
	[SLOT_PASSPHRASE] = "passphrase",
	[SLOT_FILE] = "file",
	[SLOT_RECOVERY] = "recovery",
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

const char *
slot_kind_name(enum slot_kind kind)
{
	return (size_t)kind < KINDS ? kinds[kind] : "unknown";
}

/* Bytes that a terminal would act upon. */
static bool
is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

bool
slot_label_valid(const char *label)
{
	json_t *json = json_string(label);
	bool valid = json != NULL && strlen(label) <= SLOT_LABEL_MAX;
	const char *p;

	for (p = label; *p != '\0'; p++)
		valid = valid && !is_control(*p);
	json_decref(json);
	return valid;
}

static json_t *
hex_of(const uint8_t *bytes, size_t size)
{
	char hex[2 * 64 + 1];

	hex_encode(hex, bytes, size);
	return json_string(hex);
}

json_t *
slot_to_json(const struct slot *slot)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "kind",
	    slot_kind_name(slot->kind), "label", slot->label, "created",
	    slot->created, "repository",
	    hex_of(slot->repository, sizeof(slot->repository)), "salt",
	    hex_of(slot->salt, sizeof(slot->salt)), "proof",
	    hex_of(slot->proof, sizeof(slot->proof)), "wrapped",
	    hex_of(slot->wrapped, sizeof(slot->wrapped)));

	if (json == NULL || slot->kind != SLOT_PASSPHRASE)
		return json;
	if (json_object_set_new(json, "memory_kib",
		json_integer((json_int_t)slot->cost.memory_kib)) == -1 ||
	    json_object_set_new(json, "passes",
		json_integer((json_int_t)slot->cost.passes)) == -1 ||
	    json_object_set_new(json, "lanes",
		json_integer((json_int_t)slot->cost.lanes)) == -1) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static int
get_hex(uint8_t *out, size_t size, const json_t *json, const char *key,
    struct err *err)
{
	char *text;
	int rc = 0;

	if (json_get_string(&text, json, key, 2 * size, err) == -1)
		return -1;
	if (strlen(text) != 2 * size || hex_decode(out, size, text) == -1)
		rc = err_set(err, ERR_CORRUPT,
		    "member '%s' is no hex of %zu bytes", key, size);
	free(text);
	return rc;
}

static int
get_text(char *out, size_t size, const json_t *json, const char *key,
    struct err *err)
{
	char *text, *p;

	if (json_get_string(&text, json, key, size - 1, err) == -1)
		return -1;
	memcpy(out, text, strlen(text) + 1);
	free(text);
	/* It is shown to people, and others may have written it. */
	for (p = out; *p != '\0'; p++) {
		if (is_control(*p))
			*p = '?';
	}
	return 0;
}

static int
get_kind(enum slot_kind *out, const json_t *json, struct err *err)
{
	char word[32];
	size_t i;

	if (get_text(word, sizeof(word), json, "kind", err) == -1)
		return -1;
	for (i = 0; i < KINDS; i++) {
		if (strcmp(word, kinds[i]) == 0) {
			*out = (enum slot_kind)i;
			return 0;
		}
	}
	return err_set(err, ERR_CORRUPT, "member 'kind' has an unknown value");
}

int
slot_from_json(struct slot *out, const json_t *json, struct err *err)
{
	memset(out, 0, sizeof(*out));
	if (get_kind(&out->kind, json, err) == -1 ||
	    get_text(out->label, sizeof(out->label), json, "label", err) ==
		-1 ||
	    get_text(out->created, sizeof(out->created), json, "created",
		err) == -1 ||
	    get_hex(out->repository, sizeof(out->repository), json,
		"repository", err) == -1 ||
	    get_hex(out->salt, sizeof(out->salt), json, "salt", err) == -1 ||
	    get_hex(out->proof, sizeof(out->proof), json, "proof", err) == -1 ||
	    get_hex(out->wrapped, sizeof(out->wrapped), json, "wrapped", err) ==
		-1)
		return -1;
	if (out->kind != SLOT_PASSPHRASE)
		return 0;
	if (json_get_u64(&out->cost.memory_kib, json, "memory_kib", err) ==
		-1 ||
	    json_get_u64(&out->cost.passes, json, "passes", err) == -1)
		return -1;
	return json_get_u64(&out->cost.lanes, json, "lanes", err);
}
