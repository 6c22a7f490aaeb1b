/* SPDX-License-Identifier: Apache-2.0 */
/* A guest in memory, for fuzz_session.c: its time, channel and dead-man. */
#include "tests/fuzz/fakes.h"

#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "guest-helper/channel.h"
#include "guest-helper/deadman.h"
#include "guest-helper/writers/spawner.h"
#include "tests/fuzz/fakes_internal.h"

#define DEADMAN_FD 2000

struct fakes fakes;

void
fakes_reset(void)
{
	memset(&fakes, 0, sizeof(fakes));
	fakes.now_ms = 1000000;
}

/* ---- time and channel ---- */

int64_t
clock_monotonic_ms(void)
{
	return fakes.now_ms;
}

void
fakes_advance_ms(uint32_t ms)
{
	fakes.now_ms += ms;
}

uint32_t
fakes_request(bool answered)
{
	uint32_t id = fakes.requests++;

	must(id < FAKES_REQUESTS_MAX);
	fakes.answers[id] = answered;
	return id;
}

static bool
all_frozen(void)
{
	size_t i;

	for (i = 0; i < fakes.opened; i++)
		if (!fakes.frozen[i])
			return false;
	return true;
}

void
channel_reply(struct channel *c, uint8_t type, uint32_t request_id,
    const struct message *m)
{
	(void)c;
	must(request_id < fakes.requests);
	must(fakes.answers[request_id] == 1);
	fakes.answers[request_id] = 0;
	if (type == MESSAGE_FREEZE && fakes.frozen_errors == 0)
		must(all_frozen() || fakes.phase >= THAWING || fakes.killed);
	if (type == MESSAGE_THAW) {
		must(!fakes_held());
		must(!m->unbroken || !m->lease_expired);
		must(m->level == MESSAGE_CRASH || m->unbroken);
		must(m->level != MESSAGE_APPLICATION || fakes.well);
	}
}

/* ---- the dead-man ---- */

void
fakes_fail_fork(bool fail)
{
	fakes.fail_fork = fail;
}

void
fakes_deadman_errors(uint8_t errors)
{
	fakes.errors = errors;
}

int
deadman_start(
    struct deadman *out, const struct deadman_setup *setup, struct err *err)
{
	must(fakes.phase == NONE);
	must(setup->count <= FILESYSTEMS);
	must(setup->input_count <= DEADMAN_INPUTS_MAX);
	if (fakes.fail_fork)
		return err_set(err, ERR_NO_MEMORY, "no process");
	memset(&fakes.report, 0, sizeof(fakes.report));
	fakes.report.count = fakes.opened = setup->count;
	fakes.report_first = fakes.report_count = 0;
	fakes.phase = SYNCING;
	fakes.told = 0;
	fakes.killed = false;
	out->fd = DEADMAN_FD;
	out->pid = 1;
	return 0;
}

static int
command(struct deadman *d, enum deadman_kind kind, struct err *err)
{
	must(d->fd == DEADMAN_FD);
	if (fakes.phase == DEAD)
		return err_set(err, ERR_IO, "gone");
	/* One that ends the freeze is never lost behind another. */
	if (fakes.told == 0 || kind >= DEADMAN_THAW)
		fakes.told = kind;
	return 0;
}

int
deadman_arm(struct deadman *d, uint32_t lease_ms, struct err *err)
{
	must(lease_ms > 0 && lease_ms <= MESSAGE_LEASE_MAX_MS);
	return command(d, DEADMAN_ARM, err);
}

int
deadman_freeze(struct deadman *d, struct err *err)
{
	/* Not before it was said that the lease runs. */
	must(fakes.phase >= ARMED);
	must(fakes.step == WRITERS_NONE);
	return command(d, DEADMAN_FREEZE, err);
}

int
deadman_thaw(struct deadman *d, bool asked, struct err *err)
{
	return command(d, asked ? DEADMAN_THAW : DEADMAN_ABORT, err);
}

int
deadman_read(struct deadman *d, struct deadman_report *out)
{
	if (d->fd == -1)
		return -1;
	if (fakes.report_count == 0)
		return fakes.phase == DEAD ? -1 : 0;
	*out = fakes.reports[fakes.report_first++ % FAKES_REPORTS];
	fakes.report_count--;
	return 1;
}

void
deadman_close(struct deadman *d, bool ended)
{
	if (d->fd == -1)
		return;
	must(ended && fakes.phase == DEAD);
	fakes.phase = NONE;
	d->fd = -1;
	d->pid = -1;
}

static void
report(enum deadman_kind kind)
{
	size_t at = fakes.report_first + fakes.report_count++;

	must(fakes.report_count <= FAKES_REPORTS);
	fakes.report.kind = kind;
	fakes.reports[at % FAKES_REPORTS] = fakes.report;
}

static void
freeze_all(void)
{
	size_t i;

	fakes.frozen_errors = fakes.errors;
	fakes.report.begin_ns = (uint64_t)fakes.now_ms * 1000000;
	fakes.report.end_ns = fakes.report.begin_ns + 5000000;
	for (i = 0; i < fakes.opened; i++) {
		fakes.frozen[i] = (fakes.errors >> i & 1) == 0;
		fakes.report.results[i].tried = true;
		fakes.report.results[i].frozen = fakes.frozen[i];
		fakes.report.results[i].freeze_errno = fakes.frozen[i] ? 0 : 16;
	}
}

static void
thaw_all(void)
{
	size_t i;

	for (i = 0; i < fakes.opened; i++) {
		fakes.report.results[i].thawed = fakes.frozen[i];
		fakes.frozen[i] = false;
	}
	fakes.report.done_ns = (uint64_t)fakes.now_ms * 1000000;
}

static void
begin_thaw(bool asked, bool lease, bool itself)
{
	if (fakes.phase == NONE || fakes.phase >= THAWING)
		return;
	fakes.report.asked = asked;
	fakes.report.lease_expired = lease;
	fakes.report.complete = fakes.phase == FROZEN;
	fakes.report.told_writers = itself && fakes.phase >= ARMED;
	/* Before the file systems' freeze, a "freeze" may still come behind
	 * it. */
	if (fakes.report.told_writers && fakes.phase > ARMED)
		fakes.touched = false;
	fakes.phase = THAWING;
	fakes.report.thaw_ns = (uint64_t)fakes.now_ms * 1000000;
	report(DEADMAN_THAWING);
}

/* What was told comes first. */
static bool
obey(void)
{
	enum deadman_kind told = fakes.told;

	fakes.told = 0;
	if (told == DEADMAN_ARM && fakes.phase == READY) {
		fakes.phase = ARMED;
		report(DEADMAN_ARMED);
	} else if (told == DEADMAN_FREEZE && fakes.phase == ARMED) {
		fakes.phase = FREEZING;
	} else if (told >= DEADMAN_THAW && fakes.phase < THAWING) {
		begin_thaw(told == DEADMAN_THAW, false, false);
	}
	return told != 0;
}

bool
fakes_deadman_step(void)
{
	if (fakes.phase == NONE || fakes.phase == DEAD || obey())
		return fakes.phase != NONE && fakes.phase != DEAD;
	if (fakes.phase == SYNCING) {
		fakes.phase = READY;
		report(DEADMAN_SYNCED);
	} else if (fakes.phase == FREEZING) {
		freeze_all();
		fakes.phase = FROZEN;
		report(DEADMAN_FROZEN);
	} else if (fakes.phase == THAWING) {
		thaw_all();
		report(DEADMAN_THAWED);
		fakes.phase = DEAD;
	} else {
		return false;
	}
	return true;
}

void
fakes_lease_end(void)
{
	if (fakes.phase >= ARMED)
		begin_thaw(false, true, true);
}

void
fakes_deadman_term(void)
{
	begin_thaw(false, false, true);
}

void
fakes_deadman_kill(void)
{
	if (fakes.phase == NONE || fakes.phase == DEAD)
		return;
	/* Half of a freeze may have been done. */
	if (fakes.phase == FREEZING)
		fakes.frozen[0] = true;
	fakes.phase = DEAD;
	fakes.killed = true;
}

void
spawner_kill_sibling(struct spawner *s, pid_t pid)
{
	(void)s;
	must(pid == 1 && fakes.phase != NONE);
	fakes_deadman_kill();
}

bool
fakes_held(void)
{
	size_t i;

	for (i = 0; i < FILESYSTEMS; i++)
		if (fakes.frozen[i])
			return true;
	return fakes.touched;
}
