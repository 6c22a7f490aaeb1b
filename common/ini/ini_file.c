/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of INI files: inih, and what it does not look at. */
#include "common/ini/ini_file.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/err.h"
#include "common/io.h"

#define FILE_MAX_BYTES (1024 * 1024)

/*
 * inih hands over keys without line numbers and says nothing of empty
 * sections, of repeated ones and of lines that it cuts.  It takes its lines
 * from our reader, though, one by one, so the reader knows all of that.
 */
struct reader {
	const char *path;
	const char *next; /* The rest of the file. */
	struct ini_file_place place;
	const struct ini_file_events *events;
	void *arg;
	bool failed;
	struct err *err;
};

/* ---- the file ---- */

/* Who may write the file decides what runs as root. */
static int
check_mode(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return err_errno(err, errno, "cannot open '%s'", path);
	if ((st.st_mode & S_IWOTH) == 0)
		return 0;
	err_set(err, ERR_AUTH, "'%s' may be written by everybody", path);
	return err_hint(err, "chmod o-w %.250s", path);
}

int
ini_file_load(char **out, const char *path, struct err *err)
{
	char *text = NULL;
	size_t size;

	if (check_mode(path, err) == -1 ||
	    io_read_file(&text, &size, path, FILE_MAX_BYTES, err) == -1)
		return -1;
	if (strlen(text) != size) {
		free(text);
		return err_set(err, ERR_ARG, "'%s' is no text file", path);
	}
	/* A byte order mark, which some editors write. */
	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		memmove(text, text + 3, size - 3 + 1);
	*out = text;
	return 0;
}

/* ---- lines ---- */

int
ini_file_fail_at(struct err *err, const char *path, unsigned int line)
{
	return err_prefix(err, "%s:%u", path, line);
}

static int
fail(struct reader *r)
{
	if (!r->failed)
		ini_file_fail_at(r->err, r->path, r->place.line);
	r->failed = true;
	return -1;
}

static int
begin_section(struct reader *r, const char *line)
{
	const char *end = strchr(line, ']');
	char *text;
	int rc;

	if (end == NULL) {
		err_set(r->err, ERR_ARG, "the section's ']' is missing");
		return fail(r);
	}
	while (end > line + 1 && isblank((unsigned char)end[-1]))
		end--;
	line += 1 + strspn(line + 1, " \t");
	text = strndup(line, end > line ? (size_t)(end - line) : 0);
	if (text == NULL) {
		err_no_memory(r->err);
		return fail(r);
	}
	rc = r->events->section(r->arg, text, &r->place, r->err);
	free(text);
	return rc == -1 ? fail(r) : 0;
}

static bool
is_blank_or_comment(const char *line, size_t size)
{
	size_t i = 0;

	while (i < size && isspace((unsigned char)line[i]))
		i++;
	return i == size || line[i] == '#' || line[i] == ';';
}

static int
check_line(struct reader *r, const char *line, size_t size, int room)
{
	if (size + 2 > (size_t)room) {
		err_set(r->err, ERR_ARG,
		    "the line is longer than %d characters", room - 2);
		err_hint(r->err, "a list may go on in indented lines");
		return fail(r);
	}
	r->place.indented = isblank((unsigned char)line[0]);
	/*
	 * inih would take an indented "key = value" for more of the value
	 * above, silently.
	 */
	if (r->place.indented && !is_blank_or_comment(line, size) &&
	    (strcspn(line, "=:") < size || line[strspn(line, " \t")] == '[')) {
		err_set(r->err, ERR_ARG,
		    "an indented line goes on with the "
		    "list above it, but this one looks like a new entry");
		err_hint(r->err, "remove the blanks at its beginning");
		return fail(r);
	}
	return 0;
}

/* The size without a "; comment", which inih leaves in indented lines. */
static size_t
cut_comment(const char *line, size_t size)
{
	size_t i;

	for (i = 1; i < size; i++)
		if (line[i] == ';' && isblank((unsigned char)line[i - 1]))
			return i;
	return size;
}

/* inih's reader: like fgets() of the next line. */
static char *
read_line(char *out, int room, void *stream)
{
	struct reader *r = stream;
	const char *line = r->next;
	size_t size = strcspn(line, "\n");

	if (r->failed || *line == '\0')
		return NULL;
	r->place.line++;
	r->next += size + (line[size] == '\n');
	size = cut_comment(line, size);
	if (check_line(r, line, size, room) == -1)
		return NULL;
	memcpy(out, line, size);
	out[size] = '\n';
	out[size + 1] = '\0';
	if (out[0] == '[' && begin_section(r, out) == -1)
		return NULL;
	return out;
}

/* A '#' behind a value begins no comment for inih: it, and what was to be
 * the remark, would be words of a list or the end of a path. */
static int
check_remark(struct reader *r, const char *name, const char *value)
{
	const char *mark = strchr(value, '#');

	while (
	    mark != NULL && mark > value && !isblank((unsigned char)mark[-1]))
		mark = strchr(mark + 1, '#');
	if (mark == NULL)
		return 0;
	err_set(r->err, ERR_ARG, "a word of '%.100s' begins with '#'", name);
	return err_hint(r->err, "comments behind a value begin with ';'");
}

/* inih's handler; 0 tells it of an error. */
static int
handle_key(void *arg, const char *section, const char *name, const char *value)
{
	struct reader *r = arg;

	(void)section; /* inih cuts long ones; the reader has the whole. */
	if (r->failed)
		return 0;
	if (check_remark(r, name, value) == -1 ||
	    r->events->key(r->arg, name, value, &r->place, r->err) == -1)
		fail(r);
	return !r->failed;
}

int
ini_file_parse(const char *text, const char *path,
    const struct ini_file_events *events, void *arg, struct err *err)
{
	struct reader r = {
		.path = path,
		.next = text,
		.events = events,
		.arg = arg,
		.err = err,
	};
	int line = ini_parse_stream(read_line, &r, handle_key, &r);

	if (r.failed)
		return -1;
	if (line == 0)
		return 0;
	err_set(err, ERR_ARG, "neither a [section] nor 'key = value'");
	return ini_file_fail_at(
	    err, path, line > 0 ? (unsigned int)line : r.place.line);
}
