/* SPDX-License-Identifier: Apache-2.0 */
/* The helper's end of its dead-man. */
#include "guest-helper/deadman.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"

int
deadman_start(
    struct deadman *out, const struct deadman_setup *setup, struct err *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		0, pair) == -1)
		return err_errno(err, errno, "cannot make a socket pair");
	out->pid = fork();
	if (out->pid == -1) {
		err_errno(err, errno, "cannot fork the dead-man");
		close(pair[0]);
		close(pair[1]);
		return -1;
	}
	if (out->pid == 0)
		deadman_process_run(pair[1], setup);
	close(pair[1]);
	out->fd = pair[0];
	return 0;
}

static int
command(struct deadman *d, enum deadman_kind kind, uint32_t lease_ms,
    struct err *err)
{
	struct deadman_command c;

	memset(&c, 0, sizeof(c));
	c.kind = kind;
	c.lease_ms = lease_ms;
	if (d->fd == -1 ||
	    send(d->fd, &c, sizeof(c), MSG_NOSIGNAL) != sizeof(c))
		return err_set(err, ERR_IO, "the dead-man process is gone");
	return 0;
}

int
deadman_arm(struct deadman *d, uint32_t lease_ms, struct err *err)
{
	return command(d, DEADMAN_ARM, lease_ms, err);
}

int
deadman_freeze(struct deadman *d, struct err *err)
{
	return command(d, DEADMAN_FREEZE, 0, err);
}

int
deadman_thaw(struct deadman *d, bool asked, struct err *err)
{
	return command(d, asked ? DEADMAN_THAW : DEADMAN_ABORT, 0, err);
}

int
deadman_read(struct deadman *d, struct deadman_report *out)
{
	ssize_t n;

	if (d->fd == -1)
		return -1;
	do
		n = recv(d->fd, out, sizeof(*out), 0);
	while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		return 0;
	return n == sizeof(*out) ? 1 : -1;
}

void
deadman_close(struct deadman *d, bool ended)
{
	if (d->fd != -1)
		close(d->fd);
	d->fd = -1;
	/* Its files are closed, so its last threads are on their way out. */
	while (ended && d->pid > 0 && waitpid(d->pid, NULL, 0) == -1 &&
	       errno == EINTR)
		;
	d->pid = -1;
}
