/* SPDX-License-Identifier: Apache-2.0 */
/* Names of frozen hooks, kept as files. */
#include "guest-helper/writers/hooks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

#define HOOKS_DIR "hooks"

static int
open_dir(int run_dir)
{
	if (run_dir == -1)
		return -1;
	return openat(run_dir, HOOKS_DIR,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

void
hooks_remember(int run_dir, const char *name)
{
	int dir, fd = -1;

	if (run_dir == -1)
		return;
	/* It is there already, or openat says what is wrong. */
	mkdirat(run_dir, HOOKS_DIR, 0700);
	dir = open_dir(run_dir);
	if (dir != -1)
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1)
		log_line(LOG_WARNING, "hook '%s' is not recorded: %s", name,
		    strerror(errno));
	else
		close(fd);
	if (dir != -1)
		close(dir);
}

void
hooks_forget(int run_dir, const char *name)
{
	int dir = open_dir(run_dir);

	if (dir == -1)
		return;
	unlinkat(dir, name, 0);
	close(dir);
}

void
hooks_each(int run_dir, hooks_visit_fn *fn, void *arg)
{
	int fd = open_dir(run_dir);
	struct dirent *entry;
	DIR *dir;

	if (fd == -1)
		return;
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return;
	}
	while (errno = 0, (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			fn(arg, entry->d_name);
	if (errno != 0)
		log_line(LOG_WARNING, "hooks that froze cannot be read: %s",
		    strerror(errno));
	closedir(dir);
}
