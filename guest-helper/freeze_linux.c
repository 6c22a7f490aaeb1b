/* SPDX-License-Identifier: Apache-2.0 */
/* Linux: syncfs, FIFREEZE, FITHAW. */
#include "guest-helper/freeze_linux.h"

#include <errno.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define THAW_TRIES 5
#define THAW_PAUSE_MS 50

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

/* A device that fails once need not fail again. */
static bool
may_pass(int error)
{
	return error != 0 && error != EINVAL && error != EBADF &&
	       error != EPERM && error != ENOTTY && error != EOPNOTSUPP;
}

int
freeze_thaw(int fd)
{
	int tries = THAW_TRIES, error;

	while (may_pass(error = retry_ioctl(fd, FITHAW)) && --tries > 0)
		poll(NULL, 0, THAW_PAUSE_MS);
	return error;
}
