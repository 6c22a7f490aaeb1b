/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog: sync, order, resolving, damage, several processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "catalog/catalog.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/io.h"
#include "common/log.h"
#include "fake_store.h"

#define T0 INT64_C(1795238497500) /* 2026-11-21T05:21:37.5Z */
#define HOUR INT64_C(3600000)

struct bed {
	char dir[64];
	struct catalog *c;
	struct store s;
	struct err err;
	char visited[FAKE_STORE_POINTS_MAX + 1]; /* First digits of ids. */
	char last_line[1024];
};

static void
keep_line(void *arg, enum log_level level, const char *line)
{
	struct bed *bed = arg;

	(void)level;
	snprintf(bed->last_line, sizeof(bed->last_line), "%s", line);
}

static int
setup(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	assert_non_null(bed);
	strcpy(bed->dir, "/tmp/hs-catalog-XXXXXX");
	assert_non_null(mkdtemp(bed->dir));
	memset(bed->s.id, 'f', HEXID_LENGTH);
	log_set_sink(keep_line, bed);
	assert_int_equal(catalog_open(&bed->c, bed->dir, &bed->err), 0);
	*state = bed;
	return 0;
}

static int
teardown(void **state)
{
	struct bed *bed = *state;

	catalog_close(bed->c);
	log_set_sink(NULL, NULL);
	assert_int_equal(io_remove_tree(bed->dir, &bed->err), 0);
	free(bed);
	return 0;
}

static int
visit(void *arg, const struct manifest *m)
{
	char *visited = arg;

	assert_string_equal(m->definition_xml, "");
	assert_int_equal(m->disk_count, 1);
	assert_string_equal(m->disks[0].target, "vda");
	assert_int_equal(m->disks[0].stored_bytes, 1234);
	visited[strlen(visited)] = m->id[0];
	return 0;
}

static const char *
order(struct bed *bed, const char *domain)
{
	memset(bed->visited, 0, sizeof(bed->visited));
	assert_int_equal(catalog_points(bed->c, bed->s.id, domain, visit,
			     bed->visited, &bed->err),
	    0);
	return bed->visited;
}

static struct catalog_sync_result
synced(struct bed *bed)
{
	struct catalog_sync_result result;

	if (catalog_sync(bed->c, &bed->s, &result, &bed->err) == -1)
		fail_msg("%s", bed->err.text);
	return result;
}

static void
reopen(struct bed *bed)
{
	catalog_close(bed->c);
	bed->c = NULL;
	if (catalog_open(&bed->c, bed->dir, &bed->err) == -1)
		fail_msg("%s", bed->err.text);
}

static void
test_catalog_sync_follows_the_repository(void **state)
{
	struct bed *bed = *state;

	fake_store_add(&bed->s, '1', "db1", T0);
	fake_store_add(&bed->s, '2', "db1", T0 + HOUR);
	assert_int_equal(synced(bed).added, 2);
	assert_string_equal(order(bed, NULL), "12");
	assert_int_equal(synced(bed).added, 0);
	assert_int_equal(bed->s.reads, 2);
	bed->s.points[0] = bed->s.points[--bed->s.count];
	assert_int_equal(synced(bed).removed, 1);
	assert_string_equal(order(bed, NULL), "2");
}

/* Old points go as they are forgotten; that a newest one goes is told, once. */
static void
test_catalog_sync_tells_of_a_repository_set_back(void **state)
{
	struct bed *bed = *state;

	fake_store_add(&bed->s, '1', "db1", T0);
	fake_store_add(&bed->s, '2', "db1", T0 + HOUR);
	fake_store_add(&bed->s, '3', "web", T0);
	assert_int_equal(synced(bed).newest_gone, 0);
	bed->s.points[0] = bed->s.points[2];
	bed->s.count = 2;
	assert_int_equal(synced(bed).newest_gone, 0);
	assert_string_equal(order(bed, NULL), "23");
	bed->s.count = 1; /* Of web. */
	bed->last_line[0] = '\0';
	assert_int_equal(synced(bed).newest_gone, 1);
	assert_non_null(strstr(bed->last_line, "'db1'"));
	assert_non_null(strstr(bed->last_line, "22222222"));
	assert_string_equal(order(bed, NULL), "3");
	assert_int_equal(synced(bed).newest_gone, 0);
}

/* Another host has forgotten it, and said so. */
static void
test_catalog_sync_believes_the_word_on_a_point(void **state)
{
	struct bed *bed = *state;

	fake_store_add(&bed->s, '1', "db1", T0);
	fake_store_add(&bed->s, '2', "db1", T0 + HOUR);
	synced(bed);
	bed->s.count = 1;
	bed->s.forgotten = '2';
	assert_int_equal(synced(bed).newest_gone, 0);
	assert_string_equal(order(bed, NULL), "1");
}

/* What this host forgets itself is no riddle. */
static void
test_catalog_sync_says_nothing_of_what_was_removed_here(void **state)
{
	struct bed *bed = *state;
	char id[HEXID_SIZE];

	fake_store_add(&bed->s, '1', "db1", T0);
	fake_store_add(&bed->s, '2', "db1", T0 + HOUR);
	synced(bed);
	memcpy(id, bed->s.points[1].id, sizeof(id));
	bed->s.count = 1;
	assert_int_equal(catalog_remove(bed->c, bed->s.id, id, &bed->err), 0);
	assert_int_equal(synced(bed).newest_gone, 0);
}

static void
test_catalog_sync_counts_damage_and_goes_on(void **state)
{
	struct bed *bed = *state;
	struct catalog_sync_result result;

	fake_store_add(&bed->s, '1', "db1", T0)->damaged = true;
	fake_store_add(&bed->s, '2', "db1", T0);
	fake_store_add(&bed->s, '3', "db1", T0)->gone = true;
	result = synced(bed);
	assert_int_equal(result.damaged, 1);
	assert_int_equal(result.added, 1);
	assert_non_null(strstr(bed->last_line, bed->s.points[0].id));
	assert_string_equal(order(bed, NULL), "2");
}

static void
test_catalog_rebuild_reads_all_again(void **state)
{
	struct bed *bed = *state;
	struct catalog_sync_result result;

	fake_store_add(&bed->s, '1', "db1", T0);
	synced(bed);
	assert_int_equal(
	    catalog_rebuild(bed->c, &bed->s, &result, &bed->err), 0);
	assert_int_equal(result.added, 1);
	assert_int_equal(bed->s.reads, 2);
}

static void
test_catalog_keeps_repositories_apart(void **state)
{
	struct bed *bed = *state;
	struct catalog_sync_result result;

	fake_store_add(&bed->s, '1', "db1", T0);
	synced(bed);
	memset(bed->s.id, 'e', HEXID_LENGTH);
	assert_string_equal(order(bed, NULL), "");
	bed->s.count = 0;
	assert_int_equal(
	    catalog_rebuild(bed->c, &bed->s, &result, &bed->err), 0);
	memset(bed->s.id, 'f', HEXID_LENGTH);
	assert_string_equal(order(bed, NULL), "1");
}

static void
test_catalog_order_survives_a_clock_set_back(void **state)
{
	struct bed *bed = *state;
	struct fake_point *p;

	fake_store_add(&bed->s, '9', "db1", T0);
	p = fake_store_add(&bed->s, '5', "db1", T0 + 9 * HOUR);
	memset(p->parent, '9', HEXID_LENGTH);
	p = fake_store_add(&bed->s, '3', "db1", T0 + HOUR);
	memset(p->parent, '5', HEXID_LENGTH);
	p = fake_store_add(&bed->s, '1', "db1", T0 + 2 * HOUR);
	memset(p->parent, '3', HEXID_LENGTH);
	fake_store_add(&bed->s, '7', "aa", T0 + 99 * HOUR);
	synced(bed);
	assert_string_equal(order(bed, NULL), "79531");
	assert_string_equal(order(bed, "db1"), "9531");
}

static void
test_catalog_order_ends_with_parents_in_a_circle(void **state)
{
	struct bed *bed = *state;

	memset(
	    fake_store_add(&bed->s, '1', "db1", T0)->parent, '2', HEXID_LENGTH);
	memset(fake_store_add(&bed->s, '2', "db1", T0 + 1)->parent, '1',
	    HEXID_LENGTH);
	memset(fake_store_add(&bed->s, '3', "db1", T0 + 2)->parent, '3',
	    HEXID_LENGTH);
	synced(bed);
	assert_int_equal(strlen(order(bed, NULL)), 3);
}

/* ---- resolving ---- */

static void
fill_db1(struct bed *bed)
{
	fake_store_add(&bed->s, '1', "db1", T0);
	fake_store_add(&bed->s, '2', "db1", T0 + HOUR);
	fake_store_add(&bed->s, '3', "db1", T0 + 24 * HOUR);
	fake_store_add(&bed->s, '4', "we@ird", T0);
	synced(bed);
}

static char
resolved(struct bed *bed, const char *point)
{
	char id[HEXID_SIZE];

	if (catalog_resolve(id, bed->c, bed->s.id, point, &bed->err) == -1)
		fail_msg("%s: %s", point, bed->err.text);
	assert_true(hexid_valid(id));
	return id[0];
}

static void
refused(struct bed *bed, const char *point, enum err_class class,
    const char *text, const char *hint)
{
	char id[HEXID_SIZE];

	if (catalog_resolve(id, bed->c, bed->s.id, point, &bed->err) == 0)
		fail_msg("'%s' was resolved to %s", point, id);
	if (bed->err.class != class || strstr(bed->err.text, text) == NULL ||
	    strstr(bed->err.hint, hint) == NULL)
		fail_msg("'%s': %s, '%s', hint '%s'", point,
		    err_class_name(bed->err.class), bed->err.text,
		    bed->err.hint);
}

static void
test_catalog_resolve_finds_points_by_place(void **state)
{
	struct bed *bed = *state;

	fill_db1(bed);
	assert_int_equal(resolved(bed, "db1@latest"), '3');
	assert_int_equal(resolved(bed, "db1@-1"), '2');
	assert_int_equal(resolved(bed, "db1@-2"), '1');
	assert_int_equal(resolved(bed, "we@ird@latest"), '4');
}

static void
test_catalog_resolve_finds_points_by_time(void **state)
{
	struct bed *bed = *state;

	fill_db1(bed);
	/* `list` shows no milliseconds, so the shown second must find it. */
	assert_int_equal(resolved(bed, "db1@2026-11-21T05:21:37Z"), '1');
	assert_int_equal(resolved(bed, "db1@2026-11-21T06:21:36Z"), '1');
	assert_int_equal(resolved(bed, "db1@2026-11-21T06:21:37.400Z"), '1');
	assert_int_equal(resolved(bed, "db1@2026-11-21T06:21"), '2');
	assert_int_equal(resolved(bed, "db1@2026-11-21T07:21:37+01:00"), '2');
	assert_int_equal(resolved(bed, "db1@2026-11-21"), '2');
	assert_int_equal(resolved(bed, "db1@2030-01-01"), '3');
}

static void
test_catalog_resolve_finds_points_by_id(void **state)
{
	struct bed *bed = *state;

	fill_db1(bed);
	assert_int_equal(resolved(bed, "2222"), '2');
	assert_int_equal(resolved(bed, bed->s.points[0].id), '1');
	memset(fake_store_add(&bed->s, 'a', "db1", T0)->id, 'b', 6);
	memset(fake_store_add(&bed->s, 'c', "db1", T0)->id, 'b', 5);
	synced(bed);
	assert_int_equal(resolved(bed, "BBBBBB"), 'b');
	refused(bed, "bbbb", ERR_ARG, "several", "bbbbbaaa");
}

static void
test_catalog_resolve_refuses_with_help(void **state)
{
	struct bed *bed = *state;

	refused(bed, "db1@latest", ERR_NOT_FOUND, "has no points",
	    "holdstill backup");
	fill_db1(bed);
	refused(bed, "db2@latest", ERR_NOT_FOUND, "domain 'db2' has no points",
	    "db1, we@ird");
	refused(bed, "db1@-3", ERR_NOT_FOUND, "has 3 points", "list db1");
	refused(bed, "db1@2020-01-01", ERR_NOT_FOUND, "at or before",
	    "2026-11-21T05:21:37Z");
	refused(bed, "db1@yesterday", ERR_ARG, "no time", "latest");
	refused(bed, "db1@-x", ERR_ARG, "names no point", "@latest");
	refused(bed, "db1@-1x", ERR_ARG, "names no point", "@latest");
	refused(bed, "db1", ERR_ARG, "is a domain", "db1@latest");
	refused(bed, "222", ERR_NOT_FOUND, "no point", "4 digits");
	refused(bed, "dead", ERR_NOT_FOUND, "no point", "list");
	refused(bed, "@latest", ERR_ARG, "names no point", "list");
	refused(bed, "db1@", ERR_ARG, "names no point", "list");
	refused(bed, "", ERR_NOT_FOUND, "no point", "list");
}

/* ---- the file ---- */

static void
path_in(struct bed *bed, char out[128], const char *name)
{
	snprintf(out, 128, "%s/%s", bed->dir, name);
}

static void
test_catalog_is_private(void **state)
{
	static const char *const names[] = { "catalog.db", "catalog.db-wal" };
	struct bed *bed = *state;
	char path[128];
	struct stat st;
	size_t i;

	fill_db1(bed);
	for (i = 0; i < 2; i++) {
		path_in(bed, path, names[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
}

static void
test_catalog_sets_a_damaged_file_aside(void **state)
{
	struct bed *bed = *state;
	char path[128];
	struct stat st;

	fill_db1(bed);
	catalog_close(bed->c);
	bed->c = NULL;
	path_in(bed, path, "catalog.db");
	assert_int_equal(io_replace_file(path,
			     "this is no database, and "
			     "not even nearly as long as a header",
			     61, 0600, &bed->err),
	    0);
	reopen(bed);
	assert_non_null(strstr(bed->last_line, "set aside"));
	path_in(bed, path, "catalog.db.damaged");
	assert_int_equal(stat(path, &st), 0);
	assert_string_equal(order(bed, NULL), "");
	assert_int_equal(synced(bed).added, 4);
}

static void
test_catalog_notices_a_flipped_page(void **state)
{
	struct bed *bed = *state;
	char path[128], *bytes;
	size_t size;

	fill_db1(bed);
	catalog_close(bed->c);
	bed->c = NULL;
	path_in(bed, path, "catalog.db");
	assert_int_equal(
	    io_read_file(&bytes, &size, path, 1 << 20, &bed->err), 0);
	/* The header of the second page, a table's root. */
	memset(bytes + 4096, 0xa5, 64);
	assert_int_equal(
	    io_replace_file(path, bytes, size, 0600, &bed->err), 0);
	free(bytes);
	reopen(bed);
	assert_non_null(strstr(bed->last_line, "set aside"));
	assert_int_equal(synced(bed).added, 4);
}

static void
test_catalog_refuses_a_newer_version(void **state)
{
	struct bed *bed = *state;
	unsigned char version[4] = { 0, 0, 0, 99 };
	char path[128];
	FILE *f;

	catalog_close(bed->c);
	bed->c = NULL;
	path_in(bed, path, "catalog.db");
	assert_non_null(f = fopen(path, "r+"));
	/* user_version in SQLite's header. */
	assert_int_equal(fseek(f, 60, SEEK_SET), 0);
	assert_int_equal(fwrite(version, 4, 1, f), 1);
	fclose(f);
	assert_int_equal(catalog_open(&bed->c, bed->dir, &bed->err), -1);
	assert_int_equal(bed->err.class, ERR_UNSUPPORTED);
}

/* A child that opens, syncs and reads, many times. */
static int
busy_child(struct bed *bed, int number)
{
	struct catalog_sync_result result;
	struct catalog *c;
	struct err err = ERR_INIT;
	char seen[FAKE_STORE_POINTS_MAX + 1];
	int i;

	for (i = 0; i < 20; i++) {
		if (catalog_open(&c, bed->dir, &err) == -1)
			return 1;
		memset(seen, 0, sizeof(seen));
		if ((number == 0 && i % 5 == 0 &&
			catalog_rebuild(c, &bed->s, &result, &err) == -1) ||
		    catalog_sync(c, &bed->s, &result, &err) == -1 ||
		    catalog_points(c, bed->s.id, NULL, visit, seen, &err) ==
			-1) {
			fprintf(stderr, "%s\n", err.text);
			return 1;
		}
		catalog_close(c);
	}
	return 0;
}

static void
test_catalog_serves_several_processes(void **state)
{
	struct bed *bed = *state;
	pid_t pids[4];
	int i, status;

	fill_db1(bed);
	for (i = 0; i < 4; i++) {
		assert_true((pids[i] = fork()) >= 0);
		if (pids[i] == 0)
			_exit(busy_child(bed, i));
	}
	for (i = 0; i < 4; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	synced(bed);
	assert_string_equal(order(bed, NULL), "1234");
}

/* Two processes that find the same damaged file must not set aside each
 * other's new one. */
static void
test_catalog_damage_is_set_aside_once(void **state)
{
	struct bed *bed = *state;
	char path[128];
	pid_t pids[4];
	int i, status;

	catalog_close(bed->c);
	bed->c = NULL;
	path_in(bed, path, "catalog.db");
	assert_int_equal(io_replace_file(path,
			     "rubbish that is long enough "
			     "to be looked at as a header of it",
			     60, 0600, &bed->err),
	    0);
	for (i = 0; i < 4; i++) {
		assert_true((pids[i] = fork()) >= 0);
		if (pids[i] == 0)
			_exit(busy_child(bed, i));
	}
	for (i = 0; i < 4; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	path_in(bed, path, "catalog.db.damaged");
	assert_int_equal(unlink(path), 0);
	reopen(bed);
	assert_int_equal(access(path, F_OK), -1);
}

/* ---- runs ---- */

static const struct catalog_run run_of_db1 = {
	.repository_id = "r",
	.domain = "db1",
	.job = "",
	.started_ms = T0,
};

static void
test_catalog_runs_of_the_dead_are_closed(void **state)
{
	struct bed *bed = *state;
	struct catalog_run run = run_of_db1;
	uint64_t closed;
	pid_t pid;

	assert_int_equal(hexid_new(run.id, &bed->err), 0);
	assert_int_equal(catalog_run_begin(bed->c, &run, &bed->err), 0);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		struct catalog *c;
		struct err err = ERR_INIT;

		_exit(hexid_new(run.id, &err) == -1 ||
		      catalog_open(&c, bed->dir, &err) == -1 ||
		      catalog_run_begin(c, &run, &err) == -1);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(
	    catalog_runs_close_dead(bed->c, &closed, &bed->err), 0);
	assert_int_equal(closed, 1);
	assert_int_equal(
	    catalog_run_end(bed->c, run.id, "done", "", "", &bed->err), 0);
	assert_int_equal(
	    catalog_runs_close_dead(bed->c, &closed, &bed->err), 0);
	assert_int_equal(closed, 0);
}

static void
test_catalog_audits_are_summed(void **state)
{
	struct bed *bed = *state;
	struct catalog_run run = run_of_db1;
	uint64_t audited, missed;
	int i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(hexid_new(run.id, &bed->err), 0);
		assert_int_equal(catalog_run_begin(bed->c, &run, &bed->err), 0);
		/* Of two disks. */
		assert_int_equal(
		    catalog_run_audit(bed->c, run.id, 16, 1, &bed->err), 0);
		assert_int_equal(
		    catalog_run_audit(bed->c, run.id, 30, 2, &bed->err), 0);
	}
	assert_int_equal(
	    catalog_audits(&audited, &missed, bed->c, "r", "db1", &bed->err),
	    0);
	assert_int_equal(audited, 92);
	assert_int_equal(missed, 6);
	assert_int_equal(
	    catalog_audits(&audited, &missed, bed->c, "r", "db2", &bed->err),
	    0);
	assert_int_equal(audited, 0);
}

/* ---- packs ---- */

static int
visit_pack(void *arg, const struct catalog_pack *pack, struct err *err)
{
	char *text = arg;

	(void)err;
	sprintf(text + strlen(text), "%c:%d/%d ", pack->id[0],
	    (int)pack->seen_ms, (int)pack->checked_ms);
	return 0;
}

static void
expect_packs(struct bed *bed, const char *repository, const char *expected)
{
	char text[128] = "";

	assert_int_equal(
	    catalog_packs(bed->c, repository, visit_pack, text, &bed->err), 0);
	assert_string_equal(text, expected);
}

static void
test_catalog_packs_are_remembered(void **state)
{
	struct bed *bed = *state;
	struct catalog_pack packs[2] = { { .seen_ms = 5 },
		{ .seen_ms = 6, .checked_ms = 7 } };

	memset(packs[0].id, 'b', HEXID_LENGTH);
	memset(packs[1].id, 'a', HEXID_LENGTH);
	assert_int_equal(
	    catalog_packs_save(bed->c, "r", packs, 2, &bed->err), 0);
	expect_packs(bed, "r", "a:6/7 b:5/0 ");
	expect_packs(bed, "s", "");
	packs[0].checked_ms = 9;
	packs[1].seen_ms = 0;
	assert_int_equal(
	    catalog_packs_save(bed->c, "r", packs, 2, &bed->err), 0);
	reopen(bed);
	expect_packs(bed, "r", "b:5/9 ");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_catalog_sync_follows_the_repository),
		CASE(test_catalog_sync_tells_of_a_repository_set_back),
		CASE(test_catalog_sync_believes_the_word_on_a_point),
		CASE(test_catalog_sync_says_nothing_of_what_was_removed_here),
		CASE(test_catalog_sync_counts_damage_and_goes_on),
		CASE(test_catalog_rebuild_reads_all_again),
		CASE(test_catalog_keeps_repositories_apart),
		CASE(test_catalog_order_survives_a_clock_set_back),
		CASE(test_catalog_order_ends_with_parents_in_a_circle),
		CASE(test_catalog_resolve_finds_points_by_place),
		CASE(test_catalog_resolve_finds_points_by_time),
		CASE(test_catalog_resolve_finds_points_by_id),
		CASE(test_catalog_resolve_refuses_with_help),
		CASE(test_catalog_is_private),
		CASE(test_catalog_sets_a_damaged_file_aside),
		CASE(test_catalog_notices_a_flipped_page),
		CASE(test_catalog_refuses_a_newer_version),
		CASE(test_catalog_serves_several_processes),
		CASE(test_catalog_damage_is_set_aside_once),
		CASE(test_catalog_runs_of_the_dead_are_closed),
		CASE(test_catalog_audits_are_summed),
		CASE(test_catalog_packs_are_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
