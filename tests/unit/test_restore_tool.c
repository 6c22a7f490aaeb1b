/* SPDX-License-Identifier: Apache-2.0 */
/* Child programs: their end, their last words, our patience. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/restore/tool.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/io.h"

static atomic_bool stop;

static struct tool *
shell(const char *command, const char *argument)
{
	const char *const argv[] = { "sh", "-c", command, "sh", argument,
		NULL };
	struct tool *t;
	struct err err = ERR_INIT;

	atomic_store(&stop, false);
	if (tool_start(&t, argv, &err) == -1)
		fail_msg("%s", err.text);
	return t;
}

static void
assert_no_child(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* Waits for the end of the command; the class of what it gives. */
static enum err_class
end_of(const char *command, struct err *err)
{
	struct tool *t = shell(command, "");
	int rc;

	err_clear(err);
	rc = tool_wait(t, 20000, &stop, err);
	tool_close(t);
	assert_int_equal(rc, err->class == ERR_NONE ? 0 : -1);
	assert_no_child();
	return err->class;
}

static void
test_restore_tool_that_succeeds_gives_0(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(end_of("echo well; exit 0", &err), ERR_NONE);
}

static void
test_restore_tool_last_line_is_the_error(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(
	    end_of("echo one; echo 'the\tlast' >&2; echo; exit 3", &err),
	    ERR_IO);
	assert_string_equal(err.text, "'sh' failed: the last");
	end_of("exit 3", &err);
	assert_string_equal(err.text, "'sh' failed with status 3");
	end_of("kill -9 $$", &err);
	assert_string_equal(err.text, "'sh' was killed by signal 9");
	assert_int_equal(
	    end_of("echo 'a: No space left on device'; exit 1", &err),
	    ERR_NO_SPACE);
	end_of("head -c 100000 /dev/zero | tr '\\0' x; exit 1", &err);
	assert_in_range(strlen(err.text), 300, 450);
}

static void
test_restore_tool_gets_no_descriptor_of_ours(void **state)
{
	struct err err = ERR_INIT;
	int leak = fcntl(1, F_DUPFD, 20);

	(void)state;
	/* 3 is the folder that ls itself has open, 4 tells us when it ends. */
	assert_int_equal(
	    end_of("test $(ls /proc/self/fd | tr -d '\\n') = 01234", &err),
	    ERR_NONE);
	close(leak);
}

static void
test_restore_tool_keeps_its_memory(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(
	    end_of("test \"$MALLOC_MMAP_THRESHOLD_\" = 33554432", &err),
	    ERR_NONE);
	assert_int_equal(setenv("MALLOC_MMAP_THRESHOLD_", "4096", 1), 0);
	assert_int_equal(
	    end_of("test \"$MALLOC_MMAP_THRESHOLD_\" = 4096", &err), ERR_NONE);
	unsetenv("MALLOC_MMAP_THRESHOLD_");
}

static void
test_restore_tool_missing_is_not_found(void **state)
{
	const char *const argv[] = { "no-such-program", NULL };
	struct tool *t;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(tool_start(&t, argv, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	assert_no_child();
	tool_close(NULL);
}

static void
test_restore_tool_patience_ends(void **state)
{
	struct tool *t = shell("exec sleep 100", "");
	int64_t began_ms = clock_monotonic_ms();
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(tool_wait(t, 50, &stop, &err), -1);
	assert_int_equal(err.class, ERR_TIMEOUT);
	atomic_store(&stop, true);
	assert_int_equal(tool_wait(t, 20000, &stop, &err), -1);
	assert_int_equal(err.class, ERR_CANCELLED);
	tool_close(t);
	assert_true(clock_monotonic_ms() - began_ms < 10000);
	assert_no_child();
}

static void
test_restore_tool_file_is_awaited(void **state)
{
	char dir[] = "/tmp/test_restore_tool.XXXXXX";
	struct tool *t;
	struct err err = ERR_INIT;

	(void)state;
	assert_non_null(mkdtemp(dir));
	t = shell(": > \"$1/other\"; : > \"$1/ready\"; "
		  "exec sleep 100",
	    dir);
	assert_int_equal(
	    tool_wait_file(t, dir, "ready", 20000, &stop, &err), 0);
	assert_int_equal(tool_wait_file(t, dir, "never", 50, &stop, &err), -1);
	assert_int_equal(err.class, ERR_TIMEOUT);
	tool_close(t);

	t = shell("echo cannot; exit 1", dir);
	assert_int_equal(
	    tool_wait_file(t, dir, "never", 20000, &stop, &err), -1);
	assert_string_equal(err.text, "'sh' failed: cannot");
	tool_close(t);

	t = shell("exit 0", dir);
	assert_int_equal(
	    tool_wait_file(t, dir, "never", 20000, &stop, &err), -1);
	assert_int_equal(err.class, ERR_IO);
	tool_close(t);
	assert_int_equal(io_remove_tree(dir, &err), 0);
	assert_no_child();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restore_tool_that_succeeds_gives_0),
		cmocka_unit_test(test_restore_tool_last_line_is_the_error),
		cmocka_unit_test(test_restore_tool_gets_no_descriptor_of_ours),
		cmocka_unit_test(test_restore_tool_keeps_its_memory),
		cmocka_unit_test(test_restore_tool_missing_is_not_found),
		cmocka_unit_test(test_restore_tool_patience_ends),
		cmocka_unit_test(test_restore_tool_file_is_awaited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
