/* SPDX-License-Identifier: Apache-2.0 */
/* Which executables may be run: those that only root could have put there. */
#include "guest-helper/writers/spawner.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/proto/message.h"

#define LINKS_MAX 16

#define NAME_CHARS \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+@-"

/* Those that QEMU's fsfreeze-hook leaves out, too. */
static const char *const endings[] = { ".bak", ".orig", ".rpmnew", ".rpmorig",
	".rpmsave", ".sample", ".dpkg-old", ".dpkg-new", ".dpkg-tmp",
	".dpkg-dist", ".dpkg-bak", ".dpkg-backup", ".dpkg-remove" };

const char *
spawner_name_fault(const char *name)
{
	size_t length = strlen(name), i, ending;

	if (length == 0)
		return "it has no name";
	if (name[0] == '.')
		return "its name begins with a dot";
	/* "hook:" goes before it in messages. */
	if (length > MESSAGE_NAME_SIZE - sizeof("hook:"))
		return "its name is too long";
	if (strspn(name, NAME_CHARS) != length)
		return "its name has more in it than letters, digits and "
		       "._+@-";
	for (i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		ending = strlen(endings[i]);
		if (length >= ending &&
		    strcmp(name + length - ending, endings[i]) == 0)
			return "its name ends like that of a backup or of a "
			       "package's leftover";
	}
	return NULL;
}

bool
spawner_name_valid(const char *name)
{
	return spawner_name_fault(name) == NULL;
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

/* ---- the way to a file ---- */

/*
 * Nobody but root may be able to change where a path leads, so every folder
 * and every symbolic link on it is looked at, and none is followed unseen.
 */
struct way {
	char done[PATH_MAX]; /* Looked at, without links; "" is the root. */
	char rest[PATH_MAX];
	unsigned int links;
};

static int
too_long(struct err *err)
{
	return err_set(err, ERR_ARG, "a path is too long");
}

static void
go_up(struct way *w)
{
	char *slash = strrchr(w->done, '/');

	if (slash != NULL)
		*slash = '\0';
}

/* Takes the first name off rest; false: there is none. */
static bool
next_name(struct way *w, char name[NAME_MAX + 1])
{
	size_t skip = strspn(w->rest, "/"), length;

	length = strcspn(w->rest + skip, "/");
	if (length == 0 || length > NAME_MAX)
		return false;
	memcpy(name, w->rest + skip, length);
	name[length] = '\0';
	skip += length;
	memmove(w->rest, w->rest + skip, strlen(w->rest + skip) + 1);
	return true;
}

static int
enter_link(struct way *w, const struct stat *st, struct err *err)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t n = readlink(w->done, target, sizeof(target) - 1);

	if (n == -1)
		return err_errno(err, errno, "cannot read '%.150s'", w->done);
	target[n] = '\0';
	if (!is_trusted(st->st_uid))
		return err_set(err, ERR_AUTH,
		    "the link '%.150s' belongs to user %u, not to root",
		    w->done, (unsigned int)st->st_uid);
	if (++w->links > LINKS_MAX)
		return err_set(
		    err, ERR_AUTH, "'%.150s' has too many links", w->done);
	strcpy(rest, w->rest);
	if (snprintf(w->rest, sizeof(w->rest), "%s/%s", target, rest) >=
	    (int)sizeof(w->rest))
		return too_long(err);
	if (target[0] == '/')
		w->done[0] = '\0';
	else
		go_up(w);
	return 0;
}

/* One name further. */
static int
step(struct way *w, const char *name, struct err *err)
{
	size_t used = strlen(w->done);
	struct stat st;

	if (strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0) {
		go_up(w);
		return 0;
	}
	if (used + strlen(name) + 2 > sizeof(w->done))
		return too_long(err);
	snprintf(w->done + used, sizeof(w->done) - used, "/%s", name);
	if (lstat(w->done, &st) == -1)
		return err_errno(
		    err, errno, "cannot look at '%.150s'", w->done);
	if (S_ISLNK(st.st_mode))
		return enter_link(w, &st, err);
	return check_owner(w->done, &st, true, err);
}

static int
check_way(const char *path, struct err *err)
{
	char name[NAME_MAX + 1];
	struct way w = { .links = 0 };
	struct stat st;

	if (strlen(path) >= sizeof(w.rest))
		return too_long(err);
	strcpy(w.rest, path);
	if (stat("/", &st) == -1)
		return err_errno(err, errno, "cannot look at '/'");
	if (check_owner("/", &st, true, err) == -1)
		return -1;
	while (next_name(&w, name))
		if (step(&w, name, err) == -1)
			return -1;
	if (strspn(w.rest, "/") != strlen(w.rest))
		return too_long(err);
	if (stat(path, &st) == -1)
		return err_errno(err, errno, "cannot look at '%.150s'", path);
	return check_owner(path, &st, false, err);
}

static int
look(const char *path, struct stat *st, struct err *err)
{
	struct stat link;

	if (stat(path, st) == 0)
		return 0;
	/* It was meant to be one. */
	if (errno == ENOENT && lstat(path, &link) == 0)
		return err_set(
		    err, ERR_IO, "'%.150s' is a link to nothing", path);
	return err_errno(err, errno, "cannot look at '%.150s'", path);
}

int
spawner_check(const char *dir, const char *name, struct err *err)
{
	char path[PATH_MAX];
	struct stat st;

	if (!spawner_name_valid(name))
		return err_set(
		    err, ERR_NOT_FOUND, "'%.63s' is no name for one", name);
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >=
	    (int)sizeof(path))
		return too_long(err);
	/* What is no executable needs no other judgement. */
	if (look(path, &st, err) == -1)
		return -1;
	if (!S_ISREG(st.st_mode) || (st.st_mode & 0111) == 0)
		return err_set(
		    err, ERR_NOT_FOUND, "'%s' is not an executable", name);
	if (check_way(dir, err) == -1)
		return -1;
	return check_way(path, err);
}
