/* SPDX-License-Identifier: Apache-2.0 */
/* One line of what a writer says (docs/writers.md), taken apart. */
#ifndef HOLDSTILL_GUEST_WRITER_LINE_H
#define HOLDSTILL_GUEST_WRITER_LINE_H

#include <stddef.h>

#define WRITER_LINE_MAX 1024 /* Bytes, without the line feed. */

enum writer_line_kind {
	WRITER_LINE_WRONG, /* text says why. */
	WRITER_LINE_OK,
	WRITER_LINE_FAIL, /* text: the reason, perhaps "". */
	WRITER_LINE_META, /* key, text. */
	WRITER_LINE_NOTE, /* text. */
	WRITER_LINE_DATA, /* text: an absolute path. */
};

struct writer_line {
	enum writer_line_kind kind;
	const char *key;
	const char *text;
};

/* Splits line in place; out's texts point into it or are static.  line has
 * length bytes and a NUL behind them. */
void writer_line_parse(struct writer_line *out, char *line, size_t length);

/* Makes it UTF-8 without control characters, for people: others become '?'.
 * In place. */
void writer_line_clean(char *text);

/* Copies as much as fits, without half a character at the end. */
void writer_line_copy(char *out, size_t size, const char *text);

#endif
