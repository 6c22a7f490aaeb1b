/* SPDX-License-Identifier: Apache-2.0 */
/* The spawner: what it runs, what it refuses, and what outlives its helper. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/err.h"
#include "guest-helper/writers/spawner.h"
#include "tests/unit/writer_scripts.h"

#define SESSION "0123456789abcdef0123456789abcdef"
#define NOBODY 65534

static struct writer_scripts scripts;
static struct spawner spawner;
static struct spawner_child child;
static struct err err;

static int
set_up(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	err_clear(&err);
	writer_scripts_init(&scripts);
	assert_int_equal(
	    spawner_start(&spawner, scripts.writers, scripts.hooks, &err), 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	close(spawner.fd);
	waitpid(spawner.pid, NULL, 0);
	writer_scripts_fini(&scripts);
	return 0;
}

static void
close_child(void)
{
	if (child.input != -1)
		close(child.input);
	close(child.output);
	close(child.errors);
}

static int
run(enum spawner_dir dir, const char *name, const char *argument)
{
	return spawner_run(
	    &spawner, dir, name, argument, SESSION, &child, &err);
}

/* All that fd gives until its end. */
static const char *
read_all(int fd)
{
	static char text[4096];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t used = 0;
	ssize_t n;

	for (;;) {
		assert_int_equal(poll(&p, 1, WRITER_SCRIPTS_WAIT_MS), 1);
		n = read(fd, text + used, sizeof(text) - 1 - used);
		assert_true(n >= 0);
		if (n == 0)
			break;
		used += (size_t)n;
	}
	text[used] = '\0';
	return text;
}

static int
wait_exit(pid_t pid)
{
	struct pollfd p = { .fd = spawner.fd, .events = POLLIN };
	int status;
	pid_t got;

	for (;;) {
		if (spawner_exited(&spawner, &got, &status)) {
			assert_int_equal(got, pid);
			return status;
		}
		assert_int_equal(poll(&p, 1, WRITER_SCRIPTS_WAIT_MS), 1);
	}
}

static void
test_spawner_runs_a_writer_in_a_bare_environment(void **state)
{
	const char *said;

	(void)state;
	writer_scripts_raw(&scripts, "writers", "w",
	    "#!/bin/sh\n"
	    "read -r line; echo \"$line $# $(pwd)\"\n"
	    "tr '\\0' '\\n' </proc/$$/environ | sort\n"
	    "set -- /proc/$$/fd/*; echo $#\n"
	    "cut -d' ' -f5 /proc/$$/stat; echo $$\n");
	assert_int_equal(run(SPAWNER_WRITERS, "w", NULL), 0);
	assert_int_equal(write(child.input, "hello\n", 6), 6);
	said = read_all(child.output);
	assert_non_null(strstr(said,
	    "hello 0 /\n"
	    "HOLDSTILL_SESSION=" SESSION "\n"
	    "LC_ALL=C\n"
	    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/"
	    "bin\n"));
	/* Three, and the shell's own for the script and the folder. */
	assert_non_null(strstr(said, "bin\n5\n"));
	/* Its group is its own. */
	assert_int_equal(atoi(strstr(said, "bin\n5\n") + 6), (int)child.pid);
	assert_int_equal(wait_exit(child.pid), 0);
	close_child();
}

static void
test_spawner_tells_how_they_end(void **state)
{
	int status;

	(void)state;
	writer_scripts_raw(&scripts, "writers", "three", "#!/bin/sh\nexit 3\n");
	writer_scripts_raw(
	    &scripts, "writers", "nine", "#!/bin/sh\nkill -9 $$\n");
	writer_scripts_raw(&scripts, "writers", "no-program", "garbage\n");
	assert_int_equal(run(SPAWNER_WRITERS, "three", NULL), 0);
	status = wait_exit(child.pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	close_child();
	assert_int_equal(run(SPAWNER_WRITERS, "nine", NULL), 0);
	status = wait_exit(child.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close_child();
	assert_int_equal(run(SPAWNER_WRITERS, "no-program", NULL), 0);
	assert_non_null(strstr(read_all(child.errors), "cannot be run: Exec"));
	status = wait_exit(child.pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 126);
	close_child();
}

static void
refused(const char *name, enum err_class class, const char *text)
{
	assert_int_equal(run(SPAWNER_WRITERS, name, NULL), -1);
	assert_int_equal(err.class, class);
	if (strstr(err.text, text) == NULL)
		fail_msg("'%s' does not say '%s'", err.text, text);
}

static void
put_plain(const char *name)
{
	writer_scripts_raw(&scripts, "writers", name, "#!/bin/sh\necho ran\n");
}

static void
test_spawner_refuses_unsafe_files(void **state)
{
	char path[128];

	(void)state;
	put_plain("w");
	snprintf(path, sizeof(path), "%s/w", scripts.writers);
	refused("absent", ERR_NOT_FOUND, "absent");
	refused("../writers/w", ERR_NOT_FOUND, "no name");
	refused("", ERR_NOT_FOUND, "no name");
	refused(".w", ERR_NOT_FOUND, "no name");
	put_plain("w.dpkg-old");
	refused("w.dpkg-old", ERR_NOT_FOUND, "no name");
	chmod(path, 0775);
	refused("w", ERR_AUTH, "written to by others");
	chmod(path, 0757);
	refused("w", ERR_AUTH, "written to by others");
	chmod(path, 0644);
	refused("w", ERR_NOT_FOUND, "not an executable");
	chmod(path, 0755);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, NOBODY, 0), 0);
		refused("w", ERR_AUTH, "belongs to user 65534");
		assert_int_equal(chown(path, 0, 0), 0);
	}
	assert_int_equal(run(SPAWNER_WRITERS, "w", NULL), 0);
	wait_exit(child.pid);
	close_child();
}

/* To what a package installed, say. */
static void
test_spawner_refuses_unsafe_folders(void **state)
{
	char moved[96];

	(void)state;
	put_plain("w");
	chmod(scripts.writers, 0777);
	refused("w", ERR_AUTH, "written to by others");
	/* Sticky helps those above it only. */
	chmod(scripts.writers, 01777);
	refused("w", ERR_AUTH, "written to by others");
	chmod(scripts.writers, 0755);
	chmod(scripts.dir, 0777);
	refused("w", ERR_AUTH, "written to by others");
	chmod(scripts.dir, 0700);
	if (geteuid() == 0) {
		assert_int_equal(chown(scripts.dir, NOBODY, 0), 0);
		refused("w", ERR_AUTH, "belongs to user 65534");
		assert_int_equal(chown(scripts.dir, 0, 0), 0);
	}
	snprintf(moved, sizeof(moved), "%s/moved", scripts.dir);
	assert_int_equal(rename(scripts.writers, moved), 0);
	refused("w", ERR_NOT_FOUND, "writers");
}

/* DIR/writers/NAME, a link to target. */
static void
put_link(const char *name, const char *target)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", scripts.writers, name);
	assert_int_equal(symlink(target, path), 0);
}

static void
runs(const char *name)
{
	assert_int_equal(run(SPAWNER_WRITERS, name, NULL), 0);
	assert_string_equal(read_all(child.output), "ran\n");
	wait_exit(child.pid);
	close_child();
}

static void
test_spawner_follows_links_that_only_root_can_change(void **state)
{
	char shared[96], path[128], target[160];

	(void)state;
	put_plain("w");
	snprintf(shared, sizeof(shared), "%s/shared", scripts.dir);
	assert_int_equal(mkdir(shared, 0755), 0);
	writer_scripts_raw(&scripts, "shared", "tool", "#!/bin/sh\necho ran\n");
	snprintf(path, sizeof(path), "%s/tool", shared);
	put_link("absolute", path);
	put_link("relative", "../shared/./tool");
	snprintf(target, sizeof(target), "%s/way", scripts.dir);
	assert_int_equal(symlink("shared", target), 0);
	put_link("twice", "../way/tool");
	put_link("round", "round");
	runs("absolute");
	runs("relative");
	runs("twice");
	assert_int_equal(run(SPAWNER_WRITERS, "round", NULL), -1);
	chmod(shared, 0777);
	refused("absolute", ERR_AUTH, "shared' can be written to");
	refused("relative", ERR_AUTH, "shared' can be written to");
	refused("twice", ERR_AUTH, "shared' can be written to");
	/* In a sticky folder root's own stays root's. */
	chmod(shared, 01777);
	runs("absolute");
	chmod(path, 0757);
	refused("absolute", ERR_AUTH, "tool' can be written to");
	chmod(path, 0755);
	if (geteuid() == 0) {
		assert_int_equal(lchown(target, NOBODY, 0), 0);
		refused("twice", ERR_AUTH, "way' belongs to user 65534");
		assert_int_equal(chown(path, NOBODY, 0), 0);
		refused("absolute", ERR_AUTH, "tool' belongs to user 65534");
	}
	runs("w");
}

static void
test_spawner_refuses_other_words(void **state)
{
	(void)state;
	put_plain("w");
	writer_scripts_hook(&scripts, "h", "");
	assert_int_equal(run(SPAWNER_WRITERS, "w", "freeze"), -1);
	assert_int_equal(err.class, ERR_ARG);
	assert_int_equal(run(SPAWNER_HOOKS, "h", NULL), -1);
	assert_int_equal(run(SPAWNER_HOOKS, "h", "reboot"), -1);
	assert_int_equal(spawner_run(&spawner, SPAWNER_WRITERS, "w", NULL,
			     "LD_PRELOAD=x", &child, &err),
	    -1);
	assert_int_equal(err.class, ERR_ARG);
	assert_string_equal(writer_scripts_log(&scripts), "");
}

/* Its output is open in what it left; the end of it shows that that died. */
static void
test_spawner_kills_what_a_writer_left(void **state)
{
	(void)state;
	writer_scripts_raw(&scripts, "writers", "w",
	    "#!/bin/sh\nfor i in 1 2 3 4 5; do sleep 1000 & done\nexit 0\n");
	assert_int_equal(run(SPAWNER_WRITERS, "w", NULL), 0);
	assert_int_equal(wait_exit(child.pid), 0);
	assert_string_equal(read_all(child.output), "");
	close_child();
}

static void
test_spawner_leaves_what_a_hook_left(void **state)
{
	struct pollfd p = { .events = POLLIN };

	(void)state;
	writer_scripts_hook(&scripts, "h",
	    "freeze) mkfifo \"$dir/fifo\"; { read -r x <\"$dir/fifo\"; "
	    "echo late; note gone; } & ;;\n"
	    "thaw) echo go >\"$dir/fifo\" ;;");
	assert_int_equal(run(SPAWNER_HOOKS, "h", "freeze"), 0);
	assert_int_equal(child.input, -1);
	assert_int_equal(wait_exit(child.pid), 0);
	p.fd = child.output;
	assert_int_equal(poll(&p, 1, 50), 0);
	/* Nobody here reads it any more, and it must not die of that. */
	close_child();
	assert_int_equal(run(SPAWNER_HOOKS, "h", "thaw"), 0);
	assert_int_equal(wait_exit(child.pid), 0);
	assert_true(writer_scripts_wait(&scripts, "h gone"));
	close_child();
}

static void
wait_stopped(pid_t pid)
{
	int64_t end = clock_monotonic_ms() + WRITER_SCRIPTS_WAIT_MS;
	char path[32], state = ' ';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	while (state != 'T' && clock_monotonic_ms() < end) {
		f = fopen(path, "re");
		assert_non_null(f);
		assert_int_equal(fscanf(f, "%*d %*s %c", &state), 1);
		fclose(f);
		poll(NULL, 0, 2);
	}
	assert_int_equal(state, 'T');
}

static void
test_spawner_signals_its_own_children_only(void **state)
{
	pid_t other;
	int status;

	(void)state;
	writer_scripts_raw(
	    &scripts, "writers", "w", "#!/bin/sh\nkill -STOP $$\nexit 0\n");
	assert_int_equal(run(SPAWNER_WRITERS, "w", NULL), 0);
	wait_stopped(child.pid);
	spawner_kill(&spawner, child.pid, SIGTERM);
	status = wait_exit(child.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	close_child();
	/* That of a child of ours is not, whatever the helper says. */
	other = fork();
	assert_int_not_equal(other, -1);
	if (other == 0) {
		setpgid(0, 0);
		poll(NULL, 0, WRITER_SCRIPTS_WAIT_MS);
		_exit(0);
	}
	setpgid(other, other);
	spawner_kill(&spawner, other, SIGKILL);
	assert_int_equal(run(SPAWNER_WRITERS, "w", NULL), 0);
	spawner_kill(&spawner, child.pid, SIGKILL);
	status = wait_exit(child.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close_child();
	/* The spawner has seen both by now. */
	assert_int_equal(waitpid(other, NULL, WNOHANG), 0);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
}

static void
test_spawner_runs_only_so_many(void **state)
{
	struct spawner_child all[SPAWNER_CHILDREN_MAX];
	size_t i;

	(void)state;
	writer_scripts_raw(&scripts, "writers", "w", "#!/bin/sh\nread -r x\n");
	for (i = 0; i < SPAWNER_CHILDREN_MAX; i++) {
		assert_int_equal(run(SPAWNER_WRITERS, "w", NULL), 0);
		all[i] = child;
	}
	assert_int_equal(run(SPAWNER_WRITERS, "w", NULL), -1);
	assert_int_equal(err.class, ERR_BUSY);
	for (i = 0; i < SPAWNER_CHILDREN_MAX; i++) {
		child = all[i];
		close_child();
		/* Others have no copy of its input. */
		assert_true(WIFEXITED(wait_exit(child.pid)));
	}
	assert_int_equal(run(SPAWNER_WRITERS, "w", NULL), 0);
	close_child();
}

/* Until that child of the spawner has ended, and perhaps others. */
static bool
saw_end(struct spawner *own, pid_t pid)
{
	struct pollfd p = { .fd = own->fd, .events = POLLIN };
	int status;
	pid_t got = 0;

	while (got != pid)
		if (!spawner_exited(own, &got, &status) &&
		    poll(&p, 1, WRITER_SCRIPTS_WAIT_MS) != 1)
			return false;
	return true;
}

/* Starts another spawner in a process of its own, which does that with it
 * and is then killed. */
static void
helper_that_dies(bool (*deeds)(struct spawner *own))
{
	struct spawner own;
	int status;
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		if (spawner_start(&own, scripts.writers, scripts.hooks, &err) ==
			-1 ||
		    !deeds(&own))
			_exit(1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static bool
starts(struct spawner *own, enum spawner_dir dir, const char *name,
    const char *argument, struct spawner_child *out)
{
	return spawner_run(own, dir, name, argument, NULL, out, &err) == 0;
}

static bool
run_writers_and_hooks(struct spawner *own)
{
	struct spawner_child started;

	return starts(own, SPAWNER_WRITERS, "w", NULL, &started) &&
	       starts(own, SPAWNER_WRITERS, "deaf", NULL, &started) &&
	       starts(own, SPAWNER_HOOKS, "h", "freeze", &started) &&
	       starts(own, SPAWNER_HOOKS, "i", "freeze", &started) &&
	       saw_end(own, started.pid) &&
	       starts(own, SPAWNER_HOOKS, "i", "thaw", &started) &&
	       writer_scripts_wait(&scripts, "i thaw");
}

static size_t
count_of(const char *text, const char *part)
{
	size_t n = 0;

	while ((text = strstr(text, part)) != NULL) {
		text += strlen(part);
		n++;
	}
	return n;
}

static void
test_spawner_outlives_its_helper_and_tidies_up(void **state)
{
	char path[96];
	int64_t end = clock_monotonic_ms() + WRITER_SCRIPTS_WAIT_MS;
	FILE *f;
	int pid = 0;

	(void)state;
	/* Last words must not kill it before it has thawed. */
	writer_scripts_raw(&scripts, "writers", "w",
	    "#!/bin/sh\nread -r x; echo last; echo words >&2\n"
	    "echo w end >>$(dirname $0)/../log\n");
	writer_scripts_raw(&scripts, "writers", "deaf",
	    "#!/bin/sh\ntrap '' TERM HUP INT\n"
	    "echo $$ >$(dirname $0)/../pid\n"
	    "while :; do sleep 1000; done\n");
	writer_scripts_hook(&scripts, "h", "");
	writer_scripts_hook(&scripts, "i", "");
	helper_that_dies(run_writers_and_hooks);
	assert_true(writer_scripts_wait(&scripts, "w end"));
	assert_true(writer_scripts_wait(&scripts, "h thaw"));
	assert_int_equal(count_of(writer_scripts_log(&scripts), "i thaw"), 1);
	snprintf(path, sizeof(path), "%s/pid", scripts.dir);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	fclose(f);
	while (kill(pid, 0) == 0 && clock_monotonic_ms() < end)
		poll(NULL, 0, 20);
	assert_int_equal(kill(pid, 0), -1);
}

static bool
begin_a_freeze(struct spawner *own)
{
	struct spawner_child started;

	return starts(own, SPAWNER_HOOKS, "h", "freeze", &started) &&
	       writer_scripts_wait(&scripts, "h begun");
}

static void
test_spawner_thaws_a_hook_after_its_freeze(void **state)
{
	(void)state;
	writer_scripts_hook(&scripts, "h",
	    "freeze) trap 'sleep 0.1; note let go; exit 1' TERM; note begun\n"
	    "sleep 1000 & wait ;;");
	helper_that_dies(begin_a_freeze);
	assert_true(writer_scripts_wait(&scripts, "h thaw"));
	assert_string_equal(
	    writer_scripts_log(&scripts), "h freeze,h begun,h let go,h thaw");
}

static void
test_spawner_that_died_is_an_error(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	put_plain("w");
	kill(spawner.pid, SIGTERM); /* Which it does not mind. */
	assert_int_equal(run(SPAWNER_WRITERS, "w", NULL), 0);
	wait_exit(child.pid);
	close_child();
	kill(spawner.pid, SIGKILL);
	waitpid(spawner.pid, NULL, 0);
	assert_int_equal(run(SPAWNER_WRITERS, "w", NULL), -1);
	assert_int_equal(err.class, ERR_IO);
	assert_false(spawner_exited(&spawner, &pid, &status));
}

static void
test_spawner_stopped_is_waited_for_a_second(void **state)
{
	int64_t begin = clock_monotonic_ms();

	(void)state;
	put_plain("w");
	kill(spawner.pid, SIGSTOP);
	assert_int_equal(run(SPAWNER_WRITERS, "w", NULL), -1);
	assert_int_equal(err.class, ERR_TIMEOUT);
	assert_true(clock_monotonic_ms() - begin < 10000);
	kill(spawner.pid, SIGCONT);
	/* The late answer is not taken for the next one's. */
	writer_scripts_raw(
	    &scripts, "writers", "second", "#!/bin/sh\necho second\n");
	assert_int_equal(run(SPAWNER_WRITERS, "second", NULL), 0);
	assert_string_equal(read_all(child.output), "second\n");
	close_child();
}

/* valgrind plays the limit of descriptors, and hands on what is beyond it. */
static bool
limits_hold(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload == NULL || strstr(preload, "vgpreload") == NULL;
}

static void
test_spawner_tells_lost_from_refused(void **state)
{
	struct rlimit before, none;

	(void)state;
	if (!limits_hold())
		skip();
	writer_scripts_hook(&scripts, "h", "freeze) sleep 1000 ;;");
	assert_int_equal(run(SPAWNER_HOOKS, "absent", "freeze"), -1);
	assert_true(spawner.refused);
	/* No room for its descriptors here: it runs nevertheless. */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(run(SPAWNER_HOOKS, "h", "freeze"), -1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_false(spawner.refused);
	assert_int_equal(err.class, ERR_IO);
	assert_string_not_equal(err.text, "");
}

static void
test_spawner_tells_late_from_refused(void **state)
{
	(void)state;
	writer_scripts_hook(&scripts, "h", "freeze) sleep 1000 ;;");
	assert_int_equal(run(SPAWNER_HOOKS, "absent", "freeze"), -1);
	assert_true(spawner.refused);
	kill(spawner.pid, SIGSTOP);
	assert_int_equal(run(SPAWNER_HOOKS, "h", "freeze"), -1);
	kill(spawner.pid, SIGCONT);
	assert_false(spawner.refused);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_spawner_runs_a_writer_in_a_bare_environment),
		T(test_spawner_tells_how_they_end),
		T(test_spawner_refuses_unsafe_files),
		T(test_spawner_refuses_unsafe_folders),
		T(test_spawner_follows_links_that_only_root_can_change),
		T(test_spawner_refuses_other_words),
		T(test_spawner_kills_what_a_writer_left),
		T(test_spawner_leaves_what_a_hook_left),
		T(test_spawner_signals_its_own_children_only),
		T(test_spawner_runs_only_so_many),
		T(test_spawner_outlives_its_helper_and_tidies_up),
		T(test_spawner_thaws_a_hook_after_its_freeze),
		T(test_spawner_that_died_is_an_error),
		T(test_spawner_stopped_is_waited_for_a_second),
		T(test_spawner_tells_lost_from_refused),
		T(test_spawner_tells_late_from_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
