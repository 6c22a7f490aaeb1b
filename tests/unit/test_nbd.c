/* SPDX-License-Identifier: Apache-2.0 */
/* The NBD link against a real server, also one that dies. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "agent/nbd/nbd.h"
#include "common/cancel.h"
#include "common/clock.h"
#include "common/err.h"
#include "nbd_fixture.h"

#define MIB ((uint64_t)1 << 20)

static struct nbd_fixture fixture;

static int
setup(void **state)
{
	(void)state;
	nbd_fixture_init(&fixture, 64 * MIB);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	nbd_fixture_fini(&fixture);
	return 0;
}

static int
open_link(struct nbd_link **out, const char *name, const char *context,
    struct err *err)
{
	struct nbd_link_options options = { .socket_path = fixture.socket,
		.export_name = name,
		.context = { context } };

	return nbd_link_open(out, &options, err);
}

static void
count_done(void *arg, int error)
{
	int *counts = arg;

	counts[error != 0]++;
}

static void
drain(struct nbd_link *n)
{
	struct err err = ERR_INIT;

	while (nbd_link_in_flight(n) > 0)
		if (nbd_link_wait(n, 1000, &err) == -1)
			fail_msg("%s", err.text);
}

static void
test_nbd_reads_what_was_written(void **state)
{
	struct nbd_link_options options = { .socket_path = fixture.socket,
		.export_name = "vda",
		.writable = true };
	struct err err = ERR_INIT;
	struct nbd_link *n = NULL;
	static char out[MIB], in[MIB];
	int counts[2] = { 0 };

	(void)state;
	nbd_fixture_serve(&fixture, NULL, true);
	if (nbd_link_open(&n, &options, &err) == -1)
		fail_msg("%s", err.text);
	assert_int_equal(nbd_link_size(n), 64 * MIB);
	memset(out, 'x', sizeof(out));
	assert_int_equal(nbd_link_write(n, out, sizeof(out), 3 * MIB,
			     count_done, counts, &err),
	    0);
	drain(n);
	assert_int_equal(
	    nbd_link_zero(n, 4096, 3 * MIB, count_done, counts, &err), 0);
	drain(n);
	assert_int_equal(nbd_link_flush(n, &err), 0);
	assert_int_equal(
	    nbd_link_read(n, in, sizeof(in), 3 * MIB, count_done, counts, &err),
	    0);
	assert_int_equal(nbd_link_in_flight(n), 1);
	drain(n);
	assert_int_equal(counts[0], 3);
	assert_int_equal(counts[1], 0);
	memset(out, 0, 4096);
	assert_memory_equal(in, out, sizeof(in));
	nbd_link_close(n);
}

struct seen {
	uint64_t next, data, zero;
};

static int
see(void *arg, unsigned int context, uint64_t offset, uint64_t bytes,
    uint32_t flags, struct err *err)
{
	struct seen *seen = arg;

	(void)err;
	assert_int_equal(context, 0);
	assert_int_equal(offset, seen->next);
	seen->next += bytes;
	*(flags & 2 ? &seen->zero : &seen->data) += bytes;
	return 0;
}

static void
test_nbd_reports_extents(void **state)
{
	struct err err = ERR_INIT;
	struct nbd_link *n = NULL;
	struct seen seen = { .next = 5 * MIB };

	(void)state;
	nbd_fixture_io(&fixture, "write 6M 1M");
	nbd_fixture_serve(&fixture, NULL, false);
	assert_int_equal(open_link(&n, "vda", "base:allocation", &err), 0);
	while (seen.next < 64 * MIB)
		assert_int_equal(
		    nbd_link_extents(n, seen.next, 200 * MIB, see, &seen, &err),
		    0);
	assert_int_equal(seen.next, 64 * MIB);
	assert_int_equal(seen.data, MIB);
	assert_int_equal(seen.zero, 58 * MIB);
	nbd_link_close(n);
}

static void
test_nbd_names_what_is_missing(void **state)
{
	struct err err = ERR_INIT;
	struct nbd_link *n = NULL;
	int64_t start;

	(void)state;
	nbd_fixture_serve(&fixture, NULL, false);
	start = clock_monotonic_ms();
	assert_int_equal(open_link(&n, "vdx", NULL, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	assert_non_null(strstr(err.text, "vdx"));
	assert_int_equal(
	    open_link(&n, "vda", "qemu:dirty-bitmap:no", &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	/* Neither was waited for. */
	assert_true(clock_monotonic_ms() - start < 5000);
}

static void
test_nbd_server_dies_with_requests_under_way(void **state)
{
	struct err err = ERR_INIT;
	struct nbd_link *n = NULL;
	static char in[8][65536];
	int counts[2] = { 0 }, i;

	(void)state;
	nbd_fixture_serve(&fixture, NULL, false);
	assert_int_equal(open_link(&n, "vda", "base:allocation", &err), 0);
	kill(fixture.server, SIGSTOP);
	for (i = 0; i < 8; i++)
		assert_int_equal(
		    nbd_link_read(n, in[i], sizeof(in[i]), (uint64_t)i * MIB,
			count_done, counts, &err),
		    0);
	assert_int_equal(nbd_link_wait(n, 50, &err), 0);
	assert_int_equal(counts[0] + counts[1], 0);
	nbd_fixture_kill(&fixture);
	while (nbd_link_in_flight(n) > 0)
		if (nbd_link_wait(n, 5000, &err) == -1)
			break;
	assert_int_equal(counts[0], 0);
	assert_int_equal(counts[1], 8);
	assert_int_equal(
	    nbd_link_read(n, in[0], 512, 0, count_done, counts, &err), -1);
	assert_int_equal(err.class, ERR_IO);
	assert_int_equal(nbd_link_extents(n, 0, MIB, see, NULL, &err), -1);
	nbd_link_close(n);
}

/* The connection breaks inside the call that sends: valgrind sees whether
 * anything freed is read. */
static void
test_nbd_sends_to_a_dead_server(void **state)
{
	struct err err = ERR_INIT;
	struct nbd_link *n = NULL;
	static const char out[65536];
	int counts[2] = { 0 };

	(void)state;
	nbd_fixture_serve(&fixture, NULL, true);
	assert_int_equal(open_link(&n, "vda", "base:allocation", &err), 0);
	nbd_fixture_kill(&fixture);
	if (nbd_link_write(n, out, sizeof(out), 0, count_done, counts, &err) ==
	    0) {
		assert_int_equal(nbd_link_wait(n, -1, &err), 0);
		assert_int_equal(counts[1], 1);
	}
	assert_int_equal(nbd_link_in_flight(n), 0);
	assert_int_equal(nbd_link_flush(n, &err), -1);
	nbd_link_close(n);
}

static void
test_nbd_close_drops_requests(void **state)
{
	struct err err = ERR_INIT;
	struct nbd_link *n = NULL;
	static char in[65536];
	int counts[2] = { 0 };

	(void)state;
	nbd_fixture_serve(&fixture, NULL, false);
	assert_int_equal(open_link(&n, "vda", NULL, &err), 0);
	kill(fixture.server, SIGSTOP);
	assert_int_equal(
	    nbd_link_read(n, in, sizeof(in), 0, count_done, counts, &err), 0);
	nbd_link_close(n);
	assert_int_equal(counts[0] + counts[1], 0);
}

/* Last: a wish to stop cannot be taken back. */
static void
test_nbd_stops_when_asked(void **state)
{
	struct err err = ERR_INIT;
	struct nbd_link *n = NULL;
	static char in[65536];
	int counts[2] = { 0 };

	(void)state;
	nbd_fixture_serve(&fixture, NULL, false);
	assert_int_equal(open_link(&n, "vda", "base:allocation", &err), 0);
	kill(fixture.server, SIGSTOP);
	assert_int_equal(
	    nbd_link_read(n, in, sizeof(in), 0, count_done, counts, &err), 0);
	assert_int_equal(cancel_init(&err), 0);
	raise(SIGTERM);
	assert_int_equal(nbd_link_wait(n, -1, &err), -1);
	assert_int_equal(err.class, ERR_CANCELLED);
	assert_int_equal(nbd_link_extents(n, 0, MIB, see, NULL, &err), -1);
	assert_int_equal(err.class, ERR_CANCELLED);
	nbd_link_close(n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_nbd_reads_what_was_written, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_nbd_reports_extents, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_nbd_names_what_is_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_nbd_server_dies_with_requests_under_way, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_nbd_sends_to_a_dead_server, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_nbd_close_drops_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_nbd_stops_when_asked, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
