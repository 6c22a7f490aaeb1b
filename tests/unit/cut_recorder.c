/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that change files, done and noted. */

/* Else open() would be another name of open64(); both are made here. */
#undef _FILE_OFFSET_BITS
#include "tests/unit/cut_recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define LOG_BYTES ((size_t)1 << 30) /* Only what is used is there. */
#define FDS_MAX 4096
/* A thread is held up until others have made so many records, or none for a
 * while. */
#define STALL_RECORDS_MAX 400
#define STALL_IDLE_MS 40

struct shared {
	uint64_t handles;
	size_t count, used;
	unsigned char bytes[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct shared *log_of; /* Guarded by lock, as all of it. */
static char root_path[PATH_MAX];
static size_t root_bytes;
static uint64_t stall_state;
static const char *hold_path; /* NULL: nobody is held up. */
static const char *hold_name;
static uint64_t held;               /* The handle that waits. */
static uint64_t handle_of[FDS_MAX]; /* 0: not ours. */

void
cut_recorder_begin(const char *root)
{
	void *map = mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		abort();
	pthread_mutex_lock(&lock);
	log_of = map;
	root_bytes = strlen(root);
	memcpy(root_path, root, root_bytes + 1);
	memset(handle_of, 0, sizeof(handle_of));
	stall_state = 0;
	hold_path = NULL;
	pthread_mutex_unlock(&lock);
}

void
cut_recorder_end(void)
{
	pthread_mutex_lock(&lock);
	munmap(log_of, LOG_BYTES);
	log_of = NULL;
	pthread_mutex_unlock(&lock);
}

void
cut_recorder_stall(uint64_t seed)
{
	pthread_mutex_lock(&lock);
	stall_state = seed;
	pthread_mutex_unlock(&lock);
}

size_t
cut_recorder_count(void)
{
	return log_of == NULL ? 0 : log_of->count;
}

const struct cut_record *
cut_recorder_next(const struct cut_record *prior)
{
	const unsigned char *at =
	    prior == NULL ? log_of->bytes
			  : (const unsigned char *)prior + prior->total_bytes;

	if (at >= log_of->bytes + log_of->used)
		return NULL;
	return (const void *)at;
}

/* ---- noting; with the lock held ---- */

/* The part of path below the root, or NULL. */
static const char *
ours(const char *path)
{
	if (log_of == NULL || path == NULL ||
	    strncmp(path, root_path, root_bytes) != 0)
		return NULL;
	if (path[root_bytes] == '\0')
		return path + root_bytes;
	return path[root_bytes] == '/' ? path + root_bytes + 1 : NULL;
}

static uint64_t
handle(int fd)
{
	return log_of != NULL && fd >= 0 && fd < FDS_MAX ? handle_of[fd] : 0;
}

static void
add(enum cut_op op, const char *path, uint64_t of, uint64_t offset,
    const void *data, size_t size)
{
	struct cut_record r = { .op = op, .handle = of, .offset = offset };
	unsigned char *at;

	r.path_bytes = path == NULL ? 0 : (uint32_t)strlen(path) + 1;
	r.data_bytes = (uint32_t)size;
	r.total_bytes =
	    (uint32_t)((sizeof(r) + r.path_bytes + size + 7) / 8 * 8);
	if (r.total_bytes > LOG_BYTES - sizeof(*log_of) - log_of->used)
		abort();
	at = log_of->bytes + log_of->used;
	memcpy(at, &r, sizeof(r));
	if (path != NULL)
		memcpy(at + sizeof(r), path, r.path_bytes);
	if (size > 0)
		memcpy(at + sizeof(r) + r.path_bytes, data, size);
	log_of->used += r.total_bytes;
	log_of->count++;
}

void
cut_recorder_note(const void *data, size_t size)
{
	pthread_mutex_lock(&lock);
	if (log_of != NULL)
		add(CUT_NOTE, NULL, 0, 0, data, size);
	pthread_mutex_unlock(&lock);
}

static uint64_t
draw(void)
{
	stall_state ^= stall_state << 13;
	stall_state ^= stall_state >> 7;
	stall_state ^= stall_state << 17;
	return stall_state;
}

static size_t
count_now(void)
{
	size_t count;

	pthread_mutex_lock(&lock);
	count = log_of == NULL ? 0 : log_of->count;
	pthread_mutex_unlock(&lock);
	return count;
}

/* Called without the lock. */
static void
stall(int fd)
{
	const struct timespec step = { .tv_nsec = 1000000 };
	struct stat st;
	uint64_t random;
	size_t until, last, count;
	int idle_ms = 0;

	pthread_mutex_lock(&lock);
	random = handle(fd) != 0 && stall_state != 0 ? draw() : 1;
	pthread_mutex_unlock(&lock);
	if (random % 8 != 0 || fstat(fd, &st) == -1 || !S_ISDIR(st.st_mode))
		return;
	last = count_now();
	until = last + random / 8 % STALL_RECORDS_MAX;
	while ((count = count_now()) < until && idle_ms < STALL_IDLE_MS) {
		idle_ms = count == last ? idle_ms + 1 : 0;
		last = count;
		nanosleep(&step, NULL);
	}
}

void
cut_recorder_hold(const char *path, const char *name)
{
	pthread_mutex_lock(&lock);
	hold_path = path;
	hold_name = name;
	held = 0;
	pthread_mutex_unlock(&lock);
}

bool
cut_recorder_holds(void)
{
	bool holds;

	pthread_mutex_lock(&lock);
	holds = held != 0;
	pthread_mutex_unlock(&lock);
	return holds;
}

/* With the lock held: is this the one? */
static bool
to_be_held(int fd)
{
	struct stat st;
	char path[PATH_MAX], name[PATH_MAX + 64], link_name[32];
	ssize_t n;

	if (hold_path == NULL || handle(fd) == 0 ||
	    (held != 0 && held != handle(fd)) || fstat(fd, &st) == -1 ||
	    !S_ISDIR(st.st_mode))
		return false;
	snprintf(link_name, sizeof(link_name), "/proc/self/fd/%d", fd);
	if ((n = readlink(link_name, path, sizeof(path) - 1)) == -1)
		return false;
	path[n] = '\0';
	if (ours(path) == NULL ||
	    strncmp(ours(path), hold_path, strlen(hold_path)) != 0)
		return false;
	snprintf(name, sizeof(name), "%s/%s", root_path, hold_name);
	return access(name, F_OK) == 0;
}

static void
hold(int fd)
{
	const struct timespec step = { .tv_nsec = 1000000 };

	pthread_mutex_lock(&lock);
	while (to_be_held(fd)) {
		held = handle(fd);
		pthread_mutex_unlock(&lock);
		nanosleep(&step, NULL);
		pthread_mutex_lock(&lock);
	}
	pthread_mutex_unlock(&lock);
}

/* ---- the calls ---- */

static int
open_noted(int dir, const char *path, int flags, mode_t mode)
{
	const char *below;
	bool create;
	int fd;

	pthread_mutex_lock(&lock);
	below = ours(path);
	create = below != NULL && (flags & O_CREAT) != 0 &&
		 syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == -1;
	fd = (int)syscall(SYS_openat, dir, path, flags, mode);
	if (fd >= 0 && fd < FDS_MAX)
		handle_of[fd] = 0;
	if (fd >= 0 && below != NULL) {
		if (fd >= FDS_MAX)
			abort();
		handle_of[fd] = ++log_of->handles;
		add(CUT_OPEN, below, handle_of[fd],
		    (create ? CUT_OPEN_CREATE : 0) |
			((flags & O_TRUNC) != 0 ? CUT_OPEN_TRUNCATE : 0),
		    NULL, 0);
	}
	pthread_mutex_unlock(&lock);
	return fd;
}

#define OPEN_MODE(mode, flags, last) \
	do { \
		va_list ap; \
		va_start(ap, last); \
		mode = ((flags) & (O_CREAT | __O_TMPFILE)) != 0 \
			   ? va_arg(ap, mode_t) \
			   : 0; \
		va_end(ap); \
	} while (0)

int open(const char *path, int flags, ...);
int
open(const char *path, int flags, ...)
{
	mode_t mode;

	OPEN_MODE(mode, flags, flags);
	return open_noted(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...);
int
open64(const char *path, int flags, ...)
{
	mode_t mode;

	OPEN_MODE(mode, flags, flags);
	return open_noted(AT_FDCWD, path, flags, mode);
}

int __open_2(const char *path, int flags);
int
__open_2(const char *path, int flags)
{
	return open_noted(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags);
int
__open64_2(const char *path, int flags)
{
	return open_noted(AT_FDCWD, path, flags, 0);
}

int
close(int fd)
{
	int rc;

	pthread_mutex_lock(&lock);
	if (fd >= 0 && fd < FDS_MAX)
		handle_of[fd] = 0;
	rc = (int)syscall(SYS_close, fd);
	pthread_mutex_unlock(&lock);
	return rc;
}

/* offset -1: where the file stands. */
static ssize_t
write_noted(int fd, const struct iovec *iov, int count, off_t offset)
{
	size_t left, n;
	ssize_t rc;
	off_t at = offset;

	pthread_mutex_lock(&lock);
	if (handle(fd) != 0 && offset == -1)
		at = lseek(fd, 0, SEEK_CUR);
	rc = offset == -1
		 ? syscall(SYS_writev, fd, iov, count)
		 : syscall(SYS_pwritev, fd, iov, count, (long)offset, 0L);
	for (left = rc > 0 && handle(fd) != 0 ? (size_t)rc : 0; left > 0;
	     left -= n, iov++) {
		n = iov->iov_len < left ? iov->iov_len : left;
		add(CUT_WRITE, NULL, handle(fd), (uint64_t)at, iov->iov_base,
		    n);
		at += (off_t)n;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

static ssize_t
write_one(int fd, const void *buf, size_t size, off_t offset)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf,
		.iov_len = size };

	return write_noted(fd, &iov, 1, offset);
}

ssize_t
write(int fd, const void *buf, size_t size)
{
	return write_one(fd, buf, size, -1);
}

ssize_t
writev(int fd, const struct iovec *iov, int count)
{
	return write_noted(fd, iov, count, -1);
}

ssize_t
pwrite(int fd, const void *buf, size_t size, off_t offset)
{
	return write_one(fd, buf, size, offset);
}

ssize_t pwrite64(int fd, const void *buf, size_t size, off_t offset);
ssize_t
pwrite64(int fd, const void *buf, size_t size, off_t offset)
{
	return write_one(fd, buf, size, offset);
}

ssize_t
pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	return write_noted(fd, iov, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t
pwritev64(int fd, const struct iovec *iov, int count, off_t offset)
{
	return write_noted(fd, iov, count, offset);
}

int
ftruncate(int fd, off_t size)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = (int)syscall(SYS_ftruncate, fd, size);
	if (rc == 0 && handle(fd) != 0)
		add(CUT_TRUNCATE, NULL, handle(fd), (uint64_t)size, NULL, 0);
	pthread_mutex_unlock(&lock);
	return rc;
}

int ftruncate64(int fd, off_t size);
int
ftruncate64(int fd, off_t size)
{
	return ftruncate(fd, size);
}

static int
sync_noted(long call, int fd)
{
	int rc;

	stall(fd);
	hold(fd);
	pthread_mutex_lock(&lock);
	rc = (int)syscall(call, fd);
	if (rc == 0 && handle(fd) != 0)
		add(CUT_SYNC, NULL, handle(fd), 0, NULL, 0);
	pthread_mutex_unlock(&lock);
	return rc;
}

int
fsync(int fd)
{
	return sync_noted(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	return sync_noted(SYS_fdatasync, fd);
}

static int
path_noted(enum cut_op op, int rc, const char *path)
{
	if (rc == 0 && ours(path) != NULL)
		add(op, ours(path), 0, 0, NULL, 0);
	pthread_mutex_unlock(&lock);
	return rc;
}

int
mkdir(const char *path, mode_t mode)
{
	pthread_mutex_lock(&lock);
	return path_noted(CUT_MKDIR, (int)syscall(SYS_mkdir, path, mode), path);
}

int
unlink(const char *path)
{
	pthread_mutex_lock(&lock);
	return path_noted(CUT_REMOVE, (int)syscall(SYS_unlink, path), path);
}

int
rmdir(const char *path)
{
	pthread_mutex_lock(&lock);
	return path_noted(CUT_REMOVE, (int)syscall(SYS_rmdir, path), path);
}

int
remove(const char *path)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = (int)syscall(SYS_unlink, path);
	if (rc == -1 && errno == EISDIR)
		rc = (int)syscall(SYS_rmdir, path);
	return path_noted(CUT_REMOVE, rc, path);
}

/* Both paths are ours, or none is. */
static int
paths_noted(enum cut_op op, int rc, const char *from, const char *to)
{
	if (rc == 0 && (ours(from) == NULL) != (ours(to) == NULL))
		abort();
	if (rc == 0 && ours(from) != NULL)
		add(op, ours(from), 0, 0, ours(to), strlen(ours(to)) + 1);
	pthread_mutex_unlock(&lock);
	return rc;
}

int
rename(const char *from, const char *to)
{
	pthread_mutex_lock(&lock);
	return paths_noted(
	    CUT_RENAME, (int)syscall(SYS_rename, from, to), from, to);
}

int
renameat2(int from_dir, const char *from, int to_dir, const char *to,
    unsigned int flags)
{
	pthread_mutex_lock(&lock);
	return paths_noted(CUT_RENAME,
	    (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags),
	    from, to);
}

int
link(const char *from, const char *to)
{
	pthread_mutex_lock(&lock);
	return paths_noted(
	    CUT_LINK, (int)syscall(SYS_link, from, to), from, to);
}
