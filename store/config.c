/* SPDX-License-Identifier: Apache-2.0 */
/* The settings object, written once and read at each start. */
#include "store/config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/json/json.h"

#define CONFIG_BODY_MAX 65536u
#define FORMAT_NAME "holdstill repository"

static json_t *
encryption_to_json(const struct seal_settings *seal)
{
	char check[2 * SEAL_KEY_BYTES + 1];

	hex_encode(check, seal->check, sizeof(seal->check));
	return json_pack("{s:s, s:s, s:s}", "mode", seal_mode_name(seal->mode),
	    "cipher", aead_cipher_name(seal->cipher), "check", check);
}

static json_t *
config_to_json(const struct config *c)
{
	char hex[HEXID_SIZE], how[STORE_COMPRESSION_SIZE];
	json_t *json;

	hex_encode(hex, c->seal.repository, OBJECT_ID_BYTES);
	json = json_pack("{s:s, s:i, s:s, s:s, s:i, s:s, s:i}", "format",
	    FORMAT_NAME, "version", 1, "id", hex, "created", c->created,
	    "block_bytes", (int)c->seal.block_bytes, "compression",
	    store_compression_text(how, &c->compression), "undelete_days",
	    (int)c->undelete_days);
	if (json != NULL && c->seal.mode != SEAL_NONE &&
	    json_object_set_new(
		json, "encryption", encryption_to_json(&c->seal)) == -1) {
		json_decref(json);
		return NULL;
	}
	return json;
}

/* What the check covers besides: as it counts, said or not. */
static void
cover(struct config *c)
{
	static_assert(SEAL_TEXT_SIZE >= STORE_COMPRESSION_SIZE, "its text");

	store_compression_text(c->seal.compression, &c->compression);
	c->seal.undelete_days = c->undelete_days;
}

int
config_sign(
    struct config *c, const uint8_t master[SEAL_KEY_BYTES], struct err *err)
{
	cover(c);
	return seal_settings_sign(&c->seal, master, err);
}

int
config_put(struct backend *b, const struct config *c, struct err *err)
{
	json_t *json = config_to_json(c);
	char *text = NULL;
	int rc = -1;

	if (json == NULL || (text = json_text(json, false)) == NULL)
		err_no_memory(err);
	else
		rc = envelope_put(b, NULL, "config", OBJECT_CONFIG,
		    c->seal.repository, text, strlen(text), false, err);
	free(text);
	json_decref(json);
	return rc;
}

static int
parse_encryption(
    struct seal_settings *out, const json_t *config, struct err *err)
{
	char *mode = NULL, *cipher = NULL, *check = NULL;
	const json_t *json;
	int rc = -1;

	out->mode = SEAL_NONE;
	if (json_object_get(config, "encryption") == NULL)
		return 0;
	if (json_get_object(&json, config, "encryption", err) == -1 ||
	    json_get_string(&mode, json, "mode", 64, err) == -1 ||
	    json_get_string(&cipher, json, "cipher", 64, err) == -1 ||
	    json_get_string(
		&check, json, "check", (size_t)2 * SEAL_KEY_BYTES, err) == -1)
		goto out;
	if (seal_mode_parse(&out->mode, mode) == -1 || out->mode == SEAL_NONE ||
	    aead_cipher_parse(&out->cipher, cipher) == -1) {
		err_set(err, ERR_UNSUPPORTED,
		    "encryption '%s' with '%s' is not known here", mode,
		    cipher);
		err_hint(err, "use a newer holdstill");
	} else if (strlen(check) != (size_t)2 * SEAL_KEY_BYTES ||
		   hex_decode(out->check, SEAL_KEY_BYTES, check) == -1) {
		err_set(err, ERR_CORRUPT, "member 'check' is no hash");
	} else {
		rc = 0;
	}
out:
	free(mode);
	free(cipher);
	free(check);
	return rc;
}

static int
check_format(struct seal_settings *out, const json_t *json, struct err *err)
{
	char *format = NULL, *id = NULL, hex[HEXID_SIZE];
	uint64_t version, block_bytes;
	int rc = -1;

	hex_encode(hex, out->repository, OBJECT_ID_BYTES);
	if (json_get_string(&format, json, "format", 64, err) == -1 ||
	    json_get_string(&id, json, "id", HEXID_LENGTH, err) == -1 ||
	    json_get_u64(&version, json, "version", err) == -1 ||
	    json_get_u64(&block_bytes, json, "block_bytes", err) == -1)
		goto out;
	if (strcmp(format, FORMAT_NAME) != 0 || strcmp(id, hex) != 0) {
		err_set(err, ERR_CORRUPT, "it contradicts itself");
	} else if (version != 1 || block_bytes != STORE_BLOCK_BYTES) {
		err_set(err, ERR_UNSUPPORTED,
		    "format version %llu with blocks "
		    "of %llu bytes is not known here",
		    (unsigned long long)version,
		    (unsigned long long)block_bytes);
		err_hint(err, "use a newer holdstill");
	} else {
		out->block_bytes = (uint32_t)block_bytes;
		rc = parse_encryption(out, json, err);
	}
out:
	free(format);
	free(id);
	return rc;
}

/* A repository that does not say is one from before it was asked. */
static int
parse_compression(
    struct store_compression *out, const json_t *json, struct err *err)
{
	char *text = NULL;
	int rc;

	*out = store_compression_default;
	if (json_object_get(json, "compression") == NULL)
		return 0;
	if (json_get_string(&text, json, "compression", 64, err) == -1)
		return -1;
	rc = store_compression_parse(out, text, err);
	if (rc == -1) {
		err_set(err, ERR_UNSUPPORTED,
		    "compression '%s' is not known here", text);
		err_hint(err, "use a newer holdstill");
	}
	free(text);
	return rc;
}

static int
parse_days(unsigned int *out, const json_t *json, struct err *err)
{
	uint64_t days;

	*out = STORE_UNDELETE_DAYS;
	if (json_object_get(json, "undelete_days") == NULL)
		return 0;
	if (json_get_u64(&days, json, "undelete_days", err) == -1)
		return -1;
	if (days > STORE_UNDELETE_DAYS_MAX)
		return err_set(err, ERR_CORRUPT, "its undelete_days are wrong");
	*out = (unsigned int)days;
	return 0;
}

/* Made by clocks of any kind: what is not of our form is left out. */
static void
take_created(struct config *out, const json_t *json)
{
	const char *text = json_string_value(json_object_get(json, "created"));

	if (text != NULL && strlen(text) < sizeof(out->created))
		memcpy(out->created, text, strlen(text) + 1);
}

int
config_get(struct config *out, struct backend *b, struct err *err)
{
	json_t *json = NULL;
	size_t size;
	char *text;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	if (envelope_get(b, NULL, "config", OBJECT_CONFIG, NULL,
		out->seal.repository, CONFIG_BODY_MAX, &text, &size,
		err) == -1) {
		if (err->class != ERR_NOT_FOUND)
			return -1;
		return err_set(
		    err, ERR_NOT_FOUND, "this is no holdstill repository");
	}
	if (json_parse(&json, text, size, err) == 0 &&
	    check_format(&out->seal, json, err) == 0 &&
	    parse_compression(&out->compression, json, err) == 0 &&
	    parse_days(&out->undelete_days, json, err) == 0) {
		take_created(out, json);
		cover(out);
		rc = 0;
	}
	json_decref(json);
	free(text);
	return rc == -1 ? err_prefix(err, "object 'config'") : 0;
}
