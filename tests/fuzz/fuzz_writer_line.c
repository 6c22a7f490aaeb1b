/* SPDX-License-Identifier: Apache-2.0 */
/* What a writer says: lines from hostile bytes. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto/message.h"
#include "guest-helper/writers/writer_line.h"
#include "tests/fuzz/fuzz.h"

/* In memory of its own size, for the sanitizer to see every step outside. */
static char *
copy_of(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);

	if (line == NULL)
		abort();
	if (size > 0)
		memcpy(line, data, size);
	line[size] = '\0';
	return line;
}

static void
require(bool holds)
{
	if (!holds)
		abort();
}

static bool
is_clean(const char *text)
{
	char *copy = copy_of((const uint8_t *)text, strlen(text));
	bool same;

	writer_line_clean(copy);
	same = strcmp(copy, text) == 0;
	free(copy);
	return same;
}

static void
check_parse(const uint8_t *data, size_t size)
{
	char *line = copy_of(data, size);
	struct writer_line l;

	writer_line_parse(&l, line, size);
	require(l.text != NULL && is_clean(l.text));
	if (l.kind == WRITER_LINE_META)
		require(l.key != NULL && l.key[0] != '\0' &&
			strlen(l.key) < MESSAGE_NAME_SIZE &&
			strlen(l.text) < MESSAGE_VALUE_SIZE);
	else if (l.kind == WRITER_LINE_DATA)
		require(
		    l.text[0] == '/' && strlen(l.text) < MESSAGE_VALUE_SIZE);
	if (l.kind != WRITER_LINE_META && l.kind != WRITER_LINE_WRONG)
		require(memchr(data, '\0', size) == NULL);
	free(line);
}

/* The same for people: clean, and cut where a character ends. */
static void
check_copy(const uint8_t *data, size_t size)
{
	char *line = copy_of(data, size), *out;
	size_t room = size == 0 ? 1 : 1 + data[0] % (size + 2);

	writer_line_clean(line);
	require(is_clean(line));
	out = malloc(room);
	if (out == NULL)
		abort();
	writer_line_copy(out, room, line);
	require(strlen(out) < room && is_clean(out) &&
		strncmp(out, line, strlen(out)) == 0);
	free(out);
	free(line);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > WRITER_LINE_MAX)
		size = WRITER_LINE_MAX;
	check_parse(data, size);
	check_copy(data, size);
	return 0;
}
