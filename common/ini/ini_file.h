/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INI files, read strictly: [section], "key = value", lists that go on in
 * indented lines, comments behind '#' and ';' on lines of their own and behind
 * ';' after a value.  What inih lets pass (lines that it cuts, sections
 * without their ']', an indented entry that it would take for more of the
 * value above, a '#' that looks like a comment) is an error here.
 */
#ifndef HOLDSTILL_COMMON_INI_INI_FILE_H
#define HOLDSTILL_COMMON_INI_INI_FILE_H

#include <stdbool.h>

struct err;

struct ini_file_place {
	unsigned int line; /* From 1.  A callback that fails may set another. */
	bool indented;     /* The value goes on with that of the line above. */
};

/*
 * Called in the file's order.  -1 with *err (without file and line, which
 * are put before it) ends the reading.  The texts are valid during the call.
 */
struct ini_file_events {
	/* text: between the brackets, without blanks at its ends. */
	int (*section)(void *arg, const char *text,
	    struct ini_file_place *place, struct err *err);
	/* Neither is NULL; both may be empty. */
	int (*key)(void *arg, const char *name, const char *value,
	    struct ini_file_place *place, struct err *err);
};

/*
 * Reads the file as text, without a byte order mark; the caller frees *out.
 * ERR_AUTH if everybody may write it; an absent one has ENOENT as sys_errno.
 */
int ini_file_load(char **out, const char *path, struct err *err);

/* path is for errors only: each begins with "PATH:LINE: " and is ERR_ARG if
 * no callback set another class. */
int ini_file_parse(const char *text, const char *path,
    const struct ini_file_events *events, void *arg, struct err *err);

/* Puts "PATH:LINE: " before the text of *err; returns -1. */
int ini_file_fail_at(struct err *err, const char *path, unsigned int line);

#endif
