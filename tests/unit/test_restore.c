/* SPDX-License-Identifier: Apache-2.0 */
/* Restores to files: whole, or nothing left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/clock.h"
#include "tests/unit/restore_fixture.h"

static void
must_restore(const char *name, enum restore_format format, bool overwrite)
{
	struct err err = ERR_INIT;

	if (fixture_restore(
		fixture_path(name), format, overwrite, NULL, NULL, &err) == -1)
		fail_msg("%s", err.text);
}

/* words: in text or hint. */
static void
must_refuse(const char *target, enum restore_format format, bool overwrite,
    enum err_class class, const char *words)
{
	struct err err = ERR_INIT;

	assert_int_equal(
	    fixture_restore(target, format, overwrite, NULL, NULL, &err), -1);
	if (err.class != class)
		fail_msg("%s: %s", err_class_name(err.class), err.text);
	if (strstr(err.text, words) == NULL && strstr(err.hint, words) == NULL)
		fail_msg("%s (%s)", err.text, err.hint);
}

static void
test_restore_raw_holds_the_disk_and_stays_sparse(void **state)
{
	struct stat st;

	(void)state;
	must_restore("a.raw", RESTORE_RAW, false);
	fixture_assert_disk(fixture_path("a.raw"));
	assert_int_equal(fixture_count_files(), 1);
	assert_int_equal(stat(fixture_path("a.raw"), &st), 0);
	assert_int_equal(st.st_size, fixture.size_bytes);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(
	    (uint64_t)st.st_blocks * 512 < fixture_data_bytes() + (1 << 20));
}

static void
test_restore_qcow2_holds_the_disk(void **state)
{
	(void)state;
	must_restore("a.raw", RESTORE_RAW, false);
	must_restore("a.qcow2", RESTORE_QCOW2, false);
	assert_int_equal(fixture_run("qemu-img compare -q -f raw -F qcow2 "
				     "%s/a.raw %s/a.qcow2",
			     fixture.dir, fixture.dir),
	    0);
	assert_int_equal(fixture_run("qemu-img info --output=json %s/a.qcow2 |"
				     " grep -q '\"virtual-size\": %ju,'",
			     fixture.dir, (uintmax_t)fixture.size_bytes),
	    0);
	assert_int_equal(
	    fixture_run("qemu-img check -q %s/a.qcow2", fixture.dir), 0);
	assert_int_equal(fixture_count_files(), 2);
	fixture_assert_clean();
}

static void
test_restore_takes_names_that_look_like_protocols(void **state)
{
	char *cwd = getcwd(NULL, 0);
	struct err err = ERR_INIT;
	int rc;

	(void)state;
	assert_int_equal(chdir(fixture.dir), 0);
	rc = fixture_restore(
	    "nbd:a,b=c d", RESTORE_QCOW2, false, NULL, NULL, &err);
	assert_int_equal(chdir(cwd), 0);
	free(cwd);
	assert_string_equal(err.text, "");
	assert_int_equal(rc, 0);
	assert_true(fixture_exists("nbd:a,b=c d"));
}

static void
test_restore_refuses_an_existing_file(void **state)
{
	(void)state;
	fixture_fill(fixture_path("a"), 4096);
	must_refuse(
	    fixture_path("a"), RESTORE_RAW, false, ERR_EXISTS, "--overwrite");
	must_refuse(
	    fixture_path("a"), RESTORE_QCOW2, false, ERR_EXISTS, "--overwrite");
	fixture_assert_untouched(fixture_path("a"), 0, 4096);
	assert_int_equal(fixture_count_files(), 1);
}

static void
test_restore_overwrites_when_asked_and_keeps_the_mode(void **state)
{
	struct stat st;

	(void)state;
	fixture_fill(fixture_path("a"), 4096);
	assert_int_equal(chmod(fixture_path("a"), 0640), 0);
	assert_int_equal(symlink("a", fixture_path("link")), 0);
	must_restore("link", RESTORE_RAW, true);
	fixture_assert_disk(fixture_path("a"));
	assert_int_equal(lstat(fixture_path("link"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(fixture_path("a"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(fixture_count_files(), 2);
}

static void
test_restore_replaces_the_partial_of_a_dead_run(void **state)
{
	(void)state;
	fixture_fill(fixture_path("a.partial"), FIXTURE_DISK_BYTES + 65536);
	must_restore("a", RESTORE_RAW, false);
	fixture_assert_disk(fixture_path("a"));
	assert_int_equal(fixture_count_files(), 1);
}

static void
test_restore_leaves_the_partial_of_a_living_run(void **state)
{
	int fd;

	(void)state;
	fixture_fill(fixture_path("a.partial"), 4096);
	fd = open(fixture_path("a.partial"), O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	must_refuse(
	    fixture_path("a"), RESTORE_RAW, false, ERR_BUSY, "another restore");
	close(fd);
	fixture_assert_untouched(fixture_path("a.partial"), 0, 4096);
}

static void
test_restore_refuses_an_image_in_use(void **state)
{
	struct flock lock = {
		.l_type = F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = 100,
		.l_len = 1,
	};
	int fd;

	(void)state;
	fixture_fill(fixture_path("a"), 4096);
	fd = open(fixture_path("a"), O_RDWR | O_CLOEXEC);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	must_refuse(fixture_path("a"), RESTORE_RAW, true, ERR_BUSY, "in use");
	close(fd);
	assert_int_equal(fixture_count_files(), 1);
}

static void
test_restore_refuses_what_is_no_target(void **state)
{
	(void)state;
	must_refuse(
	    "rbd:pool/image", RESTORE_RAW, true, ERR_UNSUPPORTED, "RBD");
	must_refuse("ftp://host/a", RESTORE_RAW, true, ERR_ARG, "known kind");
	must_refuse("", RESTORE_RAW, true, ERR_ARG, "empty");
	must_refuse(fixture.dir, RESTORE_RAW, true, ERR_ARG, "neither");
	must_refuse("/dev/null", RESTORE_RAW, true, ERR_ARG, "neither");
	must_refuse(
	    "/dev/no-such-disk", RESTORE_RAW, true, ERR_NOT_FOUND, "device");
	must_refuse(
	    fixture_path("none/a"), RESTORE_RAW, true, ERR_NOT_FOUND, "folder");
	assert_int_equal(fixture_count_files(), 0);
}

static void
test_restore_leaves_nothing_of_a_damaged_disk(void **state)
{
	(void)state;
	fixture.corrupt_after_bytes = fixture_data_bytes() / 2;
	must_refuse(
	    fixture_path("a"), RESTORE_RAW, false, ERR_CORRUPT, "pack 'x'");
	must_refuse(
	    fixture_path("a"), RESTORE_QCOW2, false, ERR_CORRUPT, "pack 'x'");
	fixture_fill(fixture_path("b"), 4096);
	must_refuse(
	    fixture_path("b"), RESTORE_RAW, true, ERR_CORRUPT, "pack 'x'");
	fixture_assert_untouched(fixture_path("b"), 0, 4096);
	assert_int_equal(fixture_count_files(), 1);
	fixture_assert_clean();
}

struct ticks {
	uint64_t done_bytes, total_bytes;
	unsigned int count;
	uint64_t stop_at_bytes;
	unsigned int stop_at_count;
	bool kill_server;
	int64_t last_ms, longest_ms;
};

static int
count_tick(
    void *arg, uint64_t done_bytes, uint64_t total_bytes, struct err *err)
{
	struct ticks *t = arg;
	int64_t now_ms = clock_monotonic_ms();
	pid_t server;

	assert_true(done_bytes >= t->done_bytes);
	if (t->count++ > 0 && now_ms - t->last_ms > t->longest_ms)
		t->longest_ms = now_ms - t->last_ms;
	t->last_ms = now_ms;
	t->done_bytes = done_bytes;
	t->total_bytes = total_bytes;
	if (t->stop_at_bytes == 0 || done_bytes < t->stop_at_bytes ||
	    t->count < t->stop_at_count)
		return 0;
	if (!t->kill_server)
		return err_set(err, ERR_CANCELLED, "the tick said so");
	server = fixture_find_child(getpid(), "qemu-nbd");
	if (server != 0)
		kill(server, SIGKILL);
	return 0;
}

static void
test_restore_ticks_up_to_the_whole(void **state)
{
	struct ticks t = { .count = 0 };
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(fixture_restore(fixture_path("a"), RESTORE_QCOW2,
			     false, count_tick, &t, &err),
	    0);
	assert_true(t.count >= 2);
	assert_int_equal(t.done_bytes, fixture_data_bytes());
	assert_int_equal(t.total_bytes, fixture_data_bytes());
}

static void
test_restore_ticks_often(void **state)
{
	struct ticks t = { .stop_at_bytes = 1, .stop_at_count = 8 };
	struct err err = ERR_INIT;

	(void)state;
	fixture.endless = true;
	assert_int_equal(fixture_restore(fixture_path("a"), RESTORE_RAW, false,
			     count_tick, &t, &err),
	    -1);
	/* The work has no end of its own: that it ticks at all is what counts,
	 * and a busy machine is slow. */
	assert_in_range(t.longest_ms, 1, 10000);
}

static void
cancel_one(enum restore_format format)
{
	struct ticks t = { .stop_at_bytes = 1 };
	struct err err = ERR_INIT;

	assert_int_equal(fixture_restore(fixture_path("a"), format, false,
			     count_tick, &t, &err),
	    -1);
	assert_int_equal(err.class, ERR_CANCELLED);
	assert_string_equal(err.text, "the tick said so");
	assert_int_equal(fixture_count_files(), 0);
	fixture_assert_clean();
}

static void
test_restore_leaves_nothing_when_cancelled(void **state)
{
	(void)state;
	fixture.endless = true;
	cancel_one(RESTORE_RAW);
	cancel_one(RESTORE_QCOW2);
}

static void
test_restore_leaves_nothing_when_the_server_dies(void **state)
{
	struct ticks t = { .stop_at_bytes = 1, .kill_server = true };
	struct err err = ERR_INIT;

	(void)state;
	fixture.endless = true;
	assert_int_equal(fixture_restore(fixture_path("a"), RESTORE_QCOW2,
			     false, count_tick, &t, &err),
	    -1);
	assert_int_not_equal(err.class, ERR_CANCELLED);
	assert_int_equal(fixture_count_files(), 0);
	fixture_assert_clean();
}

/* The server and what a killed run leaves: the .partial, nothing running. */
static void
test_restore_killed_takes_its_server_along(void **state)
{
	int64_t deadline_ms = clock_monotonic_ms() + 30000;
	struct err err = ERR_INIT;
	pid_t child, server = 0;

	(void)state;
	fixture.endless = true;
	child = fork();
	if (child == 0) {
		fixture_restore(
		    fixture_path("a"), RESTORE_QCOW2, false, NULL, NULL, &err);
		_exit(0);
	}
	while (server == 0 && clock_monotonic_ms() < deadline_ms)
		server = fixture_find_child(child, "qemu-nbd");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_not_equal(server, 0);
	assert_true(fixture_wait_gone(server));
	assert_false(fixture_exists("a"));
	fixture.endless = false;
	must_restore("a", RESTORE_QCOW2, false);
	assert_int_equal(fixture_count_files(), 1);
}

static void
test_restore_without_tools_names_the_package(void **state)
{
	char *path = strdup(getenv("PATH"));
	struct err err = ERR_INIT;
	int rc;

	(void)state;
	setenv("PATH", fixture.dir, 1);
	rc = fixture_restore(
	    fixture_path("a"), RESTORE_QCOW2, false, NULL, NULL, &err);
	setenv("PATH", path, 1);
	free(path);
	assert_int_equal(rc, -1);
	assert_int_equal(err.class, ERR_UNSUPPORTED);
	assert_non_null(strstr(err.hint, "qemu-utils"));
	assert_int_equal(fixture_count_files(), 0);
}

static void
test_restore_full_file_system_leaves_nothing(void **state)
{
	(void)state;
	if (mount("none", fixture.dir, "tmpfs", 0, "size=16m") == -1) {
		print_message("cannot mount a tmpfs\n");
		skip();
	}
	/* Seen ahead, */
	must_refuse(fixture_path("a"), RESTORE_RAW, false, ERR_NO_SPACE,
	    "not enough space");
	/* and met on the way. */
	fixture.told_bytes = 1;
	must_refuse(fixture_path("a"), RESTORE_RAW, false, ERR_NO_SPACE,
	    "cannot write");
	must_refuse(fixture_path("a"), RESTORE_QCOW2, false, ERR_NO_SPACE,
	    "cannot write");
	assert_int_equal(fixture_count_files(), 0);
	assert_int_equal(umount2(fixture.dir, MNT_DETACH), 0);
	fixture_assert_clean();
}

static void
test_restore_format_words(void **state)
{
	enum restore_format format;

	(void)state;
	assert_int_equal(restore_format_parse(&format, "raw"), 0);
	assert_int_equal(format, RESTORE_RAW);
	assert_string_equal(restore_format_name(RESTORE_QCOW2), "qcow2");
	assert_int_equal(restore_format_parse(&format, "vmdk"), -1);
}

/* Last: the wish to stop stays for ever. */
static void
test_restore_obeys_a_signal(void **state)
{
	(void)state;
	fixture.endless = true;
	cancel_request(SIGTERM);
	must_refuse(fixture_path("a"), RESTORE_RAW, false, ERR_CANCELLED, "");
	must_refuse(fixture_path("a"), RESTORE_QCOW2, false, ERR_CANCELLED, "");
	assert_int_equal(fixture_count_files(), 0);
	fixture_assert_clean();
}

#define CASE(f) \
	cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_restore_raw_holds_the_disk_and_stays_sparse),
		CASE(test_restore_qcow2_holds_the_disk),
		CASE(test_restore_takes_names_that_look_like_protocols),
		CASE(test_restore_refuses_an_existing_file),
		CASE(test_restore_overwrites_when_asked_and_keeps_the_mode),
		CASE(test_restore_replaces_the_partial_of_a_dead_run),
		CASE(test_restore_leaves_the_partial_of_a_living_run),
		CASE(test_restore_refuses_an_image_in_use),
		CASE(test_restore_refuses_what_is_no_target),
		CASE(test_restore_leaves_nothing_of_a_damaged_disk),
		CASE(test_restore_ticks_up_to_the_whole),
		CASE(test_restore_ticks_often),
		CASE(test_restore_leaves_nothing_when_cancelled),
		CASE(test_restore_leaves_nothing_when_the_server_dies),
		CASE(test_restore_killed_takes_its_server_along),
		CASE(test_restore_without_tools_names_the_package),
		CASE(test_restore_full_file_system_leaves_nothing),
		CASE(test_restore_format_words),
		CASE(test_restore_obeys_a_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
