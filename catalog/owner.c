/* SPDX-License-Identifier: Apache-2.0 */
/* The identity of a process, from /proc. */
#include "catalog/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"

/* Reads a small file of /proc as text; 0, or -1 with errno. */
static int
read_text(char *out, size_t size, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), saved;
	int64_t n;

	if (fd == -1)
		return -1;
	n = io_read_full(fd, out, size - 1);
	saved = errno;
	close(fd);
	errno = saved;
	if (n < 0)
		return -1;
	out[n] = '\0';
	return 0;
}

static int
read_boot(char out[OWNER_BOOT_SIZE])
{
	char text[64];

	if (read_text(text, sizeof(text), "/proc/sys/kernel/random/boot_id") ==
	    -1)
		return -1;
	text[strcspn(text, "\n")] = '\0';
	if (strlen(text) != OWNER_BOOT_SIZE - 1) {
		errno = EINVAL;
		return -1;
	}
	memcpy(out, text, OWNER_BOOT_SIZE);
	return 0;
}

/* State and start time of a process; 0, or -1 with errno. */
static int
read_stat(char *state, int64_t *started, int64_t pid)
{
	char path[64], text[1024];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%" PRId64 "/stat", pid);
	if (read_text(text, sizeof(text), path) == -1)
		return -1;
	/* The name is in parentheses and may hold blanks and parentheses. */
	if ((p = strrchr(text, ')')) == NULL ||
	    sscanf(p + 1,
		" %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d "
		"%*d %*d %*d %*d %*d %" SCNd64,
		state, started) != 2) {
		errno = EINVAL;
		return -1;
	}
	return 0;
}

int
owner_self(struct owner *out, struct err *err)
{
	char state;

	out->pid = getpid();
	if (read_boot(out->boot) == -1 ||
	    read_stat(&state, &out->started, out->pid) == -1) {
		err_errno(err, errno, "cannot read this process's identity");
		return err_hint(err, "mount /proc");
	}
	return 0;
}

bool
owner_alive(const struct owner *owner)
{
	char boot[OWNER_BOOT_SIZE], state;
	int64_t started;

	if (read_boot(boot) == 0 && strcmp(boot, owner->boot) != 0)
		return false;
	if (owner->pid <= 0)
		return false;
	if (read_stat(&state, &started, owner->pid) == -1)
		return errno != ENOENT && errno != ESRCH;
	if (state == 'Z' || state == 'X')
		return false;
	return started == owner->started;
}
