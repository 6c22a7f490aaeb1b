/* SPDX-License-Identifier: Apache-2.0 */
/* One process-wide wish to stop, set by signals. */
#include "common/cancel.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/err.h"

/* Written by a signal handler, so lock-free and of plain int. */
static volatile sig_atomic_t asked_by;
static int wake_fd = -1;

void
cancel_request(int signum)
{
	int saved = errno;
	uint64_t one = 1;

	asked_by = signum;
	if (wake_fd != -1 && write(wake_fd, &one, sizeof(one)) < 0) {
		/* The counter is full: it is readable already. */
	}
	errno = saved;
}

int
cancel_init(struct err *err)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = cancel_request };
	size_t i;

	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake_fd == -1)
		return err_errno(err, errno, "cannot make an event descriptor");
	sigemptyset(&action.sa_mask);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

bool
cancel_requested(void)
{
	return asked_by != 0;
}

int
cancel_check(struct err *err)
{
	if (!cancel_requested())
		return 0;
	return err_set(err, ERR_CANCELLED, "stopped by signal %d (%s)",
	    (int)asked_by, strsignal(asked_by));
}

int
cancel_fd(void)
{
	return wake_fd;
}
