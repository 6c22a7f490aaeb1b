/* SPDX-License-Identifier: Apache-2.0 */
/* The helper's end of its spawner. */
#include "guest-helper/writers/spawner.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "guest-helper/writers/spawner_internal.h"

#define ANSWER_WAIT_MS 1000

int
spawner_start(struct spawner *out, const char *writers_dir,
    const char *hooks_dir, struct err *err)
{
	sigset_t all, before;
	int pair[2];

	memset(out, 0, sizeof(*out));
	out->fd = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
		return err_errno(err, errno, "cannot make a socket pair");
	/* It blocks them for good, and none must come before that. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	out->pid = fork();
	if (out->pid != 0)
		sigprocmask(SIG_SETMASK, &before, NULL);
	if (out->pid == -1) {
		err_errno(err, errno, "cannot fork the spawner");
		close(pair[0]);
		close(pair[1]);
		return -1;
	}
	if (out->pid == 0)
		spawner_process_run(pair[1], writers_dir, hooks_dir);
	close(pair[1]);
	out->fd = pair[0];
	return 0;
}

void
spawner_close(struct spawner *s)
{
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
	s->exit_count = 0;
	/* It may have some seconds of work left. */
	if (s->pid > 0)
		waitpid(s->pid, NULL, WNOHANG);
}

static int
send_command(
    struct spawner *s, const struct spawner_command *c, struct err *err)
{
	if (s->fd == -1 || s->gone ||
	    send(s->fd, c, sizeof(*c), MSG_NOSIGNAL | MSG_DONTWAIT) !=
		sizeof(*c))
		return err_set(
		    err, ERR_IO, "the process that runs writers is gone");
	return 0;
}

static size_t
take_fds(struct msghdr *h, int fds[SPAWNER_FDS_MAX])
{
	struct cmsghdr *c;
	size_t bytes;

	for (c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		bytes = c->cmsg_len - CMSG_LEN(0);
		if (bytes > SPAWNER_FDS_MAX * sizeof(int))
			bytes = SPAWNER_FDS_MAX * sizeof(int);
		memcpy(fds, CMSG_DATA(c), bytes);
		return bytes / sizeof(int);
	}
	return 0;
}

/* 1: a report; 0: none just now; -1: the process is gone. */
static int
receive(struct spawner *s, struct spawner_report *out, int fds[SPAWNER_FDS_MAX],
    size_t *out_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(SPAWNER_FDS_MAX * sizeof(int))];
	} control;
	struct iovec v = { .iov_base = out, .iov_len = sizeof(*out) };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	ssize_t n;

	*out_count = 0;
	if (s->fd == -1 || s->gone)
		return -1;
	do {
		h.msg_control = &control;
		h.msg_controllen = sizeof(control);
		n = recvmsg(s->fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		return 0;
	if (n != sizeof(*out)) {
		s->gone = true;
		return -1;
	}
	*out_count = take_fds(&h, fds);
	return 1;
}

static void
close_fds(const int *fds, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		close(fds[i]);
}

/* What no call waits for any more. */
static void
take_other(struct spawner *s, const struct spawner_report *r, const int *fds,
    size_t fd_count)
{
	close_fds(fds, fd_count);
	if (r->kind == SPAWNER_STARTED)
		spawner_kill(s, r->pid, SIGKILL);
	else if (r->kind == SPAWNER_EXITED &&
		 s->exit_count < SPAWNER_CHILDREN_MAX)
		s->exits[s->exit_count++] = (struct spawner_exit){
			.pid = r->pid,
			.status = r->status,
		};
}

static int
take_answer(struct spawner *s, const struct spawner_report *r, const int *fds,
    size_t fd_count, struct spawner_child *out, struct err *err)
{
	if (r->kind == SPAWNER_STARTED && fd_count < 2) {
		take_other(s, r, fds, fd_count);
		return err_set(
		    err, ERR_IO, "its pipes were lost: too many open files?");
	}
	if (r->kind != SPAWNER_STARTED) {
		close_fds(fds, fd_count);
		s->refused = true;
		return err_set(err,
		    r->error_class == ERR_NONE ? ERR_IO
					       : (enum err_class)r->error_class,
		    "%.300s", r->text);
	}
	out->pid = r->pid;
	out->output = fds[0];
	out->errors = fds[1];
	out->input = fd_count > 2 ? fds[2] : -1;
	return 0;
}

static int
wait_answer(
    struct spawner *s, uint32_t id, struct spawner_child *out, struct err *err)
{
	int64_t end = clock_monotonic_ms() + ANSWER_WAIT_MS, left;
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	int fds[SPAWNER_FDS_MAX], got;
	struct spawner_report r;
	size_t fd_count;

	for (;;) {
		got = receive(s, &r, fds, &fd_count);
		if (got == -1)
			return err_set(err, ERR_IO,
			    "the process that runs writers is gone");
		if (got == 1 && r.id == id && r.kind != SPAWNER_EXITED)
			return take_answer(s, &r, fds, fd_count, out, err);
		if (got == 1) {
			take_other(s, &r, fds, fd_count);
			continue;
		}
		left = end - clock_monotonic_ms();
		if (left <= 0)
			return err_set(err, ERR_TIMEOUT,
			    "the process that runs writers does not answer");
		poll(&p, 1, (int)left);
	}
}

int
spawner_run(struct spawner *s, enum spawner_dir dir, const char *name,
    const char *argument, const char *session, struct spawner_child *out,
    struct err *err)
{
	struct spawner_command c;

	memset(&c, 0, sizeof(c));
	c.kind = SPAWNER_RUN;
	c.id = ++s->last_id;
	c.dir = dir;
	snprintf(c.name, sizeof(c.name), "%s", name);
	snprintf(c.argument, sizeof(c.argument), "%s",
	    argument == NULL ? "" : argument);
	snprintf(
	    c.session, sizeof(c.session), "%s", session == NULL ? "" : session);
	s->refused = send_command(s, &c, err) == -1;
	if (s->refused)
		return -1;
	return wait_answer(s, c.id, out, err);
}

static void
send_kill(struct spawner *s, enum spawner_kind kind, pid_t pid, int signum)
{
	struct spawner_command c;
	struct err ignored = ERR_INIT;

	memset(&c, 0, sizeof(c));
	c.kind = kind;
	c.pid = pid;
	c.signum = signum;
	send_command(s, &c, &ignored);
}

void
spawner_kill(struct spawner *s, pid_t child, int signum)
{
	send_kill(s, SPAWNER_KILL, child, signum);
}

void
spawner_kill_sibling(struct spawner *s, pid_t pid)
{
	send_kill(s, SPAWNER_KILL_SIBLING, pid, SIGKILL);
}

bool
spawner_exited(struct spawner *s, pid_t *out_pid, int *out_status)
{
	int fds[SPAWNER_FDS_MAX];
	struct spawner_report r;
	size_t fd_count;

	while (s->exit_count == 0 && receive(s, &r, fds, &fd_count) == 1)
		take_other(s, &r, fds, fd_count);
	if (s->exit_count == 0)
		return false;
	*out_pid = s->exits[0].pid;
	*out_status = s->exits[0].status;
	s->exit_count--;
	memmove(
	    &s->exits[0], &s->exits[1], s->exit_count * sizeof(s->exits[0]));
	return true;
}
