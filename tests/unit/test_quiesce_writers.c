/* SPDX-License-Identifier: Apache-2.0 */
/* What the host believes of writers, and tells them of a point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cancel.h"
#include "common/err.h"
#include "quiesce_rig.h"

static struct quiesce_rig rig;

static void
test_quiesce_proves_applications(void **state)
{
	const struct message *asked;

	(void)state;
	quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
	assert_int_equal(quiesce_offered(rig.q), MANIFEST_APPLICATION);
	assert_int_equal(quiesce_reachable(rig.q), MANIFEST_APPLICATION);
	quiesce_rig_hold(&rig, 50);
	assert_int_equal(rig.level, MANIFEST_APPLICATION);
	assert_string_equal(quiesce_reason(rig.q), "");
	assert_true(rig.proof.proved);
	assert_true(rig.proof.held_ms >= 50);
	assert_true(
	    rig.proof.begin_ns != 0 && rig.proof.begin_ns <= rig.proof.end_ns);
	assert_true(rig.proof.end_ns + 50 * MS_NS <= rig.proof.thaw_ns);
	assert_int_equal(rig.proof.writer_count, 2);
	assert_string_equal(rig.proof.writers[0].name, "ledger");
	assert_string_equal(rig.proof.writers[0].state, "thawed");
	assert_true(rig.proof.writers[0].required);
	assert_false(rig.proof.writers[1].required);
	assert_int_equal(rig.proof.writers[0].meta_count, 1);
	assert_string_equal(rig.proof.writers[0].meta[0].key, "position");
	assert_string_equal(rig.proof.writers[0].meta[0].value, "0/16B3748");
	assert_true(quiesce_committed(rig.q, POINT, &rig.proof));
	quiesce_rig_end(&rig);
	asked = &rig.guest.asked[MESSAGE_PREPARE];
	assert_int_equal(asked->level, MESSAGE_APPLICATION);
	assert_int_equal(asked->lease_ms, 10000);
	assert_true(asked->freeze_ms > 0 && asked->freeze_ms < 10000);
	assert_true(asked->prepare_ms > 0);
	/* A point is told with what its writers said. */
	asked = &rig.guest.asked[MESSAGE_COMMITTED];
	assert_string_equal(asked->point, POINT);
	assert_int_equal(asked->writer_count, 2);
	assert_string_equal(asked->writers[0].metas[0].value, "0/16B3748");
	assert_int_equal(rig.guest.count[MESSAGE_ABORT], 0);
}

static void
failed_once(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		strcpy(m->writers[0].reason, "long ago");
}

/* A writer's last failure is told until it fails again. */
static void
test_quiesce_keeps_no_failure_of_another_session(void **state)
{
	(void)state;
	rig.guest.tweak = failed_once;
	quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
	quiesce_rig_hold(&rig, 0);
	assert_int_equal(rig.level, MANIFEST_APPLICATION);
	assert_string_equal(rig.proof.writers[0].reason, "");
}

static void
test_quiesce_asks_no_writer_unless_wanted(void **state)
{
	(void)state;
	quiesce_rig_begin(&rig, MANIFEST_FILESYSTEM);
	assert_int_equal(quiesce_reachable(rig.q), MANIFEST_FILESYSTEM);
	assert_int_equal(quiesce_offered(rig.q), MANIFEST_FILESYSTEM);
	quiesce_rig_hold(&rig, 0);
	/* Though it claims more. */
	assert_int_equal(rig.level, MANIFEST_FILESYSTEM);
	assert_string_equal(quiesce_reason(rig.q), "");
	quiesce_rig_end(&rig);
	assert_int_equal(
	    rig.guest.asked[MESSAGE_PREPARE].level, MESSAGE_FILESYSTEM);
}

static void
optional_fails(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		m->writers[1].state = MESSAGE_WRITER_FAILED;
}

static void
commit_fails(struct message *m, uint8_t type)
{
	optional_fails(m, type);
	if (type != MESSAGE_COMMITTED)
		return;
	m->writers[0].state = MESSAGE_WRITER_FAILED;
	strcpy(m->writers[0].reason, "disk full");
}

/* Who failed before the commit failed nothing of it. */
static void
only_others_fail(struct message *m, uint8_t type)
{
	commit_fails(m, type);
	if (type == MESSAGE_COMMITTED) {
		m->writers[0].state = MESSAGE_WRITER_COMMITTED;
		m->writers[1].state = MESSAGE_WRITER_FAILED;
	}
}

static void
test_quiesce_owes_a_commit_that_a_writer_failed(void **state)
{
	struct err why = ERR_INIT;

	(void)state;
	rig.guest.tweak = commit_fails;
	quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
	quiesce_rig_hold(&rig, 0);
	assert_int_equal(rig.level, MANIFEST_APPLICATION);
	assert_false(quiesce_committed(rig.q, POINT, &rig.proof));
	quiesce_rig_end(&rig);
	/* Once: asking again at once would not help. */
	assert_int_equal(rig.guest.count[MESSAGE_COMMITTED], 1);
	assert_int_equal(rig.guest.asked[MESSAGE_COMMITTED].writers[0].state,
	    MESSAGE_WRITER_THAWED);
	assert_int_equal(rig.guest.asked[MESSAGE_COMMITTED].writers[1].state,
	    MESSAGE_WRITER_FAILED);
	assert_int_equal(
	    quiesce_deliver(NULL, SESSION, POINT, &rig.proof, &why), 1);
	assert_non_null(strstr(why.text, "'ledger' failed: disk full"));
	fake_guest_stop(&rig.guest);
	rig.guest.tweak = only_others_fail;
	assert_int_equal(
	    quiesce_deliver(NULL, SESSION, POINT, &rig.proof, &why), 0);
}

static void
required_fails_to_prepare(struct message *m, uint8_t type)
{
	if (type != MESSAGE_PREPARE)
		return;
	m->writers[0].state = MESSAGE_WRITER_FAILED;
	strcpy(m->writers[0].reason, "cannot connect");
	m->level = MESSAGE_FILESYSTEM;
}

static void
test_quiesce_says_before_the_freeze_what_is_out_of_reach(void **state)
{
	(void)state;
	rig.guest.tweak = required_fails_to_prepare;
	quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
	assert_int_equal(quiesce_reachable(rig.q), MANIFEST_FILESYSTEM);
	assert_int_equal(quiesce_offered(rig.q), MANIFEST_APPLICATION);
	assert_string_equal(
	    quiesce_reason(rig.q), "writer 'ledger' failed: cannot connect");
	quiesce_rig_hold(&rig, 0);
	assert_int_equal(rig.level, MANIFEST_FILESYSTEM);
	assert_string_equal(
	    quiesce_reason(rig.q), "writer 'ledger' failed: cannot connect");
}

static void
required_fails_to_hold(struct message *m, uint8_t type)
{
	if (type != MESSAGE_THAW)
		return;
	m->writers[0].state = MESSAGE_WRITER_FAILED;
	strcpy(m->writers[0].reason, "lost its lock");
}

static void
required_stays_frozen(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		m->writers[0].state = MESSAGE_WRITER_FROZEN;
}

static void
only_one_and_it_fails(struct message *m, uint8_t type)
{
	if (type == MESSAGE_HELLO)
		return;
	m->writers[0].required = 0;
	m->writer_count = m->writer_count > 0;
	if (type == MESSAGE_THAW)
		m->writers[0].state = MESSAGE_WRITER_FAILED;
}

static void
no_writers(struct message *m, uint8_t type)
{
	(void)type;
	m->writer_count = 0;
}

static void
they_vanish(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		m->writer_count = 0;
}

static void
guest_knows_better(struct message *m, uint8_t type)
{
	if (type != MESSAGE_THAW)
		return;
	m->level = MESSAGE_FILESYSTEM;
	strcpy(m->note, "writer 'third' is not listed");
}

static void
test_quiesce_checks_the_writers_itself(void **state)
{
	(void)state;
	quiesce_rig_expect(&rig, required_fails_to_hold, 0, MANIFEST_FILESYSTEM,
	    "'ledger' failed: lost its lock");
	quiesce_rig_expect(&rig, required_stays_frozen, 0, MANIFEST_FILESYSTEM,
	    "'ledger' is only frozen");
	quiesce_rig_expect(&rig, optional_fails, 0, MANIFEST_APPLICATION, "");
	quiesce_rig_expect(&rig, only_one_and_it_fails, 0, MANIFEST_FILESYSTEM,
	    "'ledger' failed: it does not say why");
	quiesce_rig_expect(&rig, no_writers, 0, MANIFEST_FILESYSTEM, "");
	quiesce_rig_expect(
	    &rig, they_vanish, 0, MANIFEST_FILESYSTEM, "no writer");
	quiesce_rig_expect(
	    &rig, guest_knows_better, 0, MANIFEST_FILESYSTEM, "'third'");
}

static void
hang_up(int fd, uint32_t request_id)
{
	(void)fd;
	(void)request_id;
}

/* What was to be had is not less because the helper was started anew. */
static void
test_quiesce_keeps_the_offer_over_a_new_channel(void **state)
{
	(void)state;
	rig.guest.flood_at = MESSAGE_PING;
	rig.guest.flood = hang_up;
	quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
	quiesce_rig_hold(&rig, 0);
	assert_true(quiesce_committed(rig.q, POINT, &rig.proof));
	assert_int_equal(rig.guest.count[MESSAGE_HELLO], 2);
	assert_int_equal(quiesce_offered(rig.q), MANIFEST_APPLICATION);
}

/* It serves another session just now; of hooks nothing is expected. */
static void
commit_finds_it_busy(struct message *m, uint8_t type)
{
	struct message_writer *w;

	if (type == MESSAGE_COMMITTED)
		m->writers[0].state = MESSAGE_WRITER_PREPARED;
	if (type != MESSAGE_THAW)
		return;
	w = message_add_writer(m);
	strcpy(w->name, "hook:x");
	w->state = MESSAGE_WRITER_THAWED;
}

static void
commit_finds_nobody(struct message *m, uint8_t type)
{
	if (type == MESSAGE_COMMITTED)
		m->writer_count = 0;
}

static void
commit_is_known(struct message *m, uint8_t type)
{
	commit_finds_nobody(m, type);
	m->repeated = type == MESSAGE_COMMITTED;
}

static int
deliver(void (*tweak)(struct message *, uint8_t), struct err *why)
{
	int rc;

	rig.guest.tweak = tweak;
	rc = quiesce_deliver(NULL, SESSION, POINT, &rig.proof, why);
	fake_guest_stop(&rig.guest);
	return rc;
}

static void
test_quiesce_owes_a_commit_that_a_writer_did_not_hear(void **state)
{
	struct err why = ERR_INIT;

	(void)state;
	rig.guest.tweak = commit_finds_it_busy;
	quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
	quiesce_rig_hold(&rig, 0);
	assert_int_equal(rig.level, MANIFEST_APPLICATION);
	assert_false(quiesce_committed(rig.q, POINT, &rig.proof));
	quiesce_rig_end(&rig);
	assert_int_equal(deliver(commit_finds_it_busy, &why), 1);
	assert_non_null(
	    strstr(why.text, "'ledger' was not told: it is prepared"));
	assert_int_equal(deliver(commit_finds_nobody, &why), 1);
	assert_int_equal(deliver(commit_is_known, &why), 0);
	assert_int_equal(deliver(NULL, &why), 0);
}

static void
lease_ends(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		m->lease_expired = 1;
}

static void
says_nothing_of_the_thaw(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		m->session[0] = '\0';
}

/* They let go before the picture was taken, or nobody knows whether. */
static void
test_quiesce_commits_nothing_that_is_not_proved(void **state)
{
	static void (*const tweaks[])(struct message *, uint8_t) = { lease_ends,
		says_nothing_of_the_thaw };
	struct err why = ERR_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tweaks) / sizeof(tweaks[0]); i++) {
		rig.guest.tweak = tweaks[i];
		quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
		quiesce_rig_hold(&rig, 0);
		assert_int_equal(rig.level, MANIFEST_CRASH);
		assert_true(rig.proof.writer_count > 0);
		assert_true(quiesce_committed(rig.q, POINT, &rig.proof));
		quiesce_rig_end(&rig);
		assert_int_equal(rig.guest.count[MESSAGE_COMMITTED], 0);
		assert_int_equal(rig.guest.count[MESSAGE_ABORT], i + 1);
		assert_int_equal(
		    quiesce_deliver(NULL, SESSION, POINT, &rig.proof, &why), 0);
		manifest_freeze_fini(&rig.proof);
	}
}

#define CASE(name) QUIESCE_RIG_CASE(name, &rig)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_quiesce_proves_applications),
		CASE(test_quiesce_keeps_no_failure_of_another_session),
		CASE(test_quiesce_asks_no_writer_unless_wanted),
		CASE(test_quiesce_owes_a_commit_that_a_writer_failed),
		CASE(test_quiesce_says_before_the_freeze_what_is_out_of_reach),
		CASE(test_quiesce_checks_the_writers_itself),
		CASE(test_quiesce_keeps_the_offer_over_a_new_channel),
		CASE(test_quiesce_owes_a_commit_that_a_writer_did_not_hear),
		CASE(test_quiesce_commits_nothing_that_is_not_proved),
	};

	if (cancel_init(&rig.err) == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
