/* SPDX-License-Identifier: Apache-2.0 */
/* What is frozen, for a successor. */
#include "guest-helper/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"
#include "common/log.h"
#include "guest-helper/expedite.h"
#include "guest-helper/rescue.h"

#define RECORD_MAX_BYTES (64 * 1024)
#define RECORD_NAME_SIZE (sizeof(RECORD_PREPARED) + HEXID_SIZE)

int
record_open_dir(const char *dir)
{
	struct err err = ERR_INIT;
	int fd = -1;

	if (io_make_dirs(dir, 0700, &err) == 0) {
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd == -1)
			err_errno(&err, errno, "cannot open '%s'", dir);
	}
	if (fd == -1)
		log_line(LOG_WARNING, "no record of freezes: %s", err.text);
	return fd;
}

/* A file there can be written to whatever is frozen. */
static bool
is_in_memory(const char *dir)
{
	struct statfs st;

	return statfs(dir, &st) == 0 &&
	       ((unsigned long)st.f_type == TMPFS_MAGIC ||
		   (unsigned long)st.f_type == RAMFS_MAGIC);
}

/*
 * Lines: the boot id; the marks; then "MAJOR:MINOR" of each file system, in
 * the order of the marks.  No mount points: another mount may cover one, and
 * one of another namespace is nothing that could be opened.
 */
static char *
compose(size_t *out_size, const char *boot_id, const struct mounts *m,
    bool expedited, bool marked)
{
	FILE *stream;
	char *text = NULL;
	size_t i;

	if ((stream = open_memstream(&text, out_size)) == NULL)
		return NULL;
	fprintf(stream, "%s\n%c", boot_id,
	    expedited && !marked ? MARKS_TRIED : MARKS_NONE);
	for (i = 0; i < m->count; i++)
		if (m->items[i].fd != -1)
			fputc(marked ? MARKS_NONE : MARKS_TRIED, stream);
	fputc('\n', stream);
	for (i = 0; i < m->count; i++)
		if (m->items[i].fd != -1)
			fprintf(stream, "%u:%u\n", m->items[i].major,
			    m->items[i].minor);
	if (fclose(stream) == 0)
		return text;
	free(text);
	return NULL;
}

static void
put_name(char out[RECORD_NAME_SIZE], const char *kind, const char *id)
{
	snprintf(out, RECORD_NAME_SIZE, "%s.%s", kind, id);
}

int
record_prepare(char out_id[HEXID_SIZE], struct marks *marks, const char *dir,
    const char *boot_id, const struct mounts *m, bool expedited,
    struct err *err)
{
	char name[RECORD_NAME_SIZE], *path = NULL, *text = NULL;
	bool marked = is_in_memory(dir);
	size_t size = 0;
	int rc = -1;

	if (hexid_new(out_id, err) == -1)
		goto out;
	put_name(name, RECORD_PREPARED, out_id);
	path = io_path(dir, name);
	text = compose(&size, boot_id, m, expedited, marked);
	if (path == NULL || text == NULL) {
		err_no_memory(err);
		goto out;
	}
	if (io_replace_file(path, text, size, 0600, err) == -1)
		goto out;
	marks->at = (off_t)strlen(boot_id) + 1;
	if (marked && (marks->fd = open(path, O_RDWR | O_CLOEXEC)) == -1) {
		err_errno(err, errno, "cannot open '%s'", path);
		unlink(path);
		goto out;
	}
	rc = 0;
out:
	if (rc == -1)
		out_id[0] = '\0';
	free(text);
	free(path);
	return rc;
}

int
record_arm(int dir_fd, const char *id, struct err *err)
{
	char from[RECORD_NAME_SIZE], to[RECORD_NAME_SIZE];

	if (dir_fd == -1 || id[0] == '\0')
		return 0;
	put_name(from, RECORD_PREPARED, id);
	put_name(to, RECORD_FROZEN, id);
	if (renameat(dir_fd, from, dir_fd, to) == -1)
		return err_errno(err, errno, "cannot rename '%s'", from);
	return 0;
}

void
record_remove(int dir_fd, const char *id)
{
	char name[RECORD_NAME_SIZE];

	if (dir_fd == -1 || id[0] == '\0')
		return;
	put_name(name, RECORD_PREPARED, id);
	unlinkat(dir_fd, name, 0);
	put_name(name, RECORD_FROZEN, id);
	unlinkat(dir_fd, name, 0);
}

void
record_boot_id(char *out, size_t size)
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	*out = '\0';
	if (file == NULL)
		return;
	if (fgets(out, (int)size, file) == NULL)
		*out = '\0';
	out[strcspn(out, "\n")] = '\0';
	fclose(file);
}

static void
undo_expedited(const char *path)
{
	struct expedite e = { .begun = true };

	e.fd = open(path, O_WRONLY | O_CLOEXEC);
	if (e.fd == -1)
		return;
	expedite_end(&e);
	expedite_close(&e);
}

/* A line without its end; "" and the end of the text at that. */
static const char *
take_line(char *line, size_t size, const char *text)
{
	size_t n = strcspn(text, "\n");

	snprintf(line, size, "%.*s", (int)(n < size ? n : size - 1), text);
	return text[n] == '\0' ? text + n : text + n + 1;
}

/* What all records come to. */
struct sum {
	size_t thawed;
	size_t left;    /* May still be frozen. */
	char text[256]; /* Of these, as many as fit. */
};

/* What a record says, in its order. */
struct leftover {
	struct marks marks;
	struct mounts mounts;
	struct mounts_filesystem items[MESSAGE_FILESYSTEMS_MAX];
};

/* Lines that are cut off or damaged are of nothing. */
static void
take_numbers(struct leftover *l, const char *text)
{
	struct mounts_filesystem *fs;
	char line[MESSAGE_NAME_SIZE];
	size_t place;
	int n;

	l->mounts.items = l->items;
	while (l->mounts.count < MESSAGE_FILESYSTEMS_MAX && *text != '\0') {
		text = take_line(line, sizeof(line), text);
		fs = &l->items[l->mounts.count];
		memset(fs, 0, sizeof(*fs));
		fs->fd = -1;
		place = MARKS_FS(l->mounts.count++);
		n = -1;
		if (sscanf(line, "%9u:%9u%n", &fs->major, &fs->minor, &n) !=
			2 ||
		    n != (int)strlen(line))
			marks_set(&l->marks, place, MARKS_NONE);
		if (!marks_is_ours(marks_get(&l->marks, place)))
			fs->state = MESSAGE_FS_SKIPPED;
	}
}

static void
note_left(struct sum *sum, const struct mounts_filesystem *fs)
{
	size_t used = strlen(sum->text);

	snprintf(sum->text + used, sizeof(sum->text) - used, "%s%u:%u%s%s%s",
	    sum->left++ > 0 ? ", " : "", fs->major, fs->minor,
	    fs->reason[0] != '\0' ? " (" : "", fs->reason,
	    fs->reason[0] != '\0' ? ")" : "");
}

/* Through whichever mount of each can be reached, in any namespace. */
static void
thaw_leftover(
    struct leftover *l, const struct mounts_paths *paths, struct sum *sum)
{
	int fds[MESSAGE_FILESYSTEMS_MAX];
	size_t i;

	mounts_open(&l->mounts, paths);
	for (i = 0; i < l->mounts.count; i++)
		fds[i] = l->items[i].fd;
	sum->thawed += rescue_thaw(&l->marks, fds, l->mounts.count);
	mounts_close(&l->mounts);
	for (i = 0; i < l->mounts.count; i++)
		if (marks_is_ours(marks_get(&l->marks, MARKS_FS(i))))
			note_left(sum, &l->items[i]);
}

/*
 * Marks that are cut off or damaged are of file systems that may be frozen.
 * Where the others are, what is thawed is marked, for a dead-man that was
 * stopped and comes back: else it thaws what somebody else froze since.
 */
static int
thaw_recorded(struct sum *sum, int fd, const char *text, const char *boot_id,
    const char *expedite_path, const struct mounts_paths *paths,
    struct err *err)
{
	char line[MESSAGE_NAME_SIZE], marks[MARKS_MAX + 1];
	static struct leftover l; /* Too large for a stack. */
	size_t i, marked;

	text = take_line(line, sizeof(line), text);
	if (strcmp(line, boot_id) != 0)
		return 0;
	memset(&l, 0, sizeof(l));
	if (marks_open(&l.marks, err) == -1)
		return -1;
	text = take_line(marks, sizeof(marks), text);
	marked = strlen(marks);
	if (marked > MARKS_EXPEDITED && marks_is_ours(marks[MARKS_EXPEDITED]))
		undo_expedited(expedite_path);
	for (i = 0; i < MARKS_MAX; i++)
		marks_set(&l.marks, i,
		    i >= marked ? MARKS_TRIED : (enum marks_value)marks[i]);
	take_numbers(&l, text);
	if (marked >= MARKS_FS(l.mounts.count)) {
		l.marks.at = (off_t)strlen(boot_id) + 1;
		l.marks.fd = dup(fd);
	}
	thaw_leftover(&l, paths, sum);
	marks_close(&l.marks);
	return 0;
}

static bool
is_of(const char *name, const char *kind)
{
	size_t n = strlen(kind);

	return strncmp(name, kind, n) == 0 && name[n] == '.';
}

static bool
is_armed(const char *name)
{
	return is_of(name, RECORD_FROZEN) &&
	       hexid_valid(name + sizeof(RECORD_FROZEN));
}

/* -1: it is still needed, or can not be read. */
static int
thaw_file(struct sum *sum, const char *dir, const char *path,
    const char *expedite_path, const struct mounts_paths *paths,
    struct err *err)
{
	char boot_id[MESSAGE_NAME_SIZE], *text = NULL;
	size_t size = 0, left = sum->left;
	int fd = -1, rc;

	record_boot_id(boot_id, sizeof(boot_id));
	if (io_read_file(&text, &size, path, RECORD_MAX_BYTES, err) == -1)
		return -1;
	/* On a disk the write might wait for what is still frozen. */
	if (is_in_memory(dir))
		fd = open(path, O_RDWR | O_CLOEXEC);
	rc = thaw_recorded(sum, fd, text, boot_id, expedite_path, paths, err);
	if (fd != -1)
		close(fd);
	free(text);
	return rc == -1 || sum->left > left ? -1 : 0;
}

/* One that is not frozen yet, or is half written, is only removed. */
static void
thaw_one(struct sum *sum, const char *dir, const char *name,
    const char *expedite_path, const struct mounts_paths *paths,
    struct err *err)
{
	char *path = io_path(dir, name);

	if (path == NULL) {
		err_no_memory(err);
		return;
	}
	if (!is_armed(name) ||
	    thaw_file(sum, dir, path, expedite_path, paths, err) == 0)
		unlink(path);
	free(path);
}

static void
log_sum(const struct sum *sum, const char *dir, const struct err *err)
{
	if (err->class != ERR_NONE)
		log_line(
		    LOG_WARNING, "cannot read all of '%s': %s", dir, err->text);
	if (sum->thawed > 0)
		log_line(LOG_WARNING,
		    "thawed %zu file systems that a predecessor left frozen",
		    sum->thawed);
	if (sum->left > 0)
		log_line(LOG_ERROR,
		    "%zu file systems that a predecessor froze may still be "
		    "frozen: %s",
		    sum->left, sum->text);
}

/* Its log may end on one of them: nothing is logged before all are thawed. */
size_t
record_thaw_leftovers(const char *dir, const char *expedite_path,
    const struct mounts_paths *paths)
{
	struct sum sum = { .thawed = 0 };
	struct err err = ERR_INIT;
	struct dirent *entry;
	DIR *d;

	if ((d = opendir(dir)) == NULL)
		return 0;
	while (errno = 0, (entry = readdir(d)) != NULL)
		if (is_of(entry->d_name, RECORD_FROZEN) ||
		    is_of(entry->d_name, RECORD_PREPARED))
			thaw_one(&sum, dir, entry->d_name, expedite_path, paths,
			    &err);
	if (errno != 0)
		err_errno(&err, errno, "cannot list it");
	closedir(d);
	log_sum(&sum, dir, &err);
	return sum.thawed;
}
