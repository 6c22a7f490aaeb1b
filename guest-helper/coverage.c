/* SPDX-License-Identifier: Apache-2.0 */
/* From where a writer's data lies to what the plan says of that place. */
#include "guest-helper/coverage.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "guest-helper/datapath.h"

/* An overlay on an overlay ... deeper than this is nobody's. */
#define LAYERS_DEPTH_MAX 4

/* What is wrong with a place; "": nothing.  With the place it is a reason. */
struct verdict {
	char text[84];
};

static void check_path(struct verdict *v, const struct coverage *c,
    const char *path, unsigned int depth);

void
coverage_init(struct coverage *c, const struct mounts *mounts,
    const struct mounts_paths *paths)
{
	struct err err = ERR_INIT;

	c->mounts = mounts;
	if (mountinfo_read(&c->table, paths->mountinfo, &err) == -1)
		log_line(LOG_WARNING, "%s", err.text);
}

void
coverage_fini(struct coverage *c)
{
	mountinfo_fini(&c->table);
}

static void
say_left_out(struct verdict *v)
{
	strcpy(v->text, "lies on a file system that is not in the backup");
}

static const struct mounts_filesystem *
find(const struct coverage *c, const struct mountinfo_entry *e)
{
	const struct mounts_filesystem *fs = c->mounts->items;

	for (; fs < c->mounts->items + c->mounts->count; fs++)
		if (fs->major == e->major && fs->minor == e->minor)
			return fs;
	return NULL;
}

/* ---- overlays ---- */

/* What is not written lies in the lower ones. */
static void
check_layers(struct verdict *v, const struct coverage *c,
    const struct mountinfo_entry *e, unsigned int depth)
{
	char *upper = mountinfo_option(e, "upperdir");
	char *lower = mountinfo_option(e, "lowerdir"), *rest = lower, *layer;

	if (lower == NULL || depth == LAYERS_DEPTH_MAX)
		say_left_out(v);
	if (upper != NULL && v->text[0] == '\0')
		check_path(v, c, upper, depth + 1);
	while (v->text[0] == '\0' && (layer = strsep(&rest, ":")) != NULL)
		check_path(v, c, layer, depth + 1);
	free(upper);
	free(lower);
}

/* ---- one place ---- */

/* A file system that nobody can write to is still without a freeze. */
static void
check_filesystem(struct verdict *v, const struct mounts_filesystem *fs,
    const struct mountinfo_entry *e)
{
	if (!fs->in_backup)
		say_left_out(v);
	else if (fs->state != MESSAGE_FS_PLANNED && !e->read_only)
		snprintf(v->text, sizeof(v->text),
		    "lies on a file system that is not frozen: %.40s",
		    fs->reason);
}

static void
check_below(struct verdict *v, const struct coverage *c, const char *path)
{
	const struct mountinfo_entry *e = c->table.entries;
	const struct mounts_filesystem *fs;
	size_t size = strcmp(path, "/") == 0 ? 0 : strlen(path);

	for (; e < c->table.entries + c->table.count; e++) {
		if (strncmp(e->mount_point, path, size) != 0 ||
		    e->mount_point[size] != '/')
			continue;
		fs = find(c, e);
		if (fs != NULL && fs->left_out)
			snprintf(v->text, sizeof(v->text),
			    "has '%.40s' below it, which is not in the backup",
			    e->mount_point);
	}
}

static void
check_path(struct verdict *v, const struct coverage *c, const char *path,
    unsigned int depth)
{
	const struct mountinfo_entry *e;
	const struct mounts_filesystem *fs;
	char place[PATH_MAX];
	int error = datapath_find(&e, place, sizeof(place), &c->table, path);

	if (error == EREMOTE) {
		say_left_out(v);
		return;
	}
	if (error != 0) {
		snprintf(v->text, sizeof(v->text), "cannot be found: %s",
		    strerror(error));
		return;
	}
	fs = find(c, e);
	if (fs != NULL)
		check_filesystem(v, fs, e);
	else if (strcmp(e->type, "overlay") == 0)
		check_layers(v, c, e, depth);
	else
		say_left_out(v);
	if (v->text[0] == '\0')
		check_below(v, c, place);
}

/* ---- what writers say ---- */

static bool
is_whole(const struct coverage *c, char reason[MESSAGE_REASON_SIZE])
{
	const struct mounts_filesystem *fs = c->mounts->items;

	for (; fs < c->mounts->items + c->mounts->count; fs++) {
		if (!fs->left_out)
			continue;
		snprintf(reason, MESSAGE_REASON_SIZE,
		    "does not say where its data lies, and '%.60s' is not in "
		    "the backup",
		    fs->mount_point);
		return false;
	}
	return true;
}

bool
coverage_holds(void *arg, const char *path, char reason[MESSAGE_REASON_SIZE])
{
	const struct coverage *c = arg;
	struct verdict v = { "" };

	if (path == NULL)
		return is_whole(c, reason);
	check_path(&v, c, path, 0);
	if (v.text[0] == '\0')
		return true;
	snprintf(reason, MESSAGE_REASON_SIZE, "its data in '%.60s' %s", path,
	    v.text);
	return false;
}
