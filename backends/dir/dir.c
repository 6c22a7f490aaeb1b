/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects as files of a folder.  An object appears by a rename that never
 * replaces, after its bytes are synced, and is reported after its folder is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/dir/dir_internal.h"
#include "common/err.h"
#include "common/io.h"

static struct dir_backend *
dir_of(struct backend *b)
{
	return (struct dir_backend *)b;
}

int
dir_error(struct err *err, int errnum, const char *what, const char *path)
{
	err_errno(err, errnum, "cannot %s '%s'", what, path);
	if (err->class == ERR_NO_SPACE)
		err_hint(err, "free space on the repository's file system, or "
			      "forget points and run 'holdstill prune'");
	return -1;
}

static void
dir_close(struct backend *b)
{
	struct dir_backend *d = dir_of(b);

	free(d->root);
	free(d->tmp);
	free(d);
}

static const char *
path_of_url(const char *url)
{
	if (strncmp(url, "file://", 7) == 0)
		return url + 7;
	if (strncmp(url, "dir:", 4) == 0)
		return url + 4;
	return url;
}

static int
check_root(const char *root, enum backend_open_mode mode, struct err *err)
{
	struct stat st;

	if (root[0] == '\0' || strncmp(root, "file:", 5) == 0)
		return err_set(err, ERR_ARG, "'%s' names no folder", root);
	if (mode == BACKEND_CREATE) {
		if (io_make_dirs(root, 0700, err) == -1)
			return -1;
		return dir_check_foreign(root, err);
	}
	if (stat(root, &st) == -1)
		return err_errno(err, errno, "cannot look at '%s'", root);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_NOT_FOUND, "'%s' is no folder", root);
	return 0;
}

static int
dir_open(struct backend **out, const char *url, enum backend_open_mode mode,
    struct err *err)
{
	const char *root = path_of_url(url);
	struct dir_backend *d = NULL;
	int rc = -1;

	if (check_root(root, mode, err) == -1)
		return -1;
	if ((d = calloc(1, sizeof(*d))) == NULL)
		return err_no_memory(err);
	d->backend.ops = &dir_backend_ops;
	d->root = strdup(root);
	d->tmp = io_path(root, "tmp");
	if (d->root == NULL || d->tmp == NULL) {
		err_no_memory(err);
		goto out;
	}
	if (procid_self(&d->self, err) == -1)
		goto out;
	dir_tmp_sweep(d);
	*out = &d->backend;
	d = NULL;
	rc = 0;
out:
	if (d != NULL)
		dir_close(&d->backend);
	return rc;
}

/* Makes the folder at path and syncs its parent, upward as far as needed. */
static int
make_folder(const char *path, struct err *err)
{
	char *parent;
	const char *slash;
	int rc = -1;

	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT || (slash = strrchr(path, '/')) == NULL)
		return dir_error(err, errno, "make folder", path);
	if ((parent = strndup(path, (size_t)(slash - path))) == NULL)
		return err_no_memory(err);
	if (make_folder(parent, err) == 0) {
		if (mkdir(path, 0700) == -1 && errno != EEXIST)
			dir_error(err, errno, "make folder", path);
		else
			rc = 0;
	}
	free(parent);
	return rc;
}

/* Syncs each folder from that of path up to the root. */
static int
sync_folders(const struct dir_backend *d, const char *path, bool to_root,
    struct err *err)
{
	char *folder = strdup(path), *slash;
	int rc = 0;

	if (folder == NULL)
		return err_no_memory(err);
	while (rc == 0 && strlen(folder) > strlen(d->root) &&
	       (slash = strrchr(folder, '/')) != NULL) {
		*slash = '\0';
		rc = io_sync_dir(folder, err);
		if (!to_root)
			break;
	}
	free(folder);
	return rc;
}

/* Never replaces: a present name is EEXIST.  0, or -1 with errno. */
static int
rename_new(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP)
		return -1;
	/* File systems without the flag, NFS for one. */
	if (link(from, to) == -1)
		return -1;
	unlink(from);
	return 0;
}

static int
place(struct dir_backend *d, const char *tmp, const char *path, const char *key,
    struct err *err)
{
	char *folder;
	int rc = rename_new(tmp, path);

	if (rc == -1 && errno == ENOENT) {
		folder = strndup(path, (size_t)(strrchr(path, '/') - path));
		if (folder == NULL)
			return err_no_memory(err);
		rc = make_folder(folder, err);
		free(folder);
		if (rc == -1)
			return -1;
		rc = rename_new(tmp, path);
	}
	if (rc == -1) {
		if (errno == EEXIST)
			return err_set(err, ERR_EXISTS,
			    "object '%s' exists "
			    "already",
			    key);
		return dir_error(err, errno, "write object", path);
	}
	/* To the root: another put may have made a folder a moment ago.  If that
	 * fails the object stays: others may have seen and settled it. */
	return sync_folders(d, path, true, err);
}

static int
write_tmp(struct dir_backend *d, const char *tmp, const void *buf, size_t size,
    const struct backend_pace *pace, struct err *err)
{
	int fd, rc;

	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1 && errno == ENOENT) {
		if (make_folder(d->tmp, err) == -1)
			return -1;
		fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	if (fd == -1)
		return dir_error(err, errno, "make a file in", d->tmp);
	rc = dir_write(fd, tmp, buf, size, pace, err);
	/* NFS may tell of a full disk only here. */
	if (close(fd) == -1 && rc == 0)
		rc = dir_error(err, errno, "write", tmp);
	return rc;
}

static int
dir_put_paced(struct backend *b, const char *key, const void *buf, size_t size,
    const struct backend_pace *pace, struct err *err)
{
	struct dir_backend *d = dir_of(b);
	char *path = io_path(d->root, key), *tmp = dir_tmp_name(d);
	int rc = -1;

	if (path == NULL || tmp == NULL)
		err_no_memory(err);
	else if (access(path, F_OK) == 0)
		err_set(err, ERR_EXISTS, "object '%s' exists already", key);
	else if (write_tmp(d, tmp, buf, size, pace, err) == 0)
		rc = place(d, tmp, path, key, err);
	if (rc == -1 && tmp != NULL)
		unlink(tmp);
	free(path);
	free(tmp);
	return rc;
}

static int
dir_put(struct backend *b, const char *key, const void *buf, size_t size,
    struct err *err)
{
	return dir_put_paced(b, key, buf, size, NULL, err);
}

/* A folder of that name is no object; neither is a name below a file. */
static int
no_object(struct err *err, int errnum, const char *key)
{
	if (errnum == ENOENT || errnum == ENOTDIR || errnum == EISDIR)
		return err_set(
		    err, ERR_NOT_FOUND, "object '%s' does not exist", key);
	return err_errno(err, errnum, "cannot read object '%s'", key);
}

static int
dir_get(struct backend *b, const char *key, uint64_t offset, void *buf,
    size_t size, struct err *err)
{
	char *path = io_path(dir_of(b)->root, key);
	struct stat st;
	int64_t n;
	int fd, rc = -1;

	if (path == NULL)
		return err_no_memory(err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	if (fd == -1)
		return no_object(err, errno, key);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		no_object(err, EISDIR, key);
	else if ((n = io_pread_full(fd, buf, size, offset)) == -1)
		no_object(err, errno, key);
	else if ((uint64_t)n < size || offset > (uint64_t)st.st_size)
		err_set(err, ERR_CORRUPT, "object '%s' is too short", key);
	else
		rc = 0;
	close(fd);
	return rc;
}

static int
dir_stat(
    struct backend *b, const char *key, uint64_t *out_size, struct err *err)
{
	char *path = io_path(dir_of(b)->root, key);
	struct stat st;
	int rc = 0;

	if (path == NULL)
		return err_no_memory(err);
	if (stat(path, &st) == -1)
		rc = no_object(err, errno, key);
	else if (!S_ISREG(st.st_mode))
		rc = no_object(err, EISDIR, key);
	else
		*out_size = (uint64_t)st.st_size;
	free(path);
	return rc;
}

static int
dir_remove(struct backend *b, const char *key, struct err *err)
{
	struct dir_backend *d = dir_of(b);
	char *path = io_path(d->root, key);
	int rc = 0;

	if (path == NULL)
		return err_no_memory(err);
	if (unlink(path) == 0)
		rc = sync_folders(d, path, false, err);
	else if (errno != ENOENT && errno != ENOTDIR && errno != EISDIR)
		rc = dir_error(err, errno, "remove", path);
	free(path);
	return rc;
}

/* What cannot be settled may be but a memory of what a disk has lost: what is
 * read of it next is to come from there. */
static void
forget_cached(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

/* The bytes are durable before there is a name. */
static int
dir_settle(struct backend *b, const char *key, struct err *err)
{
	struct dir_backend *d = dir_of(b);
	char *path = io_path(d->root, key);
	int rc;

	if (path == NULL)
		return err_no_memory(err);
	if (access(path, F_OK) == -1)
		rc = no_object(err, errno, key);
	else if ((rc = sync_folders(d, path, true, err)) == -1)
		forget_cached(path);
	free(path);
	return rc;
}

const struct backend_ops dir_backend_ops = {
	.scheme = "dir",
	.open = dir_open,
	.close = dir_close,
	.put = dir_put,
	.get = dir_get,
	.stat = dir_stat,
	.remove = dir_remove,
	.list = dir_list,
	.put_paced = dir_put_paced,
	.settle = dir_settle,
};
