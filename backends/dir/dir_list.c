/* SPDX-License-Identifier: Apache-2.0 */
/* Listing a folder's objects. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/dir/dir_internal.h"
#include "common/err.h"
#include "common/io.h"

/* Names of one folder, read whole so that visits may change it. */
struct names {
	char **name;
	size_t count, capacity;
};

struct walk {
	const char *root;
	const char *prefix;
	backend_visit_fn *fn;
	void *arg;
	bool stopped;
};

static int walk_folder(struct walk *w, const char *folder, struct err *err);

static void
names_fini(struct names *n)
{
	while (n->count > 0)
		free(n->name[--n->count]);
	free(n->name);
}

static int
names_add(struct names *n, const char *name, struct err *err)
{
	size_t capacity = n->capacity > 0 ? n->capacity * 2 : 64;
	char **grown;

	if (n->count == n->capacity) {
		grown = realloc(n->name, capacity * sizeof(*grown));
		if (grown == NULL)
			return err_no_memory(err);
		n->name = grown;
		n->capacity = capacity;
	}
	if ((n->name[n->count] = strdup(name)) == NULL)
		return err_no_memory(err);
	n->count++;
	return 0;
}

static int
names_read(struct names *n, const char *path, struct err *err)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int rc = 0;

	if (dir == NULL) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return err_errno(err, errno, "cannot read folder '%s'", path);
	}
	while (rc == 0 && (errno = 0, e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = names_add(n, e->d_name, err);
	}
	if (rc == 0 && errno != 0)
		rc = err_errno(err, errno, "cannot read folder '%s'", path);
	closedir(dir);
	return rc;
}

/* May key, or what lies in it as a folder, start with prefix? */
static bool
may_match(const char *key, const char *prefix, bool folder)
{
	size_t k = strlen(key), p = strlen(prefix);

	if (k >= p)
		return strncmp(key, prefix, p) == 0;
	return folder && strncmp(key, prefix, k) == 0 && prefix[k] == '/';
}

static int
walk_entry(struct walk *w, const char *key, struct err *err)
{
	char *path = io_path(w->root, key);
	struct stat st;
	int rc = 0;

	if (path == NULL)
		return err_no_memory(err);
	if (lstat(path, &st) == -1) {
		/* Removed meanwhile. */
		if (errno != ENOENT)
			rc = err_errno(err, errno, "cannot look at '%s'", path);
	} else if (S_ISDIR(st.st_mode)) {
		if (may_match(key, w->prefix, true))
			rc = walk_folder(w, key, err);
	} else if (S_ISREG(st.st_mode) && may_match(key, w->prefix, false)) {
		w->stopped = w->fn(w->arg, key, (uint64_t)st.st_size) != 0;
	}
	free(path);
	return rc;
}

/* folder is a key, or "" for the root. */
static int
walk_folder(struct walk *w, const char *folder, struct err *err)
{
	struct names names = { .count = 0 };
	char *path = io_path(w->root, folder), *key;
	size_t i;
	int rc = -1;

	if (path == NULL)
		return err_no_memory(err);
	if (names_read(&names, path, err) == -1)
		goto out;
	for (i = 0, rc = 0; i < names.count && rc == 0 && !w->stopped; i++) {
		key = folder[0] == '\0' ? strdup(names.name[i])
					: io_path(folder, names.name[i]);
		if (key == NULL)
			rc = err_no_memory(err);
		else if (backend_key_valid(key))
			rc = walk_entry(w, key, err);
		free(key);
	}
out:
	names_fini(&names);
	free(path);
	return rc;
}

int
dir_list(struct backend *b, const char *prefix, backend_visit_fn *fn, void *arg,
    struct err *err)
{
	struct walk w = {
		.root = ((struct dir_backend *)b)->root,
		.prefix = prefix,
		.fn = fn,
		.arg = arg,
	};
	char start[BACKEND_KEY_MAX + 1] = "";
	const char *slash = strrchr(prefix, '/');

	/* The deepest folder that holds all matches. */
	if (slash != NULL) {
		memcpy(start, prefix, (size_t)(slash - prefix));
		start[slash - prefix] = '\0';
	}
	return walk_folder(&w, start, err);
}

int
dir_check_foreign(const char *root, struct err *err)
{
	struct names names = { .count = 0 };
	size_t i;
	int rc = names_read(&names, root, err);

	for (i = 0; rc == 0 && i < names.count; i++) {
		if (!backend_key_valid(names.name[i]) &&
		    strcmp(names.name[i], "tmp") != 0 &&
		    strcmp(names.name[i], "lost+found") != 0)
			rc = err_set(err, ERR_EXISTS,
			    "folder '%s' holds other "
			    "files, for example '%s'",
			    root, names.name[i]);
	}
	names_fini(&names);
	return rc;
}
