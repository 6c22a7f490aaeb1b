/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A helper whose dead-man is killed, stopped or late: what it froze is thawed
 * in its place, and nothing that somebody else had frozen.
 */
#include <errno.h>
#include <linux/fs.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest_talk.h"

static int
test_ioctl(const char *name, unsigned long request)
{
	return guest_fixture_ioctl(&talk.fixture, name, request);
}

static bool
can_write(const char *name)
{
	return guest_fixture_ends(
	    guest_fixture_write(&talk.fixture, name), 5000);
}

/* Of "a" and "b" somebody else froze b before. */
static void
freeze_beside_another(unsigned int lease_ms)
{
	talk_need_file_systems();
	guest_fixture_mount(&talk.fixture, "a", "ext4", "a.img");
	guest_fixture_mount(&talk.fixture, "b", "ext4", "b.img");
	talk_start();
	talk_hello();
	talk_prepare(lease_ms);
	assert_int_equal(test_ioctl("b", FIFREEZE), 0);
	assert_int_equal(talk_call(MESSAGE_FREEZE), 0);
	assert_int_equal(talk_find("a")->state, MESSAGE_FS_FROZEN);
	assert_int_equal(talk_find("b")->state, MESSAGE_FS_FAILED);
}

static void
assert_only_a_thawed(void)
{
	assert_true(can_write("a"));
	assert_int_equal(test_ioctl("b", FITHAW), 0);
}

static void
test_guest_lost_killed_leaves_what_others_froze(void **state)
{
	(void)state;
	freeze_beside_another(30000);
	kill(guest_fixture_deadman(&talk.fixture), SIGKILL);
	assert_only_a_thawed();
}

static void
test_guest_lost_stopped_leaves_what_others_froze(void **state)
{
	(void)state;
	freeze_beside_another(700);
	kill(guest_fixture_deadman(&talk.fixture), SIGSTOP);
	assert_only_a_thawed();
}

static void
test_guest_lost_successor_leaves_what_others_froze(void **state)
{
	(void)state;
	freeze_beside_another(30000);
	if (strncmp(talk.fixture.run_dir, "/dev/shm/", 9) != 0)
		skip();
	guest_fixture_kill_all(&talk.fixture);
	talk_close_client();
	talk_start();
	assert_only_a_thawed();
	assert_int_equal(guest_fixture_records(&talk.fixture), 0);
}

/* The thaw of b writes to its image, which waits for the thaw of a. */
static void
freeze_layers(void)
{
	talk_need_file_systems();
	guest_fixture_mount(&talk.fixture, "a", "ext4", "a.img");
	guest_fixture_mount(&talk.fixture, "b", "ext4", "a/b.img");
	talk_start();
	talk_freeze(30000);
	assert_int_equal(talk_find("a")->state, MESSAGE_FS_FROZEN);
	assert_int_equal(talk_find("b")->state, MESSAGE_FS_FROZEN);
}

static void
assert_layers_thawed(void)
{
	assert_true(can_write("a"));
	assert_true(can_write("b"));
	assert_int_equal(guest_fixture_records(&talk.fixture), 0);
}

static void
test_guest_lost_killed_thaws_loops_and_holders(void **state)
{
	(void)state;
	freeze_layers();
	kill(guest_fixture_deadman(&talk.fixture), SIGKILL);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 0);
	assert_layers_thawed();
}

static void
test_guest_lost_successor_thaws_loops_and_holders(void **state)
{
	(void)state;
	freeze_layers();
	guest_fixture_kill_all(&talk.fixture);
	talk_close_client();
	talk_start();
	assert_layers_thawed();
}

/* A record without its marks is of what may be frozen. */
static void
test_guest_lost_successor_thaws_by_half_a_record(void **state)
{
	char command[160];

	(void)state;
	talk_start_with_ext4();
	talk_freeze(30000);
	guest_fixture_kill_all(&talk.fixture);
	talk_close_client();
	snprintf(command, sizeof(command), "sed -i 2s/.*// %s/frozen.*",
	    talk.fixture.run_dir);
	assert_int_equal(system(command), 0);
	talk_start();
	assert_true(can_write("a"));
}

/* What was never tried is nothing to thaw. */
static void
test_guest_lost_before_the_freeze_thaws_nothing(void **state)
{
	(void)state;
	talk_start_with_ext4();
	talk_hello();
	talk_prepare(30000);
	assert_int_equal(guest_fixture_records(&talk.fixture), 0);
	assert_int_equal(test_ioctl("a", FIFREEZE), 0);
	guest_fixture_kill_all(&talk.fixture);
	talk_close_client();
	talk_start();
	assert_int_equal(test_ioctl("a", FITHAW), 0);
}

static void
test_guest_lost_late_leaves_the_next_session(void **state)
{
	pid_t late;

	(void)state;
	talk_start_with_ext4();
	talk_freeze(30000);
	late = guest_fixture_deadman(&talk.fixture);
	/* Else it is somebody else's to reap. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	kill(late, SIGSTOP);
	guest_fixture_stop(&talk.fixture, SIGKILL);
	talk_close_client();
	talk_start();
	assert_true(can_write("a"));
	talk_freeze(30000);
	kill(late, SIGCONT);
	assert_true(guest_fixture_ends(late, 3000));
	assert_int_equal(guest_fixture_records(&talk.fixture), 1);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	/* Nor does it thaw what is not its own any more. */
	if (strncmp(talk.fixture.run_dir, "/dev/shm/", 9) == 0)
		assert_int_equal(client_reply(talk.client)->unbroken, 1);
}

/* Started by hand, say, beside the one that freezes. */
static void
test_guest_lost_second_helper_leaves_the_first(void **state)
{
	struct guest_options options;
	struct err err = ERR_INIT;
	int status = 0;
	pid_t pid;

	(void)state;
	talk_start_with_ext4();
	talk_freeze(30000);
	options = guest_fixture_options(&talk.fixture);
	assert_true((pid = fork()) >= 0);
	if (pid == 0)
		_exit(guest_take_over(&options, &err) == -1 &&
			      err.class == ERR_BUSY
			  ? 0
			  : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(guest_fixture_records(&talk.fixture), 1);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 1);
	/* Nobody keeps its place when it has gone. */
	guest_fixture_stop(&talk.fixture, SIGTERM);
	assert_int_equal(guest_take_over(&options, &err), 0);
}

static pid_t
stop_deadman(void)
{
	pid_t deadman = guest_fixture_deadman(&talk.fixture);

	kill(deadman, SIGSTOP);
	return deadman;
}

/* The next one that is asked for works. */
static void
assert_next_is_proved(void)
{
	talk_freeze(20000);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 1);
}

static void
test_guest_lost_stopped_does_not_stay(void **state)
{
	pid_t deadman;

	(void)state;
	talk_start_with_ext4();
	talk_freeze(700);
	deadman = stop_deadman();
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 0);
	assert_int_equal(client_reply(talk.client)->lease_expired, 1);
	assert_string_equal(client_reply(talk.client)->state, "failed");
	assert_next_is_proved();
	/* Waited for, too. */
	assert_int_equal(kill(deadman, 0), -1);
}

static void
test_guest_lost_stopped_at_prepare_does_not_stay(void **state)
{
	(void)state;
	talk_start_with_ext4();
	talk_hello();
	talk_prepare(20000);
	stop_deadman();
	assert_int_equal(talk_call(MESSAGE_ABORT), 0);
	assert_next_is_proved();
}

/* It had only slept. */
static void
test_guest_lost_stopped_may_come_back(void **state)
{
	pid_t deadman;

	(void)state;
	talk_start_with_ext4();
	talk_freeze(700);
	deadman = stop_deadman();
	assert_true(can_write("a"));
	/* What somebody froze since is not its own. */
	assert_int_equal(test_ioctl("a", FIFREEZE), 0);
	kill(deadman, SIGCONT);
	assert_int_equal(talk_call(MESSAGE_THAW), 0);
	assert_int_equal(client_reply(talk.client)->unbroken, 0);
	assert_int_equal(test_ioctl("a", FITHAW), 0);
	assert_next_is_proved();
}

/* ---- another mount namespace ---- */

static struct {
	pid_t pid;      /* Lives there; 0: nobody does. */
	char proc[96];  /* Shows this process alone, */
	char sysfs[96]; /* and devices, but not what is in use. */
	char name[128]; /* The file system, for guest_fixture_ioctl(). */
} elsewhere;

/* Mounts a file system there, says so, and waits to be killed. */
static _Noreturn void
live_elsewhere(int ready)
{
	char command[256];

	snprintf(command, sizeof(command),
	    "cd %s && mkdir o && truncate -s 16M o.img && "
	    "mkfs.ext4 -q o.img && mount -o loop o.img o",
	    talk.fixture.dir);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNS) == -1 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    system(command) != 0 || write(ready, "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/*
 * What the helper is shown of /proc: that process with that one mount.  The
 * whole table has the file systems of this machine, which no test freezes.
 */
static void
show_elsewhere(void)
{
	char command[1024];
	const char *dir = talk.fixture.dir;
	int pid = (int)elsewhere.pid;

	snprintf(command, sizeof(command),
	    "cd %s && mkdir -p proc/self/ns proc/%d/ns sys && "
	    "ln -s /sys/dev /sys/class /sys/block sys/ && "
	    "ln -s \"$(readlink /proc/$$/ns/mnt)\" proc/self/ns/mnt && "
	    "ln -s \"$(readlink /proc/%d/ns/mnt)\" proc/%d/ns/mnt && "
	    "ln -s /proc/%d/root proc/%d/root && echo c >proc/%d/comm && "
	    "grep ' %s/' /proc/%d/mountinfo >proc/%d/mountinfo",
	    dir, pid, pid, pid, pid, pid, pid, dir, pid, pid);
	assert_int_equal(system(command), 0);
	snprintf(elsewhere.proc, sizeof(elsewhere.proc), "%s/proc", dir);
	snprintf(elsewhere.sysfs, sizeof(elsewhere.sysfs), "%s/sys", dir);
	snprintf(elsewhere.name, sizeof(elsewhere.name), "proc/%d/root%s/o",
	    pid, dir);
	talk.fixture.paths.proc = elsewhere.proc;
	talk.fixture.paths.sysfs = elsewhere.sysfs;
}

static void
mount_elsewhere(void)
{
	int ready[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	assert_true((elsewhere.pid = fork()) >= 0);
	if (elsewhere.pid == 0)
		live_elsewhere(ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	show_elsewhere();
}

/* Nothing is left frozen, however the test went. */
static int
tear_down_elsewhere(void **state)
{
	char path[192];

	if (elsewhere.pid > 1) {
		snprintf(path, sizeof(path), "%s/%s", talk.fixture.dir,
		    elsewhere.name);
		if (access(path, F_OK) == 0)
			test_ioctl(elsewhere.name, FITHAW);
		kill(elsewhere.pid, SIGKILL);
		waitpid(elsewhere.pid, NULL, 0);
	}
	memset(&elsewhere, 0, sizeof(elsewhere));
	return talk_tear_down(state);
}

static void
test_guest_lost_all_thaws_what_is_only_elsewhere(void **state)
{
	const struct message *m;

	(void)state;
	talk_need_file_systems();
	mount_elsewhere();
	talk_start();
	talk_freeze(30000);
	m = client_reply(talk.client);
	assert_int_equal(m->filesystem_count, 1);
	assert_int_equal(m->filesystems[0].state, MESSAGE_FS_FROZEN);
	guest_fixture_kill_all(&talk.fixture);
	assert_int_equal(test_ioctl(elsewhere.name, FIFREEZE), EBUSY);
	talk_close_client();
	talk_start();
	assert_int_equal(test_ioctl(elsewhere.name, FITHAW), EINVAL);
	assert_int_equal(guest_fixture_records(&talk.fixture), 0);
}

#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, talk_set_up, talk_tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_guest_lost_killed_leaves_what_others_froze),
		CASE(test_guest_lost_stopped_leaves_what_others_froze),
		CASE(test_guest_lost_successor_leaves_what_others_froze),
		CASE(test_guest_lost_killed_thaws_loops_and_holders),
		CASE(test_guest_lost_successor_thaws_loops_and_holders),
		CASE(test_guest_lost_successor_thaws_by_half_a_record),
		CASE(test_guest_lost_before_the_freeze_thaws_nothing),
		CASE(test_guest_lost_second_helper_leaves_the_first),
		CASE(test_guest_lost_stopped_does_not_stay),
		CASE(test_guest_lost_stopped_at_prepare_does_not_stay),
		CASE(test_guest_lost_stopped_may_come_back),
		CASE(test_guest_lost_late_leaves_the_next_session),
		cmocka_unit_test_setup_teardown(
		    test_guest_lost_all_thaws_what_is_only_elsewhere,
		    talk_set_up, tear_down_elsewhere),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
