/* SPDX-License-Identifier: Apache-2.0 */
/* The effect journal: what the dead leave, and only that. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "catalog/journal.h"
#include "catalog/owner.h"
#include "common/err.h"
#include "common/io.h"

struct bed {
	char dir[64];
	struct journal *j;
	struct err err;
	char subjects[256]; /* Of leftovers, in their order. */
	bool strike;
};

static int
setup(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	assert_non_null(bed);
	strcpy(bed->dir, "/tmp/hs-journal-XXXXXX");
	assert_non_null(mkdtemp(bed->dir));
	assert_int_equal(journal_open(&bed->j, bed->dir, &bed->err), 0);
	*state = bed;
	return 0;
}

static int
teardown(void **state)
{
	struct bed *bed = *state;

	journal_close(bed->j);
	assert_int_equal(io_remove_tree(bed->dir, &bed->err), 0);
	free(bed);
	return 0;
}

static int
add(struct journal *j, enum journal_kind kind, const char *uuid,
    const char *subject, struct err *err)
{
	struct journal_effect effect = {
		.run = "0123456789abcdef0123456789abcdef",
		.kind = kind,
		.connect_uri = "qemu:///system",
		.domain_uuid = uuid,
		.subject = subject,
		.point_id = "",
	};

	return journal_add(j, &effect, err);
}

static int
visit(void *arg, const struct journal_effect *effect)
{
	struct bed *bed = arg;
	size_t used = strlen(bed->subjects);

	assert_false(effect->owner_alive);
	assert_string_equal(effect->run, "0123456789abcdef0123456789abcdef");
	assert_string_equal(effect->connect_uri, "qemu:///system");
	snprintf(bed->subjects + used, sizeof(bed->subjects) - used, "%s ",
	    effect->subject);
	return bed->strike && journal_strike(bed->j, effect->id, &bed->err);
}

static const char *
leftovers(struct bed *bed, const char *uuid)
{
	bed->subjects[0] = '\0';
	if (journal_leftovers(bed->j, uuid, visit, bed, &bed->err) == -1)
		fail_msg("%s", bed->err.text);
	return bed->subjects;
}

/* A child adds effects, tells so, and waits to be killed. */
static pid_t
start_child(struct bed *bed)
{
	int fds[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		struct journal *j;
		struct err err = ERR_INIT;

		/* A failed test must not leave it behind. */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 ||
		    journal_open(&j, bed->dir, &err) == -1 ||
		    add(j, JOURNAL_DIR, "A", "first", &err) == -1 ||
		    add(j, JOURNAL_DIR, "B", "second", &err) == -1 ||
		    add(j, JOURNAL_FREEZE, "A", "freeze", &err) == -1 ||
		    add(j, JOURNAL_DIR, "A", "third", &err) == -1 ||
		    write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	return pid;
}

static void
test_journal_finds_what_a_killed_process_left(void **state)
{
	struct bed *bed = *state;
	pid_t pid = start_child(bed);

	assert_string_equal(leftovers(bed, NULL), "");
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_string_equal(leftovers(bed, NULL), "freeze third second first ");
	assert_string_equal(leftovers(bed, "A"), "freeze third first ");
	assert_string_equal(leftovers(bed, "C"), "");
	bed->strike = true;
	assert_string_equal(leftovers(bed, "A"), "freeze third first ");
	assert_string_equal(leftovers(bed, NULL), "second ");
	assert_string_equal(leftovers(bed, NULL), "");
}

static void
add_and_die(struct bed *bed, enum journal_kind kind, const char *subject)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct journal *j;
		struct err err = ERR_INIT;

		_exit(journal_open(&j, bed->dir, &err) == -1 ||
		      add(j, kind, "A", subject, &err) == -1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A guest hears of its points after everything that was done to it is undone,
 * and of the newest first: it includes the older ones. */
static void
test_journal_tells_commits_last_and_newest_first(void **state)
{
	struct bed *bed = *state;

	add_and_die(bed, JOURNAL_COMMITTED, "told-first");
	add_and_die(bed, JOURNAL_DIR, "made-first");
	add_and_die(bed, JOURNAL_DIR, "made-second");
	add_and_die(bed, JOURNAL_COMMITTED, "told-second");
	add_and_die(bed, JOURNAL_FREEZE, "freeze");
	assert_string_equal(leftovers(bed, "A"),
	    "freeze made-second made-first told-second told-first ");
}

static void
test_journal_takes_a_zombie_for_dead(void **state)
{
	struct bed *bed = *state;
	pid_t pid = start_child(bed);
	siginfo_t info;

	assert_int_equal(kill(pid, SIGKILL), 0);
	/* Dead, but not yet waited for. */
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(kill(pid, 0), 0);
	assert_string_equal(leftovers(bed, NULL), "freeze third second first ");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
test_journal_leaves_the_living_alone(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(add(bed->j, JOURNAL_DIR, "A", "mine", &bed->err), 0);
	assert_string_equal(leftovers(bed, NULL), "");
}

static void
test_journal_owner_is_more_than_a_pid(void **state)
{
	struct bed *bed = *state;
	struct owner self, other;

	assert_int_equal(owner_self(&self, &bed->err), 0);
	assert_true(owner_alive(&self));
	other = self;
	other.started++;
	assert_false(owner_alive(&other));
	other = self;
	other.boot[0] = other.boot[0] == '0' ? '1' : '0';
	assert_false(owner_alive(&other));
	other = self;
	other.pid = 0;
	assert_false(owner_alive(&other));
}

static void
test_journal_ids_are_never_used_twice(void **state)
{
	struct bed *bed = *state;
	struct journal_effect effect = {
		.run = "r",
		.kind = JOURNAL_JOB,
		.connect_uri = "",
		.domain_uuid = "",
		.subject = "s",
		.point_id = "",
	};
	int64_t first;

	assert_int_equal(journal_add(bed->j, &effect, &bed->err), 0);
	first = effect.id;
	assert_int_equal(effect.pid, getpid());
	assert_int_equal(journal_strike(bed->j, first, &bed->err), 0);
	assert_int_equal(journal_strike(bed->j, first, &bed->err), 0);
	assert_int_equal(journal_add(bed->j, &effect, &bed->err), 0);
	assert_true(effect.id > first);
}

static void
test_journal_damaged_is_no_cache(void **state)
{
	struct bed *bed = *state;
	char path[128];

	journal_close(bed->j);
	bed->j = NULL;
	snprintf(path, sizeof(path), "%s/journal.db", bed->dir);
	assert_int_equal(io_replace_file(path,
			     "no database at all, but long "
			     "enough to be one's header, nearly",
			     62, 0600, &bed->err),
	    0);
	assert_int_equal(journal_open(&bed->j, bed->dir, &bed->err), -1);
	assert_int_equal(bed->err.class, ERR_CORRUPT);
	assert_non_null(strstr(bed->err.hint, path));
	assert_int_equal(access(path, F_OK), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_journal_finds_what_a_killed_process_left),
		CASE(test_journal_tells_commits_last_and_newest_first),
		CASE(test_journal_takes_a_zombie_for_dead),
		CASE(test_journal_leaves_the_living_alone),
		CASE(test_journal_owner_is_more_than_a_pid),
		CASE(test_journal_ids_are_never_used_twice),
		CASE(test_journal_damaged_is_no_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
