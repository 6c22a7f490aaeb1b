/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the dead-man.  The main thread holds the lease and never makes a
 * call that can block on a file system; a worker for each file system does.
 *
 * The lease runs on CLOCK_BOOTTIME: a guest that was suspended to memory in
 * mid-freeze is thawed when it wakes, not a lease later.
 */
#include "guest-helper/deadman.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "guest-helper/freeze_linux.h"
#include "guest-helper/record.h"

/* Enough for the three calls; locked, so not the default of 8 MiB. */
#define STACK_BYTES ((size_t)128 * 1024)

/* A first sync that took longer is followed by another, for what was
 * written in the meantime. */
#define SYNC_AGAIN_NS 100000000

enum want { /* Bits, only ever added. */
	WANT_SYNC = 1,
	WANT_FREEZE = 2,
	WANT_THAW = 4,
};

struct worker {
	int fd;
	unsigned int rank;
	int wake; /* eventfd: wants has changed. */
	_Atomic unsigned int wants;
	_Atomic unsigned int done; /* Same bits; set after its results. */
	/* Written by the worker before its done bit, read after it. */
	bool frozen;
	int freeze_errno;
	int thaw_errno;
};

enum phase { SYNCING, READY, FREEZING, FROZEN, THAWING, ENDED };

static struct {
	enum phase phase;
	int socket; /* -1 once the helper is dead. */
	int timer;
	int done; /* eventfd: some worker finished something. */
	int signals;
	int record_dir;
	size_t count;
	size_t next;     /* Before it all have tried to freeze. */
	size_t released; /* Before it all were told to. */
	struct worker workers[MESSAGE_FILESYSTEMS_MAX];
	uint64_t sync_begin_ns;
	uint64_t lease_end_ns; /* CLOCK_BOOTTIME */
	struct deadman_report report;
} self;

static uint64_t
now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void
signal_event(int fd)
{
	static const uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) == -1 && errno == EINTR)
		;
}

static void
take_event(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof(count)) == -1 && errno == EINTR)
		;
}

/* ---- workers ---- */

static void
finish(struct worker *w, unsigned int bit)
{
	atomic_fetch_or(&w->done, bit);
	signal_event(self.done);
}

static void
work_sync(struct worker *w)
{
	uint64_t begin = now_ns(CLOCK_MONOTONIC);

	freeze_sync(w->fd);
	if (now_ns(CLOCK_MONOTONIC) - begin > SYNC_AGAIN_NS &&
	    (atomic_load(&w->wants) & WANT_THAW) == 0)
		freeze_sync(w->fd);
	finish(w, WANT_SYNC);
}

static void
work_freeze(struct worker *w)
{
	w->freeze_errno = freeze_hold(w->fd);
	w->frozen = w->freeze_errno == 0;
	finish(w, WANT_FREEZE);
}

static void *
worker_run(void *arg)
{
	struct worker *w = arg;
	unsigned int wants, done = 0;

	for (;;) {
		wants = atomic_load(&w->wants) & ~done;
		if (wants & WANT_THAW)
			break;
		if (wants & WANT_SYNC) {
			work_sync(w);
			done |= WANT_SYNC;
		} else if (wants & WANT_FREEZE) {
			work_freeze(w);
			done |= WANT_FREEZE;
		} else {
			take_event(w->wake);
		}
	}
	w->thaw_errno = w->frozen ? freeze_thaw(w->fd) : 0;
	finish(w, WANT_THAW);
	return NULL;
}

static void
want(struct worker *w, unsigned int bit)
{
	atomic_fetch_or(&w->wants, bit);
	signal_event(w->wake);
}

static void
want_all(unsigned int bit)
{
	size_t i;

	for (i = 0; i < self.count; i++)
		want(&self.workers[i], bit);
}

static bool
all_done(unsigned int bit)
{
	size_t i;

	for (i = 0; i < self.count; i++)
		if ((atomic_load(&self.workers[i].done) & bit) == 0)
			return false;
	return true;
}

static int
start_worker(struct worker *w, const struct deadman_target *target)
{
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	w->fd = target->fd;
	w->rank = target->rank;
	w->wake = eventfd(0, EFD_CLOEXEC);
	if (w->wake == -1)
		return -1;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	rc = pthread_create(&thread, &attr, worker_run, w);
	pthread_attr_destroy(&attr);
	return rc == 0 ? 0 : -1;
}

/* ---- the main thread ---- */

static void
send_report(enum deadman_kind kind)
{
	struct deadman_report *r = &self.report;
	struct worker *w;
	unsigned int done;
	size_t i;

	r->kind = kind;
	r->count = self.count;
	for (i = 0; i < self.count; i++) {
		w = &self.workers[i];
		done = atomic_load(&w->done);
		if (done & WANT_FREEZE) {
			r->results[i].frozen = w->frozen;
			r->results[i].freeze_errno = w->freeze_errno;
		}
		if (done & WANT_THAW) {
			r->results[i].thawed = w->frozen && w->thaw_errno == 0;
			r->results[i].thaw_errno = w->thaw_errno;
		}
	}
	/* A helper that does not read its three reports is as good as dead. */
	if (self.socket != -1)
		send(self.socket, r, sizeof(*r), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static bool
lease_over(void)
{
	return self.lease_end_ns != 0 &&
	       now_ns(CLOCK_BOOTTIME) >= self.lease_end_ns;
}

static void
begin_thaw(bool asked)
{
	if (self.phase >= THAWING)
		return;
	self.report.asked = asked;
	self.report.complete = self.phase == FROZEN;
	/* Asked, not whether the timer was seen: it may have fired just now. */
	self.report.lease_expired = lease_over();
	self.phase = THAWING;
	want_all(WANT_THAW);
	/* With no file system there is no worker to say that it is done. */
	signal_event(self.done);
}

/*
 * Those of one rank together: most of a freeze is waiting for grace periods
 * of the kernel's RCU, which they then share.
 */
static void
freeze_next(void)
{
	unsigned int rank;

	while (self.next < self.released &&
	       atomic_load(&self.workers[self.next].done) & WANT_FREEZE)
		self.next++;
	if (self.next < self.released)
		return;
	if (self.released == self.count) {
		self.report.end_ns = now_ns(CLOCK_MONOTONIC);
		self.phase = FROZEN;
		send_report(DEADMAN_FROZEN);
		return;
	}
	rank = self.workers[self.released].rank;
	while (self.released < self.count &&
	       self.workers[self.released].rank == rank)
		want(&self.workers[self.released++], WANT_FREEZE);
}

static void
begin_freeze(uint32_t lease_ms)
{
	struct itimerspec spec = { .it_interval = { 0 } };

	if (self.phase != READY)
		return;
	if (lease_ms > MESSAGE_LEASE_MAX_MS)
		lease_ms = MESSAGE_LEASE_MAX_MS;
	self.lease_end_ns =
	    now_ns(CLOCK_BOOTTIME) + (uint64_t)lease_ms * 1000000;
	spec.it_value.tv_sec = (time_t)(self.lease_end_ns / 1000000000);
	spec.it_value.tv_nsec = (long)(self.lease_end_ns % 1000000000);
	if (timerfd_settime(self.timer, TFD_TIMER_ABSTIME, &spec, NULL) == -1) {
		/* Without a lease nothing is frozen. */
		begin_thaw(false);
		return;
	}
	self.report.begin_ns = now_ns(CLOCK_MONOTONIC);
	self.phase = FREEZING;
	freeze_next();
}

static void
helper_died(void)
{
	close(self.socket);
	self.socket = -1;
	begin_thaw(false);
}

static void
on_command(void)
{
	struct deadman_command c;
	ssize_t n = recv(self.socket, &c, sizeof(c), MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != sizeof(c))
		helper_died();
	else if (c.kind == DEADMAN_FREEZE)
		begin_freeze(c.lease_ms);
	else
		begin_thaw(c.kind == DEADMAN_THAW);
}

static void
on_progress(void)
{
	take_event(self.done);
	if (self.phase == SYNCING && all_done(WANT_SYNC)) {
		self.report.sync_ms =
		    (now_ns(CLOCK_MONOTONIC) - self.sync_begin_ns) / 1000000;
		self.phase = READY;
		send_report(DEADMAN_SYNCED);
	} else if (self.phase == FREEZING) {
		freeze_next();
	} else if (self.phase == THAWING && all_done(WANT_THAW)) {
		self.report.thaw_ns = now_ns(CLOCK_MONOTONIC);
		self.phase = ENDED;
		send_report(DEADMAN_THAWED);
	}
}

static void
run_once(void)
{
	struct pollfd p[4] = {
		{ .fd = self.timer, .events = POLLIN },
		{ .fd = self.signals, .events = POLLIN },
		{ .fd = self.socket, .events = POLLIN },
		{ .fd = self.done, .events = POLLIN },
	};
	struct signalfd_siginfo info;

	if (poll(p, 4, -1) == -1)
		return;
	if (p[0].revents != 0) {
		take_event(self.timer);
		begin_thaw(false);
	}
	if (p[1].revents != 0 &&
	    read(self.signals, &info, sizeof(info)) == sizeof(info))
		begin_thaw(false);
	if (p[2].revents != 0)
		on_command();
	if (p[3].revents != 0)
		on_progress();
}

/* ---- before anything is frozen ---- */

static bool
is_ours(int fd, const struct deadman_target *targets, size_t count)
{
	size_t i;

	if (fd <= STDERR_FILENO || fd == self.socket || fd == self.record_dir)
		return true;
	for (i = 0; i < count; i++)
		if (fd == targets[i].fd)
			return true;
	return false;
}

/* The channel above all: held open here, a new helper could not open it. */
static void
close_others(const struct deadman_target *targets, size_t count)
{
	int fd, limit = (int)sysconf(_SC_OPEN_MAX);

	if (limit < 0 || limit > 4096)
		limit = 4096;
	for (fd = 0; fd < limit; fd++)
		if (!is_ours(fd, targets, count))
			close(fd);
}

/* Best effort, each of them: a container may forbid what a guest allows. */
static void
become_robust(void)
{
	struct sched_param param = { .sched_priority = 1 };
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd != -1) {
		if (write(fd, "-1000", 5) == -1) {
			/* Not allowed. */
		}
		close(fd);
	}
	prctl(PR_SET_NAME, "holdstill-dead");
	mlockall(MCL_CURRENT | MCL_FUTURE);
	sched_setscheduler(0, SCHED_FIFO, &param);
	if (chdir("/") == -1) {
		/* Stays where it is. */
	}
}

static int
set_up(const struct deadman_target *targets, size_t count)
{
	sigset_t all, stop;
	size_t i;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGHUP);
	self.signals = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
	self.timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	self.done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (self.signals == -1 || self.timer == -1 || self.done == -1)
		return -1;
	/* Beside end of file: also if someone else holds the socket. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	for (i = 0; i < count; i++)
		if (start_worker(&self.workers[i], &targets[i]) == -1)
			return -1;
	return 0;
}

_Noreturn void
deadman_process_run(
    int fd, int record_dir, const struct deadman_target *targets, size_t count)
{
	memset(&self, 0, sizeof(self));
	self.socket = fd;
	self.record_dir = record_dir;
	self.count = count;
	close_others(targets, count);
	become_robust();
	if (set_up(targets, count) == -1)
		_exit(1);
	self.phase = SYNCING;
	self.sync_begin_ns = now_ns(CLOCK_MONOTONIC);
	want_all(WANT_SYNC);
	/* With nothing to sync no worker would say so. */
	signal_event(self.done);
	while (self.phase != ENDED)
		run_once();
	/* Everything is thawed: nothing is left for a later helper to do. */
	if (record_dir != -1)
		unlinkat(record_dir, RECORD_NAME, 0);
	_exit(0);
}
