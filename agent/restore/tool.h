/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A helper program of QEMU's run as a child: it dies with the thread that
 * started it, gets no descriptor of ours but the standard ones, and its
 * last words become the error text.  One thread a tool.
 */
#ifndef HOLDSTILL_AGENT_RESTORE_TOOL_H
#define HOLDSTILL_AGENT_RESTORE_TOOL_H

#include <stdatomic.h>

struct err;
struct tool;

/* argv ends with NULL; argv[0] is searched in PATH.  ERR_NOT_FOUND: it is
 * not installed.  The caller owns *out. */
int tool_start(struct tool **out, const char *const argv[], struct err *err);
/* Kills it if it still runs and reaps it; NULL is allowed. */
void tool_close(struct tool *t);

/*
 * Waits until it has made the file NAME in the folder dir.  -1 when it ends
 * before that, after timeout_ms (ERR_TIMEOUT), or once *stop
 * (ERR_CANCELLED).
 */
int tool_wait_file(struct tool *t, const char *dir, const char *name,
    int timeout_ms, const atomic_bool *stop, struct err *err);

/* Waits for its end; -1 unless it ended by itself with status 0. */
int tool_wait(
    struct tool *t, int timeout_ms, const atomic_bool *stop, struct err *err);

#endif
