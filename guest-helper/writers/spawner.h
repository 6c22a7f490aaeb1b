/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that is forked before the helper gives up its privileges, and
 * that starts writers and hooks for it.  It runs nothing but executables in
 * the two folders it was given, owned by root and writable by nobody else,
 * so a helper that a hostile host has taken over gains nothing from it.
 * When the helper dies it gives what runs some seconds (their input has
 * ended, which means thaw), kills the rest, and ends.
 *
 * The helper's end; one thread.
 */
#ifndef HOLDSTILL_GUEST_SPAWNER_H
#define HOLDSTILL_GUEST_SPAWNER_H

#include <stdbool.h>
#include <sys/types.h>

struct err;

struct spawner {
	int fd; /* To poll for exits; -1: there is no process. */
	pid_t pid;
};

enum spawner_dir { SPAWNER_WRITERS, SPAWNER_HOOKS };

struct spawner_child {
	pid_t pid;  /* Also its process group. */
	int input;  /* Write end, not blocking; -1 for a hook (no input). */
	int output; /* Read end, not blocking: its standard output. */
	int errors; /* Read end, not blocking: its standard error. */
};

/* Forks it.  Folders that do not exist hold nothing. */
int spawner_start(struct spawner *out, const char *writers_dir,
    const char *hooks_dir, struct err *err);
/* Closes the socket: see above. */
void spawner_close(struct spawner *s);

/*
 * Runs NAME of the folder with one argument (NULL: none).  ERR_AUTH: its
 * owner or mode are unsafe; ERR_NOT_FOUND: no such executable.  Waits for
 * the spawner's answer, at most a second.
 */
int spawner_run(struct spawner *s, enum spawner_dir dir, const char *name,
    const char *argument, struct spawner_child *out, struct err *err);

/* Sends a signal to the child's process group. */
void spawner_kill(struct spawner *s, pid_t child, int signum);

/* true: a child has ended with that wait status; false: none just now. */
bool spawner_exited(struct spawner *s, pid_t *out_pid, int *out_status);

#endif
