/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of --check. */
#include "guest-helper/check.h"

#include <stdio.h>

#include "common/err.h"

static const char *
state_name(const struct mounts_filesystem *fs)
{
	return fs->state == MESSAGE_FS_PLANNED
		   ? "freeze"
		   : message_fs_state_name(fs->state);
}

static int
print_filesystems(const struct guest_options *options, struct err *err)
{
	const struct mounts_filesystem *fs;
	struct mounts mounts;
	int failures = 0;
	size_t i;

	if (mounts_scan(
		&mounts, &options->paths, options->conf, NULL, 0, err) == -1)
		return -1;
	mounts_open(&mounts, &options->paths);
	printf("%-10s %-8s %-10s %s\n", "disk", "type", "state", "mount point");
	for (i = 0; i < mounts.count; i++) {
		fs = &mounts.items[i];
		failures += fs->state == MESSAGE_FS_FAILED;
		printf("%-10s %-8s %-10s %s%s%s%s\n", fs->disk, fs->type,
		    state_name(fs), fs->mount_point,
		    fs->reason[0] != '\0' ? " (" : "", fs->reason,
		    fs->reason[0] != '\0' ? ")" : "");
	}
	if (mounts.note[0] != '\0')
		printf("note: %s\n", mounts.note);
	mounts_fini(&mounts);
	return failures;
}

int
check_run(const struct guest_options *options, struct err *err)
{
	return print_filesystems(options, err);
}
