/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host believes of writers and times, and that no guest can hold it
 * up: a fake guest says what a real one never would.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/domain/domain.h"
#include "agent/quiesce/client.h"
#include "agent/quiesce/quiesce.h"
#include "common/cancel.h"
#include "common/clock.h"
#include "common/endian.h"
#include "common/err.h"
#include "common/proto/crc32.h"
#include "fake_guest.h"
#include "store/manifest.h"

#define SESSION "0123456789abcdef0123456789abcdef"
#define POINT "fedcba9876543210fedcba9876543210"
#define MS_NS UINT64_C(1000000)

static struct fake_guest guest;
static struct quiesce *q;
static struct manifest_freeze proof;
static enum manifest_consistency level;
static struct err err;
static unsigned int lease_ms;
static bool unknown;      /* libvirt knows of nobody in the guest. */
static unsigned int busy; /* Opens that find the channel still in use. */

/* ---- the fake domain ---- */

int
domain_channel_open(
    int *out_fd, struct domain *d, const char *name, struct err *e)
{
	(void)d;
	(void)name;
	if (busy > 0) {
		busy--;
		return err_set(e, ERR_BUSY, "in use");
	}
	/* The one before has been closed. */
	fake_guest_stop(&guest);
	*out_fd = fake_guest_start(&guest);
	return 0;
}

int
domain_channel_connected(
    struct domain *d, const char *name, bool *out, struct err *e)
{
	(void)d;
	(void)name;
	(void)e;
	*out = !unknown;
	return 0;
}

int
domain_agent_available(struct domain *d, bool *out, struct err *e)
{
	(void)d;
	(void)e;
	*out = true;
	return 0;
}

int
domain_agent_freeze(
    struct domain *d, unsigned int timeout_ms, int *out, struct err *e)
{
	(void)d;
	(void)timeout_ms;
	(void)e;
	*out = 1;
	return 0;
}

int
domain_agent_thaw(
    struct domain *d, unsigned int timeout_ms, int *out, struct err *e)
{
	(void)d;
	(void)timeout_ms;
	(void)e;
	*out = 1;
	return 0;
}

bool
domain_agent_is_windows(struct domain *d)
{
	(void)d;
	return false;
}

/* ---- the session of most tests ---- */

static int
set_up(void **state)
{
	(void)state;
	memset(&guest, 0, sizeof(guest));
	lease_ms = 10000;
	busy = 0;
	unknown = false;
	return 0;
}

static void
end(void)
{
	quiesce_end(q);
	q = NULL;
	manifest_freeze_fini(&proof);
	memset(&proof, 0, sizeof(proof));
	fake_guest_stop(&guest);
}

static int
tear_down(void **state)
{
	(void)state;
	end();
	return 0;
}

static void
begin(enum manifest_consistency prefer)
{
	static const struct quiesce_disk disks[] = { { .target = "vda",
	    .serial = "" } };
	const struct quiesce_options options = {
		.session = SESSION,
		.lease_ms = lease_ms,
		.disks = disks,
		.disk_count = 1,
		.prefer = prefer,
	};

	assert_int_equal(quiesce_begin(&q, NULL, &options, &err), 0);
}

static void
hold(int ms)
{
	assert_int_equal(quiesce_freeze(q, &err), 0);
	poll(NULL, 0, ms);
	quiesce_thaw(q, &proof, &level);
}

/* The whole with this guest: the level and a part of the reason. */
static void
expect(void (*tweak)(struct message *, uint8_t), int hold_ms,
    enum manifest_consistency want, const char *reason)
{
	guest.tweak = tweak;
	begin(MANIFEST_APPLICATION);
	hold(hold_ms);
	if (level != want || strstr(quiesce_reason(q), reason) == NULL)
		fail_msg("level %s, reason '%s' without '%s'",
		    manifest_consistency_name(level), quiesce_reason(q),
		    reason);
	assert_int_equal(proof.proved, level > MANIFEST_CRASH);
	end();
}

/* ---- writers ---- */

static void
test_quiesce_proves_applications(void **state)
{
	const struct message *asked;

	(void)state;
	begin(MANIFEST_APPLICATION);
	assert_int_equal(quiesce_offered(q), MANIFEST_APPLICATION);
	assert_int_equal(quiesce_reachable(q), MANIFEST_APPLICATION);
	hold(50);
	assert_int_equal(level, MANIFEST_APPLICATION);
	assert_string_equal(quiesce_reason(q), "");
	assert_true(proof.proved);
	assert_true(proof.held_ms >= 50);
	assert_true(proof.begin_ns != 0 && proof.begin_ns <= proof.end_ns);
	assert_true(proof.end_ns + 50 * MS_NS <= proof.thaw_ns);
	assert_int_equal(proof.writer_count, 2);
	assert_string_equal(proof.writers[0].name, "ledger");
	assert_string_equal(proof.writers[0].state, "thawed");
	assert_true(proof.writers[0].required);
	assert_false(proof.writers[1].required);
	assert_int_equal(proof.writers[0].meta_count, 1);
	assert_string_equal(proof.writers[0].meta[0].key, "position");
	assert_string_equal(proof.writers[0].meta[0].value, "0/16B3748");
	assert_true(quiesce_committed(q, POINT, &proof));
	quiesce_end(q);
	q = NULL;
	fake_guest_stop(&guest);
	asked = &guest.asked[MESSAGE_PREPARE];
	assert_int_equal(asked->level, MESSAGE_APPLICATION);
	assert_int_equal(asked->lease_ms, 10000);
	assert_true(asked->freeze_ms > 0 && asked->freeze_ms < 10000);
	assert_true(asked->prepare_ms > 0);
	/* A point is told with what its writers said. */
	asked = &guest.asked[MESSAGE_COMMITTED];
	assert_string_equal(asked->point, POINT);
	assert_int_equal(asked->writer_count, 2);
	assert_string_equal(asked->writers[0].metas[0].value, "0/16B3748");
	assert_int_equal(guest.count[MESSAGE_ABORT], 0);
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
	guest.tweak = failed_once;
	begin(MANIFEST_APPLICATION);
	hold(0);
	assert_int_equal(level, MANIFEST_APPLICATION);
	assert_string_equal(proof.writers[0].reason, "");
}

static void
test_quiesce_asks_no_writer_unless_wanted(void **state)
{
	(void)state;
	begin(MANIFEST_FILESYSTEM);
	assert_int_equal(quiesce_reachable(q), MANIFEST_FILESYSTEM);
	assert_int_equal(quiesce_offered(q), MANIFEST_FILESYSTEM);
	hold(0);
	/* Though it claims more. */
	assert_int_equal(level, MANIFEST_FILESYSTEM);
	assert_string_equal(quiesce_reason(q), "");
	end();
	assert_int_equal(
	    guest.asked[MESSAGE_PREPARE].level, MESSAGE_FILESYSTEM);
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
	message_add_writer(m);
	strcpy(m->writers[0].name, "ledger");
	m->writers[0].state = MESSAGE_WRITER_FAILED;
	strcpy(m->writers[0].reason, "disk full");
}

/* Who failed before the commit failed nothing of it. */
static void
only_others_fail(struct message *m, uint8_t type)
{
	commit_fails(m, type);
	if (type == MESSAGE_COMMITTED)
		strcpy(m->writers[0].name, "cache");
}

static void
test_quiesce_owes_a_commit_that_a_writer_failed(void **state)
{
	struct err why = ERR_INIT;

	(void)state;
	guest.tweak = commit_fails;
	begin(MANIFEST_APPLICATION);
	hold(0);
	assert_int_equal(level, MANIFEST_APPLICATION);
	assert_false(quiesce_committed(q, POINT, &proof));
	quiesce_end(q);
	q = NULL;
	fake_guest_stop(&guest);
	/* Once: asking again at once would not help. */
	assert_int_equal(guest.count[MESSAGE_COMMITTED], 1);
	assert_int_equal(guest.asked[MESSAGE_COMMITTED].writers[0].state,
	    MESSAGE_WRITER_THAWED);
	assert_int_equal(guest.asked[MESSAGE_COMMITTED].writers[1].state,
	    MESSAGE_WRITER_FAILED);
	assert_int_equal(
	    quiesce_deliver(NULL, SESSION, POINT, &proof, &why), 1);
	assert_non_null(strstr(why.text, "'ledger' failed: disk full"));
	fake_guest_stop(&guest);
	guest.tweak = only_others_fail;
	assert_int_equal(
	    quiesce_deliver(NULL, SESSION, POINT, &proof, &why), 0);
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
	guest.tweak = required_fails_to_prepare;
	begin(MANIFEST_APPLICATION);
	assert_int_equal(quiesce_reachable(q), MANIFEST_FILESYSTEM);
	assert_int_equal(quiesce_offered(q), MANIFEST_APPLICATION);
	assert_string_equal(
	    quiesce_reason(q), "writer 'ledger' failed: cannot connect");
	hold(0);
	assert_int_equal(level, MANIFEST_FILESYSTEM);
	assert_string_equal(
	    quiesce_reason(q), "writer 'ledger' failed: cannot connect");
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
	expect(required_fails_to_hold, 0, MANIFEST_FILESYSTEM,
	    "'ledger' failed: lost its lock");
	expect(required_stays_frozen, 0, MANIFEST_FILESYSTEM,
	    "'ledger' is only frozen");
	expect(optional_fails, 0, MANIFEST_APPLICATION, "");
	expect(only_one_and_it_fails, 0, MANIFEST_FILESYSTEM,
	    "'ledger' failed: it does not say why");
	expect(no_writers, 0, MANIFEST_FILESYSTEM, "");
	expect(they_vanish, 0, MANIFEST_FILESYSTEM, "no writer");
	expect(guest_knows_better, 0, MANIFEST_FILESYSTEM, "'third'");
}

static void
foul_words(struct message *m, uint8_t type)
{
	static const char foul[] = "\033[2J\r\n\t\177 \303\251\342\200\256 %s";
	struct message_writer *w;
	size_t i, k;

	strcpy(m->program, foul);
	strcpy(m->state, "\033[1A");
	strcpy(m->note, foul);
	if (type == MESSAGE_HELLO || type == MESSAGE_FREEZE)
		return;
	strcpy(m->filesystems[0].mount_point, foul);
	m->filesystems[0].type[0] = '\0';
	while (message_add_writer(m) != NULL)
		;
	for (i = 0; i < m->writer_count; i++) {
		w = &m->writers[i];
		strcpy(w->name, foul);
		strcpy(w->reason, foul);
		w->age_ms = w->failure_age_ms = w->thaw_ms = UINT64_MAX;
		w->state = MESSAGE_WRITER_FAILED;
		while (message_add_meta(w) != NULL)
			;
		for (k = 0; k < w->meta_count; k++) {
			strcpy(w->metas[k].key, foul);
			memset(w->metas[k].value, k == 0 ? '\b' : '\200',
			    sizeof(w->metas[k].value) - 1);
		}
	}
	m->writers[1].name[0] = '\0';
	m->writers[1].metas[0].key[0] = '\0';
}

static void
assert_clean(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < 0x20 || *text > 0x7e)
			fail_msg("byte %02x is left", *text & 0xff);
}

static void
foul_error(struct message *m, uint8_t type)
{
	(void)type;
	strcpy(m->error_class, "\033[5m");
	memset(m->error_text, '\033', sizeof(m->error_text) - 1);
}

static void
test_quiesce_takes_no_foul_words(void **state)
{
	const struct manifest_writer *w;
	struct quiesce_status status;
	size_t i, k;

	(void)state;
	guest.tweak = foul_words;
	begin(MANIFEST_APPLICATION);
	assert_clean(quiesce_reason(q));
	hold(0);
	assert_int_equal(level, MANIFEST_FILESYSTEM);
	assert_clean(quiesce_reason(q));
	assert_int_equal(proof.writer_count, MESSAGE_WRITERS_MAX);
	assert_string_equal(proof.filesystems[0].type, "?");
	assert_clean(proof.filesystems[0].mount_point);
	for (i = 0; i < proof.writer_count; i++) {
		w = &proof.writers[i];
		assert_true(w->name[0] != '\0');
		assert_clean(w->name);
		assert_clean(w->reason);
		assert_string_equal(w->state, "failed");
		assert_int_equal(w->meta_count, MESSAGE_META_MAX - (i == 1));
		for (k = 0; k < w->meta_count; k++) {
			assert_clean(w->meta[k].key);
			assert_clean(w->meta[k].value);
		}
	}
	end();
	assert_int_equal(quiesce_status(&status, NULL, &err), 0);
	assert_clean(status.version);
	assert_clean(status.state);
	assert_clean(status.note);
	assert_int_equal(status.writer_count, MESSAGE_WRITERS_MAX);
	for (i = 0; i < status.writer_count; i++) {
		assert_true(status.writers[i].name[0] != '\0');
		assert_clean(status.writers[i].name);
		assert_clean(status.writers[i].reason);
		assert_true(status.writers[i].age_ms > 0);
		assert_true(status.writers[i].age_ms < INT64_MAX / 2);
	}
	quiesce_status_fini(&status);
	fake_guest_stop(&guest);
	guest.tweak = foul_error;
	assert_int_equal(quiesce_status(&status, NULL, &err), -1);
	assert_clean(err.text);
}

/* ---- times ---- */

static void
held_for_less(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		m->thaw_ns -= 500 * MS_NS;
}

static void
held_for_more(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		m->thaw_ns += 1000 * MS_NS;
}

static void
froze_anew(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		m->freeze_begin_ns++;
}

static void
backwards(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		m->thaw_ns = m->freeze_end_ns - 1;
}

static void
beyond(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW) {
		m->thaw_ns = UINT64_MAX;
		m->held_ms = UINT64_MAX;
	}
}

/* Beyond what the manifest can hold. */
static void
far_future(struct message *m, uint8_t type)
{
	if (type == MESSAGE_FREEZE || type == MESSAGE_THAW) {
		m->freeze_begin_ns += UINT64_C(1) << 63;
		m->freeze_end_ns += UINT64_C(1) << 63;
		m->thaw_ns += UINT64_C(1) << 63;
	}
}

static void
no_times(struct message *m, uint8_t type)
{
	(void)type;
	m->freeze_begin_ns = m->freeze_end_ns = 0;
}

static void
lease_ended(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		m->lease_expired = 1;
}

static void
another_session(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		memcpy(m->session, POINT, sizeof(m->session));
}

static void
broken(struct message *m, uint8_t type)
{
	if (type == MESSAGE_THAW)
		m->unbroken = 0;
}

static void
test_quiesce_believes_only_what_can_be(void **state)
{
	(void)state;
	expect(held_for_less, 600, MANIFEST_CRASH, "held still for");
	expect(froze_anew, 0, MANIFEST_CRASH, "cannot be");
	expect(backwards, 0, MANIFEST_CRASH, "cannot be");
	expect(beyond, 0, MANIFEST_CRASH, "cannot be");
	expect(far_future, 0, MANIFEST_CRASH, "cannot be");
	expect(no_times, 0, MANIFEST_CRASH, "cannot be");
	expect(lease_ended, 0, MANIFEST_CRASH, "outlived its lease");
	expect(another_session, 0, MANIFEST_CRASH, "another session");
	expect(broken, 0, MANIFEST_CRASH, "broken");
	/* The host's own clock knows the lease, too. */
	lease_ms = 50;
	expect(NULL, 600, MANIFEST_CRASH, "outlived its lease of 50 ms");
}

static void
test_quiesce_waits_for_a_channel_that_is_still_in_use(void **state)
{
	(void)state;
	busy = 3;
	begin(MANIFEST_APPLICATION);
	assert_int_equal(quiesce_source(q), MANIFEST_QUIESCE_HOLDSTILL);
	quiesce_end(q);
	q = NULL;
	fake_guest_stop(&guest);
	/* But not for ever. */
	busy = 100000;
	begin(MANIFEST_APPLICATION);
	assert_int_equal(quiesce_source(q), MANIFEST_QUIESCE_QEMU_GA);
}

static void
say_nothing(int fd, uint32_t request_id)
{
	char byte;

	(void)request_id;
	while (recv(fd, &byte, 1, 0) > 0)
		;
}

/* libvirt may have missed that the helper came. */
static void
test_quiesce_asks_though_libvirt_knows_of_nobody(void **state)
{
	int64_t start;

	(void)state;
	unknown = true;
	begin(MANIFEST_APPLICATION);
	assert_int_equal(quiesce_source(q), MANIFEST_QUIESCE_HOLDSTILL);
	quiesce_end(q);
	q = NULL;
	fake_guest_stop(&guest);
	guest.flood_at = MESSAGE_HELLO;
	guest.flood = say_nothing;
	start = clock_monotonic_ms();
	begin(MANIFEST_APPLICATION);
	assert_true(clock_monotonic_ms() - start < 2500);
	assert_int_equal(quiesce_source(q), MANIFEST_QUIESCE_QEMU_GA);
}

static void
test_quiesce_believes_no_fast_clock(void **state)
{
	(void)state;
	guest.tweak = held_for_more;
	begin(MANIFEST_APPLICATION);
	hold(50);
	assert_int_equal(level, MANIFEST_APPLICATION);
	assert_in_range(proof.held_ms, 50, 800);
}

/* It answers, too late for the lease but in the time of the call. */
static void
slow_to_freeze(struct message *m, uint8_t type)
{
	(void)m;
	if (type == MESSAGE_FREEZE)
		poll(NULL, 0, 100);
}

static void
test_quiesce_takes_no_picture_after_the_lease(void **state)
{
	(void)state;
	lease_ms = 50;
	expect(slow_to_freeze, 0, MANIFEST_CRASH,
	    "cannot freeze: the freeze outlived its lease of 50 ms");
	assert_int_equal(guest.count[MESSAGE_THAW], 0);
	assert_int_equal(guest.count[MESSAGE_ABORT], 1);
}

static void
slow_lately(struct message *m, uint8_t type)
{
	if (type == MESSAGE_PREPARE)
		m->forecast_ms = 12000;
}

static void
refuses(struct message *m, uint8_t type)
{
	if (type != MESSAGE_PREPARE)
		return;
	strcpy(m->error_class, "timeout");
	strcpy(m->error_text, "use a longer --lease");
}

static void
test_quiesce_asks_nobody_else_after_a_refusal(void **state)
{
	(void)state;
	guest.tweak = refuses;
	begin(MANIFEST_APPLICATION);
	assert_int_equal(quiesce_source(q), MANIFEST_QUIESCE_NONE);
	assert_int_equal(quiesce_offered(q), MANIFEST_FILESYSTEM);
	assert_non_null(strstr(quiesce_reason(q), "--lease"));
}

static void
test_quiesce_freezes_nothing_that_outlives_its_lease(void **state)
{
	(void)state;
	guest.tweak = slow_lately;
	begin(MANIFEST_APPLICATION);
	assert_int_equal(quiesce_reachable(q), MANIFEST_CRASH);
	assert_int_equal(quiesce_offered(q), MANIFEST_APPLICATION);
	/* The other agent is there, and knows no lease at all. */
	assert_int_equal(quiesce_source(q), MANIFEST_QUIESCE_NONE);
	assert_non_null(strstr(quiesce_reason(q), "12000 ms"));
	assert_non_null(strstr(quiesce_reason(q), "--lease"));
	hold(0);
	assert_int_equal(level, MANIFEST_CRASH);
	end();
	assert_int_equal(guest.count[MESSAGE_FREEZE], 0);
	lease_ms = 20000;
	begin(MANIFEST_APPLICATION);
	assert_int_equal(quiesce_reachable(q), MANIFEST_APPLICATION);
}

/* ---- streams without an end ---- */

static void
say_garbage(int fd, uint32_t request_id)
{
	uint8_t buf[65536];
	uint32_t x = request_id | 1;
	size_t i;

	do {
		for (i = 0; i < sizeof(buf); i++) {
			x = x * 1664525 + 1013904223;
			buf[i] = (uint8_t)(x >> 24);
		}
	} while (fake_guest_write(fd, buf, sizeof(buf)));
}

/* Heads one in the other's body, each of which is a checksum to be made. */
static void
say_heads(int fd, uint32_t request_id)
{
	static uint8_t whole[WIRE_MAX], buf[WIRE_HEAD_BYTES * 4096];
	size_t i;

	memset(whole, 0, sizeof(whole));
	wire_seal(
	    whole, MESSAGE_STATUS, WIRE_REPLY, request_id, WIRE_BODY_MAX / 2);
	for (i = 0; i < sizeof(buf); i += WIRE_HEAD_BYTES)
		memcpy(buf + i, whole, WIRE_HEAD_BYTES);
	while (fake_guest_write(fd, buf, sizeof(buf)))
		;
}

/* A good answer, but a byte at a time. */
static void
drip(int fd, uint32_t request_id)
{
	uint8_t whole[WIRE_HEAD_BYTES + 64 + WIRE_TAIL_BYTES] = { 0 };
	size_t i;

	wire_seal(whole, MESSAGE_STATUS, WIRE_REPLY, request_id, 64);
	for (i = 0; i < sizeof(whole); i++) {
		if (!fake_guest_write(fd, whole + i, 1))
			return;
		poll(NULL, 0, 20);
	}
}

/* Answers of others, without an end. */
static void
say_others(int fd, uint32_t request_id)
{
	uint8_t whole[WIRE_HEAD_BYTES + WIRE_TAIL_BYTES];

	do
		wire_seal(whole, MESSAGE_STATUS, WIRE_REPLY, ++request_id, 0);
	while (fake_guest_write(fd, whole, sizeof(whole)));
}

static void
test_quiesce_call_ends_whatever_the_guest_sends(void **state)
{
	static void (*const floods[])(int, uint32_t) = { say_garbage, say_heads,
		drip, say_others, say_nothing };
	struct client *client;
	int64_t start, took;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
		guest.flood_at = MESSAGE_STATUS;
		guest.flood = floods[i];
		assert_int_equal(
		    client_new(&client, fake_guest_start(&guest), &err), 0);
		start = clock_monotonic_ms();
		assert_int_equal(
		    client_call(client, MESSAGE_STATUS, NULL, 300, false, &err),
		    -1);
		took = clock_monotonic_ms() - start;
		assert_int_equal(err.class, ERR_TIMEOUT);
		if (took < 250 || took > 300 + 1000)
			fail_msg("flood %zu: took %lld ms", i, (long long)took);
		client_free(client);
		fake_guest_stop(&guest);
	}
}

static void
say_too_much(int fd, uint32_t request_id)
{
	static uint8_t whole[WIRE_MAX];
	uint8_t *body = whole + WIRE_HEAD_BYTES;
	size_t i;

	/* More writers than there can be, 6 bytes each: empty groups. */
	for (i = 0; i < (size_t)1000 * 6; i += 6) {
		be16_put(body + i, 34);
		be32_put(body + i + 2, 0);
	}
	fake_guest_write(fd, whole,
	    wire_seal(whole, MESSAGE_STATUS, WIRE_REPLY, request_id, i));
}

static void
test_quiesce_refuses_more_than_fits(void **state)
{
	struct quiesce_status status;

	(void)state;
	guest.flood_at = MESSAGE_STATUS;
	guest.flood = say_too_much;
	assert_int_equal(quiesce_status(&status, NULL, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
		CASE(test_quiesce_takes_no_foul_words),
		CASE(test_quiesce_believes_only_what_can_be),
		CASE(test_quiesce_waits_for_a_channel_that_is_still_in_use),
		CASE(test_quiesce_asks_though_libvirt_knows_of_nobody),
		CASE(test_quiesce_believes_no_fast_clock),
		CASE(test_quiesce_takes_no_picture_after_the_lease),
		CASE(test_quiesce_freezes_nothing_that_outlives_its_lease),
		CASE(test_quiesce_keeps_no_failure_of_another_session),
		CASE(test_quiesce_asks_nobody_else_after_a_refusal),
		CASE(test_quiesce_call_ends_whatever_the_guest_sends),
		CASE(test_quiesce_refuses_more_than_fits),
	};

	if (cancel_init(&err) == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
