/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small shell scripts as writers and hooks, in folders of a test's own:
 * DIR/writers, DIR/hooks, DIR/run.  Each notes what it hears in DIR/log.
 */
#ifndef HOLDSTILL_TESTS_UNIT_WRITER_SCRIPTS_H
#define HOLDSTILL_TESTS_UNIT_WRITER_SCRIPTS_H

#include <stdbool.h>

struct conf;

#define WRITER_SCRIPTS_WAIT_MS 20000

struct writer_scripts {
	char dir[64];
	char writers[80];
	char hooks[80];
	int run_dir;
};

void writer_scripts_init(struct writer_scripts *s);
void writer_scripts_fini(struct writer_scripts *s);

/* Has the helper run these. */
void writer_scripts_configure(const struct writer_scripts *s, struct conf *c);

/* An executable DIR/WHERE/NAME of these lines, "where" being "writers" or
 * "hooks". */
void writer_scripts_raw(struct writer_scripts *s, const char *where,
    const char *name, const char *text);

/* A writer that answers "ok" to everything, but for these cases of the
 * shell's case, in which $word and $rest are what it was told; $dir and $me
 * are set, and note writes to the log. */
void writer_scripts_writer(
    struct writer_scripts *s, const char *name, const char *cases);

/* A hook with these cases of $1. */
void writer_scripts_hook(
    struct writer_scripts *s, const char *name, const char *cases);

/* Is that line in the log?  The second waits for it. */
bool writer_scripts_noted(struct writer_scripts *s, const char *line);
bool writer_scripts_wait(struct writer_scripts *s, const char *line);

/* The log's lines, joined by commas; static. */
const char *writer_scripts_log(struct writer_scripts *s);

/* An empty file of that name in DIR, or is there one? */
void writer_scripts_touch(struct writer_scripts *s, const char *name);
bool writer_scripts_exists(struct writer_scripts *s, const char *name);

#endif
