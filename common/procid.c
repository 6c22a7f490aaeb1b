/* SPDX-License-Identifier: Apache-2.0 */
/* Process identity from /proc. */
#include "common/procid.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"

static int
read_small(char *out, size_t size, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int64_t n;

	if (fd == -1)
		return -1;
	n = io_read_full(fd, out, size - 1);
	close(fd);
	if (n < 0)
		return -1;
	out[n] = '\0';
	return 0;
}

static int
read_boot_id(char out[HEXID_SIZE])
{
	char text[64];
	const char *p;
	size_t used = 0;

	if (read_small(text, sizeof(text), "/proc/sys/kernel/random/boot_id") ==
	    -1)
		return -1;
	for (p = text; *p != '\0' && used < HEXID_LENGTH; p++) {
		if (*p != '-')
			out[used++] = *p;
	}
	out[used] = '\0';
	return hexid_valid(out) ? 0 : -1;
}

/* Field 22 of the line; the name before it may hold anything but a last ')'. */
static int
read_start_ticks(uint64_t *out, bool *zombie, int64_t pid)
{
	char path[64], text[1024];
	char *p;
	int field;

	snprintf(path, sizeof(path), "/proc/%" PRId64 "/stat", pid);
	if (read_small(text, sizeof(text), path) == -1)
		return -1;
	if ((p = strrchr(text, ')')) == NULL)
		return -1;
	/* A zombie is dead; its parent has not looked yet. */
	*zombie = strncmp(p, ") Z", 3) == 0 || strncmp(p, ") X", 3) == 0;
	for (field = 2; field < 22 && p != NULL; field++)
		p = strchr(p + 1, ' ');
	if (p == NULL)
		return -1;
	*out = strtoull(p + 1, NULL, 10);
	return 0;
}

int
procid_self(struct procid *out, struct err *err)
{
	struct stat st;
	bool zombie;

	memset(out, 0, sizeof(*out));
	if (gethostname(out->host, sizeof(out->host) - 1) == -1)
		return err_errno(err, errno, "cannot learn the host's name");
	if (read_boot_id(out->boot_id) == -1)
		return err_set(err, ERR_IO, "cannot read the kernel's boot id");
	out->pid = getpid();
	if (read_start_ticks(&out->start_ticks, &zombie, out->pid) == -1)
		return err_set(err, ERR_IO, "cannot read /proc/self/stat");
	if (stat("/proc/self/ns/pid", &st) == 0)
		out->pid_namespace = st.st_ino;
	return 0;
}

enum procid_state
procid_probe(const struct procid *id)
{
	struct err ignored = ERR_INIT;
	struct procid self;
	uint64_t ticks;
	bool zombie;

	if (procid_self(&self, &ignored) == -1)
		return PROCID_UNKNOWN;
	if (strcmp(id->boot_id, self.boot_id) != 0) {
		/* The same host after a reboot: nobody of then lives. */
		return id->host[0] != '\0' && strcmp(id->host, self.host) == 0
			   ? PROCID_DEAD
			   : PROCID_UNKNOWN;
	}
	if (id->pid_namespace != self.pid_namespace)
		return PROCID_UNKNOWN;
	if (id->pid <= 0)
		return PROCID_DEAD;
	if (read_start_ticks(&ticks, &zombie, id->pid) == 0)
		return ticks == id->start_ticks && !zombie ? PROCID_ALIVE
							   : PROCID_DEAD;
	if (kill((pid_t)id->pid, 0) == -1 && errno == ESRCH)
		return PROCID_DEAD;
	return PROCID_UNKNOWN;
}
