/* SPDX-License-Identifier: Apache-2.0 */
/* A walk along a path, one open folder after the other. */
#include "guest-helper/datapath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-helper/mounts_internal.h"

#define LINKS_MAX 40 /* As the kernel's. */

struct walk {
	const struct mountinfo *table;
	char at[PATH_MAX];   /* Where fd is; "": the root. */
	char rest[PATH_MAX]; /* Of the way. */
	int fd;
	const struct mountinfo_entry *entry; /* Of fd. */
	unsigned int links;
};

/* One that is mounted when somebody looks is waited for, too. */
static bool
may_hang(const struct mountinfo_entry *e)
{
	return e == NULL || strcmp(e->type, "autofs") == 0 ||
	       (mountinfo_is_served(e->type) &&
		   strcmp(e->mount_point, "/") != 0);
}

static const struct mountinfo_entry *
find_id(const struct mountinfo *table, int id)
{
	size_t i;

	for (i = 0; i < table->count; i++)
		if (table->entries[i].id == id)
			return &table->entries[i];
	return NULL;
}

/* The walk is at fd from here on, which is its own. */
static int
go_to(struct walk *w, int fd)
{
	int id = mounts_id_of(fd);

	if (w->fd != -1)
		close(w->fd);
	w->fd = fd;
	w->entry = id == -1 ? mountinfo_of_path(
				  w->table, w->at[0] == '\0' ? "/" : w->at)
			    : find_id(w->table, id);
	return may_hang(w->entry) ? EREMOTE : 0;
}

static int
go_to_root(struct walk *w)
{
	int fd = open("/", O_PATH | O_CLOEXEC);

	w->at[0] = '\0';
	return fd == -1 ? errno : go_to(w, fd);
}

static int
follow(struct walk *w, int link)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t n = readlinkat(link, "", target, sizeof(target) - 1);

	if (n == -1)
		return errno;
	target[n] = '\0';
	if (++w->links > LINKS_MAX)
		return ELOOP;
	if (snprintf(rest, sizeof(rest), "%s/%s", target, w->rest) >=
	    (int)sizeof(rest))
		return ENAMETOOLONG;
	strcpy(w->rest, rest);
	return target[0] == '/' ? go_to_root(w) : 0;
}

/* The text of the next place. */
static int
name_next(const struct walk *w, char out[PATH_MAX], const char *name)
{
	char *slash;

	if (strcmp(name, "..") != 0)
		return snprintf(out, PATH_MAX, "%s/%s", w->at, name) >= PATH_MAX
			   ? ENAMETOOLONG
			   : 0;
	strcpy(out, w->at);
	slash = strrchr(out, '/');
	if (slash != NULL)
		*slash = '\0';
	return 0;
}

/*
 * The table first, then the mount that was really come to, before anything
 * is looked up in it: whoever may change a folder on the way may have put a
 * link there meanwhile.
 */
static int
step(struct walk *w, const char *name)
{
	char next[PATH_MAX];
	struct stat st;
	int fd, error = name_next(w, next, name);

	if (error != 0)
		return error;
	if (mountinfo_may_hang(w->table, next, true))
		return EREMOTE;
	fd = openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return errno;
	if (fstat(fd, &st) == 0 && S_ISLNK(st.st_mode)) {
		error = follow(w, fd);
		close(fd);
		return error;
	}
	strcpy(w->at, next);
	return go_to(w, fd);
}

/* Takes the first name off the rest; false: there is none. */
static bool
take_name(struct walk *w, char name[PATH_MAX])
{
	const char *begin = w->rest + strspn(w->rest, "/");
	size_t size = strcspn(begin, "/");

	memcpy(name, begin, size);
	name[size] = '\0';
	memmove(w->rest, begin + size, strlen(begin + size) + 1);
	return size > 0;
}

int
datapath_find(const struct mountinfo_entry **out_entry, char *out,
    size_t out_size, const struct mountinfo *table, const char *path)
{
	struct walk w = { .table = table, .fd = -1 };
	char name[PATH_MAX];
	int error;

	*out_entry = NULL;
	if (path[0] != '/')
		return EINVAL;
	if (snprintf(w.rest, sizeof(w.rest), "%s", path) >= (int)sizeof(w.rest))
		return ENAMETOOLONG;
	error = go_to_root(&w);
	while (error == 0 && take_name(&w, name))
		if (strcmp(name, ".") != 0)
			error = step(&w, name);
	if (error == 0 && snprintf(out, out_size, "%s",
			      w.at[0] == '\0' ? "/" : w.at) >= (int)out_size)
		error = ENAMETOOLONG;
	if (error == 0)
		*out_entry = w.entry;
	if (w.fd != -1)
		close(w.fd);
	return error;
}
