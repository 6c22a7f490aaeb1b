/* SPDX-License-Identifier: Apache-2.0 */
/* Finds mount namespaces by the processes that live in them. */
#include "guest-helper/namespaces.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"

/* Of one namespace: more is somebody's attack, or of no use to look at. */
#define TABLE_MAX 16384
/* Of all others together: some tens of MiB. */
#define ENTRIES_MAX 65536

/* "mnt:[4026531841]"; 0 for a process that is gone or may not be asked. */
static uint64_t
namespace_id(const char *proc, const char *pid)
{
	char path[PATH_MAX], target[64];
	unsigned long long id = 0;
	ssize_t n;

	if (snprintf(path, sizeof(path), "%s/%s/ns/mnt", proc, pid) >=
	    (int)sizeof(path))
		return 0;
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return 0;
	target[n] = '\0';
	return sscanf(target, "mnt:[%llu]", &id) == 1 ? id : 0;
}

static bool
is_known(const struct namespaces *n, uint64_t id)
{
	size_t i;

	for (i = 0; i < n->count; i++)
		if (n->items[i].id == id)
			return true;
	return false;
}

/* Control characters would reach terminals and logs. */
static void
read_name(struct namespaces_item *item, const char *proc, const char *pid)
{
	char path[PATH_MAX], *p;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/comm", proc, pid);
	if ((file = fopen(path, "re")) == NULL)
		return;
	if (fgets(item->name, sizeof(item->name), file) == NULL)
		item->name[0] = '\0';
	fclose(file);
	item->name[strcspn(item->name, "\n")] = '\0';
	for (p = item->name; *p != '\0'; p++)
		if (!isprint((unsigned char)*p))
			*p = '?';
}

static struct namespaces_item *
add_item(struct namespaces *n, size_t *room)
{
	struct namespaces_item *larger;

	if (n->count == *room) {
		*room = *room == 0 ? 16 : *room * 2;
		larger = reallocarray(n->items, *room, sizeof(*larger));
		if (larger == NULL)
			return NULL;
		n->items = larger;
	}
	return memset(&n->items[n->count], 0, sizeof(*n->items));
}

/* One that ends has no table, and then no namespace. */
static bool
is_gone(const struct namespaces *n, const char *pid, uint64_t id,
    const struct err *err)
{
	return err->class == ERR_NOT_FOUND || namespace_id(n->proc, pid) != id;
}

/* A process that is gone leaves the namespace to the next. */
static int
take_process(
    struct namespaces *n, size_t *room, const char *pid, struct err *err)
{
	struct err why = ERR_INIT;
	struct namespaces_item *item;
	char path[PATH_MAX];
	uint64_t id = namespace_id(n->proc, pid);

	if (id == 0 || is_known(n, id))
		return 0;
	if (n->count == NAMESPACES_MAX) {
		n->incomplete = true;
		return 0;
	}
	if ((item = add_item(n, room)) == NULL)
		return err_no_memory(err);
	snprintf(path, sizeof(path), "%s/%s/mountinfo", n->proc, pid);
	if (mountinfo_read(&item->table, path, &why) == -1) {
		n->incomplete |= !is_gone(n, pid, id, &why);
		return 0;
	}
	if (item->table.count == 0 || item->table.count > TABLE_MAX ||
	    item->table.count > ENTRIES_MAX - n->others) {
		n->incomplete |= item->table.count != 0;
		mountinfo_fini(&item->table);
		return 0;
	}
	item->id = id;
	item->pid = (pid_t)strtol(pid, NULL, 10);
	read_name(item, n->proc, pid);
	n->others += item->table.count;
	n->count++;
	return 0;
}

static int
read_others(struct namespaces *n, size_t *room, struct err *err)
{
	DIR *dir = opendir(n->proc);
	struct dirent *entry;
	int rc = 0;

	if (dir == NULL)
		return err_errno(err, errno, "cannot read '%s'", n->proc);
	while (errno = 0, rc == 0 && (entry = readdir(dir)) != NULL)
		if (isdigit((unsigned char)entry->d_name[0]))
			rc = take_process(n, room, entry->d_name, err);
	n->incomplete |= errno != 0;
	closedir(dir);
	return rc;
}

int
namespaces_read(struct namespaces *out, const char *mountinfo, const char *proc,
    struct err *err)
{
	struct namespaces_item *own;
	size_t room = 0;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	out->proc = proc;
	if ((own = add_item(out, &room)) == NULL)
		return err_no_memory(err);
	if (mountinfo_read(&own->table, mountinfo, err) == -1)
		goto out;
	out->count = 1;
	if (proc != NULL) {
		own->id = namespace_id(proc, "self");
		if (read_others(out, &room, err) == -1)
			goto out;
	}
	rc = 0;
out:
	if (rc == -1)
		namespaces_fini(out);
	return rc;
}

void
namespaces_fini(struct namespaces *n)
{
	size_t i;

	for (i = 0; i < n->count; i++)
		mountinfo_fini(&n->items[i].table);
	free(n->items);
	memset(n, 0, sizeof(*n));
}

char *
namespaces_path(const struct namespaces *n, const struct namespaces_item *item,
    const char *path)
{
	char *out;

	if (item->pid == 0)
		return strdup(path);
	return asprintf(&out, "%s/%d/root%s", n->proc, (int)item->pid, path) ==
		       -1
		   ? NULL
		   : out;
}

bool
namespaces_may_hang(const struct namespaces_item *item, const char *path)
{
	return mountinfo_may_hang(&item->table, path, item->pid == 0);
}

int
namespaces_open(const struct namespaces *n, const struct namespaces_item *item,
    const char *path)
{
	char *whole = namespaces_path(n, item, path);
	int fd, error;

	if (whole == NULL) {
		errno = ENOMEM;
		return -1;
	}
	fd = open(whole, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	error = errno;
	free(whole);
	errno = error;
	return fd;
}

char *
namespaces_describe(const struct namespaces_item *item, const char *path)
{
	char *out;

	if (item->pid == 0)
		return strdup(path);
	return asprintf(&out, "%s (in the mount namespace of pid %d, %s)", path,
		   (int)item->pid, item->name) == -1
		   ? NULL
		   : out;
}
