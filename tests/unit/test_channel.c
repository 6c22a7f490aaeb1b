/* SPDX-License-Identifier: Apache-2.0 */
/* A port that the host closes, and one that it unplugs: poll and read answer
 * as the driver of virtio ports does. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/log.h"
#include "guest-helper/channel.h"

static char dir[64], path[80];
static struct channel channel;
static int64_t now_ms;
static bool hung_up, unplugged;

/* The linker puts these in the place of libc's. */
int __wrap_poll(struct pollfd *p, nfds_t count, int timeout);
ssize_t __real_read(int fd, void *bytes, size_t size);
ssize_t __wrap_read(int fd, void *bytes, size_t size);

int
__wrap_poll(struct pollfd *p, nfds_t count, int timeout)
{
	(void)timeout;
	assert_int_equal(count, 1);
	p->revents = hung_up || unplugged ? POLLHUP : 0;
	return 1;
}

ssize_t
__wrap_read(int fd, void *bytes, size_t size)
{
	if (fd != channel.fd)
		return __real_read(fd, bytes, size);
	if (unplugged) {
		errno = ENODEV;
		return -1;
	}
	if (!hung_up && size > 0) {
		errno = EAGAIN;
		return -1;
	}
	return 0;
}

static void
log_nothing(void *arg, enum log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static int
set_up(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	log_set_sink(log_nothing, NULL);
	strcpy(dir, "/tmp/holdstill-test.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/port", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	hung_up = unplugged = false;
	now_ms = 1000;
	assert_int_equal(channel_init(&channel, path, &err), 0);
	channel_step(&channel, 0, now_ms);
	assert_true(channel.host_there);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	channel_fini(&channel);
	unlink(path);
	rmdir(dir);
	return 0;
}

static void
pass_time(void)
{
	now_ms += 1000;
	channel_step(&channel, 0, now_ms);
}

static void
test_channel_keeps_a_port_that_hung_up(void **state)
{
	int fd = channel.fd;

	(void)state;
	hung_up = true;
	assert_true(channel_step(&channel, POLLHUP, now_ms));
	assert_false(channel.host_there);
	pass_time();
	assert_int_equal(channel.fd, fd);
	assert_false(channel.host_there);
	hung_up = false;
	pass_time();
	assert_int_equal(channel.fd, fd);
	assert_true(channel.host_there);
}

static void
expect_opened_anew(void)
{
	char moved[96];

	assert_int_equal(channel.fd, -1);
	/* It is away for some time. */
	snprintf(moved, sizeof(moved), "%s.away", path);
	assert_int_equal(rename(path, moved), 0);
	hung_up = unplugged = false;
	pass_time();
	assert_int_equal(channel.fd, -1);
	assert_int_equal(rename(moved, path), 0);
	pass_time();
	assert_int_not_equal(channel.fd, -1);
	assert_true(channel.host_there);
}

static void
test_channel_opens_an_unplugged_port_anew(void **state)
{
	(void)state;
	unplugged = true;
	assert_true(channel_step(&channel, POLLHUP, now_ms));
	expect_opened_anew();
}

static void
test_channel_opens_a_port_unplugged_in_silence_anew(void **state)
{
	(void)state;
	hung_up = true;
	assert_true(channel_step(&channel, POLLHUP, now_ms));
	assert_int_not_equal(channel.fd, -1);
	unplugged = true;
	pass_time();
	expect_opened_anew();
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_channel_keeps_a_port_that_hung_up),
		T(test_channel_opens_an_unplugged_port_anew),
		T(test_channel_opens_a_port_unplugged_in_silence_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
