/* SPDX-License-Identifier: Apache-2.0 */
/* The helper's loop. */
#include "guest-helper/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/io.h"
#include "common/log.h"
#include "guest-helper/channel.h"
#include "guest-helper/conf.h"
#include "guest-helper/confine.h"
#include "guest-helper/record.h"
#include "guest-helper/session.h"
#include "guest-helper/writers/spawner.h"

/* How long an end waits for the dead-man, which needs no help of ours. */
#define END_WAIT_MS 10000

/* How long requests are left in the channel when there are too many. */
#define PAUSE_MS 10

struct guest {
	struct conf defaults;
	struct spawner spawner;
	struct channel channel;
	struct session session;
	int signals;
	int timer;
	int64_t timer_ms; /* What it is set to; 0: it is not. */
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
set_timer(struct guest *g)
{
	int64_t at_ms = session_deadline_ms(&g->session);
	struct itimerspec spec = { .it_interval = { 0 } };

	if (at_ms == g->timer_ms)
		return;
	g->timer_ms = at_ms;
	spec.it_value.tv_sec = (time_t)(at_ms / 1000);
	spec.it_value.tv_nsec = (long)(at_ms % 1000) * 1000000;
	timerfd_settime(g->timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void
take_timer(struct guest *g)
{
	uint64_t count;

	if (read(g->timer, &count, sizeof(count)) == -1)
		return;
	g->timer_ms = 0;
	session_tick(&g->session);
}

enum { ON_SIGNALS, ON_CHANNEL, ON_DEADMAN, ON_WRITERS, ON_TIMER, POLLED };

/* Waits, and deals with all but the host's end of the channel, whose entry
 * the caller has set.  false: nothing was polled. */
static bool
wait_for_news(struct guest *g, struct pollfd *p, int timeout)
{
	p[ON_SIGNALS].fd = g->signals;
	p[ON_DEADMAN].fd = g->session.deadman.fd;
	p[ON_WRITERS].fd = writers_fd(g->session.writers);
	p[ON_TIMER].fd = g->timer;
	p[ON_SIGNALS].events = p[ON_DEADMAN].events = p[ON_WRITERS].events =
	    p[ON_TIMER].events = POLLIN;
	set_timer(g);
	if (poll(p, POLLED, timeout) == -1)
		return false;
	if (p[ON_SIGNALS].revents != 0)
		take_signals(g);
	/* Reports first: what else comes may be about what they say. */
	if (p[ON_DEADMAN].revents != 0)
		session_report(&g->session);
	if (p[ON_WRITERS].revents != 0)
		writers_turn(g->session.writers);
	if (p[ON_TIMER].revents != 0)
		take_timer(g);
	return true;
}

static void
take_requests(struct guest *g)
{
	struct wire_frame frame;
	bool ready;

	while ((ready = session_ready(&g->session)) &&
	       channel_next(&g->channel, &frame))
		session_request(&g->session, &frame);
	/* The others wait in the channel, and their sender with them. */
	channel_pause(&g->channel, !ready);
}

static void
run_once(struct guest *g)
{
	struct pollfd p[POLLED] = { 0 };
	int timeout =
	    channel_poll(&g->channel, &p[ON_CHANNEL], clock_monotonic_ms());

	if (g->channel.paused && (timeout == -1 || timeout > PAUSE_MS))
		timeout = PAUSE_MS;
	if (!wait_for_news(g, p, timeout))
		return;
	if (channel_step(
		&g->channel, p[ON_CHANNEL].revents, clock_monotonic_ms()))
		session_hang_up(&g->session);
	channel_pause(&g->channel, false);
	take_requests(g);
}

/* Thaws, and waits until it is done. */
static void
wind_up(struct guest *g)
{
	int64_t end = clock_monotonic_ms() + END_WAIT_MS, left;
	struct pollfd p[POLLED] = { 0 };

	session_hang_up(&g->session);
	p[ON_CHANNEL].fd = -1;
	while (!session_idle(&g->session) &&
	       (left = end - clock_monotonic_ms()) > 0)
		wait_for_news(g, p, (int)left);
}

static const char *
expedite_path(const struct guest_options *options)
{
	return options->expedite_path != NULL ? options->expedite_path
					      : EXPEDITE_PATH;
}

/* The lock lives as long as this process: what it forks closes it.  Without a
 * folder there is no record either, and nothing to take over. */
static int
claim(const char *run_dir, struct err *err)
{
	struct err ignored = ERR_INIT;
	int fd;

	io_make_dirs(run_dir, 0700, &ignored);
	fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK) {
		close(fd);
		return 0;
	}
	close(fd);
	return err_set(err, ERR_BUSY,
	    "another holdstill-guest runs with '%s': only one can", run_dir);
}

int
guest_take_over(const struct guest_options *options, struct err *err)
{
	if (claim(options->run_dir, err) == -1)
		return -1;
	record_thaw_leftovers(
	    options->run_dir, expedite_path(options), &options->paths);
	return 0;
}

static int
serve(struct guest *g, const struct guest_options *options, struct err *err)
{
	struct session_options session = {
		.channel = &g->channel,
		.conf = options->conf != NULL ? options->conf : &g->defaults,
		.spawner = &g->spawner,
		.paths = &options->paths,
		.run_dir = options->run_dir,
		.expedite_path = expedite_path(options),
	};

	if (session_init(&g->session, &session, err) == -1)
		return -1;
	while (!g->stopping && !g->channel.finished &&
	       !(g->spawner.gone && session_idle(&g->session)))
		run_once(g);
	wind_up(g);
	session_fini(&g->session);
	/* Only a new start has a spawner that has the privileges. */
	if (g->spawner.gone)
		return err_set(
		    err, ERR_IO, "the process that runs writers has died");
	return 0;
}

/* The spawner keeps the privileges that this process gives up. */
static int
start_spawner(
    struct guest *g, const struct guest_options *options, struct err *err)
{
	const struct conf *conf = options->conf;

	if (conf == NULL) {
		conf_init(&g->defaults);
		conf = &g->defaults;
	}
	return spawner_start(
	    &g->spawner, conf->writers_dir, conf->hooks_dir, err);
}

int
guest_run(const struct guest_options *options, struct err *err)
{
	struct guest *g = &guest;
	int rc = -1;

	memset(&g->spawner, 0, sizeof(g->spawner));
	g->spawner.fd = -1;
	g->stopping = false;
	g->timer_ms = 0;
	g->signals = g->timer = -1;
	if (start_spawner(g, options, err) == -1)
		goto out;
	if ((g->signals = catch_signals(err)) == -1)
		goto out;
	g->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (g->timer == -1) {
		err_errno(err, errno, "cannot make a timer");
		goto out;
	}
	if (channel_init(&g->channel, options->port, err) == -1)
		goto out;
	if (confine_self(err) == 0)
		rc = serve(g, options, err);
	channel_fini(&g->channel);
out:
	if (g->timer != -1)
		close(g->timer);
	if (g->signals != -1)
		close(g->signals);
	spawner_close(&g->spawner);
	return rc;
}
