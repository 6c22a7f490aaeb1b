/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes, durable small files, folders. */
#include "common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"

int
io_write_full(int fd, const void *buf, size_t size)
{
	const char *p = buf;
	ssize_t n;

	while (size > 0) {
		n = write(fd, p, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

int
io_pwrite_full(int fd, const void *buf, size_t size, uint64_t offset)
{
	const char *p = buf;
	ssize_t n;

	while (size > 0) {
		n = pwrite(fd, p, size, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

int64_t
io_read_full(int fd, void *buf, size_t size)
{
	char *p = buf;
	size_t done = 0;
	ssize_t n;

	while (done < size) {
		n = read(fd, p + done, size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (int64_t)done;
}

int64_t
io_pread_full(int fd, void *buf, size_t size, uint64_t offset)
{
	char *p = buf;
	size_t done = 0;
	ssize_t n;

	while (done < size) {
		n = pread(fd, p + done, size - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (int64_t)done;
}

int
io_sync_dir(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	if (fd == -1)
		return err_errno(err, errno, "cannot open folder '%s'", path);
	if (fsync(fd) == -1)
		rc = err_errno(err, errno, "cannot sync folder '%s'", path);
	close(fd);
	return rc;
}

static int
sync_parent(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char *dir;
	int rc;

	if (slash == NULL)
		return io_sync_dir(".", err);
	dir =
	    slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
	if (dir == NULL)
		return err_no_memory(err);
	rc = io_sync_dir(dir, err);
	free(dir);
	return rc;
}

/* Who may make names in a folder may not be allowed to read it. */
static int
sync_made(const char *path, struct err *err)
{
	if (sync_parent(path, err) == 0)
		return 0;
	if (err->sys_errno != EACCES)
		return -1;
	err_clear(err);
	return 0;
}

static int
make_one(const char *path, unsigned int mode, struct err *err)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return sync_made(path, err);
	if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	return err_errno(err, errno, "cannot make folder '%s'", path);
}

int
io_make_dirs(const char *path, unsigned int mode, struct err *err)
{
	char *copy = strdup(path), *p;
	int rc = 0;

	if (copy == NULL)
		return err_no_memory(err);
	for (p = copy + 1; rc == 0 && *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		rc = make_one(copy, 0755, err);
		*p = '/';
	}
	if (rc == 0)
		rc = make_one(copy, mode, err);
	free(copy);
	return rc;
}

int
io_replace_file(const char *path, const void *buf, size_t size,
    unsigned int mode, struct err *err)
{
	char *temporary = NULL;
	int fd = -1, rc = -1;

	if (asprintf(&temporary, "%s.new", path) == -1) {
		temporary = NULL;
		return err_no_memory(err);
	}
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd == -1 || io_write_full(fd, buf, size) == -1 || fsync(fd) == -1) {
		err_errno(err, errno, "cannot write '%s'", temporary);
		goto out;
	}
	if (rename(temporary, path) == -1) {
		err_errno(err, errno, "cannot rename '%s'", temporary);
		goto out;
	}
	rc = sync_parent(path, err);
out:
	if (fd != -1)
		close(fd);
	if (rc == -1)
		unlink(temporary);
	free(temporary);
	return rc;
}

int
io_read_file(
    char **out, size_t *out_size, const char *path, size_t max, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *buf = NULL;
	int64_t n;
	int rc = -1;

	if (fd == -1)
		return err_errno(err, errno, "cannot open '%s'", path);
	if (fstat(fd, &st) == -1) {
		err_errno(err, errno, "cannot look at '%s'", path);
		goto out;
	}
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > max) {
		err_set(err, ERR_ARG, "'%s' is no file of at most %zu bytes",
		    path, max);
		goto out;
	}
	if ((buf = malloc((size_t)st.st_size + 1)) == NULL) {
		err_no_memory(err);
		goto out;
	}
	if ((n = io_read_full(fd, buf, (size_t)st.st_size)) == -1) {
		err_errno(err, errno, "cannot read '%s'", path);
		goto out;
	}
	buf[n] = '\0';
	*out_size = (size_t)n;
	*out = buf;
	buf = NULL;
	rc = 0;
out:
	free(buf);
	close(fd);
	return rc;
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int
io_remove_tree(const char *path, struct err *err)
{
	if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) ==
		0 ||
	    errno == ENOENT)
		return 0;
	return err_errno(err, errno, "cannot remove '%s'", path);
}

char *
io_path(const char *dir, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", dir, name) == -1)
		return NULL;
	return path;
}
