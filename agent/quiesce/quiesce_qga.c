/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quiescing by the QEMU guest agent, through libvirt.  It has no lease and
 * no proof of its own; the counts of its two answers are what there is.
 */
#include <poll.h>

#include "agent/domain/domain.h"
#include "agent/quiesce/quiesce_internal.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#define THAW_TIMEOUT_MS 10000
#define RETRY_MS 100

/* An agent that answers, be it with a refusal, holds nothing any more. */
static int
thaw(struct quiesce *q, int64_t timeout_ms, int *out_thawed, struct err *err)
{
	unsigned int ms = timeout_ms < 1 ? 1 : (unsigned int)timeout_ms;
	int rc = domain_agent_thaw(q->domain, ms, out_thawed, err);

	if (rc == 0 || err->class == ERR_UNSUPPORTED)
		q->agent_owes_thaw = false;
	return rc;
}

int
quiesce_qga_begin(struct quiesce *q, struct err *err)
{
	bool there;

	if (domain_agent_available(q->domain, &there, err) == -1)
		return -1;
	if (!there)
		return err_set(
		    err, ERR_NOT_FOUND, "no QEMU guest agent answers");
	q->offered = MANIFEST_FILESYSTEM;
	/* See quiesce_qga_thaw(). */
	q->reachable = domain_agent_is_windows(q->domain) ? MANIFEST_CRASH
							  : MANIFEST_FILESYSTEM;
	return 0;
}

/* The level is what its two counts show; this is what they cannot. */
void
quiesce_qga_warn(struct quiesce *q)
{
	if (domain_agent_is_windows(q->domain))
		quiesce_set_reason(q, "a Windows guest's agent cannot prove "
				      "that its freeze was unbroken");
	else
		quiesce_set_reason(q, "by the QEMU guest agent, which has no "
				      "lease, hides how its hooks ended, and "
				      "proves nothing of applications");
}

int
quiesce_qga_freeze(struct quiesce *q, struct err *err)
{
	struct err ignored = ERR_INIT;
	int thawed;

	q->frozen = true;
	q->agent_owes_thaw = true;
	q->agent_frozen_ms = clock_monotonic_ms();
	if (domain_agent_freeze(
		q->domain, q->lease_ms, &q->agent_frozen_count, err) == 0)
		return 0;
	/* It may have frozen and only its answer was lost. */
	thaw(q, THAW_TIMEOUT_MS, &thawed, &ignored);
	q->frozen = false;
	return -1;
}

bool
quiesce_qga_thaw(struct quiesce *q, int64_t *out_held_ms)
{
	struct err err = ERR_INIT;
	int thawed = 0, frozen = q->agent_frozen_count;

	q->frozen = false;
	if (thaw(q, THAW_TIMEOUT_MS, &thawed, &err) == -1) {
		quiesce_set_reason(q, "no proof of the freeze: %s", err.text);
		return false;
	}
	*out_held_ms = clock_monotonic_ms() - q->agent_frozen_ms;
	if (domain_agent_is_windows(q->domain))
		quiesce_qga_warn(q);
	else if (frozen <= 0)
		quiesce_set_reason(q, "the QEMU guest agent froze nothing");
	else if (frozen != thawed)
		quiesce_set_reason(q,
		    "the QEMU guest agent froze %d file systems and found %d "
		    "of them frozen at the thaw",
		    frozen, thawed);
	else {
		quiesce_qga_warn(q);
		return true;
	}
	return false;
}

int
quiesce_qga_settle(struct quiesce *q, int patience_ms, struct err *err)
{
	int64_t end_ms = clock_monotonic_ms() + patience_ms, left_ms;
	int thawed;

	while (q->agent_owes_thaw) {
		left_ms = end_ms - clock_monotonic_ms();
		if (thaw(q, left_ms, &thawed, err) == 0)
			break;
		if (clock_monotonic_ms() >= end_ms)
			break;
		poll(NULL, 0, RETRY_MS);
	}
	if (!q->agent_owes_thaw) {
		err_clear(err);
		return 0;
	}
	return err_prefix(err, "the guest may still be frozen");
}

bool
quiesce_qga_end(struct quiesce *q)
{
	struct err err = ERR_INIT;
	int thawed;

	if (q->agent_owes_thaw)
		thaw(q, THAW_TIMEOUT_MS, &thawed, &err);
	/* A refusal is an answer. */
	if (!q->agent_owes_thaw)
		return true;
	log_line(LOG_ERROR,
	    "the guest may still be frozen: %s; try 'virsh domfsthaw'",
	    err.text);
	return false;
}
