/* SPDX-License-Identifier: Apache-2.0 */
/* Asks a loop device for its file. */
#include "guest-helper/loopfile.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

bool
loopfile_read(struct loopfile *out, const char *dev, const char *name)
{
	struct loop_info64 info = { 0 };
	char path[PATH_MAX];
	struct stat st;
	bool ok;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dev, name) >=
	    (int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1)
		return false;
	ok = fstat(fd, &st) == 0 && S_ISBLK(st.st_mode) &&
	     ioctl(fd, LOOP_GET_STATUS64, &info) == 0;
	close(fd);
	if (!ok)
		return false;
	out->major = major((dev_t)info.lo_device);
	out->minor = minor((dev_t)info.lo_device);
	out->inode = info.lo_inode;
	return true;
}

bool
loopfile_is(const struct loopfile *file, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && major(st.st_dev) == file->major &&
	       minor(st.st_dev) == file->minor && st.st_ino == file->inode;
}
