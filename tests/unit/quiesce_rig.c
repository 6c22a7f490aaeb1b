/* SPDX-License-Identifier: Apache-2.0 */
/* A session with a fake guest. */
#include "quiesce_rig.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"

static int
open_channel(void *arg, int *out_fd, struct err *err)
{
	struct quiesce_rig *r = arg;

	if (clock_monotonic_ms() < r->busy_until_ms)
		return err_set(err, ERR_BUSY, "in use");
	/* The one before has been closed. */
	fake_guest_stop(&r->guest);
	*out_fd = fake_guest_start(&r->guest);
	return 0;
}

int
quiesce_rig_set_up(void **state)
{
	struct quiesce_rig *r = *state;

	memset(r, 0, sizeof(*r));
	r->lease_ms = 10000;
	fake_domain = (struct fake_domain){
		.open = open_channel,
		.arg = r,
		.agent = true,
		.frozen = 1,
		.thawed = 1,
	};
	return 0;
}

int
quiesce_rig_tear_down(void **state)
{
	struct quiesce_rig *r = *state;

	quiesce_rig_end(r);
	manifest_freeze_fini(&r->proof);
	return 0;
}

void
quiesce_rig_begin(struct quiesce_rig *r, enum manifest_consistency prefer)
{
	static const struct quiesce_disk disks[] = { { .target = "vda",
	    .serial = "" } };
	const struct quiesce_options options = {
		.session = SESSION,
		.lease_ms = r->lease_ms,
		.disks = disks,
		.disk_count = 1,
		.prefer = prefer,
	};

	assert_int_equal(quiesce_begin(&r->q, NULL, &options, &r->err), 0);
}

void
quiesce_rig_hold(struct quiesce_rig *r, int ms)
{
	manifest_freeze_fini(&r->proof);
	assert_int_equal(quiesce_freeze(r->q, &r->err), 0);
	poll(NULL, 0, ms);
	quiesce_thaw(r->q, &r->proof, &r->level);
}

void
quiesce_rig_end(struct quiesce_rig *r)
{
	quiesce_end(r->q);
	r->q = NULL;
	fake_guest_stop(&r->guest);
}

void
quiesce_rig_expect(struct quiesce_rig *r,
    void (*tweak)(struct message *, uint8_t), int hold_ms,
    enum manifest_consistency level, const char *reason)
{
	r->guest.tweak = tweak;
	quiesce_rig_begin(r, MANIFEST_APPLICATION);
	quiesce_rig_hold(r, hold_ms);
	if (r->level != level || strstr(quiesce_reason(r->q), reason) == NULL)
		fail_msg("level %s, reason '%s' without '%s'",
		    manifest_consistency_name(r->level), quiesce_reason(r->q),
		    reason);
	assert_int_equal(r->proof.proved, level > MANIFEST_CRASH);
	quiesce_rig_end(r);
}
