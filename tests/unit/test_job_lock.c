/* SPDX-License-Identifier: Apache-2.0 */
/* One run at a time; a dead run's lock is no lock. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/job/lock.h"
#include "common/err.h"
#include "common/io.h"
#include "tests/unit/temp_dir.h"

static void
test_job_lock_excludes_the_second(void **state)
{
	struct job_lock *first = NULL, *second = NULL, *other = NULL;
	struct err err = ERR_INIT;
	char pid[32];

	assert_int_equal(job_lock_take(&first, *state, "job", "a", &err), 0);
	assert_int_equal(job_lock_take(&second, *state, "job", "a", &err), -1);
	assert_int_equal(err.class, ERR_BUSY);
	snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
	assert_non_null(strstr(err.text, pid));
	assert_int_equal(job_lock_take(&other, *state, "job", "b", &err), 0);
	job_lock_release(first);
	assert_int_equal(job_lock_take(&second, *state, "job", "a", &err), 0);
	job_lock_release(second);
	job_lock_release(other);
}

static void
test_job_lock_names_may_be_odd(void **state)
{
	struct job_lock *a = NULL, *b = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(
	    job_lock_take(&a, *state, "domain", "../x y", &err), 0);
	assert_int_equal(job_lock_take(&b, *state, "domain", "..%", &err), 0);
	job_lock_release(a);
	job_lock_release(b);
}

static void
test_job_lock_dies_with_its_process(void **state)
{
	struct job_lock *lock = NULL;
	struct err err = ERR_INIT;
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		byte = job_lock_take(&lock, *state, "job", "k", &err) == 0;
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 1);
	assert_int_equal(job_lock_take(&lock, *state, "job", "k", &err), -1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(job_lock_take(&lock, *state, "job", "k", &err), 0);
	job_lock_release(lock);
	close(ready[0]);
	close(ready[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_job_lock_excludes_the_second),
		cmocka_unit_test(test_job_lock_names_may_be_odd),
		cmocka_unit_test(test_job_lock_dies_with_its_process),
	};

	return cmocka_run_group_tests(tests, temp_dir_setup, temp_dir_teardown);
}
