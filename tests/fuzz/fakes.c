/* SPDX-License-Identifier: Apache-2.0 */
/* A guest in memory, for fuzz_session.c. */
#include "tests/fuzz/fakes.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "guest-helper/channel.h"
#include "guest-helper/coverage.h"
#include "guest-helper/deadman.h"
#include "guest-helper/expedite.h"
#include "guest-helper/mounts.h"
#include "guest-helper/record.h"
#include "guest-helper/rescue.h"
#include "guest-helper/writers/spawner.h"
#include "guest-helper/writers/writers.h"

#define FILESYSTEMS 3
#define FIRST_FD 1000
#define DEADMAN_FD 2000
#define REPORTS 8

#define must(condition) ((condition) ? (void)0 : abort())

enum phase { NONE, SYNCING, READY, ARMED, FREEZING, FROZEN, THAWING, DEAD };

/* Its address is the opaque one. */
struct writers {
	writers_done_fn *done;
	void *arg;
};

static struct writers the_writers;

static struct {
	int64_t now_ms;
	uint32_t requests;
	uint8_t answers[FAKES_REQUESTS_MAX]; /* Still allowed. */
	bool fail_scan, fail_fork, late;
	/* The dead-man. */
	enum phase phase;
	enum deadman_kind told; /* A command it has not obeyed; 0: none. */
	bool killed;
	uint8_t errors;        /* Of the next freeze, */
	uint8_t frozen_errors; /* and of the last. */
	struct deadman_report report;
	struct deadman_report reports[REPORTS];
	size_t report_first, report_count;
	/* What it is all about. */
	size_t opened;
	bool frozen[FILESYSTEMS];
	bool touched; /* Writers were told to freeze, and not to thaw. */
	bool leaving; /* One did not thaw in time, and is being killed. */
	bool well;    /* No writer has failed. */
	enum writers_step step;
} guest;

static struct mounts_filesystem filesystems[2][FILESYSTEMS + 1];

void
fakes_reset(void)
{
	memset(&guest, 0, sizeof(guest));
	guest.now_ms = 1000000;
}

/* ---- time and channel ---- */

int64_t
clock_monotonic_ms(void)
{
	return guest.now_ms;
}

void
fakes_advance_ms(uint32_t ms)
{
	guest.now_ms += ms;
}

uint32_t
fakes_request(bool answered)
{
	uint32_t id = guest.requests++;

	must(id < FAKES_REQUESTS_MAX);
	guest.answers[id] = answered;
	return id;
}

static bool
all_frozen(void)
{
	size_t i;

	for (i = 0; i < guest.opened; i++)
		if (!guest.frozen[i])
			return false;
	return true;
}

void
channel_reply(struct channel *c, uint8_t type, uint32_t request_id,
    const struct message *m)
{
	(void)c;
	must(request_id < guest.requests);
	must(guest.answers[request_id] == 1);
	guest.answers[request_id] = 0;
	if (type == MESSAGE_FREEZE && guest.frozen_errors == 0)
		must(all_frozen() || guest.phase >= THAWING || guest.killed);
	if (type == MESSAGE_THAW) {
		must(!fakes_held());
		must(!m->unbroken || !m->lease_expired);
		must(m->level == MESSAGE_CRASH || m->unbroken);
		must(m->level != MESSAGE_APPLICATION || guest.well);
	}
}

/* ---- file systems ---- */

void
fakes_fail_scan(bool fail)
{
	guest.fail_scan = fail;
}

void
fakes_mount_late(bool late)
{
	guest.late = late;
}

int
mounts_scan(struct mounts *out, const struct mounts_paths *paths,
    const struct conf *conf, const struct message_disk *disks,
    size_t disk_count, struct err *err)
{
	/* Not const, as none is in the struct. */
	static char names[FILESYSTEMS + 1][3] = { "/a", "/b", "/c", "/d" };
	static unsigned int turn;
	struct mounts_filesystem *items = filesystems[turn++ % 2];
	size_t i;

	(void)paths;
	(void)conf;
	(void)disks;
	(void)disk_count;
	memset(out, 0, sizeof(*out));
	if (guest.fail_scan)
		return err_set(err, ERR_IO, "no table");
	/* The session holds at most one beside the one that it looks at. */
	memset(items, 0, sizeof(filesystems[0]));
	for (i = 0; i < (size_t)FILESYSTEMS + guest.late; i++) {
		items[i].mount_point = names[i];
		items[i].minor = (unsigned int)i;
		items[i].state = MESSAGE_FS_PLANNED;
		items[i].fd = -1;
	}
	out->items = items;
	out->count = i;
	return 0;
}

void
mounts_open(struct mounts *m, const struct mounts_paths *paths)
{
	size_t i;

	(void)paths;
	for (i = 0; i < m->count && i < FILESYSTEMS; i++)
		m->items[i].fd = FIRST_FD + (int)i;
}

void
mounts_close(struct mounts *m)
{
	size_t i;

	for (i = 0; i < m->count; i++)
		m->items[i].fd = -1;
}

void
mounts_fini(struct mounts *m)
{
	memset(m, 0, sizeof(*m));
}

int
marks_open(struct marks *m, struct err *err)
{
	static _Atomic unsigned char places[MARKS_MAX];

	(void)err;
	m->places = places;
	m->fd = -1;
	return 0;
}

void
marks_close(struct marks *m)
{
	m->places = NULL;
}

enum marks_value
marks_get(const struct marks *m, size_t place)
{
	must(m->places != NULL && place < MARKS_MAX);
	return MARKS_NONE;
}

size_t
marks_left(const struct marks *m, size_t count)
{
	size_t left = 0, i;

	must(m->places != NULL && count <= FILESYSTEMS);
	for (i = 0; i < count; i++)
		left += guest.frozen[i];
	return left;
}

bool
marks_is_ours(int value)
{
	return value == MARKS_FROZEN;
}

static void
thaw_fds(const int *fds, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		must(fds[i] >= FIRST_FD && fds[i] < FIRST_FD + FILESYSTEMS);
		guest.frozen[fds[i] - FIRST_FD] = false;
	}
}

/* Only where the dead-man is gone, for it waits. */
size_t
rescue_thaw(struct marks *marks, const int *fds, size_t count)
{
	must(marks->places != NULL && guest.killed);
	thaw_fds(fds, count);
	return count;
}

int
rescue_thaw_beside(struct marks *marks, const int *fds, size_t count)
{
	must(marks->places != NULL);
	thaw_fds(fds, count);
	return 0;
}

int
record_open_dir(const char *dir)
{
	(void)dir;
	return -1;
}

int
record_prepare(char out_id[HEXID_SIZE], struct marks *marks, const char *dir,
    const char *boot_id, const struct mounts *m, bool expedited,
    struct err *err)
{
	out_id[0] = '\0';
	must(marks->places != NULL);
	(void)dir;
	(void)boot_id;
	(void)m;
	(void)expedited;
	(void)err;
	return 0;
}

int
record_arm(int dir_fd, const char *id, struct err *err)
{
	(void)dir_fd;
	(void)id;
	(void)err;
	return 0;
}

void
record_remove(int dir_fd, const char *id)
{
	(void)dir_fd;
	(void)id;
}

void
record_boot_id(char *out, size_t size)
{
	if (size > 0)
		*out = '\0';
}

void
expedite_open(struct expedite *e, const char *path)
{
	(void)path;
	e->fd = -1;
	e->begun = false;
}

void
expedite_end(struct expedite *e)
{
	e->begun = false;
}

void
expedite_close(struct expedite *e)
{
	e->fd = -1;
}

/* ---- the dead-man ---- */

void
fakes_fail_fork(bool fail)
{
	guest.fail_fork = fail;
}

void
fakes_deadman_errors(uint8_t errors)
{
	guest.errors = errors;
}

int
deadman_start(
    struct deadman *out, const struct deadman_setup *setup, struct err *err)
{
	must(guest.phase == NONE);
	must(setup->count <= FILESYSTEMS);
	must(setup->input_count <= DEADMAN_INPUTS_MAX);
	if (guest.fail_fork)
		return err_set(err, ERR_NO_MEMORY, "no process");
	memset(&guest.report, 0, sizeof(guest.report));
	guest.report.count = guest.opened = setup->count;
	guest.report_first = guest.report_count = 0;
	guest.phase = SYNCING;
	guest.told = 0;
	guest.killed = false;
	out->fd = DEADMAN_FD;
	out->pid = 1;
	return 0;
}

static int
command(struct deadman *d, enum deadman_kind kind, struct err *err)
{
	must(d->fd == DEADMAN_FD);
	if (guest.phase == DEAD)
		return err_set(err, ERR_IO, "gone");
	/* One that ends the freeze is never lost behind another. */
	if (guest.told == 0 || kind >= DEADMAN_THAW)
		guest.told = kind;
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
	must(guest.phase >= ARMED);
	must(guest.step == WRITERS_NONE);
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
	if (guest.report_count == 0)
		return guest.phase == DEAD ? -1 : 0;
	*out = guest.reports[guest.report_first++ % REPORTS];
	guest.report_count--;
	return 1;
}

void
deadman_close(struct deadman *d, bool ended)
{
	if (d->fd == -1)
		return;
	must(ended && guest.phase == DEAD);
	guest.phase = NONE;
	d->fd = -1;
	d->pid = -1;
}

static void
report(enum deadman_kind kind)
{
	size_t at = guest.report_first + guest.report_count++;

	must(guest.report_count <= REPORTS);
	guest.report.kind = kind;
	guest.reports[at % REPORTS] = guest.report;
}

static void
freeze_all(void)
{
	size_t i;

	guest.frozen_errors = guest.errors;
	guest.report.begin_ns = (uint64_t)guest.now_ms * 1000000;
	guest.report.end_ns = guest.report.begin_ns + 5000000;
	for (i = 0; i < guest.opened; i++) {
		guest.frozen[i] = (guest.errors >> i & 1) == 0;
		guest.report.results[i].tried = true;
		guest.report.results[i].frozen = guest.frozen[i];
		guest.report.results[i].freeze_errno = guest.frozen[i] ? 0 : 16;
	}
}

static void
thaw_all(void)
{
	size_t i;

	for (i = 0; i < guest.opened; i++) {
		guest.report.results[i].thawed = guest.frozen[i];
		guest.frozen[i] = false;
	}
	guest.report.done_ns = (uint64_t)guest.now_ms * 1000000;
}

static void
begin_thaw(bool asked, bool lease, bool itself)
{
	if (guest.phase == NONE || guest.phase >= THAWING)
		return;
	guest.report.asked = asked;
	guest.report.lease_expired = lease;
	guest.report.complete = guest.phase == FROZEN;
	guest.report.told_writers = itself && guest.phase >= ARMED;
	/* Before the file systems' freeze, a "freeze" may still come behind
	 * it. */
	if (guest.report.told_writers && guest.phase > ARMED)
		guest.touched = false;
	guest.phase = THAWING;
	guest.report.thaw_ns = (uint64_t)guest.now_ms * 1000000;
	report(DEADMAN_THAWING);
}

/* What was told comes first. */
static bool
obey(void)
{
	enum deadman_kind told = guest.told;

	guest.told = 0;
	if (told == DEADMAN_ARM && guest.phase == READY) {
		guest.phase = ARMED;
		report(DEADMAN_ARMED);
	} else if (told == DEADMAN_FREEZE && guest.phase == ARMED) {
		guest.phase = FREEZING;
	} else if (told >= DEADMAN_THAW && guest.phase < THAWING) {
		begin_thaw(told == DEADMAN_THAW, false, false);
	}
	return told != 0;
}

bool
fakes_deadman_step(void)
{
	if (guest.phase == NONE || guest.phase == DEAD || obey())
		return guest.phase != NONE && guest.phase != DEAD;
	if (guest.phase == SYNCING) {
		guest.phase = READY;
		report(DEADMAN_SYNCED);
	} else if (guest.phase == FREEZING) {
		freeze_all();
		guest.phase = FROZEN;
		report(DEADMAN_FROZEN);
	} else if (guest.phase == THAWING) {
		thaw_all();
		report(DEADMAN_THAWED);
		guest.phase = DEAD;
	} else {
		return false;
	}
	return true;
}

void
fakes_lease_end(void)
{
	if (guest.phase >= ARMED)
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
	if (guest.phase == NONE || guest.phase == DEAD)
		return;
	/* Half of a freeze may have been done. */
	if (guest.phase == FREEZING)
		guest.frozen[0] = true;
	guest.phase = DEAD;
	guest.killed = true;
}

void
spawner_kill_sibling(struct spawner *s, pid_t pid)
{
	(void)s;
	must(pid == 1 && guest.phase != NONE);
	fakes_deadman_kill();
}

/* ---- writers ---- */

int
writers_new(struct writers **out, const struct conf *conf,
    struct spawner *spawner, int run_dir, writers_done_fn *done, void *arg,
    struct err *err)
{
	(void)conf;
	(void)spawner;
	(void)run_dir;
	(void)err;
	the_writers.done = done;
	the_writers.arg = arg;
	*out = &the_writers;
	return 0;
}

void
writers_free(struct writers *w)
{
	(void)w;
}

void
writers_thaw_leftovers(struct writers *w)
{
	(void)w;
}

/* Once the plan is made, and before anything holds. */
void
writers_check_data(struct writers *w, writers_covers_fn *covers, void *arg)
{
	char reason[MESSAGE_REASON_SIZE];

	(void)w;
	must(guest.step == WRITERS_NONE && guest.phase == NONE);
	must(!guest.touched);
	if (!covers(arg, NULL, reason))
		guest.well = false;
}

void
coverage_init(struct coverage *c, const struct mounts *mounts,
    const struct mounts_paths *paths)
{
	(void)paths;
	memset(c, 0, sizeof(*c));
	c->mounts = mounts;
}

void
coverage_fini(struct coverage *c)
{
	(void)c;
}

bool
coverage_holds(void *arg, const char *path, char reason[MESSAGE_REASON_SIZE])
{
	const struct coverage *c = arg;

	(void)path;
	reason[0] = '\0';
	return c->mounts->count < FILESYSTEMS;
}

void
writers_begin(struct writers *w, const struct writers_request *request)
{
	(void)w;
	/* Only these may cut a step short. */
	must(guest.step == WRITERS_NONE || request->step == WRITERS_THAW ||
	     request->step == WRITERS_ABORT);
	must(request->limit_ms > 0);
	if (request->step == WRITERS_PREPARE) {
		must(!guest.touched);
		guest.well = true;
	} else if (request->step == WRITERS_FREEZE) {
		must(guest.phase >= ARMED);
		guest.touched = true;
	} else if (request->step == WRITERS_THAW) {
		must(!request->told || request->again || !guest.touched);
	} else {
		must(!guest.touched);
	}
	guest.step = request->step;
}

bool
fakes_writers_step(uint8_t outcome)
{
	enum writers_step step = guest.step;

	if (step == WRITERS_NONE) {
		guest.leaving = false;
		return false;
	}
	if ((outcome & 1) == 0)
		guest.well = false;
	if (step == WRITERS_THAW) {
		guest.touched = false;
		guest.leaving = outcome & 2;
	}
	guest.step = WRITERS_NONE;
	the_writers.done(the_writers.arg, step);
	return true;
}

enum writers_step
writers_step(const struct writers *w)
{
	(void)w;
	return guest.step;
}

enum message_level
writers_level(const struct writers *w, const char **out_reason)
{
	(void)w;
	*out_reason = guest.well ? "" : "a writer failed";
	return guest.well ? MESSAGE_APPLICATION : MESSAGE_FILESYSTEM;
}

bool
writers_hold(const struct writers *w)
{
	(void)w;
	return guest.touched || guest.leaving;
}

size_t
writers_inputs(const struct writers *w, int *out, size_t max)
{
	(void)w;
	must(max > 0);
	out[0] = 3000;
	return 1;
}

void
writers_put(const struct writers *w, struct message *m)
{
	struct message_writer *to = message_add_writer(m);

	(void)w;
	if (to == NULL)
		return;
	strcpy(to->name, "w");
	to->state =
	    guest.well ? MESSAGE_WRITER_COMMITTED : MESSAGE_WRITER_FAILED;
}

int
writers_scan(struct writers *w, struct err *err)
{
	(void)w;
	(void)err;
	return 0;
}

bool
fakes_held(void)
{
	size_t i;

	for (i = 0; i < FILESYSTEMS; i++)
		if (guest.frozen[i])
			return true;
	return guest.touched;
}
