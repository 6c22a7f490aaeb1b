/* SPDX-License-Identifier: Apache-2.0 */
/* Advisory locks on files in the state folder. */
#include "agent/job/lock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"

struct job_lock {
	int fd;
};

/* STATE_DIR/locks/KIND-NAME in new memory, with odd bytes as %XX. */
static char *
lock_path(const char *state_dir, const char *kind, const char *name)
{
	char escaped[3 * 80 + 1], *path, *p = escaped;
	size_t i;

	for (i = 0; i < 80 && name[i] != '\0'; i++) {
		if (isalnum((unsigned char)name[i]) ||
		    strchr("-_.", name[i]) != NULL)
			*p++ = name[i];
		else
			p += sprintf(p, "%%%02X", (unsigned char)name[i]);
	}
	*p = '\0';
	if (asprintf(&path, "%s/locks/%s-%s", state_dir, kind, escaped) == -1)
		return NULL;
	return path;
}

static int
open_lock_file(const char *path, const char *state_dir, struct err *err)
{
	char *dir = io_path(state_dir, "locks");
	int fd = -1;

	if (dir == NULL)
		return err_no_memory(err);
	if (io_make_dirs(dir, 0700, err) == 0) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd == -1)
			err_errno(err, errno, "cannot open '%s'", path);
	}
	free(dir);
	return fd;
}

static int
busy(int fd, struct err *err)
{
	char pid[24] = "";

	if (io_pread_full(fd, pid, sizeof(pid) - 1, 0) <= 0)
		strcpy(pid, "?");
	err_set(err, ERR_BUSY, "another run holds it (process %s)", pid);
	return err_hint(err, "wait for it to end; it keeps no lock behind");
}

int
job_lock_take(struct job_lock **out, const char *state_dir, const char *kind,
    const char *name, struct err *err)
{
	struct job_lock *lock = calloc(1, sizeof(*lock));
	char *path = lock_path(state_dir, kind, name);
	char pid[24];
	int length, rc = -1;

	if (lock == NULL || path == NULL) {
		err_no_memory(err);
		goto out;
	}
	lock->fd = open_lock_file(path, state_dir, err);
	if (lock->fd == -1)
		goto out;
	if (flock(lock->fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno == EWOULDBLOCK)
			busy(lock->fd, err);
		else
			err_errno(err, errno, "cannot lock '%s'", path);
		goto out;
	}
	/* Only for people who look: the lock itself is the kernel's. */
	length = snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	if (ftruncate(lock->fd, 0) == -1 ||
	    io_pwrite_full(lock->fd, pid, (size_t)length, 0) == -1) {
		err_errno(err, errno, "cannot write '%s'", path);
		goto out;
	}
	*out = lock;
	lock = NULL;
	rc = 0;
out:
	job_lock_release(lock);
	free(path);
	return rc;
}

void
job_lock_release(struct job_lock *lock)
{
	if (lock == NULL)
		return;
	if (lock->fd > 0)
		close(lock->fd);
	free(lock);
}
