/* SPDX-License-Identifier: Apache-2.0 */
/* The conformance suite on memory and folder; what only a folder has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/backend.h"
#include "backends/wrap_fault.h"
#include "backends/wrap_rate.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/io.h"
#include "common/rate.h"
#include "tests/conformance/backend_suite.h"

static unsigned int serial;

static void
mem_make(char *url, size_t size)
{
	snprintf(url, size, "mem:suite%u", ++serial);
}

static void
no_destroy(const char *url)
{
	(void)url;
}

static void
dir_make(char *url, size_t size)
{
	char root[] = "/tmp/holdstill-test-XXXXXX";

	assert_non_null(mkdtemp(root));
	snprintf(url, size, "%s/deep/er/repo", root);
}

static void
dir_destroy(const char *url)
{
	struct err err = ERR_INIT;
	char root[512];

	snprintf(root, sizeof(root), "%s", url);
	*strstr(root, "/deep") = '\0';
	assert_int_equal(io_remove_tree(root, &err), 0);
}

/* What a process leaves that is killed between write and rename. */
static void
dir_half_put(const char *url)
{
	struct err err = ERR_INIT;
	char path[600];

	snprintf(path, sizeof(path), "%s/tmp/half", url);
	assert_int_equal(io_replace_file(path, "half", 4, 0600, &err), 0);
}

static size_t
files_in(const char *folder)
{
	char command[700], line[32];
	FILE *p;

	snprintf(command, sizeof(command), "ls '%s' | wc -l", folder);
	p = popen(command, "r");
	assert_non_null(fgets(line, sizeof(line), p));
	pclose(p);
	return strtoul(line, NULL, 10);
}

/* The temporary file of a process that is gone, named as that one would. */
static void
test_backend_dir_sweeps_what_the_dead_left(void **state)
{
	char url[300], tmp[400], path[600], boot[64] = "", *p;
	struct err err = ERR_INIT;
	struct backend *b;
	unsigned long ns;
	struct stat st;
	FILE *f;

	(void)state;
	dir_make(url, sizeof(url));
	assert_int_equal(backend_open(&b, url, BACKEND_CREATE, &err), 0);
	assert_int_equal(backend_put(b, "a", "1", 1, &err), 0);
	snprintf(tmp, sizeof(tmp), "%s/tmp", url);
	assert_int_equal(files_in(tmp), 0);
	f = fopen("/proc/sys/kernel/random/boot_id", "r");
	assert_non_null(fgets(boot, sizeof(boot), f));
	fclose(f);
	for (p = boot; *p != '\0';) {
		if (*p == '-' || *p == '\n')
			memmove(p, p + 1, strlen(p));
		else
			p++;
	}
	assert_int_equal(stat("/proc/self/ns/pid", &st), 0);
	ns = st.st_ino;
	/* Our own number, but another start: somebody before us. */
	snprintf(path, sizeof(path), "%s/%s.%lu.%d.1.0.0", tmp, boot, ns,
	    (int)getpid());
	assert_int_equal(io_replace_file(path, "x", 1, 0600, &err), 0);
	/* Another host's: left alone while it is young. */
	snprintf(path, sizeof(path), "%s/%032d.%lu.%d.1.0.0", tmp, 7, ns,
	    (int)getpid());
	assert_int_equal(io_replace_file(path, "x", 1, 0600, &err), 0);
	assert_int_equal(files_in(tmp), 2);
	backend_close(b);
	assert_int_equal(backend_open(&b, url, BACKEND_OPEN, &err), 0);
	assert_int_equal(files_in(tmp), 1);
	backend_close(b);
	dir_destroy(url);
}

static void
test_backend_dir_urls(void **state)
{
	struct err err = ERR_INIT;
	char url[300], file_url[400];
	struct backend *b;
	uint64_t size;

	(void)state;
	dir_make(url, sizeof(url));
	assert_int_equal(backend_open(&b, url, BACKEND_CREATE, &err), 0);
	assert_int_equal(backend_put(b, "a", "12", 2, &err), 0);
	backend_close(b);
	snprintf(file_url, sizeof(file_url), "file://%s", url);
	assert_int_equal(backend_open(&b, file_url, BACKEND_OPEN, &err), 0);
	assert_int_equal(backend_stat(b, "a", &size, &err), 0);
	assert_int_equal(size, 2);
	backend_close(b);
	dir_destroy(url);
}

static void
test_backend_dir_refuses_a_folder_of_others(void **state)
{
	char url[300], path[400];
	struct err err = ERR_INIT;
	struct backend *b;

	(void)state;
	dir_make(url, sizeof(url));
	assert_int_equal(io_make_dirs(url, 0700, &err), 0);
	snprintf(path, sizeof(path), "%s/My Thesis.txt", url);
	assert_int_equal(io_replace_file(path, "x", 1, 0600, &err), 0);
	assert_int_equal(backend_open(&b, url, BACKEND_CREATE, &err), -1);
	assert_int_equal(err.class, ERR_EXISTS);
	dir_destroy(url);
}

static void
test_backend_unknown_and_absent_schemes(void **state)
{
	static const char *const later[] = { "sftp://u@h/p", "s3://b/p",
		"rados://p/n", "rbd:p/i" };
	struct err err = ERR_INIT;
	struct backend *b;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		err_clear(&err);
		assert_int_equal(
		    backend_open(&b, later[i], BACKEND_OPEN, &err), -1);
		assert_int_equal(err.class, ERR_UNSUPPORTED);
		assert_true(err.hint[0] != '\0');
	}
	assert_int_equal(
	    backend_open(&b, "gopher://x", BACKEND_OPEN, &err), -1);
	assert_int_equal(err.class, ERR_ARG);
	assert_int_equal(backend_open(&b, "", BACKEND_OPEN, &err), -1);
	assert_int_equal(err.class, ERR_ARG);
}

static void
test_backend_faults_come_when_planned(void **state)
{
	struct wrap_fault_plan plan = { .ops = WRAP_FAULT_PUT,
		.fail_at = 2,
		.once = true,
		.class = ERR_NO_SPACE };
	struct err err = ERR_INIT;
	struct backend *inner, *b;
	struct wrap_fault fault;
	uint64_t size;

	(void)state;
	wrap_fault_init(&fault);
	wrap_fault_set(&fault, &plan);
	assert_int_equal(
	    backend_open(&inner, "mem:faults", BACKEND_CREATE, &err), 0);
	assert_int_equal(wrap_fault_open(&b, inner, &fault, &err), 0);
	assert_int_equal(backend_put(b, "a", "", 0, &err), 0);
	assert_int_equal(backend_put(b, "b", "", 0, &err), -1);
	assert_int_equal(err.class, ERR_NO_SPACE);
	assert_int_equal(backend_stat(b, "b", &size, &err), -1);
	assert_int_equal(backend_put(b, "c", "", 0, &err), 0);
	plan.once = false;
	plan.after = true;
	plan.fail_at = 1;
	wrap_fault_set(&fault, &plan);
	assert_int_equal(backend_put(b, "d", "", 0, &err), -1);
	assert_int_equal(backend_stat(b, "d", &size, &err), 0);
	assert_int_equal(backend_put(b, "e", "", 0, &err), -1);
	assert_int_equal(wrap_fault_calls(&fault), 2);
	backend_close(b);
	wrap_fault_fini(&fault);
}

/* Fast enough not to be felt. */
static void
wrap_in_rate(struct backend **b)
{
	struct err err = ERR_INIT;

	assert_int_equal(wrap_rate_open(b, *b, UINT64_C(64) << 30, &err), 0);
}

/* Counts pieces and looks at what has moved before each. */
struct watch {
	char folder[400];
	size_t pieces, bytes, seen_bytes;
	size_t fail_at;
};

static void
note_size(const char *folder, size_t *out)
{
	char command[700], line[32] = "0";
	FILE *p;

	snprintf(command, sizeof(command),
	    "stat -c %%s '%s'/* 2>/dev/null || echo 0", folder);
	p = popen(command, "r");
	assert_non_null(fgets(line, sizeof(line), p));
	pclose(p);
	*out = strtoul(line, NULL, 10);
}

static int
watch_piece(void *arg, size_t bytes, struct err *err)
{
	struct watch *w = arg;

	if (++w->pieces == w->fail_at)
		return err_set(err, ERR_CANCELLED, "enough");
	/* What was allowed has moved, and nothing else. */
	note_size(w->folder, &w->seen_bytes);
	assert_int_equal(w->seen_bytes, w->bytes);
	w->bytes += bytes;
	return 0;
}

static void
test_backend_dir_puts_in_pieces(void **state)
{
	static uint8_t object[10001], back[sizeof(object)];
	struct watch w = { .pieces = 0 };
	const struct backend_pace pace = {
		.fn = watch_piece, .arg = &w, .piece_bytes = 3000
	};
	struct err err = ERR_INIT;
	struct backend *b;
	char url[300];

	(void)state;
	dir_make(url, sizeof(url));
	snprintf(w.folder, sizeof(w.folder), "%s/tmp", url);
	memset(object, 'x', sizeof(object));
	assert_int_equal(backend_open(&b, url, BACKEND_CREATE, &err), 0);
	assert_int_equal(
	    backend_put_paced(b, "a", object, sizeof(object), &pace, &err), 0);
	assert_int_equal(w.pieces, 4);
	assert_int_equal(w.bytes, sizeof(object));
	assert_int_equal(backend_get(b, "a", 0, back, sizeof(back), &err), 0);
	assert_memory_equal(back, object, sizeof(back));
	/* One that is stopped leaves nothing. */
	w.pieces = w.bytes = 0;
	w.fail_at = 3;
	assert_int_equal(
	    backend_put_paced(b, "b", object, sizeof(object), &pace, &err), -1);
	assert_int_equal(err.class, ERR_CANCELLED);
	assert_int_equal(backend_get(b, "b", 0, back, sizeof(back), &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	assert_int_equal(files_in(w.folder), 0);
	backend_close(b);
	dir_destroy(url);
}

/* Both ways together, never more than the limit and the burst. */
static void
test_backend_rate_holds(void **state)
{
	const uint64_t limit = 1000000;
	static uint8_t object[150000];
	struct err err = ERR_INIT;
	struct backend *inner, *b;
	uint64_t start;
	const char *kinds[2] = { "mem:rate", NULL };
	char url[300];
	size_t i;

	(void)state;
	dir_make(url, sizeof(url));
	kinds[1] = url;
	for (i = 0; i < 2; i++) {
		assert_int_equal(
		    backend_open(&inner, kinds[i], BACKEND_CREATE, &err), 0);
		assert_int_equal(wrap_rate_open(&b, inner, limit, &err), 0);
		start = clock_monotonic_ns();
		assert_int_equal(
		    backend_put(b, "a", object, sizeof(object), &err), 0);
		assert_int_equal(
		    backend_get(b, "a", 0, object, sizeof(object), &err), 0);
		assert_true(clock_monotonic_ns() - start >=
			    (300 - RATE_BURST_MS) * UINT64_C(1000000));
		backend_close(b);
	}
	dir_destroy(url);
}

int
main(void)
{
	static const struct backend_fixture rate = { .name = "rate",
		.make = dir_make,
		.destroy = dir_destroy,
		.half_put = dir_half_put,
		.wrap = wrap_in_rate };
	static const struct backend_fixture mem = {
		.name = "mem", .make = mem_make, .destroy = no_destroy
	};
	static const struct backend_fixture dir = { .name = "dir",
		.make = dir_make,
		.destroy = dir_destroy,
		.half_put = dir_half_put };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backend_dir_sweeps_what_the_dead_left),
		cmocka_unit_test(test_backend_dir_urls),
		cmocka_unit_test(test_backend_dir_refuses_a_folder_of_others),
		cmocka_unit_test(test_backend_unknown_and_absent_schemes),
		cmocka_unit_test(test_backend_faults_come_when_planned),
		cmocka_unit_test(test_backend_dir_puts_in_pieces),
		cmocka_unit_test(test_backend_rate_holds),
	};

	return backend_suite_run(&mem) + backend_suite_run(&dir) +
	       backend_suite_run(&rate) +
	       cmocka_run_group_tests(tests, NULL, NULL);
}
