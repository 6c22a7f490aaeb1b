/* SPDX-License-Identifier: Apache-2.0 */
/* The real helper and real file systems. */
#include "guest_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/io.h"
#include "guest-helper/guest.h"
#include "guest-helper/quietlog.h"

#define STEP_MS 5

static int shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int
shell(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	return system(command);
}

const char *
guest_fixture_obstacle(void)
{
	static bool asked;
	static const char *obstacle;

	if (asked)
		return obstacle;
	asked = true;
	if (geteuid() != 0)
		obstacle = "not root";
	else if (shell("losetup -f >/dev/null 2>&1") != 0)
		obstacle = "no loop devices";
	else if (shell("command -v mkfs.ext4 >/dev/null") != 0)
		obstacle = "no mkfs.ext4";
	/* Mounts, and with them the loop devices, go with the process. */
	else if (unshare(CLONE_NEWNS) == -1 ||
		 mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		obstacle = "no mount namespace";
	return obstacle;
}

void
guest_fixture_init(struct guest_fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->pid = -1;
	strcpy(f->dir, "/tmp/holdstill-guest.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->mountinfo, sizeof(f->mountinfo), "%s/mountinfo", f->dir);
	f->paths = (struct mounts_paths){ f->mountinfo, "/sys", NULL, NULL };
	snprintf(f->port, sizeof(f->port), "unix:%s/port", f->dir);
	strcpy(f->run_dir, "/dev/shm/holdstill-guest.XXXXXX");
	if (mkdtemp(f->run_dir) == NULL)
		snprintf(f->run_dir, sizeof(f->run_dir), "%s/run", f->dir);
	snprintf(f->expedite, sizeof(f->expedite), "%s/expedite", f->dir);
	snprintf(f->writers_dir, sizeof(f->writers_dir), "%s/writers", f->dir);
	assert_int_equal(shell("umask 022; mkdir %s && echo 0 >%s",
			     f->writers_dir, f->expedite),
	    0);
	conf_init(&f->conf);
	snprintf(f->conf.writers_dir, sizeof(f->conf.writers_dir), "%s",
	    f->writers_dir);
	snprintf(
	    f->conf.hooks_dir, sizeof(f->conf.hooks_dir), "%s/hooks", f->dir);
}

/* Holders of loop files first, and none waits for another: what a failed test
 * left frozen may hold up the helper itself. */
static void
thaw_all(const struct guest_fixture *f)
{
	shell("for i in $(awk -v d=%s/ 'index($5, d) == 1 { print $5 }' "
	      "/proc/self/mountinfo); do fsfreeze -u $i & done 2>/dev/null",
	    f->dir);
}

static bool
clean(const struct guest_fixture *f)
{
	struct err err = ERR_INIT;

	/*
	 * Thawed before, and holders of loop files first: what a failed test
	 * froze would outlive its mount, and hang what lies on it.
	 */
	shell("m=$(awk -v d=%s/ 'index($5, d) == 1 { print $5 }' "
	      "/proc/self/mountinfo); { for i in $m; do fsfreeze -u $i; "
	      "done; for i in $(echo \"$m\" | tac); do umount $i; done; } "
	      "2>/dev/null",
	    f->dir);
	return io_remove_tree(f->dir, &err) == 0 &&
	       io_remove_tree(f->run_dir, &err) == 0;
}

void
guest_fixture_fini(struct guest_fixture *f)
{
	int64_t end = clock_monotonic_ms() + 5000;

	thaw_all(f);
	if (f->pid != -1)
		guest_fixture_stop(f, SIGTERM);
	/* The dead-man of a killed helper may still be at work. */
	while (!clean(f)) {
		assert_true(clock_monotonic_ms() < end);
		poll(NULL, 0, STEP_MS);
	}
}

void
guest_fixture_mount(struct guest_fixture *f, const char *name, const char *type,
    const char *image)
{
	assert_int_equal(
	    shell("cd %s && mkdir %s && truncate -s %s %s && "
		  "mkfs.%s -q %s && mount -o loop %s %s",
		f->dir, name, strcmp(type, "xfs") == 0 ? "320M" : "24M", image,
		type, image, image, name),
	    0);
	f->mount_count++;
}

void
guest_fixture_show_mounts(const struct guest_fixture *f)
{
	/* grep finds nothing where nothing is mounted. */
	shell("grep ' %s/' /proc/self/mountinfo >%s", f->dir, f->mountinfo);
	if (f->show_others)
		shell("grep -v ' %s/' /proc/self/mountinfo | awk '{ print $1, "
		      "$2, \"0:1 / /nowhere rw - tmpfs none rw\" }' >>%s",
		    f->dir, f->mountinfo);
}

struct guest_options
guest_fixture_options(const struct guest_fixture *f)
{
	struct guest_options options = {
		.port = f->port,
		.run_dir = f->run_dir,
		.paths = f->paths,
		.conf = &f->conf,
		.expedite_path = f->expedite,
	};

	return options;
}

void
guest_fixture_start(struct guest_fixture *f)
{
	struct guest_options options = guest_fixture_options(f);
	struct err err = ERR_INIT;

	guest_fixture_show_mounts(f);
	unlink(f->port + 5);
	fflush(NULL);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0) {
		quietlog_init();
		_exit(guest_take_over(&options, &err) == 0 &&
			      guest_run(&options, &err) == 0
			  ? 0
			  : 1);
	}
	close(guest_fixture_connect(f));
}

int
guest_fixture_stop(struct guest_fixture *f, int signum)
{
	int status = 0;

	kill(f->pid, signum);
	/* A test that failed may have left it stopped. */
	kill(f->pid, SIGCONT);
	while (waitpid(f->pid, &status, 0) == -1 && errno == EINTR)
		;
	f->pid = -1;
	return status;
}

int
guest_fixture_connect(const struct guest_fixture *f)
{
	int64_t end = clock_monotonic_ms() + 5000;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, f->port + 5);
	while (
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1) {
		assert_true(clock_monotonic_ms() < end);
		poll(NULL, 0, STEP_MS);
	}
	return fd;
}

static bool
is_deadman(int pid)
{
	char path[64], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if ((file = fopen(path, "re")) == NULL)
		return false;
	if (fgets(name, sizeof(name), file) == NULL)
		name[0] = '\0';
	fclose(file);
	return strcmp(name, "holdstill-dead\n") == 0;
}

pid_t
guest_fixture_deadman(const struct guest_fixture *f)
{
	char path[96];
	FILE *file;
	int pid, found = -1;

	snprintf(
	    path, sizeof(path), "/proc/%d/task/%d/children", f->pid, f->pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fscanf(file, "%d", &pid) == 1)
		if (is_deadman(pid))
			found = pid;
	fclose(file);
	/* Nobody shall ever signal -1. */
	assert_true(found > 0);
	return found;
}

size_t
guest_fixture_records(const struct guest_fixture *f)
{
	char pattern[128];
	size_t count = 0;
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/frozen.*", f->run_dir);
	if (glob(pattern, 0, NULL, &found) == 0)
		count = found.gl_pathc;
	globfree(&found);
	return count;
}

void
guest_fixture_kill_all(struct guest_fixture *f)
{
	pid_t deadman = guest_fixture_deadman(f);

	/* Stopped first, so that neither sees the other die. */
	kill(deadman, SIGSTOP);
	kill(f->pid, SIGSTOP);
	kill(deadman, SIGKILL);
	guest_fixture_stop(f, SIGKILL);
}

pid_t
guest_fixture_write(const struct guest_fixture *f, const char *name)
{
	char path[160];
	pid_t pid;
	int fd;

	snprintf(path, sizeof(path), "%s/%s/probe", f->dir, name);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	/* Else this process holds the connection open. */
	close_range(3, ~0U, 0);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	_exit(fd != -1 && write(fd, "x", 1) == 1 ? 0 : 1);
}

bool
guest_fixture_ends(pid_t pid, int within_ms)
{
	int64_t end = clock_monotonic_ms() + within_ms;

	do {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		poll(NULL, 0, STEP_MS);
	} while (clock_monotonic_ms() < end);
	return false;
}

int
guest_fixture_ioctl(
    const struct guest_fixture *f, const char *name, unsigned long request)
{
	char path[160];
	int fd, rc;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd != -1);
	rc = ioctl(fd, request, 0) == -1 ? errno : 0;
	close(fd);
	return rc;
}
