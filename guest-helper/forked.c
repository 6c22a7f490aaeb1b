/* SPDX-License-Identifier: Apache-2.0 */
/* The first steps of a forked process. */
#include "guest-helper/forked.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* The helper holds far fewer, whatever its limit is. */
#define FDS_MAX 4096

static bool
is_kept(int fd, const int *fds, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (fds[i] == fd)
			return true;
	return false;
}

void
forked_close_all_but(const int *fds, size_t count)
{
	int fd, limit = (int)sysconf(_SC_OPEN_MAX);

	if (limit < 0 || limit > FDS_MAX)
		limit = FDS_MAX;
	for (fd = STDERR_FILENO + 1; fd < limit; fd++)
		if (!is_kept(fd, fds, count))
			close(fd);
}

void
forked_oom_score(const char *score)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd == -1)
		return;
	if (write(fd, score, strlen(score)) == -1) {
		/* Not allowed. */
	}
	close(fd);
}

void
forked_begin(const char *name)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	forked_oom_score("-1000");
	prctl(PR_SET_NAME, name);
	if (chdir("/") == -1) {
		/* Stays where it is. */
	}
}
