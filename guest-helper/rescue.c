/* SPDX-License-Identifier: Apache-2.0 */
/* One process for each file system, a child of nobody that waits. */
#include "guest-helper/rescue.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-helper/forked.h"
#include "guest-helper/freeze_linux.h"

int
rescue_thaw(const int *fds, size_t count)
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
		forked_close_all_but(&fds[i], 1);
		forked_begin("holdstill-thaw");
		freeze_thaw(fds[i]);
		_exit(0);
	}
	/* So that somebody else reaps them. */
	_exit(0);
}
