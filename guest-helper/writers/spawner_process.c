/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the spawner.  It believes nothing of what the helper says: a name
 * must be one of its folders', a signal is for its own children only, and for
 * the helper's.
 *
 * It keeps the reading ends of what it started: a writer that is told to thaw
 * by its helper's death must not die of SIGPIPE over a last word.
 */
#include "guest-helper/writers/spawner_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "guest-helper/forked.h"
#include "guest-helper/writers/spawner.h"

/* After the helper's death: until SIGTERM, until SIGKILL, until the end. */
#define GRACE_TERM_MS 4000
#define GRACE_KILL_MS 6000
#define GRACE_END_MS 7000

static char path_env[] =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
static char locale_env[] = "LC_ALL=C";

struct child {
	pid_t pid; /* 0: a free place. */
	enum spawner_dir dir;
	int output, errors; /* Reading ends; -1: none. */
	bool ended;         /* It has been waited for. */
	bool told;          /* Its exit has been told. */
	int status;
	/* The hook whose "freeze" it is; "": it is something else. */
	char freezing[MESSAGE_NAME_SIZE];
};

static struct {
	int socket; /* -1 once the helper is dead. */
	pid_t helper;
	int signals;
	int null;
	const char *dirs[2];
	struct child children[SPAWNER_CHILDREN_MAX];
	/* Hooks that ran "freeze" and not yet "thaw". */
	char frozen[MESSAGE_WRITERS_MAX][MESSAGE_NAME_SIZE];
	size_t frozen_count;
} self;

static void
close_fd(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

/* ---- running one ---- */

/* In the child. */
static _Noreturn void
become(const char *path, const char *argument, const char *session,
    const int fds[3])
{
	char name[sizeof("HOLDSTILL_SESSION=") + HEXID_SIZE];
	char *argv[] = { (char *)path, (char *)argument, NULL };
	char *envp[] = { path_env, locale_env, name, NULL };
	sigset_t none;
	int i;

	setpgid(0, 0);
	if (argument[0] == '\0')
		argv[1] = NULL;
	snprintf(name, sizeof(name), "HOLDSTILL_SESSION=%s", session);
	if (session[0] == '\0')
		envp[2] = NULL;
	for (i = 0; i < 3; i++)
		dup2(fds[i], i);
	forked_oom_score("0");
	umask(022);
	for (i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(path, argv, envp);
	dprintf(2, "cannot be run: %s\n", strerror(errno));
	_exit(126);
}

static struct child *
free_place(void)
{
	size_t i;

	for (i = 0; i < SPAWNER_CHILDREN_MAX; i++)
		if (self.children[i].pid == 0)
			return &self.children[i];
	return NULL;
}

/* fds: its standard input, output and errors. */
static int
start(struct child *child, enum spawner_dir dir, const char *name,
    const char *argument, const char *session, const int fds[3],
    struct err *err)
{
	char path[PATH_MAX];
	int length =
	    snprintf(path, sizeof(path), "%s/%s", self.dirs[dir], name);
	pid_t pid;

	if (length < 0 || (size_t)length >= sizeof(path))
		return err_set(err, ERR_ARG, "the path is too long");
	pid = fork();
	if (pid == -1)
		return err_errno(err, errno, "cannot fork");
	if (pid == 0)
		become(path, argument, session, fds);
	setpgid(pid, pid);
	memset(child, 0, sizeof(*child));
	child->pid = pid;
	child->dir = dir;
	child->output = child->errors = -1;
	if (strcmp(argument, "freeze") == 0)
		snprintf(child->freezing, sizeof(child->freezing), "%s", name);
	return 0;
}

struct pipes {
	int input[2], output[2], errors[2];
};

static int
make_pipe(int fds[2], int ours, struct err *err)
{
	if (pipe2(fds, O_CLOEXEC) == -1) {
		fds[0] = fds[1] = -1;
		return err_errno(err, errno, "cannot make a pipe");
	}
	if (fcntl(fds[ours], F_SETFL, O_NONBLOCK) == -1)
		return err_errno(err, errno, "cannot set up a pipe");
	return 0;
}

static int
make_pipes(struct pipes *p, bool with_input, struct err *err)
{
	if (with_input && make_pipe(p->input, 1, err) == -1)
		return -1;
	if (make_pipe(p->output, 0, err) == -1)
		return -1;
	return make_pipe(p->errors, 0, err);
}

static int
send_report(const struct spawner_report *r, const int *fds, size_t count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(SPAWNER_FDS_MAX * sizeof(int))];
	} control;
	struct iovec v = { .iov_base = (void *)r, .iov_len = sizeof(*r) };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (count > 0) {
		memset(&control, 0, sizeof(control));
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	if (self.socket == -1 ||
	    sendmsg(self.socket, &h, MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(*r))
		return -1;
	return 0;
}

static void
remember_frozen(const char *name, const char *argument)
{
	size_t i = 0;

	while (i < self.frozen_count && strcmp(self.frozen[i], name) != 0)
		i++;
	if (strcmp(argument, "thaw") == 0 && i < self.frozen_count)
		memmove(self.frozen[i], self.frozen[--self.frozen_count],
		    sizeof(self.frozen[i]));
	else if (strcmp(argument, "freeze") == 0 && i == self.frozen_count &&
		 i < MESSAGE_WRITERS_MAX)
		snprintf(self.frozen[self.frozen_count++],
		    sizeof(self.frozen[0]), "%s", name);
}

static bool
is_sound(const struct spawner_command *c)
{
	if (memchr(c->name, '\0', sizeof(c->name)) == NULL ||
	    memchr(c->argument, '\0', sizeof(c->argument)) == NULL ||
	    memchr(c->session, '\0', sizeof(c->session)) == NULL)
		return false;
	if (c->session[0] != '\0' && !hexid_valid(c->session))
		return false;
	if (c->dir == SPAWNER_WRITERS)
		return c->argument[0] == '\0';
	return c->dir == SPAWNER_HOOKS && (strcmp(c->argument, "freeze") == 0 ||
					      strcmp(c->argument, "thaw") == 0);
}

static int
run_checked(struct child *child, const struct spawner_command *c,
    struct pipes *p, struct err *err)
{
	bool writer = c->dir == SPAWNER_WRITERS;
	int fds[3];

	if (!is_sound(c))
		return err_set(err, ERR_ARG, "a malformed request");
	if (child == NULL)
		return err_set(err, ERR_BUSY,
		    "%u processes are running already", SPAWNER_CHILDREN_MAX);
	if (spawner_check(self.dirs[c->dir], c->name, err) == -1 ||
	    make_pipes(p, writer, err) == -1)
		return -1;
	fds[0] = writer ? p->input[0] : self.null;
	fds[1] = p->output[1];
	fds[2] = p->errors[1];
	if (start(child, c->dir, c->name, c->argument, c->session, fds, err) ==
	    -1)
		return -1;
	if (!writer)
		remember_frozen(c->name, c->argument);
	return 0;
}

static void
run(const struct spawner_command *c)
{
	struct pipes p = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	struct child *child = free_place();
	struct spawner_report r;
	struct err err = ERR_INIT;
	int theirs[SPAWNER_FDS_MAX];

	memset(&r, 0, sizeof(r));
	r.id = c->id;
	if (run_checked(child, c, &p, &err) == -1) {
		r.kind = SPAWNER_REFUSED;
		r.error_class = err.class;
		snprintf(r.text, sizeof(r.text), "%.300s", err.text);
		send_report(&r, NULL, 0);
	} else {
		r.kind = SPAWNER_STARTED;
		r.pid = child->pid;
		theirs[0] = child->output = p.output[0];
		theirs[1] = child->errors = p.errors[0];
		theirs[2] = p.input[1];
		p.output[0] = p.errors[0] = -1;
		if (send_report(&r, theirs, theirs[2] == -1 ? 2 : 3) == -1)
			kill(-child->pid, SIGKILL);
	}
	close_fd(&p.input[0]);
	close_fd(&p.input[1]);
	close_fd(&p.output[0]);
	close_fd(&p.output[1]);
	close_fd(&p.errors[0]);
	close_fd(&p.errors[1]);
}

/* ---- ends ---- */

static struct child *
find(pid_t pid)
{
	size_t i;

	for (i = 0; i < SPAWNER_CHILDREN_MAX; i++)
		if (self.children[i].pid == pid && !self.children[i].ended)
			return &self.children[i];
	return NULL;
}

static void
signal_child(pid_t pid, int signum)
{
	/* Of 1 the group would be everybody: two checks for that. */
	if (pid <= 1 || find(pid) == NULL ||
	    (signum != SIGTERM && signum != SIGKILL))
		return;
	kill(-pid, signum);
	if (signum == SIGTERM)
		kill(-pid, SIGCONT);
}

/* -1: there is no such process. */
static pid_t
parent_of(pid_t pid)
{
	char path[64], text[256] = "", *end;
	int parent = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((file = fopen(path, "re")) == NULL)
		return -1;
	/* Its name, in parentheses, may hold anything. */
	if (fgets(text, sizeof(text), file) == NULL ||
	    (end = strrchr(text, ')')) == NULL ||
	    sscanf(end + 1, " %*c %d", &parent) != 1)
		parent = -1;
	fclose(file);
	return parent;
}

/* A dead-man.  Its number is nobody else's before the helper, which is not
 * us, has waited for it. */
static void
kill_sibling(pid_t pid)
{
	if (pid > 1 && pid != getpid() && getppid() == self.helper &&
	    parent_of(pid) == self.helper)
		kill(pid, SIGKILL);
}

static void
tell_exits(void)
{
	struct spawner_report r;
	struct child *c;

	for (c = self.children; c < self.children + SPAWNER_CHILDREN_MAX; c++) {
		if (c->pid == 0 || !c->ended || c->told)
			continue;
		memset(&r, 0, sizeof(r));
		r.kind = SPAWNER_EXITED;
		r.pid = c->pid;
		r.status = c->status;
		c->told = self.socket == -1 || send_report(&r, NULL, 0) == 0;
	}
}

/* What a hook left in the background, to hold a lock until its "thaw", say.
 * Orphans are ours, for we are a subreaper. */
static bool
group_lives(pid_t group)
{
	siginfo_t info;

	return waitid(P_PGID, (id_t)group, &info,
		   WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void
free_places(void)
{
	struct child *c;

	for (c = self.children; c < self.children + SPAWNER_CHILDREN_MAX; c++) {
		if (c->pid == 0 || !c->told ||
		    (c->dir == SPAWNER_HOOKS && group_lives(c->pid)))
			continue;
		close_fd(&c->output);
		close_fd(&c->errors);
		c->pid = 0;
	}
}

/* For a helper that is dead. */
static void
thaw(const char *name)
{
	const int fds[3] = { self.null, self.null, self.null };
	struct child *child = free_place();
	struct err ignored = ERR_INIT;

	if (child != NULL &&
	    spawner_check(self.dirs[SPAWNER_HOOKS], name, &ignored) == 0)
		start(child, SPAWNER_HOOKS, name, "thaw", "", fds, &ignored);
}

static void
thaw_what_froze(void)
{
	struct child *c;

	if (self.socket != -1)
		return;
	for (c = self.children; c < self.children + SPAWNER_CHILDREN_MAX; c++)
		if (c->pid != 0 && c->ended && c->freezing[0] != '\0') {
			thaw(c->freezing);
			c->freezing[0] = '\0';
		}
}

/* A zombie keeps its process group's number from being given anew, so the
 * group is killed before the wait. */
static void
reap(void)
{
	siginfo_t info;
	struct child *c;
	int status;

	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) ==
			-1 ||
		    info.si_pid == 0)
			break;
		c = find(info.si_pid);
		if (c != NULL && c->dir == SPAWNER_WRITERS)
			kill(-c->pid, SIGKILL);
		if (waitpid(info.si_pid, &status, 0) == -1)
			break;
		if (c != NULL) {
			c->ended = true;
			c->status = status;
		}
	}
	thaw_what_froze();
	tell_exits();
	free_places();
}

/* ---- the loop ---- */

/* The "freeze" of that hook, if it has not ended. */
static struct child *
find_freezing(const char *name)
{
	struct child *c;

	for (c = self.children; c < self.children + SPAWNER_CHILDREN_MAX; c++)
		if (c->pid != 0 && !c->ended && strcmp(c->freezing, name) == 0)
			return c;
	return NULL;
}

/* A hook that freezes yet is to thaw after that, not beside it. */
static void
helper_died(void)
{
	struct child *c;
	size_t i;

	close_fd(&self.socket);
	/* Those that have ended are thawed by what follows. */
	for (c = self.children; c < self.children + SPAWNER_CHILDREN_MAX; c++)
		if (c->pid != 0 && c->ended)
			c->freezing[0] = '\0';
	for (i = 0; i < self.frozen_count; i++) {
		c = find_freezing(self.frozen[i]);
		if (c != NULL)
			signal_child(c->pid, SIGTERM);
		else
			thaw(self.frozen[i]);
	}
}

static void
on_command(void)
{
	struct spawner_command c;
	ssize_t n = recv(self.socket, &c, sizeof(c), MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != sizeof(c))
		helper_died();
	else if (c.kind == SPAWNER_RUN)
		run(&c);
	else if (c.kind == SPAWNER_KILL)
		signal_child(c.pid, c.signum);
	else if (c.kind == SPAWNER_KILL_SIBLING)
		kill_sibling(c.pid);
}

static bool
any_running(void)
{
	size_t i;

	for (i = 0; i < SPAWNER_CHILDREN_MAX; i++)
		if (self.children[i].pid != 0 && !self.children[i].ended)
			return true;
	return false;
}

static bool
exits_untold(void)
{
	size_t i;

	for (i = 0; i < SPAWNER_CHILDREN_MAX; i++)
		if (self.children[i].pid != 0 && self.children[i].ended &&
		    !self.children[i].told)
			return true;
	return false;
}

static void
wait_events(int timeout_ms)
{
	struct pollfd p[2] = {
		{ .fd = self.signals, .events = POLLIN },
		{ .fd = self.socket, .events = POLLIN },
	};
	struct signalfd_siginfo info;

	if (exits_untold())
		p[1].events |= POLLOUT;
	if (poll(p, 2, timeout_ms) == -1)
		return;
	while (read(self.signals, &info, sizeof(info)) == sizeof(info))
		;
	if (p[1].revents & (POLLIN | POLLHUP | POLLERR))
		on_command();
	reap();
}

static void
signal_all(int signum)
{
	size_t i;

	for (i = 0; i < SPAWNER_CHILDREN_MAX; i++)
		signal_child(self.children[i].pid, signum);
}

/* Their input has ended; most end by themselves. */
static void
wind_up(void)
{
	static const struct {
		int until_ms, signum;
	} stages[] = { { GRACE_TERM_MS, SIGTERM }, { GRACE_KILL_MS, SIGKILL },
		{ GRACE_END_MS, 0 } };
	int64_t begin = clock_monotonic_ms(), left;
	size_t i;

	for (i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		while (any_running() && (left = begin + stages[i].until_ms -
						clock_monotonic_ms()) > 0)
			wait_events((int)left);
		if (any_running() && stages[i].signum != 0)
			signal_all(stages[i].signum);
	}
}

static int
set_up(void)
{
	sigset_t set;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	/* No terminal, so that no writer asks for a password on it. */
	setsid();
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	self.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	do
		self.null = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (self.null != -1 && self.null <= STDERR_FILENO);
	return self.signals == -1 || self.null == -1 ? -1 : 0;
}

_Noreturn void
spawner_process_run(int fd, const char *writers_dir, const char *hooks_dir)
{
	memset(&self, 0, sizeof(self));
	self.socket = fd;
	self.helper = getppid();
	self.dirs[SPAWNER_WRITERS] = writers_dir;
	self.dirs[SPAWNER_HOOKS] = hooks_dir;
	forked_close_all_but(&fd, 1);
	/* All signals stay blocked: a service manager that ends the helper
	 * signals its whole group, and the thaw is still to be seen to. */
	forked_begin("holdstill-spawn");
	if (set_up() == -1)
		_exit(1);
	while (self.socket != -1)
		wait_events(-1);
	wind_up();
	_exit(0);
}
