/* SPDX-License-Identifier: Apache-2.0 */
/* Several domains as one instant: no picture before the last is frozen, no
 * thaw before the last picture, and a verdict that is true. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "agent/job/backup_internal.h"
#include "agent/job/context.h"
#include "agent/job/group.h"
#include "agent/quiesce/quiesce.h"

#define COUNT 3

/* ---- the members' guests and QEMUs, as each test sets them up ---- */

struct quiesce {
	bool cancelled; /* Its freeze is given up. */
	bool unproved;  /* Its thaw proves nothing. */
	bool owes_thaw; /* After its thaw. */
	bool deaf;      /* It stays owed. */
	bool frozen;
	unsigned int thaws;
};

struct domain_picture {
	enum err_class fault; /* How it fails next, or ERR_NONE. */
	unsigned int taken;
};

struct domain {
	int paused_looks; /* So often it is found paused, then running. */
};

static struct domain domains[COUNT];
static struct quiesce guests[COUNT];
static struct domain_picture pictures[COUNT];
static struct backup_set set;
static struct backup members[COUNT];
static struct backup_options options;

/* What the threads see of one another. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int frozen, taken, thawed, most_inside, inside;
static bool early_picture, early_thaw, too_late_thaw;
static unsigned int expected_pictures;

static unsigned int undone, prepared, struck;
static bool job_stays;

/* Long enough for others to come in, if they may. */
static void
dawdle(void)
{
	const struct timespec ms = { .tv_nsec = 20 * 1000000 };

	pthread_mutex_lock(&lock);
	if (++inside > most_inside)
		most_inside = inside;
	pthread_mutex_unlock(&lock);
	nanosleep(&ms, NULL);
	pthread_mutex_lock(&lock);
	inside--;
	pthread_mutex_unlock(&lock);
}

int
domain_state(struct domain *d, enum domain_state *out, struct err *err)
{
	(void)err;
	*out = d->paused_looks-- > 0 ? DOMAIN_PAUSED : DOMAIN_RUNNING;
	return 0;
}

int
quiesce_freeze(struct quiesce *q, struct err *err)
{
	dawdle();
	if (q->cancelled)
		return err_set(err, ERR_CANCELLED, "stopped by signal 2");
	pthread_mutex_lock(&lock);
	q->frozen = true;
	frozen++;
	pthread_mutex_unlock(&lock);
	return 0;
}

int
domain_picture_take(struct domain_picture *p, struct err *err)
{
	enum err_class fault = p->fault;

	pthread_mutex_lock(&lock);
	early_picture |= frozen < COUNT;
	too_late_thaw |= thawed > 0;
	pthread_mutex_unlock(&lock);
	if (fault != ERR_NONE) {
		p->fault = ERR_NONE;
		return err_set(err, fault, "bitmap of 'vda' is broken");
	}
	dawdle();
	pthread_mutex_lock(&lock);
	p->taken++;
	taken++;
	pthread_mutex_unlock(&lock);
	return 0;
}

void
quiesce_thaw(struct quiesce *q, struct manifest_freeze *freeze,
    enum manifest_consistency *level)
{
	memset(freeze, 0, sizeof(*freeze));
	pthread_mutex_lock(&lock);
	early_thaw |= taken < expected_pictures;
	thawed++;
	q->thaws++;
	freeze->proved = q->frozen && !q->unproved;
	q->frozen = false;
	pthread_mutex_unlock(&lock);
	*level = freeze->proved ? MANIFEST_FILESYSTEM : MANIFEST_CRASH;
	dawdle();
}

const char *
quiesce_reason(const struct quiesce *q)
{
	return q->unproved ? "the freeze was broken" : "";
}

bool
quiesce_owes_thaw(const struct quiesce *q)
{
	return q->owes_thaw;
}

int
quiesce_settle_thaw(struct quiesce *q, int patience_ms, struct err *err)
{
	assert_true(patience_ms > 0);
	if (q->owes_thaw && q->deaf)
		return err_set(err, ERR_TIMEOUT, "it may still be frozen");
	q->owes_thaw = false;
	return 0;
}

/* ---- the other chapters ---- */

void
backup_strike(struct backup *b, int64_t *id)
{
	(void)b;
	struck += *id != 0;
	*id = 0;
}

void
backup_plan_all_full(struct backup *b, bool demoted, const char *reason)
{
	assert_true(demoted);
	assert_string_equal(reason, "bitmap of 'vda' is broken");
	b->base = NULL;
}

int
backup_end_job(struct backup *b, struct err *err)
{
	(void)b;
	return job_stays ? err_set(err, ERR_TIMEOUT, "it does not end") : 0;
}

void
backup_undo(struct backup *b)
{
	(void)b;
	undone++;
}

int
backup_prepare(struct backup_set *s, struct err *err)
{
	(void)s;
	(void)err;
	prepared++;
	frozen = taken = thawed = 0;
	return 0;
}

/* ---- bed ---- */

static int
setup(void **state)
{
	static const char *const names[COUNT] = { "web", "app", "db" };
	size_t i;

	(void)state;
	memset(domains, 0, sizeof(domains));
	memset(guests, 0, sizeof(guests));
	memset(pictures, 0, sizeof(pictures));
	memset(members, 0, sizeof(members));
	frozen = taken = thawed = most_inside = inside = 0;
	undone = prepared = struck = 0;
	job_stays = false;
	early_picture = early_thaw = too_late_thaw = false;
	expected_pictures = COUNT;
	options = (struct backup_options){ .spread_ms = 10000 };
	set = (struct backup_set){
		.options = &options, .members = members, .count = COUNT
	};
	strcpy(set.group, "0123456789abcdef0123456789abcdef");
	for (i = 0; i < COUNT; i++) {
		members[i].name = names[i];
		members[i].options = &options;
		members[i].domain = &domains[i];
		members[i].quiesce = &guests[i];
		members[i].picture = &pictures[i];
		members[i].freeze_effect = (int64_t)i + 1;
		members[i].manifest = manifest_new();
		members[i].manifest->domain = strdup(names[i]);
		memset(members[i].manifest->id, '0' + (int)i, HEXID_LENGTH);
	}
	return 0;
}

static int
teardown(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT; i++) {
		manifest_free(members[i].manifest);
		manifest_free(members[i].base);
	}
	return 0;
}

static void
settle_and_judge(void)
{
	struct err err = ERR_INIT;

	assert_int_equal(backup_each(&set, backup_settle, &err), 0);
	assert_int_equal(group_judge(&set, &err), 0);
}

/* What the first member's point says of the group. */
static const struct manifest_group *
verdict(void)
{
	return &members[0].manifest->group;
}

/* ---- cases ---- */

static void
test_group_is_one_instant(void **state)
{
	struct err err = ERR_INIT;
	size_t i;

	(void)state;
	assert_int_equal(backup_hold(&set, &err), 0);
	assert_false(early_picture);
	assert_false(early_thaw);
	assert_false(too_late_thaw);
	assert_int_equal(thawed, COUNT);
	assert_int_equal(struck, COUNT);
	settle_and_judge();
	for (i = 0; i < COUNT; i++) {
		const struct manifest_group *g = &members[i].manifest->group;

		assert_string_equal(g->id, set.group);
		assert_true(g->consistent);
		assert_string_equal(g->reason, "");
		assert_int_equal(g->member_count, COUNT);
		assert_string_equal(g->members[2].domain, "db");
		assert_string_equal(g->members[1].id, members[1].manifest->id);
		assert_true(g->spread_ms >= 19);
	}
}

/* Else the sum of all freezes would be the time that each guest waits. */
static void
test_group_freezes_at_once(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(backup_hold(&set, &err), 0);
	assert_int_equal(most_inside, COUNT);
}

static void
test_group_of_one_needs_no_thread_and_may_be_consistent(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	set.count = 1;
	expected_pictures = 1;
	frozen = COUNT - 1;
	assert_int_equal(backup_hold(&set, &err), 0);
	settle_and_judge();
	assert_true(verdict()->consistent);
	assert_int_equal(verdict()->member_count, 1);
}

static void
test_group_member_without_proof_spoils_it(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	guests[1].unproved = true;
	assert_int_equal(backup_hold(&set, &err), 0);
	settle_and_judge();
	assert_false(verdict()->consistent);
	assert_string_equal(verdict()->reason,
	    "'app' did not hold still: the freeze was broken");
	assert_int_equal(members[0].manifest->consistency, MANIFEST_FILESYSTEM);
	assert_int_equal(members[1].manifest->consistency, MANIFEST_CRASH);
}

/* Nobody freezes it, and nothing goes out of it. */
static void
test_group_counts_a_paused_member_as_still(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	members[1].state = DOMAIN_PAUSED;
	domains[1].paused_looks = 2;
	guests[1].unproved = true;
	assert_int_equal(backup_hold(&set, &err), 0);
	settle_and_judge();
	assert_true(verdict()->consistent);
	assert_string_equal(verdict()->reason, "");
	assert_int_equal(members[1].manifest->consistency, MANIFEST_CRASH);
	assert_non_null(strstr(members[1].manifest->consistency_reason,
	    "was paused: it held still"));
}

/* Before the pictures, or before they were all taken. */
static void
test_group_counts_no_resumed_member_as_still(void **state)
{
	struct err err = ERR_INIT;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		members[1].state = DOMAIN_PAUSED;
		domains[1].paused_looks = i;
		guests[1].unproved = true;
		assert_int_equal(backup_hold(&set, &err), 0);
		settle_and_judge();
		assert_false(verdict()->consistent);
		assert_non_null(strstr(verdict()->reason,
		    "'app' did not hold still: the guest was paused when"));
		teardown(state);
		setup(state);
	}
}

static void
test_group_over_its_budget_is_not_consistent(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	options.spread_ms = 0;
	assert_int_equal(backup_hold(&set, &err), 0);
	settle_and_judge();
	assert_false(verdict()->consistent);
	assert_non_null(strstr(verdict()->reason, "0 ms are allowed"));
}

static void
test_group_spread_is_from_first_begin_to_last_end(void **state)
{
	struct err err = ERR_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT; i++) {
		members[i].manifest->consistency = MANIFEST_FILESYSTEM;
		members[i].picture_begin_ms = 100 - (int64_t)i;
		members[i].picture_end_ms = 150 - 10 * (int64_t)i;
	}
	assert_int_equal(group_judge(&set, &err), 0);
	assert_int_equal(verdict()->spread_ms, 150 - 98);
}

static void
test_group_fails_whole_when_a_picture_fails(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	pictures[2].fault = ERR_BUSY;
	expected_pictures = COUNT - 1;
	assert_int_equal(backup_hold(&set, &err), -1);
	assert_int_equal(err.class, ERR_BUSY);
	assert_non_null(strstr(err.text, "domain 'db'"));
	/* All are thawed, after the others' pictures. */
	assert_int_equal(thawed, COUNT);
	assert_false(early_thaw);
	assert_int_equal(prepared, 0);
}

static void
test_group_thaws_all_when_a_freeze_is_cancelled(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	guests[0].cancelled = true;
	expected_pictures = 0;
	assert_int_equal(backup_hold(&set, &err), -1);
	assert_int_equal(err.class, ERR_CANCELLED);
	assert_int_equal(taken, 0);
	assert_int_equal(thawed, COUNT);
}

/* A bitmap found broken only now costs a full of that member, once. */
static void
test_group_holds_again_for_a_broken_bitmap(void **state)
{
	struct err err = ERR_INIT;
	struct manifest base;

	(void)state;
	pictures[1].fault = ERR_CORRUPT;
	members[1].base = &base;
	expected_pictures = COUNT - 1;
	assert_int_equal(backup_hold(&set, &err), 0);
	assert_int_equal(err.class, ERR_NONE);
	assert_int_equal(undone, COUNT);
	assert_int_equal(prepared, 1);
	assert_int_equal(pictures[1].taken, 1);
	assert_int_equal(pictures[0].taken, 2);
	settle_and_judge();
	assert_true(verdict()->consistent);
}

/* The scratch files of a job that does not end cannot serve another. */
static void
test_group_does_not_hold_again_over_a_job_that_stays(void **state)
{
	struct err err = ERR_INIT;
	struct manifest base;

	(void)state;
	pictures[1].fault = ERR_CORRUPT;
	members[1].base = &base;
	job_stays = true;
	assert_int_equal(backup_hold(&set, &err), -1);
	assert_int_equal(err.class, ERR_TIMEOUT);
	assert_int_equal(prepared, 0);
}

/* Another member's failure cannot be mended so. */
static void
test_group_does_not_hold_again_for_other_faults(void **state)
{
	struct err err = ERR_INIT;
	struct manifest base;

	(void)state;
	pictures[1].fault = ERR_CORRUPT;
	members[1].base = &base;
	pictures[2].fault = ERR_IO;
	expected_pictures = 1;
	assert_int_equal(backup_hold(&set, &err), -1);
	assert_int_equal(prepared, 0);
	members[1].base = NULL;
}

static void
test_group_below_what_is_required_fails(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	options.require = MANIFEST_FILESYSTEM;
	guests[2].unproved = true;
	assert_int_equal(backup_hold(&set, &err), 0);
	assert_int_equal(backup_each(&set, backup_settle, &err), -1);
	assert_int_equal(err.class, ERR_UNSUPPORTED);
}

/* Nothing is streamed from a guest that may be frozen. */
static void
test_group_fails_over_a_thaw_that_stays_owed(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	guests[1].owes_thaw = guests[1].deaf = true;
	assert_int_equal(backup_hold(&set, &err), -1);
	assert_int_equal(err.class, ERR_TIMEOUT);
	assert_non_null(strstr(err.text, "domain 'app'"));
	assert_non_null(strstr(err.text, "may still be frozen"));
	assert_non_null(strstr(err.hint, "virsh domfsthaw app"));
	/* It stays in the journal. */
	assert_int_equal(struck, COUNT - 1);
	assert_int_not_equal(members[1].freeze_effect, 0);
}

static void
test_group_goes_on_when_an_owed_thaw_is_settled(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	guests[1].owes_thaw = true;
	assert_int_equal(backup_hold(&set, &err), 0);
	assert_int_equal(struck, COUNT);
}

/* Else it would be frozen once more, or for a second picture. */
static void
test_group_does_not_hold_again_over_an_owed_thaw(void **state)
{
	struct err err = ERR_INIT;
	struct manifest base;

	(void)state;
	pictures[1].fault = ERR_CORRUPT;
	members[1].base = &base;
	guests[0].owes_thaw = guests[0].deaf = true;
	expected_pictures = COUNT - 1;
	assert_int_equal(backup_hold(&set, &err), -1);
	assert_int_equal(prepared, 0);
	members[1].base = NULL;
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_group_is_one_instant),
		CASE(test_group_freezes_at_once),
		CASE(test_group_of_one_needs_no_thread_and_may_be_consistent),
		CASE(test_group_member_without_proof_spoils_it),
		CASE(test_group_counts_a_paused_member_as_still),
		CASE(test_group_counts_no_resumed_member_as_still),
		CASE(test_group_over_its_budget_is_not_consistent),
		CASE(test_group_spread_is_from_first_begin_to_last_end),
		CASE(test_group_fails_whole_when_a_picture_fails),
		CASE(test_group_thaws_all_when_a_freeze_is_cancelled),
		CASE(test_group_holds_again_for_a_broken_bitmap),
		CASE(test_group_does_not_hold_again_over_a_job_that_stays),
		CASE(test_group_does_not_hold_again_for_other_faults),
		CASE(test_group_below_what_is_required_fails),
		CASE(test_group_fails_over_a_thaw_that_stays_owed),
		CASE(test_group_goes_on_when_an_owed_thaw_is_settled),
		CASE(test_group_does_not_hold_again_over_an_owed_thaw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
