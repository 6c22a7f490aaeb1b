/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes: started, watched, reaped. */
#include "agent/restore/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/io.h"

/*
 * QEMU allocates a buffer for each request. As glibc does it unasked, that is
 * a fresh mapping each time, whose pages cost more than the copy into them.
 */
#define MAPPED_FROM "MALLOC_MMAP_THRESHOLD_"
#define KEPT "MALLOC_TRIM_THRESHOLD_"

#define STOP_POLL_MS 200
#define WORDS_BYTES 400

struct tool {
	char *name;
	pid_t pid; /* 0 once reaped. */
	int alive; /* A pipe that ends when the program does. */
	int words; /* What it printed. */
	int status;
};

/* Our environment and the above, unless somebody has set it; its words are
 * borrowed.  NULL: no memory. */
static const char **
make_environment(void)
{
	const char **env;
	size_t n = 0;

	while (environ[n] != NULL)
		n++;
	if ((env = calloc(n + 3, sizeof(*env))) == NULL)
		return NULL;
	memcpy(env, environ, n * sizeof(*env));
	if (getenv(MAPPED_FROM) == NULL)
		env[n++] = MAPPED_FROM "=33554432";
	if (getenv(KEPT) == NULL)
		env[n++] = KEPT "=268435456";
	return env;
}

/* Only async-signal-safe calls: other threads may hold any lock. */
static _Noreturn void
become(const char *const argv[], const char *const env[], pid_t parent,
    int words, int report, int alive)
{
	int null = open("/dev/null", O_RDONLY), failure;
	sigset_t none;

	/* Out of the way of the numbers that they get below. */
	report = fcntl(report, F_DUPFD_CLOEXEC, 5);
	alive = fcntl(alive, F_DUPFD_CLOEXEC, 5);
	sigemptyset(&none);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent &&
	    setpgid(0, 0) == 0 && null != -1 && dup2(null, 0) != -1 &&
	    dup2(words, 1) != -1 && dup2(words, 2) != -1 &&
	    dup3(report, 3, O_CLOEXEC) != -1 && dup2(alive, 4) != -1 &&
	    close_range(5, ~0U, 0) == 0) {
		report = 3;
		signal(SIGPIPE, SIG_DFL);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execvpe(argv[0], (char *const *)argv, (char *const *)env);
	}
	failure = errno;
	if (write(report, &failure, sizeof(failure)) == -1)
		_exit(126);
	_exit(127);
}

/* Gives the errno with which the child could not become the program, or 0
 * when it did: the pipe closes at exec. */
static int
start_failure(int report)
{
	int failure = 0;

	if (io_read_full(report, &failure, sizeof(failure)) !=
	    (int64_t)sizeof(failure))
		return 0;
	return failure;
}

static int
fork_tool(struct tool *t, const char *const argv[], const char *const env[],
    struct err *err)
{
	pid_t parent = getpid();
	int report[2], alive[2], failure;

	if (pipe2(report, O_CLOEXEC) == -1)
		return err_errno(err, errno, "cannot make a pipe");
	if (pipe2(alive, O_CLOEXEC) == -1) {
		close(report[0]);
		close(report[1]);
		return err_errno(err, errno, "cannot make a pipe");
	}
	t->pid = fork();
	if (t->pid == 0)
		become(argv, env, parent, t->words, report[1], alive[1]);
	failure = t->pid == -1 ? errno : 0;
	t->alive = alive[0];
	close(alive[1]);
	close(report[1]);
	if (t->pid == -1)
		t->pid = 0;
	else
		failure = start_failure(report[0]);
	close(report[0]);
	if (failure != 0)
		return err_errno(err, failure, "cannot run '%s'", t->name);
	return 0;
}

int
tool_start(struct tool **out, const char *const argv[], struct err *err)
{
	struct tool *t = calloc(1, sizeof(*t));
	const char **env = make_environment();
	int rc = -1;

	if (t == NULL || env == NULL) {
		free(t);
		free(env);
		return err_no_memory(err);
	}
	t->alive = -1;
	t->words = memfd_create("words", MFD_CLOEXEC);
	t->name = strdup(argv[0]);
	if (t->words == -1 || t->name == NULL) {
		err_no_memory(err);
		goto out;
	}
	if (fork_tool(t, argv, env, err) == -1)
		goto out;
	*out = t;
	t = NULL;
	rc = 0;
out:
	free(env);
	tool_close(t);
	return rc;
}

static void
reap(struct tool *t)
{
	while (waitpid(t->pid, &t->status, 0) == -1 && errno == EINTR)
		;
	t->pid = 0;
}

void
tool_close(struct tool *t)
{
	if (t == NULL)
		return;
	if (t->pid != 0) {
		kill(t->pid, SIGKILL);
		reap(t);
	}
	if (t->alive != -1)
		close(t->alive);
	if (t->words != -1)
		close(t->words);
	free(t->name);
	free(t);
}

/* Its last line, without what is not text. */
static void
last_words(const struct tool *t, char out[WORDS_BYTES])
{
	off_t end = lseek(t->words, 0, SEEK_END);
	off_t from = end > WORDS_BYTES - 1 ? end - (WORDS_BYTES - 1) : 0;
	int64_t n =
	    io_pread_full(t->words, out, WORDS_BYTES - 1, (uint64_t)from);
	char *line;

	if (n < 0)
		n = 0;
	while (n > 0 && (unsigned char)out[n - 1] <= ' ')
		n--;
	out[n] = '\0';
	line = strrchr(out, '\n');
	if (line != NULL)
		memmove(out, line + 1, strlen(line + 1) + 1);
	for (line = out; *line != '\0'; line++) {
		if ((unsigned char)*line < ' ')
			*line = ' ';
	}
}

static int
check_status(const struct tool *t, struct err *err)
{
	enum err_class class = ERR_IO;
	char words[WORDS_BYTES];

	if (WIFEXITED(t->status) && WEXITSTATUS(t->status) == 0)
		return 0;
	last_words(t, words);
	/* The only way in which the tools tell it. */
	if (strstr(words, "No space left on device") != NULL)
		class = ERR_NO_SPACE;
	if (words[0] != '\0')
		return err_set(err, class, "'%s' failed: %s", t->name, words);
	if (WIFSIGNALED(t->status))
		return err_set(err, class, "'%s' was killed by signal %d",
		    t->name, WTERMSIG(t->status));
	return err_set(err, class, "'%s' failed with status %d", t->name,
	    WEXITSTATUS(t->status));
}

/* 1: it has ended and is reaped.  0: a moment passed, or extra_fd woke. */
static int
watch(struct tool *t, int extra_fd, int64_t deadline_ms,
    const atomic_bool *stop, struct err *err)
{
	struct pollfd fds[2] = {
		{ .fd = t->alive, .events = POLLIN },
		{ .fd = extra_fd, .events = POLLIN },
	};

	if (t->pid == 0)
		return 1;
	if (atomic_load(stop))
		return err_set(err, ERR_CANCELLED, "stopped");
	if (clock_monotonic_ms() >= deadline_ms)
		return err_set(
		    err, ERR_TIMEOUT, "'%s' does not answer", t->name);
	if (poll(fds, 2, STOP_POLL_MS) == -1 && errno != EINTR)
		return err_errno(err, errno, "cannot watch '%s'", t->name);
	if (fds[0].revents == 0)
		return 0;
	reap(t);
	return 1;
}

static int
wait_name(struct tool *t, int notify, const char *path, int64_t deadline_ms,
    const atomic_bool *stop, struct err *err)
{
	char events[4096];
	int rc;

	for (;;) {
		if (access(path, F_OK) == 0)
			return 0;
		rc = watch(t, notify, deadline_ms, stop, err);
		if (rc == -1)
			return -1;
		if (rc == 1 && check_status(t, err) == -1)
			return -1;
		if (rc == 1)
			return err_set(
			    err, ERR_IO, "'%s' ended at once", t->name);
		if (read(notify, events, sizeof(events)) == -1 &&
		    errno != EAGAIN && errno != EINTR)
			return err_errno(err, errno, "cannot watch '%s'", path);
	}
}

int
tool_wait_file(struct tool *t, const char *dir, const char *name,
    int timeout_ms, const atomic_bool *stop, struct err *err)
{
	int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
	char *path = io_path(dir, name);
	int notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	int rc = -1;

	if (path == NULL) {
		err_no_memory(err);
		goto out;
	}
	if (notify == -1 || inotify_add_watch(notify, dir, IN_CREATE) == -1) {
		err_errno(err, errno, "cannot watch '%s'", dir);
		goto out;
	}
	rc = wait_name(t, notify, path, deadline_ms, stop, err);
out:
	if (notify != -1)
		close(notify);
	free(path);
	return rc;
}

int
tool_wait(
    struct tool *t, int timeout_ms, const atomic_bool *stop, struct err *err)
{
	int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
	int rc;

	while ((rc = watch(t, -1, deadline_ms, stop, err)) == 0)
		;
	return rc == -1 ? -1 : check_status(t, err);
}
