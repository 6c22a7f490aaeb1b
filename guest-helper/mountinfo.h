/* SPDX-License-Identifier: Apache-2.0 */
/* The mount table as the kernel tells it (proc(5), mountinfo). */
#ifndef HOLDSTILL_GUEST_MOUNTINFO_H
#define HOLDSTILL_GUEST_MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>

struct err;

struct mountinfo_entry {
	int id, parent;
	unsigned int major, minor; /* Of the file system (anonymous: 0:N). */
	char *root;                /* What of the file system is mounted. */
	char *mount_point;         /* Unescaped, as are the others. */
	char *type;
	char *source;
	char *options;  /* Of the file system, as the table has them. */
	bool read_only; /* The file system itself, not this mount of it. */
};

struct mountinfo {
	struct mountinfo_entry *entries; /* In the table's order. */
	size_t count;
};

/* Reads the table; the caller calls mountinfo_fini.  Lines that are not
 * understood are left out. */
int mountinfo_read(struct mountinfo *out, const char *path, struct err *err);
void mountinfo_fini(struct mountinfo *m);

/* The value of an option "NAME=...", unescaped, in new memory; NULL: it has
 * none. */
char *mountinfo_option(const struct mountinfo_entry *e, const char *name);

/* How many mounts it is below. */
unsigned int mountinfo_depth(
    const struct mountinfo *m, const struct mountinfo_entry *e);

/* The entry whose mount holds the path (no symbolic links in it), or NULL. */
const struct mountinfo_entry *mountinfo_of_path(
    const struct mountinfo *m, const char *path);

/*
 * Is a file system of the network or of a program (FUSE) at the path, or
 * above it?  A server that hangs would take along whoever looks there.
 * own_root: one at "/" does not count, for we would hang with it anyway.
 */
bool mountinfo_may_hang(
    const struct mountinfo *m, const char *path, bool own_root);
/* Is it one of those? */
bool mountinfo_is_served(const char *type);

#endif
