/* SPDX-License-Identifier: Apache-2.0 */
/* The order of file systems on top of each other, and those of other mount
 * namespaces: made up here, and one real namespace. */
#include <fcntl.h>
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
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/io.h"
#include "fake_sys.h"

/* ---- order ---- */

static void
test_mounts_layers_survives_a_cycle(void **state)
{
	(void)state;
	fake_sys_device("dm-0", "253:0");
	fake_sys_device("dm-1", "253:1");
	fake_sys_slave("dm-0", "dm-1");
	fake_sys_slave("dm-1", "dm-0");
	fake_sys_loop("loop0", "7:0", "/l/self.img\n");
	fake_sys_scan("20 1 253:0 / / rw - ext4 /dev/dm-0 rw\n"
		      "21 20 7:0 / /l rw - ext4 /dev/loop0 rw\n",
	    NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 2);
}

static void
test_mounts_layers_puts_loops_before_their_holder(void **state)
{
	static const struct message_disk disks[] = { { .target = "vdb" } };

	(void)state;
	fake_sys_loop("loop0", "7:0", "/data x/disk.img\n");
	/* Mounted before what holds its file was mounted again here. */
	fake_sys_scan(FAKE_SYS_ROOT
	    "25 20 7:0 / /loop rw - ext4 /dev/loop0 rw\n" FAKE_SYS_DATA,
	    disks, 1);
	fake_sys_expect(0, "/loop", "vdb", MESSAGE_FS_PLANNED);
	fake_sys_expect(1, "/data x", "vdb", MESSAGE_FS_PLANNED);
	fake_sys_expect(2, "/", "vda", MESSAGE_FS_PLANNED);
}

static void
test_mounts_layers_orders_by_depth_not_by_age(void **state)
{
	(void)state;
	/* The inner one was mounted first, then its place moved. */
	fake_sys_scan("30 40 254:16 / /a/b rw - xfs /dev/vdb rw\n"
		      "40 20 254:1 / /a rw - ext4 /dev/vda1 rw\n"
		      "20 1 0:2 / / rw - tmpfs x rw\n",
	    NULL, 0);
	fake_sys_expect(0, "/a/b", "vdb", MESSAGE_FS_PLANNED);
	fake_sys_expect(1, "/a", "vda", MESSAGE_FS_PLANNED);
}

static void
test_mounts_layers_orders_loops_three_deep(void **state)
{
	(void)state;
	/* Each file on the one before, one of them by way of a bind mount,
	 * one encrypted on a volume. */
	fake_sys_loop("loop0", "7:0", "/bind/a.img\n");
	fake_sys_loop("loop1", "7:1", "/l0/b.img\n");
	fake_sys_loop("loop2", "7:2", "/l1/c.img (deleted)\n");
	fake_sys_device("dm-0", "253:0");
	fake_sys_device("dm-1", "253:1");
	fake_sys_slave("dm-0", "dm-1");
	fake_sys_slave("dm-1", "loop1");
	fake_sys_scan("24 20 7:2 / /l2 rw - ext4 /dev/loop2 rw\n"
		      "23 20 253:0 / /l1 rw - ext4 /dev/dm-0 rw\n"
		      "22 20 7:0 / /l0 rw - ext4 /dev/loop0 rw\n" FAKE_SYS_ROOT
			  FAKE_SYS_DATA
		      "25 20 254:16 /sub /bind rw - xfs /dev/vdb rw\n",
	    NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 5);
	fake_sys_expect(0, "/l2", "vdb", MESSAGE_FS_PLANNED);
	fake_sys_expect(1, "/l1", "vdb", MESSAGE_FS_PLANNED);
	fake_sys_expect(2, "/l0", "vdb", MESSAGE_FS_PLANNED);
	assert_int_equal(fake_sys.mounts.items[0].rank, 3);
	assert_int_equal(fake_sys.mounts.items[2].rank, 1);
	assert_int_equal(fake_sys.mounts.items[3].rank, 0);
}

#define OVERLAY(upper) \
	"50 20 0:50 / /ov rw - overlay none rw,lowerdir=/l" upper \
	",workdir=/w\n"

static void
test_mounts_layers_looks_through_overlays(void **state)
{
	static const struct message_disk disks[] = { FAKE_SYS_SDX };

	(void)state;
	fake_sys_file("devices/vdb/serial", "SERIAL-B");
	fake_sys_loop("loop0", "7:0", "/data x/a.img\n");
	fake_sys_loop("loop1", "7:1", "/ov/b.img\n");
	/* The upper folder's file system is on a loop itself. */
	fake_sys_scan(FAKE_SYS_ROOT FAKE_SYS_DATA
	    "31 20 7:0 / /l\\0400 rw - ext4 /dev/loop0 rw\n" OVERLAY(
		",upperdir=/l\\0400/up") "51 20 7:1 / /l1 rw - ext4 "
					 "/dev/loop1 rw\n",
	    NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 4);
	fake_sys_expect(0, "/l1", "vdb", MESSAGE_FS_PLANNED);
	fake_sys_expect(1, "/l 0", "vdb", MESSAGE_FS_PLANNED);
	/* What is never written needs no freeze. */
	fake_sys_scan(FAKE_SYS_ROOT FAKE_SYS_DATA OVERLAY(
			  "") "51 20 7:1 / /l1 rw - ext4 /dev/loop1 rw\n",
	    disks, 1);
	fake_sys_expect(0, "/l1", "", MESSAGE_FS_SKIPPED);
	/* Nobody knows: first, and frozen. */
	fake_sys_scan("51 20 7:1 / /l1 rw - ext4 /dev/loop1 rw\n" FAKE_SYS_DATA,
	    disks, 1);
	fake_sys_expect(0, "/l1", "loop1", MESSAGE_FS_PLANNED);
	assert_true(fake_sys.mounts.items[0].rank > 1);
	fake_sys_expect(1, "/data x", "vdb", MESSAGE_FS_SKIPPED);
}

/* ---- other mount namespaces ---- */

static void
test_mounts_layers_finds_those_of_containers(void **state)
{
	(void)state;
	fake_sys_process("self", "mnt:[1]", "self\n", "");
	fake_sys_process("1", "mnt:[1]", "init\n", "unread");
	fake_sys_process("7", "mnt:[2]", "post\033gres\n",
	    "90 80 254:1 /etc /etc rw - ext4 /dev/vda1 rw\n"
	    "91 80 254:16 / /data rw - xfs /dev/vdb rw\n");
	fake_sys_process("8", "mnt:[2]", "same\n", "");
	fake_sys_process("9", "gone", "no\n", "");
	fake_sys_scan(FAKE_SYS_ROOT, NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 2);
	fake_sys_expect(0, "/data (in the mount namespace of pid 7, post?gres)",
	    "vdb", MESSAGE_FS_PLANNED);
	assert_non_null(
	    strstr(fake_sys.mounts.items[0].path, "/proc/7/root/data"));
	fake_sys_expect(1, "/", "vda", MESSAGE_FS_PLANNED);
	/* What the owner names is his own. */
	fake_sys.conf.skip_mounts.count = 1;
	strcpy(fake_sys.conf.skip_mounts.items[0], "/data");
	fake_sys_scan(FAKE_SYS_ROOT, NULL, 0);
	assert_int_equal(fake_sys.mounts.items[0].state, MESSAGE_FS_PLANNED);
	fake_sys.conf.ignore_containers = true;
	fake_sys_scan(FAKE_SYS_ROOT, NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 1);
}

static void
test_mounts_layers_finds_loop_files_of_containers(void **state)
{
	static const struct message_disk disks[] = { FAKE_SYS_SDX };
	char path[256];

	(void)state;
	fake_sys_file("devices/vdb/serial", "SERIAL-B");
	fake_sys_loop("loop0", "7:0", "/data/x.img\n");
	fake_sys_process("self", "mnt:[1]", "self\n", "");
	fake_sys_process("7", "mnt:[2]", "c\n",
	    "91 80 254:16 / /data rw - xfs /dev/vdb rw\n"
	    "92 80 7:0 / /loop rw - ext4 /dev/loop0 rw\n");
	fake_sys_process("8", "mnt:[3]", "c\n",
	    "93 80 254:1 / /data rw - ext4 /dev/vda1 rw\n");
	/* The path is of either; only there it leads to a file. */
	snprintf(path, sizeof(path), "%s/7/root/data/x.img", fake_sys.proc);
	assert_int_equal(io_make_dirs(path, 0755, &fake_sys.err), 0);
	fake_sys_scan(FAKE_SYS_DATA,
	    &(struct message_disk){ .target = "b", .serial = "SERIAL-B" }, 1);
	assert_int_equal(fake_sys.mounts.count, 3);
	assert_non_null(
	    strstr(fake_sys.mounts.items[0].mount_point, "/loop (in"));
	assert_string_equal(fake_sys.mounts.items[0].disk, "b");
	assert_int_equal(fake_sys.mounts.items[0].rank, 1);
	fake_sys_expect(2, "/data x", "b", MESSAGE_FS_PLANNED);
	fake_sys_scan(FAKE_SYS_DATA, disks, 1);
	assert_int_equal(fake_sys.mounts.items[0].state, MESSAGE_FS_SKIPPED);
}

static void
test_mounts_layers_says_what_nobody_shows(void **state)
{
	static const struct message_disk disks[] = { FAKE_SYS_SDX };

	(void)state;
	fake_sys_process("self", "mnt:[1]", "self\n", "");
	fake_sys_dir("fs/ext4/features");
	fake_sys_dir("fs/ext4/vda1");
	fake_sys_dir("fs/xfs/vdb");
	fake_sys_scan(FAKE_SYS_ROOT, NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 2);
	fake_sys_expect(0, "/", "vda", MESSAGE_FS_PLANNED);
	fake_sys_expect(1, "/dev/vdb", "vdb", MESSAGE_FS_FAILED);
	fake_sys_file("devices/vdb/serial", "SERIAL-B");
	fake_sys_scan(FAKE_SYS_ROOT, disks, 1);
	fake_sys_expect(1, "/dev/vdb", "vdb", MESSAGE_FS_SKIPPED);
}

static void
test_mounts_layers_says_which_btrfs_nobody_shows(void **state)
{
	static const struct message_disk disks[] = { { .target = "vda",
	    .serial = "SERIAL-A" } };
	static const char table[] = "20 1 0:33 /@ / rw - btrfs /x/vda1 rw\n";

	(void)state;
	fake_sys_process("self", "mnt:[1]", "self\n", "");
	fake_sys_dir("fs/btrfs/features");
	fake_sys_dir("fs/btrfs/12/devices");
	fake_sys_device("vdc", "254:32");
	fake_sys_link("fs/btrfs/12/devices/vda1", "class/block/vda1");
	fake_sys_link("fs/btrfs/12/devices/vdc", "class/block/vdc");
	fake_sys_scan(table, NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 1);
	fake_sys_dir("fs/btrfs/34/devices");
	fake_sys_link("fs/btrfs/34/devices/vdb", "class/block/vdb");
	fake_sys_scan(table, NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 2);
	fake_sys_expect(0, "/", "vda", MESSAGE_FS_PLANNED);
	fake_sys_expect(1, "/dev/vdb", "vdb", MESSAGE_FS_FAILED);
	assert_string_equal(fake_sys.mounts.items[1].type, "btrfs");
	fake_sys_scan(table, disks, 1);
	fake_sys_expect(1, "/dev/vdb", "vdb", MESSAGE_FS_SKIPPED);
}

/* Nobody can say what is mounted where nobody looked. */
static void
test_mounts_layers_names_what_it_did_not_read(void **state)
{
	static char text[16384 * 48];
	char pid[16], space[32];
	size_t used = 0;
	int i;

	(void)state;
	for (i = 0; i < 16000; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%d 1 0:44 / /t%d rw - tmpfs none rw\n", i + 100, i);
	fake_sys_process("self", "mnt:[1]", "self\n", "");
	for (i = 2; i < 6; i++) {
		snprintf(pid, sizeof(pid), "%d", i);
		snprintf(space, sizeof(space), "mnt:[%d]", i);
		fake_sys_process(pid, space, "c\n", text);
	}
	fake_sys_scan(FAKE_SYS_ROOT, NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 1);
	fake_sys_process("6", "mnt:[6]", "c\n", text);
	fake_sys_scan(FAKE_SYS_ROOT, NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 2);
	fake_sys_expect(1, "(other mount namespaces)", "", MESSAGE_FS_FAILED);
	fake_sys_expect(0, "/", "vda", MESSAGE_FS_PLANNED);
	mounts_open(&fake_sys.mounts, &fake_sys.paths);
	assert_int_equal(fake_sys.mounts.items[1].fd, -1);
}

/* ---- a real one ---- */

/* In a namespace of its own: a file system on a file, one on a file on
 * that, and one that another mount covers.  Says so on the pipe, and waits to
 * be killed. */
static _Noreturn void
live_elsewhere(int ready)
{
	char command[512];

	snprintf(command, sizeof(command),
	    "cd %s && mkdir o i && truncate -s 16M o.img && "
	    "mkfs.ext4 -q o.img && mount -o loop o.img o && "
	    "truncate -s 8M o/i.img && mkfs.ext4 -q o/i.img && "
	    "mount -o loop o/i.img i && mkdir c && truncate -s 8M c.img && "
	    "mkfs.ext4 -q c.img && mount -o loop c.img c && "
	    "mount -t tmpfs none c",
	    fake_sys.top);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNS) == -1 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    system(command) != 0 || write(ready, "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static const struct mounts_filesystem *
find_mount(const char *dir)
{
	char start[96];
	size_t i;

	snprintf(start, sizeof(start), "%s/%s (in the", fake_sys.top, dir);
	for (i = 0; i < fake_sys.mounts.count; i++)
		if (strncmp(fake_sys.mounts.items[i].mount_point, start,
			strlen(start)) == 0)
			return &fake_sys.mounts.items[i];
	return NULL;
}

static void
test_mounts_layers_opens_those_of_a_real_namespace(void **state)
{
	static const struct mounts_paths real = { "/proc/self/mountinfo",
		"/sys", "/proc", "/dev" };
	const struct mounts_filesystem *outer, *inner, *covered;
	struct stat here, there;
	int ready[2];
	pid_t pid;
	char c;

	(void)state;
	if (geteuid() != 0 || system("losetup -f >/dev/null 2>&1") != 0)
		skip();
	assert_int_equal(pipe(ready), 0);
	assert_true((pid = fork()) >= 0);
	if (pid == 0)
		live_elsewhere(ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	assert_int_equal(
	    mounts_scan(&fake_sys.mounts, &real, NULL, NULL, 0, &fake_sys.err),
	    0);
	mounts_open(&fake_sys.mounts, &real);
	assert_non_null(outer = find_mount("o"));
	assert_non_null(inner = find_mount("i"));
	assert_int_equal(outer->state, MESSAGE_FS_PLANNED);
	assert_true(outer->fd != -1 && inner->fd != -1);
	assert_true(inner < outer);
	assert_int_equal(inner->rank, outer->rank + 1);
	/* On the very file system, not on the folder that we see there. */
	assert_int_equal(fstat(outer->fd, &there), 0);
	assert_int_equal(stat(fake_sys.top, &here), 0);
	assert_true(there.st_dev != here.st_dev);
	assert_non_null(covered = find_mount("c"));
	assert_int_equal(covered->state, MESSAGE_FS_FAILED);
	mounts_fini(&fake_sys.mounts);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

#define CASE(name) \
	cmocka_unit_test_setup_teardown( \
	    name, fake_sys_set_up, fake_sys_tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_mounts_layers_survives_a_cycle),
		CASE(test_mounts_layers_puts_loops_before_their_holder),
		CASE(test_mounts_layers_orders_by_depth_not_by_age),
		CASE(test_mounts_layers_orders_loops_three_deep),
		CASE(test_mounts_layers_looks_through_overlays),
		CASE(test_mounts_layers_finds_those_of_containers),
		CASE(test_mounts_layers_finds_loop_files_of_containers),
		CASE(test_mounts_layers_says_what_nobody_shows),
		CASE(test_mounts_layers_says_which_btrfs_nobody_shows),
		CASE(test_mounts_layers_names_what_it_did_not_read),
		CASE(test_mounts_layers_opens_those_of_a_real_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
