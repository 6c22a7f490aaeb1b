/* SPDX-License-Identifier: Apache-2.0 */
/* One process for each file system, a child of nobody that waits. */
#include "guest-helper/rescue.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "guest-helper/forked.h"
#include "guest-helper/freeze_linux.h"
#include "guest-helper/marks.h"

/* Far longer than a thaw takes that waits for none that hangs. */
#define WAIT_MS 3000

struct rescue {
	struct marks *marks;
	const int *fds;
	size_t count;
	bool alone; /* Nobody else freezes, or thaws. */
	int told;   /* Where each that thawed something says so; -1: nowhere. */
};

static bool
is_due(const struct rescue *r, size_t i)
{
	return r->fds[i] != -1 &&
	       marks_is_ours(marks_get(r->marks, MARKS_FS(i)));
}

/* Beside a dead-man one whose freeze is just tried may come to be frozen after
 * this.  True: it was frozen until now. */
static bool
thaw_one(const struct rescue *r, size_t i)
{
	enum marks_value was = marks_get(r->marks, MARKS_FS(i));
	int error;

	if (!is_due(r, i))
		return false;
	error = freeze_thaw(r->fds[i]);
	if (error == 0 || (error == EINVAL && was == MARKS_FROZEN))
		marks_set(r->marks, MARKS_FS(i), MARKS_THAWED);
	else if (error == EINVAL && r->alone)
		marks_set(r->marks, MARKS_FS(i), MARKS_REFUSED);
	return error == 0;
}

static _Noreturn void
run_one(const struct rescue *r, size_t i)
{
	forked_close_all_but(
	    (const int[]){ r->fds[i], r->marks->fd, r->told }, 3);
	forked_begin("holdstill-thaw");
	if (thaw_one(r, i) && r->told != -1 && write(r->told, "t", 1) == -1) {
		/* Nobody waits any more. */
	}
	_exit(0);
}

/*
 * All at once, for the thaw of a loop file's system writes to the file, which
 * waits for the thaw of what holds it.  -1: some have no process.
 */
static int
begin(const struct rescue *r)
{
	int status = -1;
	pid_t pid = fork(), one;
	size_t i;

	if (pid == -1)
		return -1;
	if (pid > 0) {
		while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
			;
		return status == 0 ? 0 : -1;
	}
	status = 0;
	for (i = r->count; i-- > 0;) {
		if (!is_due(r, i))
			continue;
		if ((one = fork()) == 0)
			run_one(r, i);
		status |= one == -1;
	}
	/* So that somebody else reaps them. */
	_exit(status);
}

/* They end one by one, and the pipe with the last of them. */
static size_t
wait_for_all(int fd)
{
	int64_t left, end = clock_monotonic_ms() + WAIT_MS;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char bytes[64];
	size_t thawed = 0;
	ssize_t n;

	while ((left = end - clock_monotonic_ms()) > 0) {
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		n = read(fd, bytes, sizeof(bytes));
		if (n == 0)
			break;
		thawed += n > 0 ? (size_t)n : 0;
	}
	return thawed;
}

size_t
rescue_thaw(struct marks *marks, const int *fds, size_t count)
{
	struct rescue r = { marks, fds, count, true, -1 };
	int rc = -1, ends[2];
	size_t thawed = 0, i;

	if (pipe2(ends, O_CLOEXEC) == 0) {
		r.told = ends[1];
		rc = begin(&r);
		close(ends[1]);
		if (rc == 0)
			thawed = wait_for_all(ends[0]);
		close(ends[0]);
	}
	/* In the order that those with a process have no need of. */
	for (i = rc == -1 ? count : 0; i-- > 0;)
		thawed += thaw_one(&r, i);
	return thawed;
}

int
rescue_thaw_beside(struct marks *marks, const int *fds, size_t count)
{
	struct rescue r = { marks, fds, count, false, -1 };

	return begin(&r);
}
