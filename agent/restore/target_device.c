/* SPDX-License-Identifier: Apache-2.0 */
/* A block device: written in place, holes made to read as zeros. */
#include "agent/restore/target.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"

/* A multiple of every logical block size: BLKZEROOUT wants whole ones. */
#define ZERO_ALIGN UINT64_C(65536)

struct target_device {
	struct target base;
	const char *path;
	int fd;
};

static int
device_write(struct target *t, uint64_t offset, const void *buf, size_t size,
    struct err *err)
{
	struct target_device *d = (struct target_device *)t;

	if (io_pwrite_full(d->fd, buf, size, offset) == -1)
		return err_errno(err, errno, "cannot write '%s' at %" PRIu64,
		    d->path, offset);
	return 0;
}

static int
write_zeros(struct target *t, uint64_t offset, uint64_t bytes, struct err *err)
{
	static const char zeros[ZERO_ALIGN];
	size_t n;

	for (; bytes > 0; offset += n, bytes -= n) {
		n = bytes < sizeof(zeros) ? (size_t)bytes : sizeof(zeros);
		if (device_write(t, offset, zeros, n, err) == -1)
			return -1;
	}
	return 0;
}

/* The kernel unmaps or writes, whichever makes the range read as zeros. */
static int
device_zero(struct target *t, uint64_t offset, uint64_t bytes, struct err *err)
{
	struct target_device *d = (struct target_device *)t;
	uint64_t range[2] = { offset, bytes - bytes % ZERO_ALIGN };

	if (range[1] > 0 && ioctl(d->fd, BLKZEROOUT, range) == 0) {
		offset += range[1];
		bytes -= range[1];
	}
	return write_zeros(t, offset, bytes, err);
}

static int
device_finish(struct target *t, struct err *err)
{
	struct target_device *d = (struct target_device *)t;

	if (fsync(d->fd) == -1)
		return err_errno(err, errno, "cannot sync '%s'", d->path);
	return 0;
}

static void
device_close(struct target *t)
{
	struct target_device *d = (struct target_device *)t;

	if (d->fd != -1)
		close(d->fd);
	free(d);
}

static const struct target_ops device_ops = {
	.write = device_write,
	.zero = device_zero,
	.finish = device_finish,
	.close = device_close,
};

/* O_EXCL: the kernel refuses a device that is mounted or otherwise held. */
static int
open_held(struct target_device *d, struct err *err)
{
	struct stat st;

	d->fd = open(d->path, O_RDWR | O_EXCL | O_CLOEXEC);
	if (d->fd == -1 && errno == EBUSY) {
		err_set(err, ERR_BUSY, "'%s' is mounted or in use", d->path);
		return err_hint(err, "unmount it, or restore elsewhere");
	}
	if (d->fd == -1)
		return err_errno(err, errno, "cannot open '%s'", d->path);
	if (fstat(d->fd, &st) == -1 || !S_ISBLK(st.st_mode))
		return err_set(
		    err, ERR_ARG, "'%s' is no block device", d->path);
	return 0;
}

static int
check_size(const struct target_device *d, uint64_t need, struct err *err)
{
	uint64_t have;

	if (ioctl(d->fd, BLKGETSIZE64, &have) == -1)
		return err_errno(
		    err, errno, "cannot ask '%s' for its size", d->path);
	if (have < need)
		return err_set(err, ERR_NO_SPACE,
		    "'%s' is too small: it has %" PRIu64
		    " bytes, the disk %" PRIu64,
		    d->path, have, need);
	return 0;
}

int
target_device_check(const struct target_request *request, struct err *err)
{
	struct target *t;

	if (target_device_open(&t, request, err) == -1)
		return -1;
	device_close(t);
	return 0;
}

int
target_device_open(
    struct target **out, const struct target_request *request, struct err *err)
{
	struct target_device *d;

	if (!request->overwrite) {
		err_set(
		    err, ERR_EXISTS, "'%s' is a block device", request->path);
		return err_hint(err, "use --overwrite to write over it");
	}
	if ((d = calloc(1, sizeof(*d))) == NULL)
		return err_no_memory(err);
	d->base.ops = &device_ops;
	d->path = request->path;
	d->fd = -1;
	if (open_held(d, err) == -1 ||
	    check_size(d, request->size_bytes, err) == -1) {
		device_close(&d->base);
		return -1;
	}
	*out = &d->base;
	return 0;
}
