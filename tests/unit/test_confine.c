/* SPDX-License-Identifier: Apache-2.0 */
/* What a confined helper can still do, and what not.  Each case confines a
 * child, since there is no way back. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/err.h"
#include "guest-helper/conf.h"
#include "guest-helper/confine.h"
#include "guest-helper/freeze_linux.h"
#include "guest-helper/writers/spawner.h"
#include "guest-helper/writers/writers.h"
#include "guest_fixture.h"
#include "writer_scripts.h"

#define CAP(number) (UINT64_C(1) << (number))
/* Of linux/capability.h, by number, so that the test has a list of its own:
 * DAC_READ_SEARCH, IPC_LOCK, SYS_PTRACE, SYS_ADMIN, SYS_NICE, SYS_RESOURCE. */
#define KEPT (CAP(2) | CAP(14) | CAP(19) | CAP(21) | CAP(23) | CAP(24))
#define SETPCAP CAP(8)

/* A child's complaint reaches the test's output; its status the test. */
#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%d: %s: %s\n", __LINE__, #condition, \
			    strerror(errno)); \
			_exit(1); \
		} \
	} while (0)

static int
confined(void (*fn)(void *arg), void *arg)
{
	struct err err = ERR_INIT;
	int status = -1;
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		if (confine_self(&err) == -1) {
			fprintf(stderr, "%s\n", err.text);
			_exit(1);
		}
		fn(arg);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static uint64_t
status_value(const char *key, int base)
{
	char line[256];
	uint64_t value = UINT64_MAX;
	FILE *file = fopen("/proc/self/status", "re");

	if (file == NULL)
		return value;
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtoull(line + strlen(key), NULL, base);
	fclose(file);
	return value;
}

/* ---- what is gone ---- */

static void
look_at_capabilities(void *arg)
{
	uint64_t before = *(uint64_t *)arg;

	CHECK(status_value("CapPrm:", 16) == (before & KEPT));
	CHECK(status_value("CapEff:", 16) == (before & KEPT));
	CHECK(status_value("CapInh:", 16) == 0);
	CHECK(status_value("CapAmb:", 16) == 0);
	if (before & SETPCAP)
		CHECK(status_value("CapBnd:", 16) == 0);
	CHECK(status_value("NoNewPrivs:", 10) == 1);
	if (confine_obstacle() == NULL)
		CHECK(status_value("Seccomp:", 10) == 2);
}

static void
test_confine_keeps_few_capabilities(void **state)
{
	uint64_t before = status_value("CapEff:", 16);

	(void)state;
	assert_int_equal(confined(look_at_capabilities, &before), 0);
}

#define REFUSED(call) \
	do { \
		errno = 0; \
		CHECK((long)(call) == -1 && errno == EPERM); \
	} while (0)

static void
try_programs_and_processes(void *arg)
{
	char path[] = "/bin/true", *argv[] = { path, NULL };

	(void)arg;
	REFUSED(execve(argv[0], argv, argv + 1));
	REFUSED(syscall(SYS_execveat, AT_FDCWD, argv[0], argv, argv + 1, 0));
	REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	REFUSED(syscall(SYS_process_vm_writev, getppid(), NULL, 0, NULL, 0, 0));
	REFUSED(kill(getppid(), 0));
	REFUSED(syscall(SYS_tgkill, getpid(), getpid(), SIGTERM));
	REFUSED(syscall(SYS_pidfd_open, getppid(), 0));
	REFUSED(syscall(SYS_prlimit64, getppid(), 0, NULL, NULL));
	REFUSED(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL));
	REFUSED(unshare(CLONE_NEWNET));
	REFUSED(setuid(65534));
	REFUSED(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	errno = 0;
	CHECK(syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS);
}

/* A file that has something to say tells whom it is told to. */
static void
try_signals_by_files(void *arg)
{
	struct f_owner_ex owner = { F_OWNER_PID, getppid() };
	int pair[2];

	(void)arg;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	CHECK(fcntl(pair[0], F_SETOWN, getpid()) == 0);
	CHECK(fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0);
	CHECK(fcntl(pair[0], F_SETFD, FD_CLOEXEC) == 0);
	REFUSED(fcntl(pair[0], F_SETOWN, getppid()));
	REFUSED(fcntl(pair[0], F_SETOWN, -getppid()));
	REFUSED(fcntl(pair[0], F_SETOWN_EX, &owner));
	REFUSED(fcntl(pair[0], F_SETSIG, SIGKILL));
	REFUSED(fcntl(pair[0], F_NOTIFY, 0));
	REFUSED(syscall(SYS_tgkill, getppid(), getppid(), SIGABRT));
}

static void
try_kernel(void *arg)
{
	(void)arg;
	REFUSED(mount("none", "/nonexistent", "tmpfs", 0, NULL));
	REFUSED(umount2("/nonexistent", 0));
	REFUSED(syscall(SYS_pivot_root, "/nonexistent", "/nonexistent"));
	REFUSED(chroot("/nonexistent"));
	REFUSED(setns(-1, 0));
	REFUSED(syscall(SYS_bpf, 0, NULL, 0));
	REFUSED(syscall(SYS_init_module, NULL, 0, ""));
	REFUSED(syscall(SYS_finit_module, -1, "", 0));
	REFUSED(syscall(SYS_kexec_load, 0, 0, NULL, 0));
	REFUSED(syscall(SYS_reboot, 0, 0, 0, NULL));
	REFUSED(syscall(SYS_swapon, "/nonexistent", 0));
	REFUSED(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
	REFUSED(syscall(SYS_perf_event_open, NULL, 0, 0, -1, 0));
	REFUSED(syscall(SYS_userfaultfd, 0));
	REFUSED(syscall(SYS_io_uring_setup, 1, NULL));
	REFUSED(syscall(SYS_memfd_create, "x", 0));
	REFUSED(syscall(SYS_open_by_handle_at, -1, NULL, 0));
	REFUSED(syscall(SYS_sethostname, NULL, -1));
}

static void
try_files_and_sockets(void *arg)
{
	int pair[2], argument = 0;

	(void)arg;
	REFUSED(socket(AF_INET, SOCK_STREAM, 0));
	REFUSED(socket(AF_UNIX, SOCK_STREAM, 0));
	REFUSED(socket(AF_NETLINK, SOCK_RAW, 0));
	REFUSED(socketpair(AF_TIPC, SOCK_STREAM, 0, pair));
	REFUSED(connect(-1, NULL, 0));
	REFUSED(bind(-1, NULL, 0));
	REFUSED(ioctl(-1, FITRIM, &argument));
	REFUSED(ioctl(-1, TIOCSTI, "x"));
	REFUSED(ioctl(-1, FS_IOC_SETFLAGS, &argument));
	REFUSED(chmod("/nonexistent", 0));
	REFUSED(chown("/nonexistent", 0, 0));
	REFUSED(link("/nonexistent", "/nonexistent"));
	REFUSED(symlink("/nonexistent", "/nonexistent"));
	REFUSED(mknod("/nonexistent", S_IFCHR | 0600, 0));
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
	      errno == EPERM);
}

static void
check_refusals(void (*fn)(void *arg))
{
	if (confine_obstacle() != NULL) {
		print_message("skipped: no filter of system calls: %s\n",
		    confine_obstacle());
		skip();
	}
	assert_int_equal(confined(fn, NULL), 0);
}

static void
test_confine_refuses_programs_and_other_processes(void **state)
{
	(void)state;
	check_refusals(try_programs_and_processes);
}

static void
test_confine_refuses_signals_to_others(void **state)
{
	(void)state;
	check_refusals(try_signals_by_files);
}

static void
test_confine_refuses_the_kernel_as_a_whole(void **state)
{
	(void)state;
	check_refusals(try_kernel);
}

static void
test_confine_refuses_sockets_and_owners(void **state)
{
	(void)state;
	check_refusals(try_files_and_sockets);
}

static void
open_others_file(void *arg)
{
	const char *path = arg;

	CHECK(open(path, O_RDONLY | O_CLOEXEC) != -1);
	CHECK(open(path, O_WRONLY | O_CLOEXEC) == -1 && errno == EACCES);
}

static void
test_confine_reads_but_does_not_write_what_others_own(void **state)
{
	char path[] = "/tmp/hs-confine-XXXXXX";
	int fd = mkstemp(path), status;

	(void)state;
	assert_int_not_equal(fd, -1);
	if (fchown(fd, 65534, 65534) == -1) {
		close(fd);
		unlink(path);
		print_message("skipped: not root\n");
		skip();
	}
	close(fd);
	status = confined(open_others_file, path);
	unlink(path);
	assert_int_equal(status, 0);
}

/* ---- what is left ---- */

static void *
freeze_in_thread(void *arg)
{
	int *fd = arg;

	CHECK(freeze_sync(*fd) == 0);
	CHECK((errno = freeze_hold(*fd)) == 0);
	CHECK(freeze_hold(*fd) == EBUSY);
	CHECK((errno = freeze_thaw(*fd)) == 0);
	return NULL;
}

/* What a dead-man does: a process, then a thread, of the confined helper. */
static void
freeze_in_fork(void *arg)
{
	struct sched_param param = { .sched_priority = 1 };
	int fd = open(arg, O_RDONLY | O_CLOEXEC), status;
	pthread_t thread;
	pid_t pid;

	CHECK(fd != -1);
	CHECK((pid = fork()) != -1);
	if (pid == 0) {
		/* A sanitizer's shadow does not fit into locked memory. */
		if (confine_obstacle() == NULL)
			CHECK(mlockall(MCL_CURRENT | MCL_FUTURE) == 0);
		CHECK(sched_setscheduler(0, SCHED_FIFO, &param) == 0);
		CHECK(prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) == 0);
		CHECK(
		    pthread_create(&thread, NULL, freeze_in_thread, &fd) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void
test_confine_still_freezes(void **state)
{
	struct guest_fixture f;
	char path[160];
	int status;

	(void)state;
	if (guest_fixture_obstacle() != NULL) {
		print_message("skipped: %s\n", guest_fixture_obstacle());
		skip();
	}
	guest_fixture_init(&f);
	guest_fixture_mount(&f, "fs", "ext4", "image");
	snprintf(path, sizeof(path), "%s/fs", f.dir);
	status = confined(freeze_in_fork, path);
	guest_fixture_fini(&f);
	assert_int_equal(status, 0);
}

static void
note_step(void *arg, enum writers_step step)
{
	*(enum writers_step *)arg = step;
}

static void
take_step(struct writers *w, const enum writers_step *done,
    enum writers_step step, const char *id)
{
	struct writers_request request = {
		.step = step,
		.id = id,
		.limit_ms = WRITER_SCRIPTS_WAIT_MS,
	};
	struct pollfd p = { .fd = writers_fd(w), .events = POLLIN };
	int64_t end = clock_monotonic_ms() + 2 * WRITER_SCRIPTS_WAIT_MS;

	writers_begin(w, &request);
	while (*done != step && clock_monotonic_ms() < end) {
		CHECK(poll(&p, 1, WRITER_SCRIPTS_WAIT_MS) == 1);
		writers_turn(w);
	}
	CHECK(*done == step);
}

/* As the helper does: the spawner, then the walls, then the host. */
static void
hold_writers(const struct writer_scripts *scripts)
{
	static struct conf conf;
	static struct spawner spawner;
	enum writers_step done = WRITERS_NONE;
	struct writers *w;
	struct err err = ERR_INIT;
	const char *why;
	pid_t pid;

	conf_init(&conf);
	writer_scripts_configure(scripts, &conf);
	signal(SIGPIPE, SIG_IGN);
	CHECK(spawner_start(&spawner, conf.writers_dir, conf.hooks_dir, &err) ==
	      0);
	CHECK(confine_self(&err) == 0);
	CHECK(writers_new(&w, &conf, &spawner, scripts->run_dir, note_step,
		  &done, &err) == 0);
	writers_thaw_leftovers(w);
	take_step(w, &done, WRITERS_PREPARE, FIXTURE_SESSION);
	take_step(w, &done, WRITERS_FREEZE, NULL);
	CHECK(writers_level(w, &why) == MESSAGE_APPLICATION);
	take_step(w, &done, WRITERS_THAW, NULL);
	CHECK(writers_level(w, &why) == MESSAGE_APPLICATION);
	writers_free(w);
	pid = spawner.pid;
	spawner_close(&spawner);
	/* It may have been waited for; its writers are gone by then, too. */
	CHECK(waitpid(pid, NULL, 0) == pid || errno == ECHILD);
	_exit(0);
}

static void
test_confine_still_runs_writers(void **state)
{
	struct writer_scripts scripts;
	int status = -1;
	pid_t pid;

	(void)state;
	writer_scripts_init(&scripts);
	writer_scripts_writer(&scripts, "w", "");
	writer_scripts_hook(&scripts, "h", "");
	if ((pid = fork()) == 0)
		hold_writers(&scripts);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	writer_scripts_fini(&scripts);
}

/* The way to end a dead-man that is stopped: the spawner does it, and only
 * for a child of the helper's own. */
static void
end_a_child(const pid_t *other)
{
	struct spawner spawner;
	struct err err = ERR_INIT;
	int status;
	pid_t pid;

	CHECK(
	    spawner_start(&spawner, "/nonexistent", "/nonexistent", &err) == 0);
	CHECK(confine_self(&err) == 0);
	if (confine_obstacle() == NULL)
		REFUSED(kill(*other, 0));
	CHECK((pid = fork()) != -1);
	if (pid == 0)
		poll(NULL, 0, -1);
	spawner_kill_sibling(&spawner, *other);
	spawner_kill_sibling(&spawner, spawner.pid);
	spawner_kill_sibling(&spawner, pid);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	pid = spawner.pid;
	spawner_close(&spawner);
	/* It may have been waited for. */
	CHECK(waitpid(pid, NULL, 0) == pid || errno == ECHILD);
	_exit(0);
}

static void
test_confine_still_ends_its_own_children(void **state)
{
	pid_t pid, other = fork();
	int status = -1;

	(void)state;
	assert_int_not_equal(other, -1);
	if (other == 0)
		for (;;)
			pause();
	if ((pid = fork()) == 0)
		end_a_child(&other);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* The other one is there yet, and ends by this. */
	assert_int_equal(waitpid(other, NULL, WNOHANG), 0);
	kill(other, SIGKILL);
	assert_int_equal(waitpid(other, NULL, 0), other);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_confine_keeps_few_capabilities),
		cmocka_unit_test(
		    test_confine_refuses_programs_and_other_processes),
		cmocka_unit_test(test_confine_refuses_signals_to_others),
		cmocka_unit_test(test_confine_refuses_the_kernel_as_a_whole),
		cmocka_unit_test(test_confine_refuses_sockets_and_owners),
		cmocka_unit_test(
		    test_confine_reads_but_does_not_write_what_others_own),
		cmocka_unit_test(test_confine_still_freezes),
		cmocka_unit_test(test_confine_still_runs_writers),
		cmocka_unit_test(test_confine_still_ends_its_own_children),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
