/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that is forked before the helper gives up its privileges, and
 * that starts writers and hooks for it.  It runs nothing but executables in
 * the two folders it was given, owned by root and writable by nobody else:
 * a helper that a hostile host has taken over can have what is installed
 * there run and killed, and no more than that and its own children.
 * When the helper dies it runs "thaw" of the hooks whose "freeze" it ran,
 * gives what runs some seconds (the writers' input has ended, which means
 * thaw), kills the rest, and ends.
 *
 * The helper's end; one thread.
 */
#ifndef HOLDSTILL_GUEST_SPAWNER_H
#define HOLDSTILL_GUEST_SPAWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

#define SPAWNER_CHILDREN_MAX 128 /* At a time. */

struct spawner_exit {
	pid_t pid;
	int status; /* As of wait(2). */
};

struct spawner {
	int fd; /* To poll for exits; -1: there is no process. */
	pid_t pid;
	bool gone; /* It has died: fd will say nothing more. */
	/* Of the last run that failed: it was surely not started.  Else it
	 * may have been, or may yet be. */
	bool refused;
	uint32_t last_id;
	/* Exits that came while an answer was waited for. */
	struct spawner_exit exits[SPAWNER_CHILDREN_MAX];
	size_t exit_count;
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
 * Runs NAME of the folder.  argument: NULL for a writer, "freeze" or "thaw"
 * for a hook.  session: put into the environment; NULL: none.  ERR_AUTH: its
 * owner or mode are unsafe; ERR_NOT_FOUND: no such executable.  Waits for
 * the spawner's answer, at most a second; what starts later than that, or
 * without its descriptors, is killed (see refused).
 */
int spawner_run(struct spawner *s, enum spawner_dir dir, const char *name,
    const char *argument, const char *session, struct spawner_child *out,
    struct err *err);

/* Sends SIGTERM (with SIGCONT, so that it arrives) or SIGKILL to the child's
 * process group.  Only while the child's exit was not told. */
void spawner_kill(struct spawner *s, pid_t child, int signum);

/* Sends SIGKILL to a child of the calling process, which itself may signal
 * nobody.  Anybody else's is left alone. */
void spawner_kill_sibling(struct spawner *s, pid_t pid);

/*
 * true: a child has ended with that wait status; false: none just now.  What
 * a writer left in its process group has been killed by then; what a hook
 * left runs on, as it would under QEMU's agent.
 */
bool spawner_exited(struct spawner *s, pid_t *out_pid, int *out_status);

/* May a file of that name be a writer or hook?  Not hidden, no path, and
 * none of the endings of backups and package leftovers. */
bool spawner_name_valid(const char *name);

/* Why not, in static words; NULL: it may. */
const char *spawner_name_fault(const char *name);

/*
 * The check that the spawner makes before it runs anything, for a look
 * without running: a regular executable file, perhaps behind symbolic links;
 * it, the folder, every folder above them and every link on the way belong
 * to root (or the caller), and nobody else may write to them.  Errors as of
 * spawner_run(); ERR_IO: a link to nothing.
 */
int spawner_check(const char *dir, const char *name, struct err *err);

#endif
