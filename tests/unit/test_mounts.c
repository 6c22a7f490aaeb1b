/* SPDX-License-Identifier: Apache-2.0 */
/* From mount tables and /sys trees, made up here, to what is frozen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/io.h"
#include "guest-helper/mounts.h"

static char top[64], sysfs[96], table[96];
static struct mounts_paths paths = { table, sysfs, NULL, NULL };
static struct mounts mounts;
static struct err err;

static void
make_dir(const char *path)
{
	char whole[256];

	snprintf(whole, sizeof(whole), "%s/%s", sysfs, path);
	assert_int_equal(io_make_dirs(whole, 0755, &err), 0);
}

static void
make_file(const char *path, const char *text)
{
	char whole[256];
	FILE *file;

	snprintf(whole, sizeof(whole), "%s/%s", sysfs, path);
	file = fopen(whole, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void
make_link(const char *path, const char *to)
{
	char whole[256], target[256];

	snprintf(whole, sizeof(whole), "%s/%s", sysfs, path);
	snprintf(target, sizeof(target), "%s/%s", sysfs, to);
	assert_int_equal(symlink(target, whole), 0);
}

/* A device at devices/PATH, with its links as the kernel makes them. */
static void
device(const char *path, const char *number)
{
	const char *name = strrchr(path, '/');
	char at[96], link[160];

	name = name == NULL ? path : name + 1;
	snprintf(at, sizeof(at), "devices/%s", path);
	make_dir(at);
	snprintf(link, sizeof(link), "dev/block/%s", number);
	make_link(link, at);
	snprintf(link, sizeof(link), "class/block/%s", name);
	make_link(link, at);
	if (strchr(path, '/') == NULL) {
		snprintf(link, sizeof(link), "block/%s", name);
		make_link(link, at);
	} else {
		snprintf(link, sizeof(link), "%s/partition", at);
		make_file(link, "1\n");
	}
}

static void
slave(const char *of, const char *name)
{
	char path[128], to[128];

	snprintf(path, sizeof(path), "devices/%s/slaves", of);
	make_dir(path);
	snprintf(path, sizeof(path), "devices/%s/slaves/%s", of, name);
	snprintf(to, sizeof(to), "class/block/%s", name);
	make_link(path, to);
}

static int
set_up(void **state)
{
	(void)state;
	strcpy(top, "/tmp/holdstill-mounts.XXXXXX");
	assert_non_null(mkdtemp(top));
	snprintf(sysfs, sizeof(sysfs), "%s/sys", top);
	snprintf(table, sizeof(table), "%s/table", top);
	make_dir("dev/block");
	make_dir("class/block");
	make_dir("block");
	device("vda", "254:0");
	device("vda/vda1", "254:1");
	device("vdb", "254:16");
	make_file("devices/vda/serial", "SERIAL-A");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	mounts_fini(&mounts);
	return io_remove_tree(top, &err);
}

static void
scan(const char *text, const struct message_disk *disks, size_t count)
{
	FILE *file = fopen(table, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	mounts_fini(&mounts);
	assert_int_equal(
	    mounts_scan(&mounts, &paths, NULL, disks, count, &err), 0);
}

static void
expect(size_t i, const char *mount_point, const char *disk,
    enum message_fs_state state)
{
	assert_true(i < mounts.count);
	assert_string_equal(mounts.items[i].mount_point, mount_point);
	assert_string_equal(mounts.items[i].disk, disk);
	assert_int_equal(mounts.items[i].state, state);
}

#define ROOT "20 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
#define DATA "30 20 254:16 / /data\\040x rw - xfs /dev/vdb rw\n"

static void
test_mounts_freezes_inner_before_outer(void **state)
{
	(void)state;
	scan(ROOT "21 20 0:5 / /proc rw - proc proc rw\n"
		  "22 20 0:6 / /n rw - nfs host:/x rw\n" DATA "garbage\n",
	    NULL, 0);
	assert_int_equal(mounts.count, 2);
	expect(0, "/data x", "vdb", MESSAGE_FS_PLANNED);
	expect(1, "/", "vda", MESSAGE_FS_PLANNED);
}

static void
test_mounts_takes_bind_mounts_once(void **state)
{
	(void)state;
	scan(ROOT "40 20 254:1 /srv /mnt rw - ext4 /dev/vda1 rw\n", NULL, 0);
	assert_int_equal(mounts.count, 1);
	expect(0, "/", "vda", MESSAGE_FS_PLANNED);
}

static void
test_mounts_skips_read_only(void **state)
{
	(void)state;
	scan("20 1 254:1 / / rw - ext4 /dev/vda1 ro,errors=x\n"
	     "21 20 254:16 / /snap rw - squashfs /dev/vdb ro\n",
	    NULL, 0);
	assert_int_equal(mounts.count, 1);
	expect(0, "/", "vda", MESSAGE_FS_SKIPPED);
	/* A mount that is read-only of a file system that is not. */
	scan("20 1 254:1 / / ro - ext4 /dev/vda1 rw\n", NULL, 0);
	expect(0, "/", "vda", MESSAGE_FS_PLANNED);
}

static void
test_mounts_leaves_out_by_serial_only(void **state)
{
	static const struct message_disk by_serial[] = { { .target = "sdx",
	    .serial = "SERIAL-A" } };
	static const struct message_disk by_name[] = { { .target = "vdb" } };

	(void)state;
	scan(ROOT DATA, by_serial, 1);
	expect(0, "/data x", "vdb", MESSAGE_FS_SKIPPED);
	expect(1, "/", "sdx", MESSAGE_FS_PLANNED);
	assert_string_equal(mounts.note, "");
	scan(ROOT DATA, by_name, 1);
	expect(0, "/data x", "vdb", MESSAGE_FS_PLANNED);
	/* Names may differ from the host's: nothing is left out on theirs. */
	expect(1, "/", "vda", MESSAGE_FS_PLANNED);
	assert_string_equal(mounts.note, "");
}

static void
test_mounts_freezes_all_when_a_disk_is_unknown(void **state)
{
	static const struct message_disk disks[] = { { .target = "vda" },
		{ .target = "hdz" } };

	(void)state;
	scan(ROOT DATA, disks, 2);
	expect(0, "/data x", "vdb", MESSAGE_FS_PLANNED);
	expect(1, "/", "vda", MESSAGE_FS_PLANNED);
	assert_non_null(strstr(mounts.note, "'hdz'"));
}

static void
test_mounts_walks_down_mapper_and_md(void **state)
{
	static const struct message_disk disks[] = { { .target = "vdb" } };

	(void)state;
	device("dm-0", "253:0");
	device("md0", "9:0");
	slave("dm-0", "md0");
	slave("md0", "vda1");
	slave("md0", "vdb");
	scan("20 1 253:0 / / rw - ext4 /dev/mapper/x rw\n", disks, 1);
	expect(0, "/", "vdb", MESSAGE_FS_PLANNED);
}

static void
test_mounts_survives_a_cycle(void **state)
{
	(void)state;
	device("dm-0", "253:0");
	device("dm-1", "253:1");
	slave("dm-0", "dm-1");
	slave("dm-1", "dm-0");
	device("loop0", "7:0");
	make_dir("devices/loop0/loop");
	make_file("devices/loop0/loop/backing_file", "/l/self.img\n");
	scan("20 1 253:0 / / rw - ext4 /dev/dm-0 rw\n"
	     "21 20 7:0 / /l rw - ext4 /dev/loop0 rw\n",
	    NULL, 0);
	assert_int_equal(mounts.count, 2);
}

static void
test_mounts_puts_loops_before_their_holder(void **state)
{
	static const struct message_disk disks[] = { { .target = "vdb" } };

	(void)state;
	device("loop0", "7:0");
	make_dir("devices/loop0/loop");
	make_file("devices/loop0/loop/backing_file", "/data x/disk.img\n");
	/* Mounted before what holds its file was mounted again here. */
	scan(ROOT "25 20 7:0 / /loop rw - ext4 /dev/loop0 rw\n" DATA, disks, 1);
	expect(0, "/loop", "vdb", MESSAGE_FS_PLANNED);
	expect(1, "/data x", "vdb", MESSAGE_FS_PLANNED);
	expect(2, "/", "vda", MESSAGE_FS_PLANNED);
}

static void
test_mounts_knows_all_disks_of_a_btrfs(void **state)
{
	static const struct message_disk disks[] = { { .target = "vdb" } };

	(void)state;
	make_dir("fs/btrfs/1234/devices");
	make_link("fs/btrfs/1234/devices/vda1", "class/block/vda1");
	make_link("fs/btrfs/1234/devices/vdb", "class/block/vdb");
	scan("20 1 0:33 /@ / rw - btrfs /nowhere/vda1 rw\n"
	     "21 20 0:33 /@home /home rw - btrfs /nowhere/vda1 rw\n",
	    disks, 1);
	assert_int_equal(mounts.count, 1);
	expect(0, "/", "vdb", MESSAGE_FS_PLANNED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_mounts_freezes_inner_before_outer),
		CASE(test_mounts_takes_bind_mounts_once),
		CASE(test_mounts_skips_read_only),
		CASE(test_mounts_leaves_out_by_serial_only),
		CASE(test_mounts_freezes_all_when_a_disk_is_unknown),
		CASE(test_mounts_walks_down_mapper_and_md),
		CASE(test_mounts_survives_a_cycle),
		CASE(test_mounts_puts_loops_before_their_holder),
		CASE(test_mounts_knows_all_disks_of_a_btrfs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
