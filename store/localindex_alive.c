/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has a local index open, and how the last ones ended.  LMDB believes what
 * its file says, so damage there can end the process; the file "alive" has a
 * byte for each time in a row that all who had it open ended without a close.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "store/localindex_internal.h"

/* One may have been killed; two killed one by one are rare. */
#define ENDS_MAX 2

/* Alone: nobody else has it open. */
static void
count_end(struct localindex *li)
{
	struct stat st;

	if (fstat(li->alive_fd, &st) == -1)
		return;
	if (st.st_size >= ENDS_MAX) {
		localindex_note_broken(li);
		st.st_size = 0;
	}
	/* Without room for it nothing is counted. */
	if (ftruncate(li->alive_fd, st.st_size + 1) == -1)
		return;
}

void
localindex_alive_begin(struct localindex *li)
{
	char *path = io_path(li->dir, "alive");

	if (path == NULL)
		return;
	li->alive_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	free(path);
	if (li->alive_fd == -1)
		return;
	if (flock(li->alive_fd, LOCK_EX | LOCK_NB) == 0)
		count_end(li);
	flock(li->alive_fd, LOCK_SH);
}

bool
localindex_alive_alone(struct localindex *li)
{
	bool alone;

	if (li->alive_fd == -1)
		return false;
	/* What is refused is lost as well, but nobody opens it meanwhile. */
	alone = flock(li->alive_fd, LOCK_EX | LOCK_NB) == 0;
	flock(li->alive_fd, LOCK_SH);
	return alone;
}

void
localindex_alive_end(struct localindex *li)
{
	if (li->alive_fd == -1)
		return;
	if (flock(li->alive_fd, LOCK_EX | LOCK_NB) == 0 &&
	    ftruncate(li->alive_fd, 0) == -1)
		localindex_note_broken(li); /* To be on the safe side. */
	close(li->alive_fd);
	li->alive_fd = -1;
}
