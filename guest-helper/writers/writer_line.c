/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a writer's line. */
#include "guest-helper/writers/writer_line.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/proto/message.h"

#define KEY_CHARS "abcdefghijklmnopqrstuvwxyz0123456789_.-"

/* Length of the character at p, 0 if it is none (also: overlong, surrogate,
 * beyond Unicode, a control character but the tab). */
static size_t
character(const unsigned char *p)
{
	uint32_t code, least;
	size_t length, i;

	if (p[0] < 0x80)
		return (p[0] < 0x20 && p[0] != '\t') || p[0] == 0x7f ? 0 : 1;
	if ((p[0] & 0xe0) == 0xc0) {
		length = 2;
		least = 0x80;
	} else if ((p[0] & 0xf0) == 0xe0) {
		length = 3;
		least = 0x800;
	} else if ((p[0] & 0xf8) == 0xf0) {
		length = 4;
		least = 0x10000;
	} else {
		return 0;
	}
	code = p[0] & (0x7fU >> length);
	/* The NUL at the end is no continuation, so this stays inside. */
	for (i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	/* C1 controls are controls, too. */
	if (code < least || code > 0x10ffff || code < 0xa0 ||
	    (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return length;
}

static bool
is_text(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n;

	while (*p != '\0') {
		if ((n = character(p)) == 0)
			return false;
		p += n;
	}
	return true;
}

void
writer_line_clean(char *text)
{
	unsigned char *p = (unsigned char *)text;
	size_t n;

	while (*p != '\0') {
		n = character(p);
		if (n == 0)
			*p = '?';
		p += n == 0 ? 1 : n;
	}
}

void
writer_line_copy(char *out, size_t size, const char *text)
{
	size_t length = strlen(text);

	if (length >= size) {
		length = size - 1;
		while (
		    length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
			length--;
	}
	memcpy(out, text, length);
	out[length] = '\0';
}

/* What follows "WORD" and one blank; NULL if the line begins otherwise. */
static char *
after(char *line, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(line, word, n) != 0)
		return NULL;
	if (line[n] == ' ')
		return line + n + 1;
	return line[n] == '\0' ? line + n : NULL;
}

static void
wrong(struct writer_line *out, const char *why)
{
	out->kind = WRITER_LINE_WRONG;
	out->text = why;
}

static void
parse_meta(struct writer_line *out, char *rest)
{
	char *blank = strchr(rest, ' ');
	size_t key;

	if (blank == NULL) {
		wrong(out, "a meta line without a value");
		return;
	}
	key = (size_t)(blank - rest);
	if (key == 0 || key >= MESSAGE_NAME_SIZE ||
	    strspn(rest, KEY_CHARS) != key) {
		wrong(out, "a meta line with a wrong key");
		return;
	}
	*blank = '\0';
	if (strlen(blank + 1) >= MESSAGE_VALUE_SIZE) {
		wrong(out, "a meta line with a value of more than 255 bytes");
		return;
	}
	out->kind = WRITER_LINE_META;
	out->key = rest;
	out->text = blank + 1;
}

static void
parse_data(struct writer_line *out, const char *rest)
{
	if (rest[0] != '/') {
		wrong(out, "a data line without an absolute path");
		return;
	}
	if (strlen(rest) >= MESSAGE_VALUE_SIZE) {
		wrong(out, "a data line with a path of more than 255 bytes");
		return;
	}
	out->kind = WRITER_LINE_DATA;
	out->text = rest;
}

void
writer_line_parse(struct writer_line *out, char *line, size_t length)
{
	char *rest;

	memset(out, 0, sizeof(*out));
	out->text = "";
	if (strlen(line) != length || !is_text(line))
		wrong(out, "a line that is no text");
	else if (strcmp(line, "ok") == 0)
		out->kind = WRITER_LINE_OK;
	else if ((rest = after(line, "fail")) != NULL) {
		out->kind = WRITER_LINE_FAIL;
		out->text = rest;
	} else if ((rest = after(line, "note")) != NULL) {
		out->kind = WRITER_LINE_NOTE;
		out->text = rest;
	} else if ((rest = after(line, "meta")) != NULL)
		parse_meta(out, rest);
	else if ((rest = after(line, "data")) != NULL)
		parse_data(out, rest);
	else
		wrong(out, "a line that is no answer");
}
