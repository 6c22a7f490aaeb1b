/* SPDX-License-Identifier: Apache-2.0 */
/* Files and names with their past, and what a cut leaves of them. */
#include "tests/unit/cut_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "tests/unit/cut_recorder.h"

#define SECTOR 512u

struct change { /* Of a file, since it was durable. */
	const struct cut_record *record;
	bool synced;
};

struct node {
	struct node *next; /* Of the disk. */
	bool folder;
	bool reached;
	/* A file: what was durable when the record began, and since. */
	unsigned char *bytes;
	size_t size;
	struct change *changes;
	size_t change_count, change_room;
	struct entry *entries; /* A folder. */
};

struct state {             /* Of a name. */
	struct node *node; /* NULL: there is none. */
	size_t at;         /* Number of the record. */
};

struct entry {
	struct entry *next;
	char *name;
	struct state *states; /* The first is durable. */
	size_t count, synced, room;
};

struct cut_disk {
	struct node *nodes;
	struct node *root;
	struct node **handles;
	size_t handle_room;
	uint64_t random;
	struct cut_loss loss;
};

static void *
need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static uint64_t
draw(struct cut_disk *d, uint64_t below)
{
	d->random ^= d->random << 13;
	d->random ^= d->random >> 7;
	d->random ^= d->random << 17;
	return d->random % below;
}

static struct node *
node_new(struct cut_disk *d, bool folder)
{
	struct node *n = need(calloc(1, sizeof(*n)));

	n->folder = folder;
	n->next = d->nodes;
	d->nodes = n;
	return n;
}

static void
node_free(struct node *n)
{
	struct entry *e;

	while ((e = n->entries) != NULL) {
		n->entries = e->next;
		free(e->name);
		free(e->states);
		free(e);
	}
	free(n->bytes);
	free(n->changes);
	free(n);
}

struct cut_disk *
cut_disk_new(void)
{
	struct cut_disk *d = need(calloc(1, sizeof(*d)));

	d->root = node_new(d, true);
	return d;
}

void
cut_disk_free(struct cut_disk *d)
{
	struct node *n;

	while ((n = d->nodes) != NULL) {
		d->nodes = n->next;
		node_free(n);
	}
	free(d->handles);
	free(d);
}

struct cut_loss
cut_disk_loss(const struct cut_disk *d)
{
	return d->loss;
}

/* ---- playing the record ---- */

static struct entry *
entry_of(struct node *folder, const char *name, size_t length)
{
	struct entry *e;

	for (e = folder->entries; e != NULL; e = e->next)
		if (strlen(e->name) == length &&
		    memcmp(e->name, name, length) == 0)
			return e;
	e = need(calloc(1, sizeof(*e)));
	e->name = need(strndup(name, length));
	e->states = need(calloc(1, sizeof(*e->states)));
	e->count = e->room = 1;
	e->next = folder->entries;
	folder->entries = e;
	return e;
}

static struct node *
now(const struct entry *e)
{
	return e->states[e->count - 1].node;
}

/* NULL: the path is the root itself. */
static struct entry *
find(struct cut_disk *d, const char *path)
{
	struct node *folder = d->root;
	struct entry *e = NULL;
	size_t length;

	while (*path != '\0') {
		length = strcspn(path, "/");
		if (folder == NULL || !folder->folder)
			abort();
		e = entry_of(folder, path, length);
		folder = now(e);
		path += length + strspn(path + length, "/");
	}
	return e;
}

static void
set(struct entry *e, struct node *node, size_t at)
{
	if (e->count == e->room) {
		e->room *= 2;
		e->states =
		    need(reallocarray(e->states, e->room, sizeof(*e->states)));
	}
	e->states[e->count++] = (struct state){ .node = node, .at = at };
}

static void
change(struct node *n, const struct cut_record *r)
{
	if (n->change_count == n->change_room) {
		n->change_room = n->change_room * 2 + 8;
		n->changes = need(reallocarray(
		    n->changes, n->change_room, sizeof(*n->changes)));
	}
	n->changes[n->change_count++] = (struct change){ .record = r };
}

static void
sync_node(struct node *n)
{
	struct entry *e;
	size_t i;

	for (e = n->entries; e != NULL; e = e->next)
		e->synced = e->count - 1;
	for (i = n->change_count; i > 0 && !n->changes[i - 1].synced; i--)
		n->changes[i - 1].synced = true;
}

static void
play_open(struct cut_disk *d, const struct cut_record *r, size_t at)
{
	struct entry *e = find(d, cut_record_path(r));
	struct node *n = e == NULL ? d->root : now(e);
	size_t room = d->handle_room;

	if (n == NULL) {
		if ((r->offset & CUT_OPEN_CREATE) == 0)
			abort();
		set(e, n = node_new(d, false), at);
	} else if ((r->offset & CUT_OPEN_TRUNCATE) != 0) {
		change(n, r);
	}
	if (r->handle >= room) {
		d->handle_room = (size_t)r->handle * 2 + 64;
		d->handles = need(reallocarray(
		    d->handles, d->handle_room, sizeof(*d->handles)));
		memset(d->handles + room, 0,
		    (d->handle_room - room) * sizeof(*d->handles));
	}
	d->handles[r->handle] = n;
}

static void
play_names(struct cut_disk *d, const struct cut_record *r, size_t at)
{
	struct entry *e = find(d, cut_record_path(r));
	struct node *n = now(e);

	if (r->op == CUT_MKDIR)
		set(e, node_new(d, true), at);
	if (r->op == CUT_REMOVE || r->op == CUT_RENAME)
		set(e, NULL, at);
	if (r->op == CUT_RENAME || r->op == CUT_LINK)
		set(find(d, cut_record_data(r)), n, at);
}

static void
play_one(struct cut_disk *d, const struct cut_record *r, size_t at)
{
	switch ((enum cut_op)r->op) {
	case CUT_OPEN:
		play_open(d, r, at);
		break;
	case CUT_WRITE:
	case CUT_TRUNCATE:
		change(d->handles[r->handle], r);
		break;
	case CUT_SYNC:
		sync_node(d->handles[r->handle]);
		break;
	case CUT_MKDIR:
	case CUT_REMOVE:
	case CUT_RENAME:
	case CUT_LINK:
		play_names(d, r, at);
		break;
	case CUT_NOTE:
		break;
	}
}

/* ---- the cut ---- */

struct content {
	unsigned char *bytes;
	size_t size, room;
};

static void
resize(struct content *c, size_t size)
{
	if (size > c->room) {
		c->room = size * 2;
		c->bytes = need(realloc(c->bytes, c->room));
	}
	if (size > c->size)
		memset(c->bytes + c->size, 0, size - c->size);
	c->size = size;
}

static void
put(struct content *c, uint64_t offset, const void *data, size_t size)
{
	if (offset + size > c->size)
		resize(c, (size_t)offset + size);
	memcpy(c->bytes + offset, data, size);
}

/* A truncating open has neither offset nor data. */
static void
apply(struct content *c, const struct cut_record *r)
{
	if (r->op == CUT_WRITE)
		put(c, r->offset, cut_record_data(r), r->data_bytes);
	else
		resize(c, r->op == CUT_TRUNCATE ? (size_t)r->offset : 0);
}

/* Each sector by itself; one that is left out leaves a hole behind the end. */
static void
apply_some(struct cut_disk *d, struct content *c, const struct cut_record *r,
    unsigned int percent)
{
	const unsigned char *data = cut_record_data(r);
	uint64_t offset = r->offset;
	size_t left = r->data_bytes, n;

	if (r->op != CUT_WRITE) {
		if (draw(d, 100) < percent)
			apply(c, r);
		return;
	}
	for (; left > 0; left -= n, data += n, offset += n) {
		n = SECTOR - offset % SECTOR;
		n = left < n ? left : n;
		if (draw(d, 100) < percent)
			put(c, offset, data, n);
	}
}

/* Behind what was ever durable the disk may show what lay there before. */
static void
spoil_tail(struct cut_disk *d, struct content *c, size_t durable, size_t size)
{
	size_t i;

	resize(c, size);
	i = durable + (size_t)draw(d, size - durable);
	for (; i < size; i++)
		c->bytes[i] = (unsigned char)draw(d, 256);
	d->loss.garbage++;
}

/* The file as it is without a cut. */
static void
whole(struct content *c, const struct node *n)
{
	size_t i;

	if (n->size > 0)
		put(c, 0, n->bytes, n->size);
	for (i = 0; i < n->change_count; i++)
		apply(c, n->changes[i].record);
}

static void
cut_content(struct cut_disk *d, struct content *c, const struct node *n,
    enum cut_mode mode, size_t full)
{
	const unsigned int percent = (unsigned int)draw(d, 5) * 25;
	size_t i, durable;

	if (n->size > 0)
		put(c, 0, n->bytes, n->size);
	for (i = 0; i < n->change_count && n->changes[i].synced; i++)
		apply(c, n->changes[i].record);
	durable = c->size;
	for (; mode != CUT_BARE && i < n->change_count; i++)
		apply_some(d, c, n->changes[i].record, percent);
	if (mode == CUT_BARE || full <= durable || c->size < durable)
		return;
	switch (draw(d, 4)) {
	case 0: /* The size came, not all of the bytes. */
		resize(c, c->size < full ? full : c->size);
		break;
	case 1: /* Some of the bytes came, not the size. */
		resize(c, durable + (size_t)draw(d, full - durable));
		break;
	case 2:
		spoil_tail(d, c, durable, full);
		break;
	default:
		break;
	}
}

static void
settle_file(struct cut_disk *d, struct node *n, enum cut_mode mode)
{
	struct content is = { .bytes = NULL }, was = { .bytes = NULL };

	if (n->change_count == 0)
		return;
	whole(&was, n);
	if (mode == CUT_CLEAN || n->changes[n->change_count - 1].synced) {
		is = was;
		was.bytes = NULL;
	} else {
		cut_content(d, &is, n, mode, was.size);
		if (is.size != was.size ||
		    (is.size > 0 && memcmp(is.bytes, was.bytes, is.size) != 0))
			d->loss.files++;
	}
	free(was.bytes);
	free(n->bytes);
	n->bytes = is.bytes;
	n->size = is.size;
	n->change_count = 0;
}

static size_t
choose(struct cut_disk *d, const struct entry *e, enum cut_mode mode,
    size_t moment)
{
	size_t i = e->count - 1;

	switch (mode) {
	case CUT_BARE:
		return e->synced;
	case CUT_ORDER:
		while (i > e->synced && e->states[i].at > moment)
			i--;
		return i;
	case CUT_ANY:
		return e->synced + (size_t)draw(d, e->count - e->synced);
	case CUT_CLEAN:
	case CUT_MODES:
		break;
	}
	return i;
}

static void
settle(struct cut_disk *d, struct node *n, enum cut_mode mode, size_t moment)
{
	struct entry *e;
	size_t chosen;

	if (n->reached)
		return;
	n->reached = true;
	if (!n->folder)
		settle_file(d, n, mode);
	for (e = n->entries; e != NULL; e = e->next) {
		chosen = choose(d, e, mode, moment);
		if (e->states[chosen].node != now(e))
			d->loss.names++;
		e->states[0].node = e->states[chosen].node;
		e->count = 1;
		e->synced = 0;
		if (e->states[0].node != NULL)
			settle(d, e->states[0].node, mode, moment);
	}
}

static void
drop_unreached(struct cut_disk *d)
{
	struct node **link = &d->nodes, *n;

	while ((n = *link) != NULL) {
		if (n->reached) {
			n->reached = false;
			link = &n->next;
		} else {
			*link = n->next;
			node_free(n);
		}
	}
}

void
cut_disk_play(
    struct cut_disk *d, size_t records, enum cut_mode mode, uint64_t seed)
{
	const struct cut_record *r = NULL;
	size_t i;

	d->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	d->loss = (struct cut_loss){ .names = 0 };
	for (i = 0; i < records && (r = cut_recorder_next(r)) != NULL; i++)
		play_one(d, r, i);
	settle(d, d->root, mode, records - (size_t)draw(d, records / 8 + 1));
	drop_unreached(d);
	free(d->handles);
	d->handles = NULL;
	d->handle_room = 0;
}

/* ---- the folder ---- */

static void
write_node(const struct node *n, const char *path)
{
	const struct entry *e;
	char *below;
	int fd;

	if (!n->folder) {
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd == -1 || io_write_full(fd, n->bytes, n->size) == -1)
			abort();
		close(fd);
		return;
	}
	if (mkdir(path, 0711) == -1)
		abort();
	for (e = n->entries; e != NULL; e = e->next) {
		if (e->states[0].node == NULL)
			continue;
		below = need(io_path(path, e->name));
		write_node(e->states[0].node, below);
		free(below);
	}
}

void
cut_disk_write(const struct cut_disk *d, const char *path)
{
	write_node(d->root, path);
}

static unsigned int
differs(const char *path, const char *how)
{
	fprintf(stderr, "'%s' %s\n", path, how);
	return 1;
}

/* Written through a mapping: no call of these is seen. */
static bool
mapped(const char *name)
{
	const char *dot = strrchr(name, '-');

	return strcmp(name, "lock.mdb") == 0 ||
	       (dot != NULL && strcmp(dot, "-shm") == 0);
}

static unsigned int
compare_file(const struct node *n, const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned char *bytes = need(malloc(n->size + 1));
	bool same;

	if (f == NULL) {
		free(bytes);
		return differs(path, "is not there");
	}
	same = fread(bytes, 1, n->size + 1, f) == n->size &&
	       (n->size == 0 || memcmp(bytes, n->bytes, n->size) == 0);
	fclose(f);
	free(bytes);
	return same ? 0 : differs(path, "has other bytes");
}

static unsigned int
compare_node(const struct node *n, const char *path)
{
	const struct entry *e;
	unsigned int count = 0, there = 0;
	struct dirent *found;
	char *below;
	DIR *dir;

	if (!n->folder)
		return compare_file(n, path);
	for (e = n->entries; e != NULL; e = e->next) {
		if (e->states[0].node == NULL)
			continue;
		there++;
		below = need(io_path(path, e->name));
		if (!mapped(e->name))
			count += compare_node(e->states[0].node, below);
		free(below);
	}
	if ((dir = opendir(path)) == NULL)
		return count + differs(path, "is not there");
	while ((found = readdir(dir)) != NULL)
		if (strcmp(found->d_name, ".") != 0 &&
		    strcmp(found->d_name, "..") != 0)
			there--;
	closedir(dir);
	return count + (there == 0 ? 0 : differs(path, "has other names"));
}

unsigned int
cut_disk_compare(const struct cut_disk *d, const char *path)
{
	return compare_node(d->root, path);
}
