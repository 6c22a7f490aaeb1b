/* SPDX-License-Identifier: Apache-2.0 */
/* What a forked process keeps of the helper, and what not. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-helper/forked.h"

/* Runs it in a child; its result is the exit status. */
static int
in_child(int (*fn)(void *arg), void *arg)
{
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn(arg));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

static int
close_all_but(void *arg)
{
	int *fds = arg;

	/* -1: a descriptor that the caller does not have. */
	forked_close_all_but((const int[]){ fds[1], -1, fds[2] }, 3);
	return is_open(fds[0]) | is_open(fds[1]) << 1 | is_open(fds[2]) << 2 |
	       is_open(fds[3]) << 3 | is_open(STDERR_FILENO) << 4;
}

static void
test_forked_keeps_what_it_is_given(void **state)
{
	int fds[4], i;

	(void)state;
	for (i = 0; i < 4; i++)
		assert_true(
		    (fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC)) != -1);
	assert_int_equal(
	    in_child(close_all_but, fds), 1 << 4 | 1 << 2 | 1 << 1);
	for (i = 0; i < 4; i++)
		assert_int_equal(close(fds[i]), 0);
}

static int
begin(void *arg)
{
	char name[16] = "", dir[8];
	sigset_t blocked;

	(void)arg;
	forked_begin("holdstill-test");
	prctl(PR_GET_NAME, name);
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	return strcmp(name, "holdstill-test") != 0 ||
	       !sigismember(&blocked, SIGTERM) ||
	       !sigismember(&blocked, SIGCHLD) ||
	       getcwd(dir, sizeof(dir)) == NULL || strcmp(dir, "/") != 0;
}

static void
test_forked_begins_deaf_and_at_the_root(void **state)
{
	(void)state;
	assert_int_equal(in_child(begin, NULL), 0);
}

static int
score(void *arg)
{
	FILE *file;
	int got = 0;

	forked_oom_score(arg);
	if ((file = fopen("/proc/self/oom_score_adj", "re")) == NULL)
		return 1;
	if (fscanf(file, "%d", &got) != 1)
		got = 0;
	fclose(file);
	return got != atoi(arg);
}

/* Upwards, which everybody may. */
static void
test_forked_sets_the_score(void **state)
{
	char most[] = "999";

	(void)state;
	assert_int_equal(in_child(score, most), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forked_keeps_what_it_is_given),
		cmocka_unit_test(test_forked_begins_deaf_and_at_the_root),
		cmocka_unit_test(test_forked_sets_the_score),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
