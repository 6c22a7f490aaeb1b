/* SPDX-License-Identifier: Apache-2.0 */
/* Linux: syncfs, FIFREEZE, FITHAW. */
#include "guest-helper/freeze_linux.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

int
freeze_sync(int fd)
{
	return syncfs(fd) == -1 ? errno : 0;
}

static int
retry_ioctl(int fd, unsigned long request)
{
	int rc;

	do
		rc = ioctl(fd, request, 0);
	while (rc == -1 && errno == EINTR);
	return rc == -1 ? errno : 0;
}

int
freeze_hold(int fd)
{
	return retry_ioctl(fd, FIFREEZE);
}

int
freeze_thaw(int fd)
{
	return retry_ioctl(fd, FITHAW);
}
