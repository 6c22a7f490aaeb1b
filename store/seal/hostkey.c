/* SPDX-License-Identifier: Apache-2.0 */
/* Host keys: made, printed, parsed. */
#include "store/seal/hostkey.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/hexid.h"
#include "common/io.h"
#include "store/seal/keyfile.h"
#include "store/seal/lines.h"
#include "store/seal/mac.h"
#include "store/seal/secret.h"

static const char title[] = "holdstill-host-key-1";

int
hostkey_make(struct hostkey *out, const struct seal *s, struct err *err)
{
	memset(out, 0, sizeof(*out));
	if (hexid_random(out->host, sizeof(out->host), err) == -1)
		return -1;
	return seal_fill_host(s, out, err);
}

void
hostkey_wipe(struct hostkey *key)
{
	secret_wipe(key, sizeof(*key));
}

/* Appends "NAME HEX\n"; there is room for all lines (HOSTKEY_TEXT_SIZE). */
static char *
put_hex(char *at, const char *name, const uint8_t *bytes, size_t size)
{
	at += sprintf(at, "%s ", name);
	hex_encode(at, bytes, size);
	at += 2 * size;
	*at++ = '\n';
	*at = '\0';
	return at;
}

int
hostkey_print(
    char out[HOSTKEY_TEXT_SIZE], const struct hostkey *key, struct err *err)
{
	uint8_t check[MAC_BYTES];
	char *at = out;

	at += sprintf(at, "%s\n", title);
	at = put_hex(at, "repository", key->repository, SEAL_ID_BYTES);
	at = put_hex(at, "host", key->host, SEAL_ID_BYTES);
	at += sprintf(at, "cipher %s\n", aead_cipher_name(key->cipher));
	at = put_hex(at, "x25519", key->x25519, SEAL_KEY_BYTES);
	at = put_hex(at, "ed25519", key->ed25519, SEAL_KEY_BYTES);
	at = put_hex(at, "names", key->names, SEAL_KEY_BYTES);
	if (key->has_chain)
		at = put_hex(at, "chain", key->chain, SEAL_KEY_BYTES);
	else
		at += sprintf(at, "chain begun\n");
	if (mac_once(check, key->names, SEAL_KEY_BYTES, out, (size_t)(at - out),
		err) == -1)
		return -1;
	at = put_hex(at, "check", check, sizeof(check));
	return (int)(at - out);
}

static int
parse_chain(struct hostkey *out, const char **text, struct err *err)
{
	static const char begun[] = "chain begun\n";

	out->has_chain = strncmp(*text, begun, sizeof(begun) - 1) != 0;
	if (out->has_chain)
		return lines_hex(
		    out->chain, SEAL_KEY_BYTES, text, "chain", err);
	*text += sizeof(begun) - 1;
	return 0;
}

static int
parse_lines(struct hostkey *out, const char **text, struct err *err)
{
	char cipher[64];

	if (lines_title(text, title, err) == -1 ||
	    lines_hex(out->repository, SEAL_ID_BYTES, text, "repository",
		err) == -1 ||
	    lines_hex(out->host, SEAL_ID_BYTES, text, "host", err) == -1 ||
	    lines_word(cipher, sizeof(cipher), text, "cipher", err) == -1)
		return -1;
	if (aead_cipher_parse(&out->cipher, cipher) == -1)
		return err_set(err, ERR_UNSUPPORTED,
		    "its cipher '%s' is not known here", cipher);
	if (lines_hex(out->x25519, SEAL_KEY_BYTES, text, "x25519", err) == -1 ||
	    lines_hex(out->ed25519, SEAL_KEY_BYTES, text, "ed25519", err) ==
		-1 ||
	    lines_hex(out->names, SEAL_KEY_BYTES, text, "names", err) == -1)
		return -1;
	return parse_chain(out, text, err);
}

int
hostkey_parse(struct hostkey *out, const char *text, struct err *err)
{
	uint8_t check[MAC_BYTES], found[MAC_BYTES];
	const char *at = text;
	size_t signed_size;

	memset(out, 0, sizeof(*out));
	if (parse_lines(out, &at, err) == -1)
		goto bad;
	signed_size = (size_t)(at - text);
	if (lines_hex(check, sizeof(check), &at, "check", err) == -1 ||
	    lines_end(at, err) == -1 ||
	    mac_once(found, out->names, SEAL_KEY_BYTES, text, signed_size,
		err) == -1)
		goto bad;
	if (secret_equal(check, found, sizeof(check)))
		return 0;
	err_set(err, ERR_CORRUPT, "it was changed or copied badly");
bad:
	hostkey_wipe(out);
	return -1;
}

int
hostkey_read(struct hostkey *out, const char *path, struct err *err)
{
	char text[HOSTKEY_TEXT_SIZE];
	size_t size;
	int rc;

	if (keyfile_load(text, sizeof(text), &size, path, err) == -1)
		return -1;
	rc = hostkey_parse(out, text, err);
	secret_wipe(text, sizeof(text));
	return rc == -1 ? err_prefix(err, "host key '%s'", path) : 0;
}

int
hostkey_write(const char *path, const struct hostkey *key, struct err *err)
{
	char text[HOSTKEY_TEXT_SIZE];
	int size = hostkey_print(text, key, err), rc = -1;

	if (size != -1)
		rc = io_replace_file(path, text, (size_t)size, 0600, err);
	secret_wipe(text, sizeof(text));
	return rc;
}

int
hostkey_write_new(const char *path, const struct hostkey *key, struct err *err)
{
	char text[HOSTKEY_TEXT_SIZE];
	int size = hostkey_print(text, key, err), rc = -1;

	if (size != -1)
		rc = keyfile_store(path, text, (size_t)size, err);
	secret_wipe(text, sizeof(text));
	return rc;
}

bool
hostkey_is_one(const char *text)
{
	return strncmp(text, title, sizeof(title) - 1) == 0;
}
