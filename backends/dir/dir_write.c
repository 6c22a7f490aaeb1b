/* SPDX-License-Identifier: Apache-2.0 */
/* An object's bytes to its file and on to the disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "backends/dir/dir_internal.h"
#include "common/io.h"

/* Direct writes want this of memory, place and size; no disk wants more. */
#define DIRECT_ALIGN 4096
/* What is smaller gains nothing. */
#define DIRECT_MIN (1u << 20)

static bool
set_direct(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	flags = on ? flags | O_DIRECT : flags & ~O_DIRECT;
	return flags != -1 && fcntl(fd, F_SETFL, flags) == 0;
}

/*
 * Past the page cache as far as that goes, which is told by the result: a pack
 * is not read again soon, and the copy and the later sync would take a fifth
 * of a backup. Whatever stands in the way is met again, and told, by the write
 * of the rest.
 */
static size_t
write_direct(int fd, const uint8_t *buf, size_t size)
{
	size_t done = 0;
	ssize_t n;

	while (size - done >= DIRECT_ALIGN) {
		n = write(
		    fd, buf + done, (size - done) & ~(DIRECT_ALIGN - 1ul));
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
		if (n % DIRECT_ALIGN != 0)
			break;
	}
	return done;
}

/* *direct: the file is open for it so far. */
static int
write_piece(int fd, const uint8_t *buf, size_t size, bool *direct)
{
	size_t done = *direct ? write_direct(fd, buf, size) : 0;

	if (done == size)
		return 0;
	if (*direct && !set_direct(fd, false))
		return -1;
	*direct = false;
	return io_write_full(fd, buf + done, size - done);
}

/* Each piece is sent on its way at once: a limit that holds for the page
 * cache only would be none for a disk or a server behind it. */
static int
write_pieces(int fd, const char *name, const uint8_t *buf, size_t size,
    const struct backend_pace *pace, struct err *err)
{
	const size_t most = pace != NULL ? pace->piece_bytes : size;
	bool direct = size >= DIRECT_MIN &&
		      (uintptr_t)buf % DIRECT_ALIGN == 0 &&
		      set_direct(fd, true);
	size_t done, n;

	for (done = 0; done < size; done += n) {
		n = size - done < most ? size - done : most;
		if (pace != NULL && pace->fn(pace->arg, n, err) == -1)
			return -1;
		if (write_piece(fd, buf + done, n, &direct) == -1)
			return dir_error(err, errno, "write", name);
		/* A file system that cannot is synced at the end. */
		if (pace != NULL && !direct)
			sync_file_range(
			    fd, (off_t)done, (off_t)n, SYNC_FILE_RANGE_WRITE);
	}
	return 0;
}

int
dir_write(int fd, const char *name, const void *buf, size_t size,
    const struct backend_pace *pace, struct err *err)
{
	if (write_pieces(fd, name, buf, size, pace, err) == -1)
		return -1;
	if (fsync(fd) == -1)
		return dir_error(err, errno, "write", name);
	return 0;
}
