/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which file systems a freeze of the planned disks has to hold, in the order
 * of freezing: those on loop files before the file systems that hold the
 * files (these must not be frozen the other way round).  Those of one rank
 * may be frozen at once; they are listed innermost first.  Each file system
 * once, however often it is mounted, and also if only other mount namespaces
 * have it.
 */
#ifndef HOLDSTILL_GUEST_MOUNTS_H
#define HOLDSTILL_GUEST_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/proto/message.h"

struct conf;
struct err;

struct mounts_paths {          /* Where to look; tests look elsewhere. */
	const char *mountinfo; /* "/proc/self/mountinfo" */
	const char *sysfs;     /* "/sys" */
	/* "/proc", for other mount namespaces; NULL: there are no others. */
	const char *proc;
	/* "/dev", to ask a loop device for its file; NULL: not asked. */
	const char *dev;
};

struct mounts_filesystem {
	/* "/data", "/data (in the mount namespace of pid 12, postgres)". */
	char *mount_point;
	char *path; /* To open it: "/data", "/proc/12/root/data". */
	char type[MESSAGE_NAME_SIZE];
	/* Targets if planned ("vda", "vda,vdb"), else a kernel's name. */
	char disk[MESSAGE_NAME_SIZE];
	unsigned int major, minor;
	enum message_fs_state state; /* PLANNED, SKIPPED or FAILED. */
	char reason[MESSAGE_REASON_SIZE];
	bool sync_only; /* SKIPPED, for it knows no freeze, but to be synced. */
	bool in_backup; /* Every disk that it lies on is. */
	bool left_out;  /* Not so, and it can be written to. */
	int fd;         /* Open on it from mounts_open() on, else -1. */
	/* Working values of the ordering. */
	size_t index;       /* In the order of the tables. */
	unsigned int rank;  /* Loop files below it. */
	unsigned int depth; /* Mounts it is below. */
};

struct mounts {
	struct mounts_filesystem *items;
	size_t count;
	/* How disks were matched, if it needs saying; else "". */
	char note[MESSAGE_REASON_SIZE];
};

/*
 * Maps disks (none: all real disks) to file systems, as the policy conf
 * (NULL: the defaults) has it.  The caller calls mounts_fini.  More than
 * MESSAGE_FILESYSTEMS_MAX is ERR_UNSUPPORTED.
 */
int mounts_scan(struct mounts *out, const struct mounts_paths *paths,
    const struct conf *conf, const struct message_disk *disks,
    size_t disk_count, struct err *err);

/*
 * Opens the planned ones and those to be synced only.  A planned one that
 * cannot be reached becomes FAILED, with the reason: never fails as a whole.
 */
void mounts_open(struct mounts *m, const struct mounts_paths *paths);

/* Closes their descriptors, so that they can be unmounted. */
void mounts_close(struct mounts *m);

void mounts_fini(struct mounts *m);

#endif
