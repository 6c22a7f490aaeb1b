/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A /sys, a /proc and mount tables made up in a folder of the test's own,
 * and what mounts_scan makes of them.  One at a time.
 */
#ifndef HOLDSTILL_TESTS_UNIT_FAKE_SYS_H
#define HOLDSTILL_TESTS_UNIT_FAKE_SYS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "guest-helper/conf.h"
#include "guest-helper/mounts.h"

struct fake_sys {
	char top[64], sysfs[96], table[96], proc[96];
	struct mounts_paths paths; /* proc is set by fake_sys_process. */
	struct conf conf;          /* All zero. */
	struct mounts mounts;      /* Of the last scan. */
	struct err err;
};

extern struct fake_sys fake_sys;

/* For cmocka.  There are vda with vda1, and vdb; vda has the serial number
 * SERIAL-A. */
int fake_sys_set_up(void **state);
int fake_sys_tear_down(void **state);

/* Below /sys; the target of a link too. */
void fake_sys_dir(const char *path);
void fake_sys_file(const char *path, const char *text);
void fake_sys_link(const char *path, const char *to);

/* A device at devices/PATH, with its links as the kernel makes them. */
void fake_sys_device_at(
    const char *path, const char *number, bool is_partition);
/* The same: a partition if there is a slash in the path. */
void fake_sys_device(const char *path, const char *number);
/* OF lies on NAME. */
void fake_sys_slave(const char *of, const char *name);
/* A loop device on a file. */
void fake_sys_loop(const char *name, const char *number, const char *file);

/* A process in a mount namespace ("mnt:[2]"), with its mount table. */
void fake_sys_process(
    const char *pid, const char *space, const char *name, const char *text);

/* Scans with this as our own mount table. */
void fake_sys_scan(
    const char *text, const struct message_disk *disks, size_t count);
/* The file system of that place in the order. */
void fake_sys_expect(size_t i, const char *mount_point, const char *disk,
    enum message_fs_state state);

/* The backup's disk that is vda here: the serial number tells. */
#define FAKE_SYS_SDX \
	{ \
		.target = "sdx", .serial = "SERIAL-A" \
	}

/* Lines of a table. */
#define FAKE_SYS_ROOT \
	"20 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
#define FAKE_SYS_DATA "30 20 254:16 / /data\\040x rw - xfs /dev/vdb rw\n"

#endif
