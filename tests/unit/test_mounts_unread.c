/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of /proc or /sys whose reading breaks off: what is not known of it
 * is frozen, or told, and never passed over. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_sys.h"

/* The end of the folder's path; NULL: none breaks off. */
static const char *broken;

struct dirent64 *__real_readdir64(DIR *dir);
struct dirent64 *__wrap_readdir64(DIR *dir);

/* As the last thing that it has to say. */
struct dirent64 *
__wrap_readdir64(DIR *dir)
{
	struct dirent64 *entry = __real_readdir64(dir);
	char link[64], path[PATH_MAX] = "";
	size_t size;

	if (entry != NULL || broken == NULL)
		return entry;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd(dir));
	if (readlink(link, path, sizeof(path) - 1) == -1)
		return NULL;
	size = strlen(broken);
	errno = strlen(path) >= size &&
			strcmp(path + strlen(path) - size, broken) == 0
		    ? EIO
		    : 0;
	return NULL;
}

static int
set_up(void **state)
{
	broken = NULL;
	return fake_sys_set_up(state);
}

static void
test_mounts_unread_namespaces_are_told(void **state)
{
	(void)state;
	fake_sys_process("self", "mnt:[1]", "self\n", "");
	fake_sys_process("7", "mnt:[2]", "c\n", FAKE_SYS_DATA);
	fake_sys_scan(FAKE_SYS_ROOT, NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 2);
	broken = "/proc";
	fake_sys_scan(FAKE_SYS_ROOT, NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 3);
	fake_sys_expect(2, "(other mount namespaces)", "", MESSAGE_FS_FAILED);
}

static void
test_mounts_unread_tables_are_told(void **state)
{
	char path[160];

	(void)state;
	fake_sys_process("self", "mnt:[1]", "self\n", "");
	fake_sys_process("7", "mnt:[2]", "c\n", FAKE_SYS_DATA);
	/* A process that is gone is nobody's place. */
	snprintf(path, sizeof(path), "%s/7/mountinfo", fake_sys.proc);
	assert_int_equal(unlink(path), 0);
	fake_sys_scan(FAKE_SYS_ROOT, NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 1);
	/* This one lives, and its table breaks off. */
	assert_int_equal(mkdir(path, 0700), 0);
	fake_sys_scan(FAKE_SYS_ROOT, NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 2);
	fake_sys_expect(1, "(other mount namespaces)", "", MESSAGE_FS_FAILED);
}

static void
test_mounts_unread_types_are_told(void **state)
{
	(void)state;
	fake_sys_process("self", "mnt:[1]", "self\n", "");
	fake_sys_dir("fs/ext4/vda1");
	fake_sys_scan(FAKE_SYS_ROOT, NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 1);
	broken = "/fs/ext4";
	fake_sys_scan(FAKE_SYS_ROOT, NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 2);
	fake_sys_expect(
	    1, "(other file systems of type ext4)", "", MESSAGE_FS_FAILED);
}

/* Its other member may be on a disk of this backup. */
static void
test_mounts_unread_members_are_frozen(void **state)
{
	static const struct message_disk disks[] = { { .target = "vda",
	    .serial = "SERIAL-A" } };
	static const char table[] = "20 1 253:0 / / rw - ext4 /dev/dm-0 rw\n";

	(void)state;
	fake_sys_device("dm-0", "253:0");
	fake_sys_slave("dm-0", "vdb");
	fake_sys_scan(table, disks, 1);
	assert_int_equal(fake_sys.mounts.items[0].state, MESSAGE_FS_SKIPPED);
	broken = "/dm-0/slaves";
	fake_sys_scan(table, disks, 1);
	assert_int_equal(fake_sys.mounts.items[0].state, MESSAGE_FS_PLANNED);
}

static void
test_mounts_unread_btrfs_is_frozen(void **state)
{
	static const struct message_disk disks[] = { { .target = "vda",
	    .serial = "SERIAL-A" } };
	static const char table[] = "20 1 0:40 / / rw - btrfs /dev/vdb rw\n";

	(void)state;
	fake_sys_dir("fs/btrfs/1/devices");
	fake_sys_link("fs/btrfs/1/devices/vdb", "devices/vdb");
	fake_sys_scan(table, disks, 1);
	assert_int_equal(fake_sys.mounts.items[0].state, MESSAGE_FS_SKIPPED);
	broken = "/fs/btrfs";
	fake_sys_scan(table, disks, 1);
	assert_int_equal(fake_sys.mounts.items[0].state, MESSAGE_FS_PLANNED);
}

/* Another disk may have the same serial number. */
static void
test_mounts_unread_disks_fit_nothing(void **state)
{
	static const struct message_disk disks[] = { FAKE_SYS_SDX };

	(void)state;
	fake_sys_scan(FAKE_SYS_ROOT FAKE_SYS_DATA, disks, 1);
	fake_sys_expect(0, "/data x", "vdb", MESSAGE_FS_SKIPPED);
	broken = "/sys/block";
	fake_sys_scan(FAKE_SYS_ROOT FAKE_SYS_DATA, disks, 1);
	assert_int_equal(fake_sys.mounts.items[0].state, MESSAGE_FS_PLANNED);
	assert_int_equal(fake_sys.mounts.items[1].state, MESSAGE_FS_PLANNED);
	assert_true(fake_sys.mounts.note[0] != '\0');
}

#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, set_up, fake_sys_tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_mounts_unread_namespaces_are_told),
		CASE(test_mounts_unread_tables_are_told),
		CASE(test_mounts_unread_types_are_told),
		CASE(test_mounts_unread_members_are_frozen),
		CASE(test_mounts_unread_btrfs_is_frozen),
		CASE(test_mounts_unread_disks_fit_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
