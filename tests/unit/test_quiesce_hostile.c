/* SPDX-License-Identifier: Apache-2.0 */
/*
 * That no guest can hold the host up, and that none of its words does harm: a
 * fake guest says what a real one never would.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#include "agent/quiesce/client.h"
#include "common/cancel.h"
#include "common/clock.h"
#include "common/endian.h"
#include "common/err.h"
#include "quiesce_rig.h"

static struct quiesce_rig rig;

static void
test_quiesce_waits_for_a_channel_that_is_still_in_use(void **state)
{
	int64_t start = clock_monotonic_ms();

	(void)state;
	rig.busy_until_ms = start + 100;
	quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
	assert_int_equal(quiesce_source(rig.q), MANIFEST_QUIESCE_HOLDSTILL);
	quiesce_rig_end(&rig);
	/* But not for ever: longer than a question for the status may take. */
	start = clock_monotonic_ms();
	rig.busy_until_ms = INT64_MAX;
	quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
	assert_int_equal(quiesce_source(rig.q), MANIFEST_QUIESCE_QEMU_GA);
	assert_true(clock_monotonic_ms() - start > CLIENT_SHORT_MS);
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
	int64_t start, took = 0;
	int tries;

	(void)state;
	fake_domain.unknown = true;
	quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
	assert_int_equal(quiesce_source(rig.q), MANIFEST_QUIESCE_HOLDSTILL);
	quiesce_rig_end(&rig);
	rig.guest.flood_at = MESSAGE_HELLO;
	rig.guest.flood = say_nothing;
	/* A second, not three; the machine may be slow, but not each time. */
	for (tries = 0; tries == 0 || took >= 2500; tries++) {
		assert_true(tries < 5);
		quiesce_rig_end(&rig);
		start = clock_monotonic_ms();
		quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
		took = clock_monotonic_ms() - start;
		assert_int_equal(
		    quiesce_source(rig.q), MANIFEST_QUIESCE_QEMU_GA);
	}
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
	rig.guest.tweak = refuses;
	quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
	assert_int_equal(quiesce_source(rig.q), MANIFEST_QUIESCE_NONE);
	assert_int_equal(quiesce_offered(rig.q), MANIFEST_FILESYSTEM);
	assert_non_null(strstr(quiesce_reason(rig.q), "--lease"));
}

static void
cannot_freeze_one(struct message *m, uint8_t type)
{
	if (type != MESSAGE_PREPARE)
		return;
	m->filesystems[0].state = MESSAGE_FS_FAILED;
	strcpy(m->filesystems[0].reason, "another mount covers it");
}

static void
has_none_to_freeze(struct message *m, uint8_t type)
{
	if (type == MESSAGE_PREPARE)
		m->filesystems[0].state = MESSAGE_FS_SKIPPED;
}

/* QEMU's agent freezes what it sees, which is not all that there is. */
static void
test_quiesce_asks_nobody_else_over_a_file_system(void **state)
{
	(void)state;
	quiesce_rig_expect(
	    &rig, cannot_freeze_one, 0, MANIFEST_CRASH, "'/srv': another");
	assert_int_equal(rig.proof.source, MANIFEST_QUIESCE_NONE);
	quiesce_rig_expect(
	    &rig, has_none_to_freeze, 0, MANIFEST_CRASH, "no file system on");
	assert_int_equal(fake_domain.thaws, 0);
	/* Nothing is missing where there is nothing to freeze. */
	quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
	assert_int_equal(quiesce_offered(rig.q), MANIFEST_CRASH);
	quiesce_rig_end(&rig);
	rig.guest.tweak = cannot_freeze_one;
	quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
	assert_null(strstr(quiesce_reason(rig.q), "--lease"));
	assert_int_equal(quiesce_offered(rig.q), MANIFEST_APPLICATION);
}

/* That is between this process and its user: the next domains are to have
 * their backups, too. */
static const char *own_word;

static void
says_our_own_words(struct message *m, uint8_t type)
{
	if (type == MESSAGE_PREPARE || type == MESSAGE_FREEZE)
		strcpy(m->error_class, own_word);
}

static void
says_our_own_words_late(struct message *m, uint8_t type)
{
	if (type == MESSAGE_FREEZE)
		strcpy(m->error_class, own_word);
}

static void
test_quiesce_is_not_stopped_by_the_guest(void **state)
{
	static const char *const words[] = { "cancelled", "no-memory" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		own_word = words[i];
		rig.guest.tweak = says_our_own_words;
		quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
		assert_int_equal(
		    quiesce_source(rig.q), MANIFEST_QUIESCE_QEMU_GA);
		quiesce_rig_end(&rig);
		rig.guest.tweak = says_our_own_words_late;
		quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
		quiesce_rig_hold(&rig, 0);
		assert_int_equal(rig.level, MANIFEST_CRASH);
		quiesce_rig_end(&rig);
	}
}

/* ---- words ---- */

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
	rig.guest.tweak = foul_words;
	quiesce_rig_begin(&rig, MANIFEST_APPLICATION);
	assert_clean(quiesce_reason(rig.q));
	quiesce_rig_hold(&rig, 0);
	assert_int_equal(rig.level, MANIFEST_FILESYSTEM);
	assert_clean(quiesce_reason(rig.q));
	assert_int_equal(rig.proof.writer_count, MESSAGE_WRITERS_MAX);
	assert_string_equal(rig.proof.filesystems[0].type, "?");
	assert_clean(rig.proof.filesystems[0].mount_point);
	for (i = 0; i < rig.proof.writer_count; i++) {
		w = &rig.proof.writers[i];
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
	quiesce_rig_end(&rig);
	assert_int_equal(quiesce_status(&status, NULL, &rig.err), 0);
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
	fake_guest_stop(&rig.guest);
	rig.guest.tweak = foul_error;
	assert_int_equal(quiesce_status(&status, NULL, &rig.err), -1);
	assert_clean(rig.err.text);
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

/* How long a call of 300 ms takes that is answered with a flood. */
static int64_t
call_into(void (*flood)(int, uint32_t))
{
	struct client *client;
	int64_t start, took;

	rig.guest.flood_at = MESSAGE_STATUS;
	rig.guest.flood = flood;
	assert_int_equal(
	    client_new(&client, fake_guest_start(&rig.guest), &rig.err), 0);
	start = clock_monotonic_ms();
	assert_int_equal(
	    client_call(client, MESSAGE_STATUS, NULL, 300, false, &rig.err),
	    -1);
	took = clock_monotonic_ms() - start;
	assert_int_equal(rig.err.class, ERR_TIMEOUT);
	client_free(client);
	fake_guest_stop(&rig.guest);
	return took;
}

static void
test_quiesce_call_ends_whatever_the_guest_sends(void **state)
{
	static void (*const floods[])(int, uint32_t) = { say_garbage, say_heads,
		drip, say_others, say_nothing };
	int64_t took;
	size_t i;
	int tries;

	(void)state;
	for (i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
		took = call_into(floods[i]);
		/* The machine may be slow, but not each time. */
		for (tries = 1; took > 300 + 1000 && tries < 5; tries++)
			took = call_into(floods[i]);
		if (took < 250 || took > 300 + 1000)
			fail_msg("flood %zu: took %lld ms", i, (long long)took);
	}
}

static pthread_t host;
static unsigned int stopped_ms;
static unsigned int after_ms; /* The answer, so long after the stop. */

static void
stand_still(int signal)
{
	struct timespec left = { stopped_ms / 1000,
		(long)(stopped_ms % 1000) * 1000000 };

	(void)signal;
	while (nanosleep(&left, &left) == -1)
		;
}

static void
answer_a_stopped_host(int fd, uint32_t request_id)
{
	static uint8_t whole[WIRE_MAX];

	struct timespec left = { 0, (long)(stopped_ms + after_ms) * 1000000 };

	pthread_kill(host, SIGUSR1);
	while (after_ms > 0 && nanosleep(&left, &left) == -1)
		;
	fake_guest_write(fd, whole,
	    wire_seal(whole, MESSAGE_STATUS, WIRE_REPLY, request_id, 0));
}

static void
test_quiesce_hears_what_came_while_it_was_stopped(void **state)
{
	static const unsigned int stops[][2] = { { 350, 0 }, { 900, 0 },
		{ 450, 50 }, { 900, 50 } };
	struct sigaction action = { .sa_handler = stand_still };
	struct client *client;
	size_t i;

	(void)state;
	host = pthread_self();
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	rig.guest.flood_at = MESSAGE_STATUS;
	rig.guest.flood = answer_a_stopped_host;
	for (i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		stopped_ms = stops[i][0];
		after_ms = stops[i][1];
		assert_int_equal(
		    client_new(&client, fake_guest_start(&rig.guest), &rig.err),
		    0);
		assert_int_equal(client_call(client, MESSAGE_STATUS, NULL, 300,
				     false, &rig.err),
		    0);
		client_free(client);
		fake_guest_stop(&rig.guest);
	}
	signal(SIGUSR1, SIG_DFL);
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
	rig.guest.flood_at = MESSAGE_STATUS;
	rig.guest.flood = say_too_much;
	assert_int_equal(quiesce_status(&status, NULL, &rig.err), -1);
	assert_int_equal(rig.err.class, ERR_CORRUPT);
}

/* Last: a wish to stop stays. */
static void
test_quiesce_does_not_wait_for_a_channel_when_cancelled(void **state)
{
	const struct quiesce_options options = {
		.session = SESSION,
		.lease_ms = 10000,
		.prefer = MANIFEST_APPLICATION,
	};
	int64_t start = clock_monotonic_ms();

	(void)state;
	rig.busy_until_ms = INT64_MAX;
	cancel_request(SIGINT);
	assert_int_equal(quiesce_begin(&rig.q, NULL, &options, &rig.err), -1);
	rig.q = NULL;
	assert_int_equal(rig.err.class, ERR_CANCELLED);
	assert_true(clock_monotonic_ms() - start < 1500);
}

#define CASE(name) QUIESCE_RIG_CASE(name, &rig)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_quiesce_waits_for_a_channel_that_is_still_in_use),
		CASE(test_quiesce_asks_though_libvirt_knows_of_nobody),
		CASE(test_quiesce_asks_nobody_else_after_a_refusal),
		CASE(test_quiesce_asks_nobody_else_over_a_file_system),
		CASE(test_quiesce_is_not_stopped_by_the_guest),
		CASE(test_quiesce_takes_no_foul_words),
		CASE(test_quiesce_call_ends_whatever_the_guest_sends),
		CASE(test_quiesce_hears_what_came_while_it_was_stopped),
		CASE(test_quiesce_refuses_more_than_fits),
		CASE(test_quiesce_does_not_wait_for_a_channel_when_cancelled),
	};

	if (cancel_init(&rig.err) == -1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
