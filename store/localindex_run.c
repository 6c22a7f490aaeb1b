/* SPDX-License-Identifier: Apache-2.0 */
/* Files of sorted entries: written once, looked into, read through. */
#include "store/localindex_run.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/endian.h"
#include "common/io.h"
#include "store/checksum.h"

#define MAGIC "HSRN0001"
#define HEAD_BYTES 32
/* Pages read or written at once. */
#define MANY_PAGES 64u
/* Some 300 TiB of disk. */
#define PAGES_MAX (UINT64_C(1) << 32)

struct run {
	int fd;
	uint64_t entries, pages;
	uint64_t *first; /* Of each page: 8 bytes of its first entry. */
};

uint64_t
localindex_run_entries(const struct run *r)
{
	return r->entries;
}

void
localindex_run_close(struct run *r)
{
	if (r == NULL)
		return;
	if (r->fd != -1)
		close(r->fd);
	free(r->first);
	free(r);
}

static int
read_at(const struct run *r, void *out, size_t size, uint64_t offset)
{
	int64_t n = io_pread_full(r->fd, out, size, offset);

	if (n < 0)
		return errno;
	return (uint64_t)n == size ? 0 : MDB_CORRUPTED;
}

static int
read_head(struct run *r)
{
	uint8_t head[HEAD_BYTES];
	struct stat st;
	int code = read_at(r, head, sizeof(head), 0);

	if (code != 0)
		return code;
	r->entries = be64_get(head + 8);
	r->pages = be64_get(head + 16);
	if (memcmp(head, MAGIC, 8) != 0 ||
	    be64_get(head + 24) != checksum_of(head, 24) ||
	    r->pages > PAGES_MAX ||
	    r->pages != (r->entries + RUN_PAGE_ENTRIES - 1) / RUN_PAGE_ENTRIES)
		return MDB_CORRUPTED;
	if (fstat(r->fd, &st) == -1)
		return errno;
	if ((uint64_t)st.st_size !=
	    (r->pages + 1) * RUN_PAGE_BYTES + (r->pages + 1) * 8)
		return MDB_CORRUPTED;
	return 0;
}

/* In the file as they are in memory: it does not leave the machine. */
static int
read_first(struct run *r)
{
	size_t size = (size_t)r->pages * 8;
	uint64_t sum;
	int code;

	if ((r->first = malloc(size + 8)) == NULL)
		return ENOMEM;
	code = read_at(r, r->first, size + 8, (r->pages + 1) * RUN_PAGE_BYTES);
	if (code != 0)
		return code;
	memcpy(&sum, r->first + r->pages, sizeof(sum));
	return sum == checksum_of(r->first, size) ? 0 : MDB_CORRUPTED;
}

int
localindex_run_open(struct run **out, const char *path)
{
	struct run *r = calloc(1, sizeof(*r));
	int code;

	if (r == NULL)
		return ENOMEM;
	if ((r->fd = open(path, O_RDONLY | O_CLOEXEC)) == -1) {
		code = errno;
	} else {
		/* Looks are at random: what lies around is not wanted. */
		posix_fadvise(r->fd, 0, 0, POSIX_FADV_RANDOM);
		if ((code = read_head(r)) == 0)
			code = read_first(r);
	}
	if (code != 0) {
		localindex_run_close(r);
		return code;
	}
	*out = r;
	return 0;
}

/* ---- a look ---- */

static bool
page_whole(const uint8_t *page)
{
	return be64_get(page) == checksum_of(page + 8, RUN_PAGE_BYTES - 8);
}

static unsigned int
page_entries(const struct run *r, uint64_t page)
{
	uint64_t before = page * RUN_PAGE_ENTRIES;

	return r->entries - before < RUN_PAGE_ENTRIES
		   ? (unsigned int)(r->entries - before)
		   : (unsigned int)RUN_PAGE_ENTRIES;
}

/* The last page that begins below the prefix, or the first of all. */
static uint64_t
page_of(const struct run *r, uint64_t prefix)
{
	uint64_t low = 0, high = r->pages, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (r->first[middle] < prefix)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? 0 : low - 1;
}

static void
look_in_page(const uint8_t *page, unsigned int count, const uint8_t *name,
    localindex_run_fn *fn, void *arg)
{
	const uint8_t *entries = page + 8, *entry;
	unsigned int low = 0, high = count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (memcmp(entries + (size_t)middle * RUN_ENTRY_BYTES, name,
			RUN_NAME_BYTES) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < count; low++) {
		entry = entries + (size_t)low * RUN_ENTRY_BYTES;
		if (memcmp(entry, name, RUN_NAME_BYTES) != 0)
			break;
		fn(arg, entry);
	}
}

int
localindex_run_find(const struct run *r, const uint8_t name[RUN_NAME_BYTES],
    localindex_run_fn *fn, void *arg)
{
	uint64_t prefix = be64_get(name), page;
	uint8_t bytes[RUN_PAGE_BYTES];
	int code;

	for (page = page_of(r, prefix);
	     page < r->pages && r->first[page] <= prefix; page++) {
		code = read_at(
		    r, bytes, sizeof(bytes), (page + 1) * RUN_PAGE_BYTES);
		if (code != 0)
			return code;
		if (!page_whole(bytes))
			return MDB_CORRUPTED;
		look_in_page(bytes, page_entries(r, page), name, fn, arg);
	}
	return 0;
}

/* ---- from first to last ---- */

struct run_cursor {
	const struct run *run;
	uint64_t page;             /* The next to be read. */
	unsigned int pages, at;    /* Of those in memory. */
	unsigned int entry, count; /* Of the page at `at`. */
	uint8_t bytes[MANY_PAGES * RUN_PAGE_BYTES];
};

int
localindex_run_cursor_new(struct run_cursor **out, const struct run *r)
{
	struct run_cursor *c = malloc(sizeof(*c));

	if (c == NULL)
		return ENOMEM;
	c->run = r;
	c->page = 0;
	c->pages = c->at = c->entry = c->count = 0;
	*out = c;
	return 0;
}

void
localindex_run_cursor_free(struct run_cursor *c)
{
	free(c);
}

static int
read_pages(struct run_cursor *c)
{
	uint64_t left = c->run->pages - c->page;
	int code;

	c->pages = left < MANY_PAGES ? (unsigned int)left : MANY_PAGES;
	c->at = 0;
	if (c->pages == 0)
		return 0;
	code = read_at(c->run, c->bytes, (size_t)c->pages * RUN_PAGE_BYTES,
	    (c->page + 1) * RUN_PAGE_BYTES);
	c->page += c->pages;
	return code;
}

int
localindex_run_cursor_next(const uint8_t **out, struct run_cursor *c)
{
	const uint8_t *page;
	int code;

	if (c->entry == c->count) {
		if (c->count > 0)
			c->at++;
		if (c->at >= c->pages && (code = read_pages(c)) != 0)
			return code;
		*out = NULL;
		c->entry = c->count = 0;
		if (c->pages == 0)
			return 0;
		if (!page_whole(c->bytes + (size_t)c->at * RUN_PAGE_BYTES))
			return MDB_CORRUPTED;
		c->count = page_entries(c->run, c->page - c->pages + c->at);
	}
	page = c->bytes + (size_t)c->at * RUN_PAGE_BYTES;
	*out = page + 8 + (size_t)c->entry++ * RUN_ENTRY_BYTES;
	return 0;
}

/* ---- a new one ---- */

struct run_writer {
	int fd;
	char *path;
	bool finished;
	uint64_t entries, pages; /* pages: whole ones. */
	unsigned int filled;     /* Entries of the page being filled. */
	uint64_t *first;
	size_t capacity;
	uint8_t bytes[MANY_PAGES * RUN_PAGE_BYTES];
};

int
localindex_run_writer_new(struct run_writer **out, const char *path)
{
	struct run_writer *w = calloc(1, sizeof(*w));
	int code = 0;

	if (w == NULL)
		return ENOMEM;
	w->fd = -1;
	if ((w->path = strdup(path)) == NULL)
		code = ENOMEM;
	else if ((unlink(path) == -1 && errno != ENOENT) ||
		 (w->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		      0600)) == -1)
		code = errno; /* What is unlinked: one that never counted. */
	if (code != 0) {
		localindex_run_writer_free(w);
		return code;
	}
	*out = w;
	return 0;
}

void
localindex_run_writer_free(struct run_writer *w)
{
	if (w == NULL)
		return;
	if (w->fd != -1)
		close(w->fd);
	if (w->fd != -1 && !w->finished)
		unlink(w->path);
	free(w->path);
	free(w->first);
	free(w);
}

static int
write_pages(struct run_writer *w)
{
	unsigned int count = (unsigned int)(w->pages % MANY_PAGES);
	uint64_t from;

	if (count == 0)
		count = w->pages > 0 ? MANY_PAGES : 0;
	from = w->pages - count;
	return io_pwrite_full(w->fd, w->bytes, (size_t)count * RUN_PAGE_BYTES,
		   (from + 1) * RUN_PAGE_BYTES) == 0
		   ? 0
		   : errno;
}

static int
end_page(struct run_writer *w)
{
	uint8_t *page = w->bytes + w->pages % MANY_PAGES * RUN_PAGE_BYTES;
	size_t used = 8 + (size_t)w->filled * RUN_ENTRY_BYTES;

	memset(page + used, 0, RUN_PAGE_BYTES - used);
	be64_put(page, checksum_of(page + 8, RUN_PAGE_BYTES - 8));
	w->filled = 0;
	return ++w->pages % MANY_PAGES == 0 ? write_pages(w) : 0;
}

static int
begin_page(struct run_writer *w, const uint8_t *entry)
{
	size_t capacity = w->capacity > 0 ? w->capacity * 2 : 512;
	void *grown;

	if (w->pages == w->capacity) {
		grown = reallocarray(w->first, capacity, sizeof(*w->first));
		if (grown == NULL)
			return ENOMEM;
		w->first = grown;
		w->capacity = capacity;
	}
	w->first[w->pages] = be64_get(entry);
	return 0;
}

int
localindex_run_writer_add(
    struct run_writer *w, const uint8_t entry[RUN_ENTRY_BYTES])
{
	uint8_t *page = w->bytes + w->pages % MANY_PAGES * RUN_PAGE_BYTES;
	int code;

	if (w->filled == 0 && (code = begin_page(w, entry)) != 0)
		return code;
	memcpy(page + 8 + (size_t)w->filled * RUN_ENTRY_BYTES, entry,
	    RUN_ENTRY_BYTES);
	w->entries++;
	return ++w->filled == RUN_PAGE_ENTRIES ? end_page(w) : 0;
}

int
localindex_run_writer_finish(struct run_writer *w)
{
	uint8_t head[RUN_PAGE_BYTES] = { 0 };
	uint64_t sum, behind;
	int code;

	if (w->filled > 0 && (code = end_page(w)) != 0)
		return code;
	if (w->pages % MANY_PAGES != 0 && (code = write_pages(w)) != 0)
		return code;
	memcpy(head, MAGIC, 8);
	be64_put(head + 8, w->entries);
	be64_put(head + 16, w->pages);
	be64_put(head + 24, checksum_of(head, 24));
	sum = checksum_of(w->first, (size_t)w->pages * 8);
	behind = (w->pages + 1) * RUN_PAGE_BYTES;
	if (io_pwrite_full(w->fd, w->first, (size_t)w->pages * 8, behind) ==
		-1 ||
	    io_pwrite_full(w->fd, &sum, sizeof(sum), behind + w->pages * 8) ==
		-1 ||
	    io_pwrite_full(w->fd, head, sizeof(head), 0) == -1 ||
	    fsync(w->fd) == -1)
		return errno;
	w->finished = true;
	return 0;
}
