/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the mount table. */
#include "guest-helper/mountinfo.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

#define ENTRIES_MAX 65536

/* \040 and its like, in place. */
static void
unescape(char *text)
{
	char *to = text;

	for (; *text != '\0'; text++) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' &&
		    text[2] >= '0' && text[2] <= '7' && text[3] >= '0' &&
		    text[3] <= '7') {
			*to++ = (char)((text[1] - '0') << 6 |
				       (text[2] - '0') << 3 | (text[3] - '0'));
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

static bool
has_option(const char *options, const char *wanted)
{
	size_t size = strlen(wanted);
	const char *p = options;

	while (p != NULL) {
		if (strncmp(p, wanted, size) == 0 &&
		    (p[size] == ',' || p[size] == '\0'))
			return true;
		p = strchr(p, ',');
		p = p == NULL ? NULL : p + 1;
	}
	return false;
}

static char *
word(char **rest)
{
	return strsep(rest, " ");
}

static bool
copy_word(char **out, char *text)
{
	if (text == NULL)
		return false;
	unescape(text);
	*out = strdup(text);
	return *out != NULL;
}

static void
entry_fini(struct mountinfo_entry *entry)
{
	free(entry->root);
	free(entry->mount_point);
	free(entry->type);
	free(entry->source);
	free(entry->options);
}

/* "36 35 98:0 /root /point rw,noatime shared:1 - ext4 /dev/vda rw" */
static bool
parse_line(struct mountinfo_entry *out, char *line)
{
	char *rest = line, *id, *parent, *numbers, *root, *point, *text;

	memset(out, 0, sizeof(*out));
	id = word(&rest);
	parent = word(&rest);
	numbers = word(&rest);
	root = word(&rest);
	point = word(&rest);
	while ((text = word(&rest)) != NULL && strcmp(text, "-") != 0)
		;
	if (text == NULL || rest == NULL || id == NULL ||
	    sscanf(numbers, "%u:%u", &out->major, &out->minor) != 2)
		return false;
	out->id = atoi(id);
	out->parent = atoi(parent);
	if (!copy_word(&out->root, root) ||
	    !copy_word(&out->mount_point, point) ||
	    !copy_word(&out->type, word(&rest)) ||
	    !copy_word(&out->source, word(&rest)))
		goto bad;
	text = word(&rest);
	if ((out->options = strdup(text == NULL ? "" : text)) == NULL)
		goto bad;
	out->read_only = has_option(out->options, "ro");
	return true;
bad:
	entry_fini(out);
	return false;
}

static int
add_entry(struct mountinfo *m, size_t *room, const struct mountinfo_entry *e)
{
	struct mountinfo_entry *larger;

	if (m->count == ENTRIES_MAX)
		return -1;
	if (m->count == *room) {
		*room = *room == 0 ? 64 : *room * 2;
		larger = reallocarray(m->entries, *room, sizeof(*larger));
		if (larger == NULL)
			return -1;
		m->entries = larger;
	}
	m->entries[m->count++] = *e;
	return 0;
}

int
mountinfo_read(struct mountinfo *out, const char *path, struct err *err)
{
	FILE *file = fopen(path, "re");
	struct mountinfo_entry entry;
	char *line = NULL;
	size_t size = 0, room = 0;
	ssize_t n;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	if (file == NULL)
		return err_errno(err, errno, "cannot read '%s'", path);
	while ((n = getline(&line, &size, file)) != -1) {
		if (n > 0 && line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (!parse_line(&entry, line))
			continue;
		if (add_entry(out, &room, &entry) == -1) {
			entry_fini(&entry);
			mountinfo_fini(out);
			err_no_memory(err);
			goto out;
		}
	}
	/* A part of a table would pass for the whole. */
	if (!feof(file)) {
		err_errno(err, errno, "cannot read '%s'", path);
		mountinfo_fini(out);
		goto out;
	}
	rc = 0;
out:
	free(line);
	fclose(file);
	return rc;
}

void
mountinfo_fini(struct mountinfo *m)
{
	size_t i;

	for (i = 0; i < m->count; i++)
		entry_fini(&m->entries[i]);
	free(m->entries);
	memset(m, 0, sizeof(*m));
}

/* Is path the folder or below it? */
static bool
lies_below(const char *path, const char *dir)
{
	size_t size = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return *path == '/';
	return strncmp(path, dir, size) == 0 &&
	       (path[size] == '/' || path[size] == '\0');
}

const struct mountinfo_entry *
mountinfo_of_path(const struct mountinfo *m, const char *path)
{
	const struct mountinfo_entry *best = NULL, *e;
	size_t i;

	/* Of mounts on the same place the later one covers the earlier. */
	for (i = 0; i < m->count; i++) {
		e = &m->entries[i];
		if (lies_below(path, e->mount_point) &&
		    (best == NULL ||
			strlen(e->mount_point) >= strlen(best->mount_point)))
			best = e;
	}
	return best;
}

bool
mountinfo_is_served(const char *type)
{
	static const char *const types[] = { "9p", "afs", "ceph", "cifs",
		"coda", "fuse", "fuseblk", "lustre", "nfs", "nfs4", "orangefs",
		"smb3", "smbfs", "virtiofs" };
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return strncmp(type, "fuse.", 5) == 0;
}

bool
mountinfo_may_hang(const struct mountinfo *m, const char *path, bool own_root)
{
	size_t i;

	for (i = 0; i < m->count; i++)
		if (mountinfo_is_served(m->entries[i].type) &&
		    !(own_root &&
			strcmp(m->entries[i].mount_point, "/") == 0) &&
		    lies_below(path, m->entries[i].mount_point))
			return true;
	return false;
}

char *
mountinfo_option(const struct mountinfo_entry *e, const char *name)
{
	size_t size = strlen(name);
	const char *p = e->options;
	char *value;

	while (p != NULL) {
		if (strncmp(p, name, size) == 0 && p[size] == '=') {
			p += size + 1;
			value = strndup(p, strcspn(p, ","));
			if (value != NULL)
				unescape(value);
			return value;
		}
		p = strchr(p, ',');
		p = p == NULL ? NULL : p + 1;
	}
	return NULL;
}

unsigned int
mountinfo_depth(const struct mountinfo *m, const struct mountinfo_entry *e)
{
	unsigned int depth = 0;
	size_t i = 0;
	int up = e->parent;

	/* A table read while it changed may have a cycle. */
	while (i < m->count && depth < m->count) {
		if (m->entries[i].id != up || &m->entries[i] == e) {
			i++;
			continue;
		}
		if (m->entries[i].parent == up)
			break;
		depth++;
		up = m->entries[i].parent;
		i = 0;
	}
	return depth;
}
