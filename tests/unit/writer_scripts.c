/* SPDX-License-Identifier: Apache-2.0 */
/* Shell scripts as writers and hooks. */
#include "tests/unit/writer_scripts.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/io.h"
#include "guest-helper/conf.h"

#define HEAD \
	"#!/bin/sh\n" \
	"me=%s\n" \
	"dir=%s\n" \
	"note() { echo \"$me $*\" >>\"$dir/log\"; }\n"

void
writer_scripts_init(struct writer_scripts *s)
{
	char run[80];

	strcpy(s->dir, "/tmp/holdstill-test.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->writers, sizeof(s->writers), "%s/writers", s->dir);
	snprintf(s->hooks, sizeof(s->hooks), "%s/hooks", s->dir);
	snprintf(run, sizeof(run), "%s/run", s->dir);
	assert_int_equal(mkdir(s->writers, 0755), 0);
	assert_int_equal(mkdir(s->hooks, 0755), 0);
	assert_int_equal(mkdir(run, 0755), 0);
	s->run_dir = open(run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_not_equal(s->run_dir, -1);
}

void
writer_scripts_fini(struct writer_scripts *s)
{
	struct err err = ERR_INIT;

	close(s->run_dir);
	assert_int_equal(io_remove_tree(s->dir, &err), 0);
}

void
writer_scripts_configure(const struct writer_scripts *s, struct conf *c)
{
	strcpy(c->writers_dir, s->writers);
	strcpy(c->hooks_dir, s->hooks);
}

void
writer_scripts_raw(struct writer_scripts *s, const char *where,
    const char *name, const char *text)
{
	char path[192];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/%s", s->dir, where, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
}

void
writer_scripts_writer(
    struct writer_scripts *s, const char *name, const char *cases)
{
	char text[4096];

	snprintf(text, sizeof(text),
	    HEAD "while read -r word rest; do\n"
		 "	note \"$word\"\n"
		 "	case $word in\n"
		 "	%s\n"
		 "	meta) ;;\n"
		 "	*) echo ok ;;\n"
		 "	esac\n"
		 "done\n"
		 "note end\n",
	    name, s->dir, cases);
	writer_scripts_raw(s, "writers", name, text);
}

void
writer_scripts_hook(
    struct writer_scripts *s, const char *name, const char *cases)
{
	char text[4096];

	snprintf(text, sizeof(text),
	    HEAD "note \"$1\"\n"
		 "case $1 in\n"
		 "%s\n"
		 "*) ;;\n"
		 "esac\n",
	    name, s->dir, cases);
	writer_scripts_raw(s, "hooks", name, text);
}

const char *
writer_scripts_log(struct writer_scripts *s)
{
	static char text[65536];
	struct err err = ERR_INIT;
	char path[96], *bytes;
	size_t size, i;

	snprintf(path, sizeof(path), "%s/log", s->dir);
	text[0] = '\0';
	if (io_read_file(&bytes, &size, path, sizeof(text) - 1, &err) == -1)
		return text;
	memcpy(text, bytes, size);
	text[size > 0 ? size - 1 : 0] = '\0';
	free(bytes);
	for (i = 0; text[i] != '\0'; i++)
		if (text[i] == '\n')
			text[i] = ',';
	return text;
}

bool
writer_scripts_noted(struct writer_scripts *s, const char *line)
{
	const char *p = writer_scripts_log(s);
	size_t length = strlen(line);

	while (p != NULL) {
		if (strncmp(p, line, length) == 0 &&
		    (p[length] == ',' || p[length] == '\0'))
			return true;
		p = strchr(p, ',');
		if (p != NULL)
			p++;
	}
	return false;
}

bool
writer_scripts_wait(struct writer_scripts *s, const char *line)
{
	int64_t end = clock_monotonic_ms() + WRITER_SCRIPTS_WAIT_MS;

	while (!writer_scripts_noted(s, line)) {
		if (clock_monotonic_ms() > end)
			return false;
		poll(NULL, 0, 5);
	}
	return true;
}

void
writer_scripts_touch(struct writer_scripts *s, const char *name)
{
	char path[192];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	close(fd);
}

bool
writer_scripts_exists(struct writer_scripts *s, const char *name)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	return access(path, F_OK) == 0;
}
