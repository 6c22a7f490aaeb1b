/* SPDX-License-Identifier: Apache-2.0 */
/* One process for each file system, a child of nobody that waits. */
#include "guest-helper/rescue.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-helper/forked.h"
#include "guest-helper/freeze_linux.h"
#include "guest-helper/marks.h"

/* One whose freeze is just tried may come to be frozen after this. */
static void
thaw_one(struct marks *marks, size_t place, int fd)
{
	enum marks_value was = marks_get(marks, place);

	if (!marks_is_ours(was))
		return;
	if (freeze_thaw(fd) == 0 || was == MARKS_FROZEN)
		marks_set(marks, place, MARKS_THAWED);
}

void
rescue_thaw(struct marks *marks, const int *fds, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		thaw_one(marks, MARKS_FS(i), fds[i]);
}

int
rescue_thaw_beside(struct marks *marks, const int *fds, size_t count)
{
	pid_t pid = fork();
	size_t i;

	if (pid == -1)
		return -1;
	if (pid > 0) {
		while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
			;
		return 0;
	}
	for (i = 0; i < count; i++) {
		if (fork() != 0)
			continue;
		forked_close_all_but((const int[]){ fds[i], marks->fd }, 2);
		forked_begin("holdstill-thaw");
		thaw_one(marks, MARKS_FS(i), fds[i]);
		_exit(0);
	}
	/* So that somebody else reaps them. */
	_exit(0);
}
