/* SPDX-License-Identifier: Apache-2.0 */
/* Runs commands in a test guest: "ID BASE64" brings "ID STATUS OUT ERR". */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 1 << 20,
	IDLE_MS = 200, /* If the host came just before. */
};

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "rig_agent: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Decodes in place and ends the result with a NUL. */
static void
base64_decode(char *text)
{
	uint32_t bits = 0;
	int n = 0;
	char *out = text;
	const char *in, *at;

	for (in = text; *in && (at = strchr(alphabet, *in)); in++) {
		bits = bits << 6 | (uint32_t)(at - alphabet);
		n += 6;
		if (n >= 8) {
			n -= 8;
			*out++ = (char)(bits >> n);
		}
	}
	*out = '\0';
}

static void
base64_print(FILE *f, const unsigned char *data, size_t size)
{
	size_t i;

	for (i = 0; i < size; i += 3) {
		uint32_t v = (uint32_t)data[i] << 16;

		v |= i + 1 < size ? (uint32_t)data[i + 1] << 8 : 0;
		v |= i + 2 < size ? data[i + 2] : 0;
		putc(alphabet[v >> 18], f);
		putc(alphabet[v >> 12 & 63], f);
		putc(i + 1 < size ? alphabet[v >> 6 & 63] : '=', f);
		putc(i + 2 < size ? alphabet[v & 63] : '=', f);
	}
}

/* What a command printed into the memory file FD. */
static void
print_output(FILE *f, int fd)
{
	struct stat st;
	void *data;

	if (fstat(fd, &st) == -1 || st.st_size == 0)
		return;
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		die("mmap");
	base64_print(f, data, (size_t)st.st_size);
	munmap(data, (size_t)st.st_size);
}

static int
run(const char *command, int out, int err)
{
	int status;
	pid_t pid = fork();

	if (pid == -1)
		die("fork");
	if (pid == 0) {
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(out, 1);
		dup2(err, 2);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) == -1)
		die("waitpid");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

static void
write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n == -1 && errno != EINTR && errno != EAGAIN)
			die("write");
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
	}
}

/* In a process of its own: a command that hangs holds up no other. */
static void
serve(int port, int lock, const char *id, char *command)
{
	int out = memfd_create("out", MFD_CLOEXEC);
	int err = memfd_create("err", MFD_CLOEXEC);
	char *answer;
	size_t size;
	FILE *f = open_memstream(&answer, &size);
	int status;

	if (out == -1 || err == -1 || !f)
		die("memory");
	base64_decode(command);
	status = run(command, out, err);
	fprintf(f, "\n%s %d ", id, status);
	print_output(f, out);
	putc(' ', f);
	print_output(f, err);
	putc('\n', f);
	fclose(f);
	/* Several commands may end at once; their answers must not mix. */
	flock(lock, LOCK_EX);
	write_all(port, answer, size);
}

static void
take_line(int port, char *line)
{
	char *command = strchr(line, ' ');
	int lock;
	pid_t pid;

	if (!command || !command[1])
		return;
	*command++ = '\0';
	pid = fork();
	if (pid == -1)
		die("fork");
	if (pid > 0)
		return;
	signal(SIGCHLD, SIG_DFL);
	/* Opened here: a lock is shared by all who inherit the descriptor. */
	lock = open("/run/rig/agent.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	serve(port, lock, line, command);
	_exit(0);
}

static void
ignore(int sig)
{
	(void)sig;
}

/* The port sends SIGIO when the host opens it. */
static void
ask_for_sigio(int port)
{
	struct sigaction sa = { .sa_handler = ignore };

	sigaction(SIGIO, &sa, NULL);
	fcntl(port, F_SETOWN, getpid());
	fcntl(port, F_SETFL, fcntl(port, F_GETFL) | O_ASYNC);
}

/*
 * A port without a host end is always readable, with nothing to read: poll
 * alone would spin, and an emulated processor that spins takes a real one.
 */
static void
wait_for_host(void)
{
	struct timespec idle = { 0, IDLE_MS * 1000000 };

	nanosleep(&idle, NULL);
}

int
main(int argc, char **argv)
{
	static char line[LINE_MAX_BYTES];
	size_t used = 0;
	int port;

	port = argc == 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
	if (port == -1)
		die("port");
	signal(SIGCHLD, SIG_IGN);
	ask_for_sigio(port);
	for (;;) {
		char *end;
		ssize_t n;

		n = read(port, line + used, sizeof(line) - 1 - used);
		if (n == 0)
			wait_for_host();
		used = n > 0 ? used + (size_t)n : 0;
		while ((end = memchr(line, '\n', used))) {
			*end++ = '\0';
			take_line(port, line);
			used -= (size_t)(end - line);
			memmove(line, end, used);
		}
		if (used == sizeof(line) - 1)
			used = 0;
	}
}
