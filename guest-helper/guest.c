/* SPDX-License-Identifier: Apache-2.0 */
/* The helper's loop. */
#include "guest-helper/guest.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "guest-helper/channel.h"
#include "guest-helper/session.h"

/* How long an end waits for the dead-man, which needs no help of ours. */
#define END_WAIT_MS 10000

struct guest {
	struct channel channel;
	struct session session;
	int signals;
	bool stopping;
};

/* Too large for a stack, and there is one. */
static struct guest guest;

static int
catch_signals(struct err *err)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd == -1)
		err_errno(err, errno, "cannot make a signal descriptor");
	return fd;
}

static void
take_signals(struct guest *g)
{
	struct signalfd_siginfo info;

	while (read(g->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGIO)
			channel_look(&g->channel);
		else
			g->stopping = true;
	}
}

static void
run_once(struct guest *g)
{
	int64_t now = clock_monotonic_ms();
	struct pollfd p[3] = {
		{ .fd = g->signals, .events = POLLIN },
		{ .fd = -1 },
		{ .fd = g->session.deadman.fd, .events = POLLIN },
	};
	struct wire_frame frame;
	int timeout = channel_poll(&g->channel, &p[1], now);

	if (poll(p, 3, timeout) == -1)
		return;
	if (p[0].revents != 0)
		take_signals(g);
	/* Reports first: a request may be about what they say. */
	if (p[2].revents != 0)
		session_report(&g->session);
	if (channel_step(&g->channel, p[1].revents, clock_monotonic_ms()))
		session_hang_up(&g->session);
	while (channel_next(&g->channel, &frame))
		session_request(&g->session, &frame);
}

/* Thaws, and waits until it is done. */
static void
wind_up(struct guest *g)
{
	int64_t end = clock_monotonic_ms() + END_WAIT_MS, left;
	struct pollfd p = { .events = POLLIN };

	session_hang_up(&g->session);
	while (!session_idle(&g->session) &&
	       (left = end - clock_monotonic_ms()) > 0) {
		p.fd = g->session.deadman.fd;
		if (poll(&p, 1, (int)left) > 0)
			session_report(&g->session);
	}
}

int
guest_run(const struct guest_options *options, struct err *err)
{
	struct guest *g = &guest;
	int rc = -1;

	g->stopping = false;
	if ((g->signals = catch_signals(err)) == -1)
		return -1;
	if (channel_init(&g->channel, options->port, err) == -1)
		goto out;
	if (session_init(&g->session, &g->channel, &options->paths,
		options->run_dir, err) == 0) {
		while (!g->stopping && !g->channel.finished)
			run_once(g);
		wind_up(g);
		session_fini(&g->session);
		rc = 0;
	}
	channel_fini(&g->channel);
out:
	close(g->signals);
	return rc;
}
