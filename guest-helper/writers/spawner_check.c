/* SPDX-License-Identifier: Apache-2.0 */
/* Which executables may be run: those that only root could have put there. */
#include "guest-helper/writers/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/proto/message.h"

#define NAME_CHARS \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+@-"

/* Those that QEMU's fsfreeze-hook leaves out, too. */
static const char *const endings[] = { ".bak", ".orig", ".rpmnew", ".rpmorig",
	".rpmsave", ".sample", ".dpkg-old", ".dpkg-new", ".dpkg-tmp",
	".dpkg-dist", ".dpkg-bak", ".dpkg-backup", ".dpkg-remove" };

bool
spawner_name_valid(const char *name)
{
	size_t length = strlen(name), i, ending;

	/* "hook:" goes before it in messages. */
	if (length == 0 || length > MESSAGE_NAME_SIZE - sizeof("hook:"))
		return false;
	if (name[0] == '.' || strspn(name, NAME_CHARS) != length)
		return false;
	for (i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		ending = strlen(endings[i]);
		if (length >= ending &&
		    strcmp(name + length - ending, endings[i]) == 0)
			return false;
	}
	return true;
}

static bool
is_trusted(uid_t owner)
{
	return owner == 0 || owner == geteuid();
}

/* in_between: a sticky folder lets nobody rename what root put there. */
static int
check_owner(
    const char *path, const struct stat *st, bool in_between, struct err *err)
{
	if (!is_trusted(st->st_uid))
		return err_set(err, ERR_AUTH,
		    "'%.150s' belongs to user %u, not to root", path,
		    (unsigned int)st->st_uid);
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0 &&
	    !(in_between && (st->st_mode & S_ISVTX) != 0))
		return err_set(err, ERR_AUTH,
		    "'%.150s' can be written to by others than its owner",
		    path);
	return 0;
}

/* The folder and all above it; path has no symbolic link in it. */
static int
check_way(char *path, struct err *err)
{
	char *p = path, saved;
	struct stat st;
	int rc = 0;

	while (rc == 0 && p != NULL) {
		p = strchr(p + 1, '/');
		saved = '/';
		if (p != NULL)
			*p = '\0';
		if (lstat(path, &st) == -1)
			rc = err_errno(
			    err, errno, "cannot look at '%.150s'", path);
		else if (!S_ISDIR(st.st_mode))
			rc = err_set(
			    err, ERR_AUTH, "'%.150s' is not a folder", path);
		else
			rc = check_owner(path, &st, p != NULL, err);
		if (p != NULL)
			*p = saved;
	}
	return rc;
}

static int
check_dir(const char *dir, struct err *err)
{
	char way[PATH_MAX];
	struct stat st;

	if (stat("/", &st) == -1)
		return err_errno(err, errno, "cannot look at '/'");
	if (check_owner("/", &st, true, err) == -1)
		return -1;
	if (realpath(dir, way) == NULL)
		return err_errno(err, errno, "cannot look at '%.150s'", dir);
	return check_way(way, err);
}

/* A link is as good as the file it leads to and the way there. */
static int
check_link(struct stat *out, const char *dir, const char *name, struct err *err)
{
	char path[PATH_MAX], way[PATH_MAX];

	if (!is_trusted(out->st_uid))
		return err_set(err, ERR_AUTH,
		    "the link '%s' belongs to user %u, not to root", name,
		    (unsigned int)out->st_uid);
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >=
	    (int)sizeof(path))
		return err_set(err, ERR_ARG, "the path is too long");
	/* Not ERR_NOT_FOUND: somebody wanted it to be run. */
	if (realpath(path, way) == NULL || lstat(way, out) == -1)
		return err_set(err, ERR_IO, "the link '%s' leads nowhere: %s",
		    name, strerror(errno));
	*strrchr(way, '/') = '\0';
	return way[0] == '\0' ? 0 : check_way(way, err);
}

int
spawner_check(const char *dir, const char *name, struct err *err)
{
	struct stat st;
	int fd, rc = -1;

	if (!spawner_name_valid(name))
		return err_set(
		    err, ERR_NOT_FOUND, "'%.63s' is no name for one", name);
	fd = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 && (errno == ELOOP || errno == ENOTDIR))
		return err_set(
		    err, ERR_AUTH, "'%.150s' is not a folder of its own", dir);
	if (fd == -1)
		return err_errno(err, errno, "cannot open '%.150s'", dir);
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		err_errno(err, errno, "cannot look at '%s'", name);
	else if (S_ISLNK(st.st_mode) && check_link(&st, dir, name, err) == -1)
		goto out;
	else if (!S_ISREG(st.st_mode) || (st.st_mode & 0111) == 0)
		err_set(err, ERR_NOT_FOUND, "'%s' is not an executable", name);
	else if (check_owner(name, &st, false, err) == 0)
		rc = check_dir(dir, err);
out:
	close(fd);
	return rc;
}
