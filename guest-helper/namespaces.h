/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount tables of the machine: this process's own, and those of other
 * mount namespaces (containers, services with PrivateMounts), as far as a
 * process lives in them.
 */
#ifndef HOLDSTILL_GUEST_NAMESPACES_H
#define HOLDSTILL_GUEST_NAMESPACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "guest-helper/mountinfo.h"

#define NAMESPACES_MAX 1024

struct err;

struct namespaces_item {
	uint64_t id;   /* Inode of /proc/PID/ns/mnt. */
	pid_t pid;     /* A process that lives in it; 0: it is our own. */
	char name[32]; /* What the process is called. */
	struct mountinfo table;
};

struct namespaces {
	const char *proc;              /* The caller's; NULL: only our own. */
	struct namespaces_item *items; /* Our own first. */
	size_t count;
	size_t others;   /* Entries of all tables but our own. */
	bool incomplete; /* More than fit, or a part of proc unread. */
};

/*
 * Reads our own table from the file mountinfo, the others through the folder
 * proc ("/proc"; NULL: not at all).  A process that ends meanwhile is passed
 * over.  The caller calls namespaces_fini.
 */
int namespaces_read(struct namespaces *out, const char *mountinfo,
    const char *proc, struct err *err);
void namespaces_fini(struct namespaces *n);

/*
 * Opens a path of a namespace, of any type and without following a symbolic
 * link at its end, as O_PATH.  Returns -1 with errno.
 */
int namespaces_open(const struct namespaces *n,
    const struct namespaces_item *item, const char *path);

/*
 * May opening that path wait for a server that hangs?  Links in the middle of
 * the path, and mounts newer than the table, are not seen.
 */
bool namespaces_may_hang(const struct namespaces_item *item, const char *path);

/* The path as seen from here ("/proc/12/root/data"), and as a person reads
 * it; in new memory, NULL when there is none left. */
char *namespaces_path(const struct namespaces *n,
    const struct namespaces_item *item, const char *path);
char *namespaces_describe(const struct namespaces_item *item, const char *path);

#endif
