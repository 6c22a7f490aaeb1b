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
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "guest-helper/deadman_workers.h"
#include "guest-helper/forked.h"
#include "guest-helper/record.h"

static const char thaw_line[] = "thaw\n";

enum phase { SYNCING, READY, ARMED, FREEZING, FROZEN, THAWING, ENDED };

static struct {
	enum phase phase;
	int socket; /* -1 once the helper is dead. */
	int timer;
	int signals;
	int record_dir;
	char record_id[HEXID_SIZE];
	size_t next;     /* Before it all have tried to freeze. */
	size_t released; /* Before it all were told to. */
	struct deadman_workers workers;
	int inputs[DEADMAN_INPUTS_MAX]; /* The writers'. */
	size_t input_count;
	struct expedite expedite;
	uint64_t sync_begin_ns;
	uint64_t lease_end_ns; /* CLOCK_BOOTTIME */
	struct deadman_report report;
} self;

/* ---- the main thread ---- */

static void
send_report(enum deadman_kind kind)
{
	struct deadman_report *r = &self.report;
	const struct deadman_worker *w;
	unsigned int done;
	size_t i;

	r->kind = kind;
	r->count = self.workers.count;
	for (i = 0; i < self.workers.count; i++) {
		w = &self.workers.items[i];
		done = atomic_load(&w->done);
		if (done & DEADMAN_WANT_FREEZE) {
			r->results[i].tried = true;
			r->results[i].frozen = w->frozen;
			r->results[i].freeze_errno = w->freeze_errno;
		}
		if (done & DEADMAN_WANT_THAW) {
			r->results[i].thawed = w->frozen && w->thaw_errno == 0;
			r->results[i].thaw_errno = w->thaw_errno;
		}
	}
	/* A helper that does not read its few reports is as good as dead. */
	if (self.socket != -1)
		send(self.socket, r, sizeof(*r), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static bool
lease_over(void)
{
	return self.lease_end_ns != 0 &&
	       clock_boottime_ns() >= self.lease_end_ns;
}

/*
 * A line is far shorter than what a pipe takes at once, so it comes whole or,
 * from a writer that reads nothing, not at all.  Closed in any case: the end
 * of input has to mean that the helper is gone.
 */
static void
leave_writers(bool tell)
{
	ssize_t n;
	size_t i;

	for (i = 0; i < self.input_count; i++) {
		if (tell) {
			do
				n = write(self.inputs[i], thaw_line,
				    sizeof(thaw_line) - 1);
			while (n == -1 && errno == EINTR);
		}
		close(self.inputs[i]);
	}
	self.report.told_writers = tell;
	self.input_count = 0;
}

static void
begin_expedited(void)
{
	if (self.expedite.fd == -1)
		return;
	marks_set(&self.workers.marks, MARKS_EXPEDITED, MARKS_TRIED);
	expedite_begin(&self.expedite);
	marks_set(&self.workers.marks, MARKS_EXPEDITED,
	    self.expedite.begun ? MARKS_FROZEN : MARKS_REFUSED);
}

static void
end_expedited(void)
{
	if (!self.expedite.begun)
		return;
	expedite_end(&self.expedite);
	marks_set(&self.workers.marks, MARKS_EXPEDITED, MARKS_THAWED);
}

/* Who ended the freeze: the host by its thaw, the helper, or nobody but the
 * dead-man itself, which then tells the writers. */
enum ender { BY_HOST, BY_HELPER, BY_ITSELF };

static void
begin_thaw(enum ender ender)
{
	bool tell;

	if (self.phase >= THAWING)
		return;
	self.report.asked = ender == BY_HOST;
	self.report.complete = self.phase == FROZEN;
	/* Asked, not whether the timer was seen: it may have fired just now. */
	self.report.lease_expired = lease_over();
	tell = ender == BY_ITSELF && self.phase >= ARMED;
	self.phase = THAWING;
	self.report.thaw_ns = clock_monotonic_ns();
	deadman_workers_want_all(&self.workers, DEADMAN_WANT_THAW);
	leave_writers(tell);
	end_expedited();
	send_report(DEADMAN_THAWING);
	/* With no file system there is no worker to say that it is done. */
	deadman_workers_signal(self.workers.progress);
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
	       atomic_load(&self.workers.items[self.next].done) &
		   DEADMAN_WANT_FREEZE)
		self.next++;
	if (self.next < self.released)
		return;
	if (self.released == self.workers.count) {
		self.report.end_ns = clock_monotonic_ns();
		self.phase = FROZEN;
		send_report(DEADMAN_FROZEN);
		return;
	}
	rank = self.workers.items[self.released].rank;
	while (self.released < self.workers.count &&
	       self.workers.items[self.released].rank == rank)
		deadman_workers_want(
		    &self.workers.items[self.released++], DEADMAN_WANT_FREEZE);
}

static void
arm(uint32_t lease_ms)
{
	struct itimerspec spec = { .it_interval = { 0 } };

	if (self.phase != READY)
		return;
	if (lease_ms > MESSAGE_LEASE_MAX_MS)
		lease_ms = MESSAGE_LEASE_MAX_MS;
	self.lease_end_ns = clock_boottime_ns() + (uint64_t)lease_ms * 1000000;
	spec.it_value.tv_sec = (time_t)(self.lease_end_ns / 1000000000);
	spec.it_value.tv_nsec = (long)(self.lease_end_ns % 1000000000);
	if (timerfd_settime(self.timer, TFD_TIMER_ABSTIME, &spec, NULL) == -1) {
		/* Without a lease nothing is frozen. */
		begin_thaw(BY_ITSELF);
		return;
	}
	self.phase = ARMED;
	begin_expedited();
	send_report(DEADMAN_ARMED);
}

static void
begin_freeze(void)
{
	if (self.phase != ARMED)
		return;
	self.report.begin_ns = clock_monotonic_ns();
	self.phase = FREEZING;
	freeze_next();
}

static void
helper_died(void)
{
	close(self.socket);
	self.socket = -1;
	begin_thaw(BY_ITSELF);
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
	else if (c.kind == DEADMAN_ARM)
		arm(c.lease_ms);
	else if (c.kind == DEADMAN_FREEZE)
		begin_freeze();
	else
		begin_thaw(c.kind == DEADMAN_THAW ? BY_HOST : BY_HELPER);
}

static void
on_progress(void)
{
	deadman_workers_take(self.workers.progress);
	if (self.phase == SYNCING &&
	    deadman_workers_done(&self.workers, DEADMAN_WANT_SYNC)) {
		self.report.sync_ms =
		    (clock_monotonic_ns() - self.sync_begin_ns) / 1000000;
		self.phase = READY;
		send_report(DEADMAN_SYNCED);
	} else if (self.phase == FREEZING) {
		freeze_next();
	} else if (self.phase == THAWING &&
		   deadman_workers_done(&self.workers, DEADMAN_WANT_THAW)) {
		self.report.done_ns = clock_monotonic_ns();
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
		{ .fd = self.workers.progress, .events = POLLIN },
	};
	struct signalfd_siginfo info;

	if (poll(p, 4, -1) == -1)
		return;
	if (p[0].revents != 0) {
		deadman_workers_take(self.timer);
		begin_thaw(BY_ITSELF);
	}
	if (p[1].revents != 0 &&
	    read(self.signals, &info, sizeof(info)) == sizeof(info))
		begin_thaw(BY_ITSELF);
	if (p[2].revents != 0)
		on_command();
	if (p[3].revents != 0)
		on_progress();
}

/* ---- before anything is frozen ---- */

static void
close_others(const struct deadman_setup *setup)
{
	static int keep[4 + DEADMAN_INPUTS_MAX + MESSAGE_FILESYSTEMS_MAX];
	size_t count = 0, i;

	keep[count++] = self.socket;
	keep[count++] = self.record_dir;
	keep[count++] = self.expedite.fd;
	keep[count++] = self.workers.marks.fd;
	for (i = 0; i < self.input_count; i++)
		keep[count++] = self.inputs[i];
	for (i = 0; i < setup->count; i++)
		keep[count++] = setup->targets[i].fd;
	forked_close_all_but(keep, count);
}

/* Best effort, as what forked_begin() does. */
static void
become_robust(void)
{
	struct sched_param param = { .sched_priority = 1 };

	mlockall(MCL_CURRENT | MCL_FUTURE);
	sched_setscheduler(0, SCHED_FIFO, &param);
}

static int
set_up(const struct deadman_setup *setup)
{
	sigset_t stop;
	size_t i;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGHUP);
	self.signals = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
	self.timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	self.workers.progress = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (self.signals == -1 || self.timer == -1 ||
	    self.workers.progress == -1)
		return -1;
	/* Beside end of file: also if someone else holds the socket. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	for (i = 0; i < setup->count; i++)
		if (deadman_workers_add(&self.workers, setup->targets[i].fd,
			setup->targets[i].rank) == -1)
			return -1;
	return 0;
}

static void
take(int fd, const struct deadman_setup *setup)
{
	memset(&self, 0, sizeof(self));
	self.socket = fd;
	self.record_dir = setup->record_dir;
	strcpy(self.record_id, setup->record_id);
	self.workers.marks = setup->marks;
	self.expedite = setup->expedite;
	memcpy(self.inputs, setup->inputs,
	    setup->input_count * sizeof(self.inputs[0]));
	self.input_count = setup->input_count;
}

_Noreturn void
deadman_process_run(int fd, const struct deadman_setup *setup)
{
	take(fd, setup);
	close_others(setup);
	forked_begin("holdstill-dead");
	become_robust();
	if (set_up(setup) == -1)
		_exit(1);
	self.phase = SYNCING;
	self.sync_begin_ns = clock_monotonic_ns();
	deadman_workers_want_all(&self.workers, DEADMAN_WANT_SYNC);
	/* With nothing to sync no worker would say so. */
	deadman_workers_signal(self.workers.progress);
	while (self.phase != ENDED)
		run_once();
	/* What could not be thawed is left for a later helper to do. */
	if (marks_left(&self.workers.marks, self.workers.count) == 0)
		record_remove(self.record_dir, self.record_id);
	_exit(0);
}
