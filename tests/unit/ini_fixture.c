/* SPDX-License-Identifier: Apache-2.0 */
/* A file to be read. */
#include "tests/unit/ini_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/io.h"

int
ini_fixture_set_up(void **state)
{
	struct ini_fixture *f = *state;

	strcpy(f->dir, "/tmp/hs-ini-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/%s", f->dir, f->name);
	return 0;
}

int
ini_fixture_tear_down(void **state)
{
	struct ini_fixture *f = *state;
	struct err err = ERR_INIT;

	return io_remove_tree(f->dir, &err);
}

void
ini_fixture_write(const struct ini_fixture *f, const char *text, size_t size)
{
	struct err err = ERR_INIT;

	unlink(f->path);
	assert_int_equal(io_replace_file(f->path, text, size, 0644, &err), 0);
}

void
ini_fixture_expect_refusal(const struct ini_fixture *f, const struct err *err,
    unsigned int line, const char *what, const char *hint)
{
	char where[160];

	snprintf(where, sizeof(where), "%s:%u: ", f->path, line);
	if (err->class != ERR_ARG ||
	    strncmp(err->text, where, strlen(where)) != 0 ||
	    strstr(err->text, what) == NULL || strstr(err->hint, hint) == NULL)
		fail_msg("line %u, '%s' expected; got %s '%s', hint '%s'", line,
		    what, err_class_name(err->class), err->text, err->hint);
}
