/* SPDX-License-Identifier: Apache-2.0 */
/* PATH.partial: made, locked, renamed or removed. */
#include "agent/restore/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/restore/target.h"
#include "common/err.h"
#include "common/io.h"

struct partial {
	char *dir;
	char *path;
	char *temporary;
	int fd;
	bool overwrite;
	bool made;
	bool committed;
};

/* Splits request's path; a symbolic link to a file means the file. */
static int
partial_names(struct partial *p, const char *path, struct err *err)
{
	char *copy = NULL, *slash;
	const char *name;
	int rc = -1;

	copy = realpath(path, NULL);
	if (copy == NULL && (copy = strdup(path)) == NULL)
		return err_no_memory(err);
	slash = strrchr(copy, '/');
	name = slash == NULL ? copy : slash + 1;
	if (*name == '\0' || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0) {
		err_set(err, ERR_ARG, "'%s' does not name a file", path);
		goto out;
	}
	if (slash != NULL)
		*slash = '\0';
	p->dir = realpath(slash == NULL   ? "."
			  : slash == copy ? "/"
					  : copy,
	    NULL);
	if (p->dir == NULL) {
		err_errno(err, errno, "cannot use the folder of '%s'", path);
		goto out;
	}
	p->path = io_path(p->dir, name);
	if (p->path == NULL ||
	    asprintf(&p->temporary, "%s.partial", p->path) == -1) {
		p->temporary = NULL;
		err_no_memory(err);
		goto out;
	}
	rc = 0;
out:
	free(copy);
	return rc;
}

/* QEMU holds record locks on the images of a running guest. */
static int
refuse_locked(const char *path, struct err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc;

	if (fd == -1)
		return 0; /* The rename will tell if it matters. */
	rc = fcntl(fd, F_OFD_GETLK, &lock);
	close(fd);
	if (rc == -1 || lock.l_type == F_UNLCK)
		return 0;
	err_set(err, ERR_BUSY, "'%s' is in use by another program", path);
	return err_hint(err, "shut its domain down, or restore elsewhere");
}

static int
check_existing(const struct partial *p, struct err *err)
{
	struct stat st;

	if (lstat(p->path, &st) == -1) {
		if (errno == ENOENT)
			return 0;
		return err_errno(err, errno, "cannot look at '%s'", p->path);
	}
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return err_set(err, ERR_ARG,
		    "'%s' is neither a file nor a block device", p->path);
	if (!p->overwrite) {
		err_set(err, ERR_EXISTS, "'%s' exists", p->path);
		return err_hint(err, "use --overwrite to replace it");
	}
	return refuse_locked(p->path, err);
}

/*
 * On NFS flock() is a record lock that would shut out qemu-nbd, so there a
 * second run is not noticed.
 */
static int
take_lock(const struct partial *p, struct err *err)
{
	struct statfs fs;

	if (fstatfs(p->fd, &fs) == 0 && fs.f_type == NFS_SUPER_MAGIC)
		return 0;
	if (flock(p->fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return err_errno(err, errno, "cannot lock '%s'", p->temporary);
	return err_set(
	    err, ERR_BUSY, "another restore is writing '%s'", p->temporary);
}

static int
make_file(struct partial *p, struct err *err)
{
	struct stat held, named;

	p->fd = open(p->temporary,
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (p->fd == -1)
		return err_errno(err, errno, "cannot make '%s'", p->temporary);
	if (take_lock(p, err) == -1)
		return -1;
	/* The run that held it may have renamed or removed it meanwhile. */
	if (fstat(p->fd, &held) == -1 || stat(p->temporary, &named) == -1 ||
	    held.st_ino != named.st_ino || held.st_dev != named.st_dev ||
	    !S_ISREG(held.st_mode))
		return err_set(err, ERR_BUSY, "another program changed '%s'",
		    p->temporary);
	p->made = true;
	if (ftruncate(p->fd, 0) == -1)
		return err_errno(err, errno, "cannot empty '%s'", p->temporary);
	return 0;
}

/* A replaced disk image keeps its owner and mode. */
static int
copy_owner(const struct partial *p, struct err *err)
{
	struct stat st;

	if (stat(p->path, &st) == -1)
		return 0;
	if (fchown(p->fd, st.st_uid, st.st_gid) == -1 && errno != EPERM)
		return err_errno(
		    err, errno, "cannot give '%s' its owner", p->temporary);
	if (fchmod(p->fd, st.st_mode & 07777) == -1)
		return err_errno(
		    err, errno, "cannot give '%s' its mode", p->temporary);
	return 0;
}

static int
check_space(const struct partial *p, uint64_t data_bytes, struct err *err)
{
	struct statvfs fs;
	uint64_t free_bytes;

	if (fstatvfs(p->fd, &fs) == -1 || fs.f_blocks == 0)
		return 0; /* ENOSPC will come by itself. */
	free_bytes =
	    (uint64_t)(geteuid() == 0 ? fs.f_bfree : fs.f_bavail) * fs.f_frsize;
	if (data_bytes <= free_bytes)
		return 0;
	err_set(err, ERR_NO_SPACE,
	    "not enough space in '%s': the disk holds %" PRIu64
	    " MiB of data, %" PRIu64 " MiB are free",
	    p->dir, data_bytes >> 20, free_bytes >> 20);
	return err_hint(err, "free space, or restore to another file system");
}

int
partial_check(const struct target_request *request, struct err *err)
{
	struct partial p = { .fd = -1, .overwrite = request->overwrite };
	int rc = partial_names(&p, request->path, err);

	if (rc == 0)
		rc = check_existing(&p, err);
	free(p.dir);
	free(p.path);
	free(p.temporary);
	return rc;
}

int
partial_open(
    struct partial **out, const struct target_request *request, struct err *err)
{
	struct partial *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return err_no_memory(err);
	p->fd = -1;
	p->overwrite = request->overwrite;
	if (partial_names(p, request->path, err) == -1 ||
	    check_existing(p, err) == -1 || make_file(p, err) == -1 ||
	    copy_owner(p, err) == -1 ||
	    check_space(p, request->data_bytes, err) == -1) {
		partial_close(p);
		return -1;
	}
	*out = p;
	return 0;
}

void
partial_close(struct partial *p)
{
	if (p == NULL)
		return;
	if (p->made && !p->committed)
		unlink(p->temporary);
	if (p->fd != -1)
		close(p->fd);
	free(p->temporary);
	free(p->path);
	free(p->dir);
	free(p);
}

int
partial_fd(const struct partial *p)
{
	return p->fd;
}

const char *
partial_path(const struct partial *p)
{
	return p->temporary;
}

/* Without overwrite, a file that appeared meanwhile is not replaced. */
static int
take_name(const struct partial *p, struct err *err)
{
	int rc;

	if (p->overwrite) {
		rc = rename(p->temporary, p->path);
	} else {
		rc = renameat2(AT_FDCWD, p->temporary, AT_FDCWD, p->path,
		    RENAME_NOREPLACE);
		/* Not every file system knows the flag. */
		if (rc == -1 && errno == EINVAL && access(p->path, F_OK) == -1)
			rc = rename(p->temporary, p->path);
	}
	if (rc == -1)
		return err_errno(err, errno, "cannot rename '%s' to '%s'",
		    p->temporary, p->path);
	return 0;
}

int
partial_commit(struct partial *p, struct err *err)
{
	struct stat held, named;

	if (fstat(p->fd, &held) == -1 || stat(p->temporary, &named) == -1 ||
	    held.st_ino != named.st_ino || held.st_dev != named.st_dev)
		return err_set(err, ERR_IO,
		    "'%s' was replaced while it was written", p->temporary);
	if (fsync(p->fd) == -1)
		return err_errno(err, errno, "cannot sync '%s'", p->temporary);
	if (take_name(p, err) == -1)
		return -1;
	p->committed = true;
	return io_sync_dir(p->dir, err);
}
