/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a name and a value, taken one by one. */
#include "store/seal/lines.h"

#include <string.h>

#include "common/err.h"
#include "common/hexid.h"
#include "store/seal/secret.h"

#define HEX_BYTES_MAX 64

int
lines_title(const char **text, const char *title, struct err *err)
{
	size_t n = strlen(title);

	if (strncmp(*text, title, n) != 0 || (*text)[n] != '\n')
		return err_set(
		    err, ERR_CORRUPT, "it does not begin with '%s'", title);
	*text += n + 1;
	return 0;
}

int
lines_word(char *out, size_t size, const char **text, const char *name,
    struct err *err)
{
	size_t n = strlen(name), length;
	const char *value;

	if (strncmp(*text, name, n) != 0 || (*text)[n] != ' ')
		return err_set(
		    err, ERR_CORRUPT, "its line '%s' is missing", name);
	value = *text + n + 1;
	length = strcspn(value, " \t\r\n");
	if (value[length] != '\n' || length == 0 || length >= size)
		return err_set(
		    err, ERR_CORRUPT, "its line '%s' is wrong", name);
	memcpy(out, value, length);
	out[length] = '\0';
	*text = value + length + 1;
	return 0;
}

int
lines_hex(void *out, size_t size, const char **text, const char *name,
    struct err *err)
{
	char hex[2 * HEX_BYTES_MAX + 1];
	int rc = -1;

	if (size > HEX_BYTES_MAX)
		return err_set(err, ERR_BUG, "too much hex");
	if (lines_word(hex, sizeof(hex), text, name, err) == -1)
		return -1;
	if (strlen(hex) == 2 * size && hex_decode(out, size, hex) == 0)
		rc = 0;
	else
		err_set(err, ERR_CORRUPT, "its line '%s' is wrong", name);
	secret_wipe(hex, sizeof(hex));
	return rc;
}

int
lines_u64(uint64_t *out, const char **text, const char *name, struct err *err)
{
	char word[20]; /* Up to 10^19 - 1, which fits. */
	const char *p;
	uint64_t v = 0;

	if (lines_word(word, sizeof(word), text, name, err) == -1)
		return -1;
	for (p = word; *p >= '0' && *p <= '9'; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	if (*p != '\0')
		return err_set(
		    err, ERR_CORRUPT, "its line '%s' is wrong", name);
	*out = v;
	return 0;
}

int
lines_end(const char *text, struct err *err)
{
	if (*text == '\0')
		return 0;
	return err_set(err, ERR_CORRUPT, "there is more than there should be");
}
