/* SPDX-License-Identifier: Apache-2.0 */
/* Hold still: freeze, picture, thaw; and what came of it. */
#include <stdlib.h>
#include <string.h>

#include "agent/job/backup_internal.h"
#include "agent/job/context.h"
#include "agent/job/group.h"
#include "agent/quiesce/quiesce.h"
#include "common/cancel.h"
#include "common/clock.h"

/* For an agent that is busy with its hooks. */
#define THAW_PATIENCE_MS 10000

/* ---- all members at once: no journal here ---- */

/* Somebody may resume a guest at any time. */
static void
look_at_pause(struct backup *b)
{
	enum domain_state now;
	struct err err = ERR_INIT;

	if (b->state == DOMAIN_PAUSED &&
	    (domain_state(b->domain, &now, &err) == -1 || now != DOMAIN_PAUSED))
		b->resumed = true;
}

static int
freeze(struct backup *b, struct err *err)
{
	look_at_pause(b);
	return quiesce_freeze(b->quiesce, err);
}

static int
take_picture(struct backup *b, struct err *err)
{
	int rc;

	b->manifest->time_ms = clock_wall_ms();
	b->picture_begin_ms = clock_monotonic_ms();
	rc = domain_picture_take(b->picture, err);
	b->picture_end_ms = clock_monotonic_ms();
	if (rc == -1)
		b->picture_err = *err;
	return rc;
}

static int
thaw(struct backup *b, struct err *err)
{
	struct manifest *m = b->manifest;

	(void)err;
	look_at_pause(b);
	manifest_freeze_fini(&m->freeze);
	quiesce_thaw(b->quiesce, &m->freeze, &m->consistency);
	return 0;
}

/* ---- the hold ---- */

static int
say_hold(struct backup *b, struct err *err)
{
	(void)err;
	job_step(b->ctx, b->manifest->domain, "hold still");
	return 0;
}

/* A guest is not left frozen for as long as a stream takes. */
static int
settle_thaw(struct backup *b, struct err *err)
{
	if (quiesce_settle_thaw(b->quiesce, THAW_PATIENCE_MS, err) == 0)
		return 0;
	return err_hint(err,
	    "its agent did not answer: see to it, or try "
	    "'virsh domfsthaw %s'",
	    b->manifest->domain);
}

static int
note_thaw(struct backup *b, struct err *err)
{
	(void)err;
	if (!quiesce_owes_thaw(b->quiesce))
		backup_strike(b, &b->freeze_effect);
	return 0;
}

/* One instant: no picture before every member is frozen, no thaw before
 * every picture is taken or has failed. */
static int
hold(struct backup_set *set, struct err *err)
{
	struct err never = ERR_INIT, owed = ERR_INIT;
	int rc;

	backup_each(set, say_hold, &never);
	rc = group_parallel(set, freeze, err);
	if (rc == 0)
		rc = group_parallel(set, take_picture, err);
	group_parallel(set, thaw, &never);
	if (group_parallel(set, settle_thaw, &owed) == -1 && rc == 0) {
		*err = owed;
		rc = -1;
	}
	backup_each(set, note_thaw, &never);
	return rc;
}

/* A bitmap that breaks between plan and picture must not cost the night's
 * backup. */
static bool
plan_anew(struct backup_set *set)
{
	struct backup *b;
	bool any = false;
	size_t i;

	for (i = 0; i < set->count; i++) {
		b = &set->members[i];
		if (quiesce_owes_thaw(b->quiesce))
			return false;
		if (b->picture_err.class == ERR_NONE)
			continue;
		if (b->picture_err.class != ERR_CORRUPT || b->base == NULL)
			return false;
		backup_plan_all_full(b, true, b->picture_err.text);
		err_clear(&b->picture_err);
		any = true;
	}
	return any;
}

/* A session of the guest freezes once, and a scratch file serves one
 * picture. */
static int
let_go(struct backup *b, struct err *err)
{
	if (backup_end_job(b, err) == -1)
		return -1;
	backup_undo(b);
	return 0;
}

int
backup_hold(struct backup_set *set, struct err *err)
{
	if (hold(set, err) == 0)
		return 0;
	if (!plan_anew(set))
		return -1;
	err_clear(err);
	if (backup_each(set, let_go, err) == -1 || cancel_check(err) == -1 ||
	    backup_prepare(set, err) == -1)
		return -1;
	return hold(set, err);
}

/* ---- what was reached ---- */

static bool
wants_application(const struct backup_options *options)
{
	return options->require == MANIFEST_APPLICATION ||
	       (options->has_prefer && options->prefer == MANIFEST_APPLICATION);
}

bool
backup_was_paused(const struct backup *b)
{
	return b->state == DOMAIN_PAUSED && !b->resumed;
}

static int
record_reason(struct backup *b, struct err *err)
{
	struct manifest *m = b->manifest;
	const char *reason = quiesce_reason(b->quiesce);

	if (reason[0] == '\0' && m->consistency == MANIFEST_FILESYSTEM &&
	    wants_application(b->options))
		reason = "no writer in the guest answers for its applications";
	if (backup_was_paused(b))
		reason = "the guest was paused: it held still, but its file "
			 "systems were not asked to be clean";
	else if (b->state == DOMAIN_PAUSED)
		reason = "the guest was paused when the backup began, and "
			 "resumed meanwhile";
	free(m->consistency_reason);
	m->consistency_reason = strdup(reason);
	return m->consistency_reason == NULL ? err_no_memory(err) : 0;
}

int
backup_settle(struct backup *b, struct err *err)
{
	const struct manifest *m = b->manifest;

	if (record_reason(b, err) == -1)
		return -1;
	if (m->consistency >= b->options->require)
		return 0;
	err_set(err, ERR_UNSUPPORTED,
	    "consistency is only '%s', and '%s' is required: %s",
	    manifest_consistency_name(m->consistency),
	    manifest_consistency_name(b->options->require),
	    m->consistency_reason);
	return err_hint(err, "see 'holdstill guest status %s'", m->domain);
}
