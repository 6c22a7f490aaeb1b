/* SPDX-License-Identifier: Apache-2.0 */
/* What a dead run left is undone, told or kept, and nothing takes for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/domain/domain.h"
#include "agent/job/context.h"
#include "agent/job/owed.h"
#include "agent/job/promote.h"
#include "agent/job/recover.h"
#include "agent/job/scratch.h"
#include "agent/quiesce/quiesce.h"
#include "catalog/journal.h"
#include "common/cancel.h"
#include "common/clock.h"
#include "common/err.h"
#include "store/store.h"
#include "tests/unit/temp_dir.h"

#define UUID "00000000-0000-4000-8000-000000000000"
#define STORE "0123456789abcdef0123456789abcdef"
#define OTHER_STORE "fedcba9876543210fedcba9876543210"

/* ---- the world, as each test sets it up ---- */

struct domain {
	enum domain_state state;
	enum err_class thaw_fault;
	unsigned int thaws;
};

static struct domain guest;
static bool guest_exists;
static struct {
	char told[1024];      /* "POINT:writer+writer " of each delivery. */
	const char *fails;    /* A writer that fails what it is told. */
	enum err_class fault; /* Nobody hears. */
	int64_t takes_ms;     /* Each delivery. */
	bool stop;            /* Ctrl-C during the first. */
} ears;
static bool stopped;
static int64_t now_ms;
static unsigned int removed_dirs;
static enum err_class dir_fault;

/* Points are letters: small ones hold "pg", capitals also "redis", and 'R'
 * that alone. */
static char points[64];
static char forgotten[64]; /* Those of them that somebody forgot. */

static struct job_context ctx;

/* The linker puts it in the place of the true one. */
int64_t __wrap_clock_monotonic_ms(void);

int64_t
__wrap_clock_monotonic_ms(void)
{
	return now_ms;
}

int
cancel_check(struct err *err)
{
	return stopped ? err_set(err, ERR_CANCELLED, "stopped by signal 2") : 0;
}

int
domain_state(struct domain *d, enum domain_state *out, struct err *err)
{
	(void)err;
	*out = d->state;
	return 0;
}

const char *
domain_uuid(const struct domain *d)
{
	(void)d;
	return UUID;
}

int
domain_open(struct domain **out, struct domain_connection *c, const char *name,
    struct err *err)
{
	(void)c;
	if (!guest_exists)
		return err_set(err, ERR_NOT_FOUND, "no domain '%s'", name);
	*out = &guest;
	return 0;
}

void
domain_close(struct domain *d)
{
	(void)d;
}

int
domain_agent_thaw(
    struct domain *d, unsigned int timeout_ms, int *out_count, struct err *err)
{
	(void)timeout_ms;
	d->thaws++;
	*out_count = 0;
	return d->thaw_fault == ERR_NONE
		   ? 0
		   : err_set(err, d->thaw_fault, "the agent cannot thaw");
}

int
domain_checkpoint_delete(struct domain *d, const char *name, struct err *err)
{
	(void)d;
	(void)name;
	(void)err;
	return 0;
}

int
quiesce_deliver(struct domain *domain, const char *session,
    const char *point_id, const struct manifest_freeze *freeze, struct err *err)
{
	size_t i, used = strlen(ears.told);
	int rc = 0;

	(void)domain;
	assert_int_equal(strlen(session), HEXID_LENGTH);
	now_ms += ears.takes_ms;
	stopped |= ears.stop;
	used += (size_t)snprintf(
	    ears.told + used, sizeof(ears.told) - used, "%c:", point_id[0]);
	for (i = 0; i < freeze->writer_count; i++) {
		used +=
		    (size_t)snprintf(ears.told + used, sizeof(ears.told) - used,
			"%s%s", i > 0 ? "+" : "", freeze->writers[i].name);
		if (ears.fails != NULL &&
		    strcmp(freeze->writers[i].name, ears.fails) == 0)
			rc = 1;
	}
	snprintf(ears.told + used, sizeof(ears.told) - used, " ");
	if (ears.fault != ERR_NONE)
		return err_set(err, ears.fault, "nobody answers");
	if (rc == 1)
		err_set(err, ERR_BUSY, "writer '%s' was not told", ears.fails);
	return rc;
}

int
scratch_end_job(struct domain *domain, const char *socket_path, struct err *err)
{
	(void)domain;
	(void)socket_path;
	(void)err;
	return 0;
}

int
scratch_remove_leftover(const char *path, struct err *err)
{
	if (dir_fault != ERR_NONE)
		return err_set(err, dir_fault, "cannot remove '%s'", path);
	removed_dirs++;
	return 0;
}

void
job_promote(struct domain *domain, const char *checkpoint, const char *before)
{
	(void)domain;
	(void)checkpoint;
	(void)before;
}

const char *
store_id(const struct store *s)
{
	(void)s;
	return STORE;
}

static void
add_writer(struct manifest *m, const char *name, const char *state)
{
	struct manifest_writer *w = &m->freeze.writers[m->freeze.writer_count];

	memset(w, 0, sizeof(*w));
	assert_non_null(w->name = strdup(name));
	assert_non_null(w->state = strdup(state));
	assert_non_null(w->reason = strdup(""));
	m->freeze.writer_count++;
}

int
store_manifest_read(
    struct manifest **out, struct store *s, const char *id, struct err *err)
{
	struct manifest *m;

	(void)s;
	if (strchr(points, id[0]) == NULL)
		return err_set(err, ERR_NOT_FOUND, "no point '%s'", id);
	assert_non_null(m = manifest_new());
	m->freeze.writers = calloc(3, sizeof(*m->freeze.writers));
	assert_non_null(m->freeze.writers);
	m->freeze.source = MANIFEST_QUIESCE_HOLDSTILL;
	m->freeze.proved = id[0] != 'U';
	if (id[0] != 'R')
		add_writer(m, "pg", "thawed");
	add_writer(m, "broken", "failed");
	if (id[0] >= 'A' && id[0] <= 'Z')
		add_writer(m, "redis", "thawed");
	*out = m;
	return 0;
}

int
store_point_was_forgotten(struct store *s, const char *id, struct err *err)
{
	(void)s;
	(void)err;
	return strchr(forgotten, id[0]) != NULL;
}

/* ---- the journal, a real one ---- */

static void
leave_at(
    enum journal_kind kind, const char *subject, char point, const char *uri)
{
	char point_id[HEXID_SIZE] = "";
	struct journal_effect effect = {
		.run = STORE,
		.kind = kind,
		.connect_uri = uri,
		.domain_uuid = UUID,
		.subject = subject,
		.point_id = point_id,
	};
	struct err err = ERR_INIT;
	struct journal *j;
	int status;
	pid_t pid;

	memset(point_id, point, HEXID_LENGTH);
	assert_true((pid = fork()) >= 0);
	/* Only what the dead did is left. */
	if (pid == 0)
		_exit(journal_open(&j, ctx.state_dir, &err) == -1 ||
		      journal_add(j, &effect, &err) == -1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Commits of one letter each, the first being the oldest. */
static void
owe(const char *letters)
{
	char subject[OWED_SUBJECT_SIZE];

	owed_format_subject(subject, STORE, OTHER_STORE);
	for (; *letters != '\0'; letters++)
		leave_at(JOURNAL_COMMITTED, subject, *letters, "");
}

static int
setup(void **state)
{
	struct err err = ERR_INIT;

	memset(&guest, 0, sizeof(guest));
	memset(&ears, 0, sizeof(ears));
	memset(&ctx, 0, sizeof(ctx));
	guest_exists = true;
	stopped = false;
	now_ms = 1000;
	removed_dirs = 0;
	dir_fault = ERR_NONE;
	strcpy(points, "abcABRU");
	forgotten[0] = '\0';
	if (temp_dir_setup(state) == -1)
		return -1;
	ctx.state_dir = *state;
	/* Never looked into. */
	ctx.store = (struct store *)&ctx;
	return journal_open(&ctx.journal, *state, &err);
}

static int
teardown(void **state)
{
	journal_close(ctx.journal);
	return temp_dir_teardown(state);
}

static struct recover_result
recover(void)
{
	struct recover_result result;
	struct err err = ERR_INIT;

	ears.told[0] = '\0';
	if (job_recover_all(&ctx, &result, &err) == -1)
		fail_msg("%s", err.text);
	return result;
}

/* ---- commits ---- */

static void
test_recover_tells_the_newest_for_all(void **state)
{
	(void)state;
	owe("abc");
	assert_int_equal(recover().owed, 0);
	assert_string_equal(ears.told, "c:pg ");
	assert_int_equal(recover().owed, 0);
	assert_string_equal(ears.told, "");
}

static void
test_recover_tells_a_writer_that_newer_points_lack(void **state)
{
	(void)state;
	owe("ABc");
	assert_int_equal(recover().owed, 0);
	assert_string_equal(ears.told, "c:pg B:redis ");
}

/* The guest let go before its picture: that speaks for nobody. */
static void
test_recover_takes_no_newer_point_that_is_not_proved(void **state)
{
	(void)state;
	owe("aU");
	assert_int_equal(recover().owed, 0);
	assert_string_equal(ears.told, "a:pg ");
}

static void
test_recover_asks_no_writer_twice(void **state)
{
	(void)state;
	owe("abc");
	ears.fails = "pg";
	assert_int_equal(recover().owed, 3);
	assert_string_equal(ears.told, "c:pg ");
	ears.fails = NULL;
	assert_int_equal(recover().owed, 0);
	assert_string_equal(ears.told, "c:pg ");
}

/* A writer that was removed costs one question, and ends with its point. */
static void
test_recover_forgets_a_removed_writer_with_its_point(void **state)
{
	(void)state;
	owe("Abc");
	ears.fails = "redis";
	assert_int_equal(recover().owed, 1);
	assert_string_equal(ears.told, "c:pg A:redis ");
	strcpy(points, "bc");
	assert_int_equal(recover().owed, 0);
	assert_string_equal(ears.told, "");
}

static void
test_recover_leaves_the_deaf_alone(void **state)
{
	(void)state;
	owe("aBc");
	ears.fault = ERR_TIMEOUT;
	assert_int_equal(recover().owed, 3);
	assert_string_equal(ears.told, "c:pg ");
}

/* However it answers. */
static void
test_recover_leaves_the_slow_alone(void **state)
{
	(void)state;
	owe("Rb");
	ears.fails = "pg";
	ears.takes_ms = 5000;
	assert_int_equal(recover().owed, 2);
	assert_string_equal(ears.told, "b:pg ");
	ears.fails = NULL;
	ears.takes_ms = OWED_BUDGET_MS;
	assert_int_equal(recover().owed, 1);
	assert_string_equal(ears.told, "b:pg ");
	assert_int_equal(recover().owed, 0);
	assert_string_equal(ears.told, "R:redis ");
}

static void
test_recover_heeds_a_stop_between_two(void **state)
{
	(void)state;
	owe("Ab");
	ears.stop = true;
	assert_int_equal(recover().owed, 1);
	assert_string_equal(ears.told, "b:pg ");
}

static void
test_recover_waits_for_a_guest_that_is_off(void **state)
{
	(void)state;
	owe("ab");
	guest.state = DOMAIN_OFF;
	assert_int_equal(recover().owed, 2);
	assert_string_equal(ears.told, "");
}

static void
test_recover_owes_no_more_than_a_number(void **state)
{
	uint64_t owed;
	struct err err = ERR_INIT;
	int i;

	(void)state;
	for (i = 0; i < OWED_MAX + 2; i++)
		owe("a");
	guest.state = DOMAIN_OFF;
	assert_int_equal(recover().owed, OWED_MAX);
	assert_int_equal(job_owed(&ctx, UUID, &owed, &err), 0);
	assert_int_equal(owed, OWED_MAX);
	assert_int_equal(recover().owed, OWED_MAX);
}

static void
test_recover_keeps_what_another_repository_knows(void **state)
{
	char subject[OWED_SUBJECT_SIZE];

	(void)state;
	owed_format_subject(subject, OTHER_STORE, STORE);
	leave_at(JOURNAL_COMMITTED, subject, 'a', "");
	assert_int_equal(recover().owed, 1);
	assert_string_equal(ears.told, "");
	/* Nor without any. */
	ctx.store = NULL;
	owe("b");
	assert_int_equal(recover().owed, 2);
	assert_string_equal(ears.told, "");
}

/* It is there for some days yet; what cuts logs goes by what is kept. */
static void
test_recover_tells_of_no_point_that_is_forgotten(void **state)
{
	(void)state;
	owe("ab");
	strcpy(forgotten, "b");
	assert_int_equal(recover().owed, 0);
	assert_string_equal(ears.told, "a:pg ");
}

static void
test_recover_tells_of_no_point_that_is_gone(void **state)
{
	(void)state;
	owe("z");
	assert_int_equal(recover().owed, 0);
	assert_string_equal(ears.told, "");
}

/* ---- effects ---- */

static void
test_recover_thaws_by_the_agent(void **state)
{
	struct recover_result result;

	(void)state;
	leave_at(JOURNAL_FREEZE, "qemu-ga", '0', "");
	guest.thaw_fault = ERR_TIMEOUT;
	result = recover();
	assert_int_equal(result.kept, 1);
	guest.thaw_fault = ERR_NONE;
	result = recover();
	assert_int_equal(result.kept, 0);
	assert_int_equal(result.undone, 1);
	assert_int_equal(guest.thaws, 2);
	/* An agent that answers, be it with a refusal, holds nothing any more;
	 * one that the domain does not have neither. */
	leave_at(JOURNAL_FREEZE, "qemu-ga", '0', "");
	guest.thaw_fault = ERR_UNSUPPORTED;
	result = recover();
	assert_int_equal(result.undone, 1);
	assert_int_equal(result.kept, 0);
	assert_int_equal(guest.thaws, 3);
	/* Our helper has its lease. */
	leave_at(JOURNAL_FREEZE, "holdstill", '0', "");
	assert_int_equal(recover().undone, 1);
	assert_int_equal(guest.thaws, 3);
}

static void
test_recover_keeps_what_it_cannot_undo(void **state)
{
	struct recover_result result;

	(void)state;
	leave_at(JOURNAL_DIR, "/scratch/run-1", '0', "");
	dir_fault = ERR_IO;
	result = recover();
	assert_int_equal(result.kept, 1);
	assert_int_equal(result.undone, 0);
	dir_fault = ERR_NONE;
	assert_int_equal(recover().undone, 1);
	assert_int_equal(removed_dirs, 1);
}

/* A domain that this libvirt does not know may live on with another. */
static void
test_recover_keeps_what_another_libvirt_knows(void **state)
{
	(void)state;
	guest_exists = false;
	leave_at(JOURNAL_FREEZE, "qemu-ga", '0', "qemu+ssh://other/system");
	leave_at(JOURNAL_DIR, "/scratch/run-1", '0', "qemu+ssh://other/system");
	assert_int_equal(recover().kept, 1);
	assert_int_equal(removed_dirs, 1);
	ctx.connect_uri = "qemu+ssh://other/system";
	assert_int_equal(recover().undone, 1);
}

static void
test_recover_owes_nothing_to_a_domain_that_is_gone(void **state)
{
	struct recover_result result;

	(void)state;
	guest_exists = false;
	owe("ab");
	leave_at(JOURNAL_FREEZE, "qemu-ga", '0', "");
	leave_at(JOURNAL_CHECKPOINT, "holdstill-x", '0', "");
	result = recover();
	assert_int_equal(result.undone, 2);
	assert_int_equal(result.kept + result.owed, 0);
	assert_string_equal(ears.told, "");
}

/* clang-format off */
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
/* clang-format on */

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_recover_tells_the_newest_for_all),
		CASE(test_recover_tells_a_writer_that_newer_points_lack),
		CASE(test_recover_takes_no_newer_point_that_is_not_proved),
		CASE(test_recover_asks_no_writer_twice),
		CASE(test_recover_forgets_a_removed_writer_with_its_point),
		CASE(test_recover_leaves_the_deaf_alone),
		CASE(test_recover_leaves_the_slow_alone),
		CASE(test_recover_heeds_a_stop_between_two),
		CASE(test_recover_waits_for_a_guest_that_is_off),
		CASE(test_recover_owes_no_more_than_a_number),
		CASE(test_recover_keeps_what_another_repository_knows),
		CASE(test_recover_tells_of_no_point_that_is_gone),
		CASE(test_recover_tells_of_no_point_that_is_forgotten),
		CASE(test_recover_thaws_by_the_agent),
		CASE(test_recover_keeps_what_it_cannot_undo),
		CASE(test_recover_keeps_what_another_libvirt_knows),
		CASE(test_recover_owes_nothing_to_a_domain_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
