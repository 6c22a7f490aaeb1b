/* SPDX-License-Identifier: Apache-2.0 */
/* Restores to block devices and NBD exports: in place, zeros included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/manifest.h"
#include "tests/unit/restore_fixture.h"

#define ROOM (UINT64_C(1) << 20)

static char device[64];

static int
restore_to(const char *target, bool overwrite, struct err *err)
{
	return fixture_restore(target, RESTORE_RAW, overwrite, NULL, NULL, err);
}

static void
must_refuse(const char *target, bool overwrite, enum err_class class)
{
	struct err err = ERR_INIT;

	assert_int_equal(restore_to(target, overwrite, &err), -1);
	if (err.class != class)
		fail_msg("%s: %s", err_class_name(err.class), err.text);
}

/* ---- a loop device over a file of 0xff ---- */

static bool
loop_begin(uint64_t size_bytes)
{
	FILE *f;
	char command[256];
	size_t n = 0;

	fixture_fill(fixture_path("backing"), size_bytes);
	snprintf(command, sizeof(command),
	    "losetup --find --show %s/backing 2>&1", fixture.dir);
	if ((f = popen(command, "re")) != NULL) {
		n = fread(device, 1, sizeof(device) - 1, f);
		if (pclose(f) != 0)
			n = 0;
	}
	device[n] = '\0';
	device[strcspn(device, "\n")] = '\0';
	if (n == 0)
		print_message("no loop device can be made here\n");
	return n != 0;
}

static int
device_teardown(void **state)
{
	if (device[0] != '\0')
		fixture_run("losetup --detach %s", device);
	device[0] = '\0';
	return fixture_teardown(state);
}

static void
test_restore_target_device_holds_the_disk(void **state)
{
	uint64_t size = FIXTURE_DISK_BYTES / 4096 * 4096 + ROOM;
	struct err err = ERR_INIT;

	(void)state;
	if (!loop_begin(size))
		skip();
	must_refuse(device, false, ERR_EXISTS);
	fixture_assert_untouched(device, 0, 4096);
	if (restore_to(device, true, &err) == -1)
		fail_msg("%s", err.text);
	fixture_assert_disk(device);
	fixture_assert_disk(fixture_path("backing"));
	fixture_assert_untouched(device, FIXTURE_DISK_BYTES, size);
}

static void
test_restore_target_device_too_small_is_refused(void **state)
{
	(void)state;
	if (!loop_begin(FIXTURE_DISK_BYTES / 4096 * 4096))
		skip();
	must_refuse(device, true, ERR_NO_SPACE);
	fixture_assert_untouched(device, 0, 4096);
}

/* As for the second of two: nothing is opened for writing yet. */
static void
must_fail_the_check(const char *target, bool overwrite, enum err_class class)
{
	const struct manifest_disk disk = { .size_bytes = FIXTURE_DISK_BYTES };
	const struct restore_options options = {
		.target = target, .format = RESTORE_RAW, .overwrite = overwrite
	};
	struct err err = ERR_INIT;
	int rc = restore_check(&disk, &options, &err);

	if (rc != (class == ERR_NONE ? 0 : -1) || err.class != class)
		fail_msg("%s: %d %s: %s", target, rc, err_class_name(err.class),
		    err.text);
}

static void
test_restore_target_check_judges_a_device(void **state)
{
	(void)state;
	if (!loop_begin(FIXTURE_DISK_BYTES / 4096 * 4096))
		skip();
	must_fail_the_check(device, false, ERR_EXISTS);
	must_fail_the_check(device, true, ERR_NO_SPACE);
	fixture_assert_untouched(device, 0, 4096);
}

static void
test_restore_target_check_judges_files_and_exports(void **state)
{
	unsigned int files;

	(void)state;
	fixture_fill(fixture_path("old"), 4096);
	files = fixture_count_files();
	must_fail_the_check(fixture_path("old"), false, ERR_EXISTS);
	must_fail_the_check(fixture_path("old"), true, ERR_NONE);
	must_fail_the_check(fixture_path("new"), false, ERR_NONE);
	must_fail_the_check("nbd+unix:///a?socket=/s", false, ERR_EXISTS);
	must_fail_the_check("nbd+unix:///a", true, ERR_ARG);
	must_fail_the_check("nbd+unix:///a?socket=/s", true, ERR_NONE);
	must_fail_the_check("/dev/nonexistent", true, ERR_NOT_FOUND);
	assert_int_equal(fixture_count_files(), files);
	fixture_assert_untouched(fixture_path("old"), 0, 4096);
}

static void
test_restore_target_device_in_use_is_refused(void **state)
{
	int fd;

	(void)state;
	if (!loop_begin(FIXTURE_DISK_BYTES + ROOM))
		skip();
	fd = open(device, O_RDONLY | O_EXCL | O_CLOEXEC);
	assert_int_not_equal(fd, -1);
	must_refuse(device, true, ERR_BUSY);
	close(fd);
	fixture_assert_untouched(device, 0, 4096);
}

/* ---- an export of a file of 0xff ---- */

static void
serve(uint64_t size_bytes)
{
	fixture_fill(fixture_path("image"), size_bytes);
	assert_int_equal(
	    fixture_run("qemu-nbd --fork --format=raw --export-name='a b' "
			"--socket=%s/s --pid-file=%s/pid %s/image",
		fixture.dir, fixture.dir, fixture.dir),
	    0);
}

static int
nbd_teardown(void **state)
{
	FILE *f = fopen(fixture_path("pid"), "re");
	int pid = 0;

	if (f != NULL && fscanf(f, "%d", &pid) == 1 && pid > 1) {
		kill(pid, SIGTERM);
		fixture_wait_gone(pid);
	}
	if (f != NULL)
		fclose(f);
	return fixture_teardown(state);
}

static const char *
url(void)
{
	static char text[256];

	snprintf(
	    text, sizeof(text), "nbd+unix:///a%%20b?socket=%s/s", fixture.dir);
	return text;
}

static void
test_restore_target_nbd_holds_the_disk(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	serve(FIXTURE_DISK_BYTES + ROOM);
	if (restore_to(url(), true, &err) == -1)
		fail_msg("%s", err.text);
	fixture_assert_disk(fixture_path("image"));
	fixture_assert_untouched(fixture_path("image"), FIXTURE_DISK_BYTES,
	    FIXTURE_DISK_BYTES + ROOM);
}

static void
test_restore_target_nbd_too_small_is_refused(void **state)
{
	(void)state;
	serve(ROOM);
	must_refuse(url(), true, ERR_NO_SPACE);
	fixture_assert_untouched(fixture_path("image"), 0, 4096);
}

static void
test_restore_target_nbd_bad_urls_are_refused(void **state)
{
	(void)state;
	must_refuse(url(), false, ERR_EXISTS);
	must_refuse("nbd+unix:///a", true, ERR_ARG);
	must_refuse("nbd+unix:///a?socket=", true, ERR_ARG);
	must_refuse("nbd+unix://host/a?socket=/s", true, ERR_ARG);
	must_refuse("nbd+unix:///a?socket=/s&x=y", true, ERR_ARG);
	must_refuse("nbd+unix:///a%2?socket=/s", true, ERR_ARG);
	must_refuse("nbd+unix:///a%00?socket=/s", true, ERR_ARG);
	must_refuse("nbd+unix:", true, ERR_ARG);
}

#define DEVICE(f) \
	cmocka_unit_test_setup_teardown(f, fixture_setup, device_teardown)
#define NBD(f) cmocka_unit_test_setup_teardown(f, fixture_setup, nbd_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		DEVICE(test_restore_target_device_holds_the_disk),
		DEVICE(test_restore_target_device_too_small_is_refused),
		DEVICE(test_restore_target_device_in_use_is_refused),
		DEVICE(test_restore_target_check_judges_a_device),
		DEVICE(test_restore_target_check_judges_files_and_exports),
		NBD(test_restore_target_nbd_holds_the_disk),
		NBD(test_restore_target_nbd_too_small_is_refused),
		NBD(test_restore_target_nbd_bad_urls_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
