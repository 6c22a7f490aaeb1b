/* SPDX-License-Identifier: Apache-2.0 */
/* From mount tables and disks, made up here, to what is frozen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_sys.h"

static void
test_mounts_freezes_inner_before_outer(void **state)
{
	(void)state;
	fake_sys_scan(FAKE_SYS_ROOT
	    "21 20 0:5 / /proc rw - proc proc rw\n"
	    "22 20 0:6 / /n rw - nfs host:/x rw\n" FAKE_SYS_DATA "garbage\n",
	    NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 2);
	fake_sys_expect(0, "/data x", "vdb", MESSAGE_FS_PLANNED);
	fake_sys_expect(1, "/", "vda", MESSAGE_FS_PLANNED);
}

static void
test_mounts_takes_bind_mounts_once(void **state)
{
	(void)state;
	fake_sys_scan(FAKE_SYS_ROOT
	    "40 20 254:1 /srv /mnt rw - ext4 /dev/vda1 rw\n",
	    NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 1);
	fake_sys_expect(0, "/", "vda", MESSAGE_FS_PLANNED);
}

static void
test_mounts_skips_read_only(void **state)
{
	(void)state;
	fake_sys_scan("20 1 254:1 / / rw - ext4 /dev/vda1 ro,errors=x\n"
		      "21 20 254:16 / /snap rw - squashfs /dev/vdb ro\n",
	    NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 1);
	fake_sys_expect(0, "/", "vda", MESSAGE_FS_SKIPPED);
	/* A mount that is read-only of a file system that is not. */
	fake_sys_scan("20 1 254:1 / / ro - ext4 /dev/vda1 rw\n", NULL, 0);
	fake_sys_expect(0, "/", "vda", MESSAGE_FS_PLANNED);
}

static void
test_mounts_leaves_out_by_serial_only(void **state)
{
	static const struct message_disk by_serial[] = { FAKE_SYS_SDX };
	static const struct message_disk by_name[] = { { .target = "vdb" } };

	(void)state;
	fake_sys_scan(FAKE_SYS_ROOT FAKE_SYS_DATA, by_serial, 1);
	fake_sys_expect(0, "/data x", "vdb", MESSAGE_FS_SKIPPED);
	fake_sys_expect(1, "/", "sdx", MESSAGE_FS_PLANNED);
	assert_string_equal(fake_sys.mounts.note, "");
	fake_sys_scan(FAKE_SYS_ROOT FAKE_SYS_DATA, by_name, 1);
	fake_sys_expect(0, "/data x", "vdb", MESSAGE_FS_PLANNED);
	/* Names may differ from the host's: nothing is left out on theirs. */
	fake_sys_expect(1, "/", "vda", MESSAGE_FS_PLANNED);
	assert_string_equal(fake_sys.mounts.note, "");
}

static void
test_mounts_freezes_all_when_a_disk_is_unknown(void **state)
{
	static const struct message_disk disks[] = { { .target = "vda" },
		{ .target = "hdz" } };

	(void)state;
	fake_sys_scan(FAKE_SYS_ROOT FAKE_SYS_DATA, disks, 2);
	fake_sys_expect(0, "/data x", "vdb", MESSAGE_FS_PLANNED);
	fake_sys_expect(1, "/", "vda", MESSAGE_FS_PLANNED);
	assert_non_null(strstr(fake_sys.mounts.note, "'hdz'"));
}

static void
test_mounts_walks_down_mapper_and_md(void **state)
{
	static const struct message_disk disks[] = { { .target = "vdb" } };

	(void)state;
	fake_sys_device("dm-0", "253:0");
	fake_sys_device("md0", "9:0");
	fake_sys_slave("dm-0", "md0");
	fake_sys_slave("md0", "vda1");
	fake_sys_slave("md0", "vdb");
	fake_sys_scan("20 1 253:0 / / rw - ext4 /dev/mapper/x rw\n", disks, 1);
	fake_sys_expect(0, "/", "vdb", MESSAGE_FS_PLANNED);
}

static void
test_mounts_knows_all_disks_of_a_btrfs(void **state)
{
	static const struct message_disk disks[] = { { .target = "vdb" } };

	(void)state;
	fake_sys_dir("fs/btrfs/1234/devices");
	fake_sys_link("fs/btrfs/1234/devices/vda1", "class/block/vda1");
	fake_sys_link("fs/btrfs/1234/devices/vdb", "class/block/vdb");
	fake_sys_scan("20 1 0:33 /@ / rw - btrfs /nowhere/vda1 rw\n"
		      "21 20 0:33 /@home /home rw - btrfs /nowhere/vda1 rw\n",
	    disks, 1);
	assert_int_equal(fake_sys.mounts.count, 1);
	fake_sys_expect(0, "/", "vdb", MESSAGE_FS_PLANNED);
}

/* ---- what a backup has ---- */

static void
expect_backup(size_t i, bool in_backup, bool left_out)
{
	assert_int_equal(fake_sys.mounts.items[i].in_backup, in_backup);
	assert_int_equal(fake_sys.mounts.items[i].left_out, left_out);
}

static void
test_mounts_tells_what_is_left_out(void **state)
{
	static const struct message_disk one[] = { FAKE_SYS_SDX };

	(void)state;
	fake_sys_scan(FAKE_SYS_ROOT FAKE_SYS_DATA, one, 1);
	expect_backup(0, false, true);
	expect_backup(1, true, false);
	/* Nobody writes to it. */
	fake_sys_scan(FAKE_SYS_ROOT
	    "30 20 254:16 / /data\\040x rw - xfs /dev/vdb ro\n",
	    one, 1);
	expect_backup(0, false, false);
	/* Without a list of disks there is nothing to leave out. */
	fake_sys_scan(FAKE_SYS_ROOT FAKE_SYS_DATA, NULL, 0);
	expect_backup(0, true, false);
}

/* What is frozen because one of its disks is planned lacks the other. */
static void
test_mounts_has_a_part_of_what_spans_disks(void **state)
{
	static const struct message_disk one[] = { FAKE_SYS_SDX };

	(void)state;
	fake_sys_device("dm-0", "253:0");
	fake_sys_slave("dm-0", "vda1");
	fake_sys_slave("dm-0", "vdb");
	fake_sys_scan("20 1 253:0 / / rw - ext4 /dev/mapper/x rw\n", one, 1);
	fake_sys_expect(0, "/", "sdx", MESSAGE_FS_PLANNED);
	expect_backup(0, false, true);
}

/* A guess freezes all; it claims something only if all is in the backup. */
static void
test_mounts_claims_nothing_by_names_alone(void **state)
{
	static const struct message_disk disks[] = { { .target = "vda" },
		{ .target = "vdb" } };

	(void)state;
	fake_sys_scan(FAKE_SYS_ROOT FAKE_SYS_DATA, disks, 1);
	fake_sys_expect(0, "/data x", "vdb", MESSAGE_FS_PLANNED);
	expect_backup(0, false, true);
	expect_backup(1, false, true);
	fake_sys_scan(FAKE_SYS_ROOT FAKE_SYS_DATA, disks, 2);
	expect_backup(0, true, false);
	expect_backup(1, true, false);
	/* Nor does a drive count, or a disk that the guest makes up. */
	fake_sys_device("sr0", "11:0");
	fake_sys_device_at("virtual/block/zram0", "252:0", false);
	fake_sys_scan(FAKE_SYS_ROOT FAKE_SYS_DATA, disks, 2);
	expect_backup(0, true, false);
	fake_sys_device("sda", "8:0");
	fake_sys_scan(FAKE_SYS_ROOT FAKE_SYS_DATA, disks, 2);
	expect_backup(0, false, true);
}

/* ---- disks ---- */

static void
test_mounts_knows_disks_by_wwn(void **state)
{
	static const struct message_disk disks[] = { { .target = "sdz",
	    .wwn = "5000C50015EA71AD" } };

	(void)state;
	fake_sys_dir("devices/vdb/device");
	fake_sys_file("devices/vdb/device/wwid", "naa.5000c50015ea71ad\n");
	fake_sys_scan(FAKE_SYS_ROOT FAKE_SYS_DATA, disks, 1);
	fake_sys_expect(0, "/data x", "sdz", MESSAGE_FS_PLANNED);
	fake_sys_expect(1, "/", "vda", MESSAGE_FS_SKIPPED);
}

static void
test_mounts_knows_disks_by_their_way_on_the_bus(void **state)
{
	static const struct message_disk disks[] = {
		{ .target = "one", .pci = "0000:00:05.0" },
		{ .target = "two", .pci = "0000:00:02.4/00.0" }
	};

	(void)state;
	fake_sys_device_at(
	    "pci0000:00/0000:00:05.0/virtio1/block/vdc", "254:32", false);
	/* The firmware's number of the bus is not libvirt's. */
	fake_sys_device_at(
	    "pci0000:00/0000:00:02.4/0000:07:00.0/virtio2/block/vdd", "254:48",
	    false);
	fake_sys_scan(FAKE_SYS_ROOT "30 20 254:32 / /c rw - xfs /dev/vdc rw\n"
				    "31 20 254:48 / /d rw - xfs /dev/vdd rw\n",
	    disks, 2);
	fake_sys_expect(0, "/d", "two", MESSAGE_FS_PLANNED);
	fake_sys_expect(1, "/c", "one", MESSAGE_FS_PLANNED);
	fake_sys_expect(2, "/", "vda", MESSAGE_FS_SKIPPED);
}

static void
test_mounts_takes_no_disk_that_shares_its_address(void **state)
{
	static const struct message_disk disks[] = { { .target = "one",
	    .pci = "0000:00:05.0" } };
	static const char lines[] =
	    FAKE_SYS_ROOT "30 20 254:32 / /c rw - xfs /dev/vdc rw\n";

	(void)state;
	/* Two disks on one function, then one on a SCSI host. */
	fake_sys_device_at(
	    "pci0000:00/0000:00:05.0/nvme/nvme0/vdc", "254:32", false);
	fake_sys_device_at(
	    "pci0000:00/0000:00:05.0/nvme/nvme0/vdd", "254:48", false);
	fake_sys_scan(lines, disks, 1);
	fake_sys_expect(0, "/c", "vdc", MESSAGE_FS_PLANNED);
	fake_sys_expect(1, "/", "vda", MESSAGE_FS_PLANNED);
	assert_non_null(strstr(fake_sys.mounts.note, "'one'"));
	fake_sys_device_at(
	    "pci0000:00/0000:00:06.0/virtio1/host0/target0/sda", "8:0", false);
	fake_sys_scan(lines,
	    &(struct message_disk){ .target = "o", .pci = "0000:00:06.0" }, 1);
	assert_non_null(strstr(fake_sys.mounts.note, "'o'"));
}

static void
test_mounts_believes_no_serial_that_two_have(void **state)
{
	static const struct message_disk disks[] = { { .target = "hda",
	    .serial = "SERIAL-A" } };

	(void)state;
	fake_sys_file("devices/vdb/serial", "SERIAL-A");
	fake_sys_scan(FAKE_SYS_ROOT FAKE_SYS_DATA, disks, 1);
	fake_sys_expect(0, "/data x", "vdb", MESSAGE_FS_PLANNED);
	fake_sys_expect(1, "/", "vda", MESSAGE_FS_PLANNED);
	assert_non_null(strstr(fake_sys.mounts.note, "'hda'"));
}

static void
test_mounts_freezes_what_spans_planned_disks(void **state)
{
	static const struct message_disk disks[] = { FAKE_SYS_SDX };
	static const struct message_disk both[] = { { .target = "sdx",
							.serial = "SERIAL-A" },
		{ .target = "sdy", .serial = "SERIAL-B" } };
	static const char line[] = "20 1 253:0 / / rw - ext4 /dev/dm-0 rw\n";

	(void)state;
	fake_sys_file("devices/vdb/serial", "SERIAL-B");
	fake_sys_device("dm-0", "253:0");
	fake_sys_slave("dm-0", "vdb");
	fake_sys_slave("dm-0", "vda1");
	fake_sys_scan(line, disks, 1);
	fake_sys_expect(0, "/", "sdx", MESSAGE_FS_PLANNED);
	fake_sys_scan(line, both, 2);
	assert_int_equal(fake_sys.mounts.items[0].state, MESSAGE_FS_PLANNED);
	assert_int_equal(
	    strlen(fake_sys.mounts.items[0].disk), strlen("sdx,sdy"));
	fake_sys_scan(line, &both[1], 1);
	fake_sys_expect(0, "/", "sdy", MESSAGE_FS_PLANNED);
}

static void
test_mounts_leaves_alone_what_is_on_no_disk(void **state)
{
	(void)state;
	fake_sys_device_at("virtual/block/zram0", "252:0", false);
	fake_sys_loop("loop0", "7:0", "/run/x.img\n");
	fake_sys_scan(FAKE_SYS_ROOT "21 20 0:9 / /run rw - tmpfs run rw\n"
				    "22 20 252:0 / /z rw - ext4 /dev/zram0 rw\n"
				    "23 20 7:0 / /l rw - ext4 /dev/loop0 rw\n",
	    NULL, 0);
	fake_sys_expect(0, "/l", "", MESSAGE_FS_SKIPPED);
	fake_sys_expect(1, "/z", "", MESSAGE_FS_SKIPPED);
	assert_string_equal(
	    fake_sys.mounts.items[1].reason, "on no disk of the host");
	fake_sys_expect(2, "/", "vda", MESSAGE_FS_PLANNED);
}

/* ---- kinds ---- */

static void
test_mounts_names_what_knows_no_freeze(void **state)
{
	static const struct message_disk disks[] = { FAKE_SYS_SDX };

	(void)state;
	fake_sys_scan("20 1 254:1 / /boot/efi rw - vfat /dev/vda1 rw\n"
		      "21 1 0:40 / /pool rw - zfs tank rw\n"
		      "22 1 0:41 / /pool/a rw - zfs tank/a rw\n"
		      "23 1 254:16 / /usb rw - vfat /dev/vdb rw\n",
	    disks, 1);
	assert_int_equal(fake_sys.mounts.count, 3);
	fake_sys_expect(0, "/usb", "vdb", MESSAGE_FS_SKIPPED);
	assert_false(fake_sys.mounts.items[0].sync_only);
	fake_sys_expect(1, "/pool", "", MESSAGE_FS_SKIPPED);
	fake_sys_expect(2, "/boot/efi", "sdx", MESSAGE_FS_SKIPPED);
	assert_true(fake_sys.mounts.items[2].sync_only);
	assert_string_equal(fake_sys.mounts.items[2].reason,
	    "this file system knows no freeze");
}

/* Who looks there may wait for ever for a program that was stopped. */
static void
test_mounts_leaves_alone_what_may_hang(void **state)
{
	char text[1024];

	(void)state;
	snprintf(text, sizeof(text),
	    "20 1 254:1 / %s rw - fuseblk /dev/vda1 rw\n"
	    "21 1 0:50 / %s rw - fuse.sshfs there rw\n"
	    "22 21 254:16 / %s rw - xfs /dev/vdb rw\n",
	    fake_sys.sysfs, fake_sys.top, fake_sys.proc);
	fake_sys_scan(text, NULL, 0);
	assert_int_equal(fake_sys.mounts.count, 2);
	fake_sys_expect(0, fake_sys.proc, "vdb", MESSAGE_FS_PLANNED);
	fake_sys_expect(1, fake_sys.sysfs, "vda", MESSAGE_FS_SKIPPED);
	assert_false(fake_sys.mounts.items[1].sync_only);
	assert_non_null(strstr(fake_sys.mounts.items[1].reason, "might hang"));
	mounts_open(&fake_sys.mounts, &fake_sys.paths);
	assert_int_equal(fake_sys.mounts.items[0].fd, -1);
	fake_sys_expect(0, fake_sys.proc, "vdb", MESSAGE_FS_FAILED);
	assert_non_null(strstr(fake_sys.mounts.items[0].reason, "might hang"));
	assert_int_equal(fake_sys.mounts.items[1].fd, -1);
}

static void
test_mounts_freezes_a_btrfs_of_unknown_disks(void **state)
{
	static const struct message_disk disks[] = { FAKE_SYS_SDX };

	(void)state;
	fake_sys_scan(FAKE_SYS_ROOT "21 20 0:33 / /b rw - btrfs /dev/gone rw\n",
	    disks, 1);
	fake_sys_expect(0, "/b", "", MESSAGE_FS_PLANNED);
	fake_sys_expect(1, "/", "sdx", MESSAGE_FS_PLANNED);
}

static void
test_mounts_finds_a_btrfs_by_its_mapper_name(void **state)
{
	(void)state;
	fake_sys_device("dm-0", "253:0");
	fake_sys_slave("dm-0", "vdb");
	fake_sys_dir("devices/dm-0/dm");
	fake_sys_file("devices/dm-0/dm/name", "vg-root\n");
	fake_sys_scan(
	    "21 20 0:33 / / rw - btrfs /nowhere/vg-root rw\n", NULL, 0);
	fake_sys_expect(0, "/", "vdb", MESSAGE_FS_PLANNED);
}

static void
test_mounts_obeys_the_policy(void **state)
{
	(void)state;
	fake_sys.conf.skip_mounts.count = 1;
	strcpy(fake_sys.conf.skip_mounts.items[0], "/mnt");
	fake_sys.conf.skip_types.count = 1;
	strcpy(fake_sys.conf.skip_types.items[0], "xfs");
	/* One of several mount points will do. */
	fake_sys_scan(FAKE_SYS_ROOT
	    "40 20 254:1 /srv /mnt rw - ext4 /dev/vda1 rw\n" FAKE_SYS_DATA,
	    NULL, 0);
	fake_sys_expect(0, "/data x", "vdb", MESSAGE_FS_SKIPPED);
	assert_string_equal(
	    fake_sys.mounts.items[0].reason, "disabled in guest.conf");
	fake_sys_expect(1, "/", "vda", MESSAGE_FS_SKIPPED);
	assert_string_equal(
	    fake_sys.mounts.items[1].reason, "disabled in guest.conf");
	strcpy(fake_sys.conf.skip_mounts.items[0], "/mn");
	fake_sys_scan(FAKE_SYS_ROOT FAKE_SYS_DATA, NULL, 0);
	fake_sys_expect(1, "/", "vda", MESSAGE_FS_PLANNED);
}

#define CASE(name) \
	cmocka_unit_test_setup_teardown( \
	    name, fake_sys_set_up, fake_sys_tear_down)

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
		CASE(test_mounts_knows_all_disks_of_a_btrfs),
		CASE(test_mounts_tells_what_is_left_out),
		CASE(test_mounts_has_a_part_of_what_spans_disks),
		CASE(test_mounts_claims_nothing_by_names_alone),
		CASE(test_mounts_knows_disks_by_wwn),
		CASE(test_mounts_knows_disks_by_their_way_on_the_bus),
		CASE(test_mounts_takes_no_disk_that_shares_its_address),
		CASE(test_mounts_believes_no_serial_that_two_have),
		CASE(test_mounts_freezes_what_spans_planned_disks),
		CASE(test_mounts_leaves_alone_what_is_on_no_disk),
		CASE(test_mounts_names_what_knows_no_freeze),
		CASE(test_mounts_leaves_alone_what_may_hang),
		CASE(test_mounts_freezes_a_btrfs_of_unknown_disks),
		CASE(test_mounts_finds_a_btrfs_by_its_mapper_name),
		CASE(test_mounts_obeys_the_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
