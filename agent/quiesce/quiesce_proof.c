/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest says, weighed: against itself, against what it said before,
 * and against the clock of the host.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/quiesce/quiesce_internal.h"
#include "common/err.h"
#include "common/proto/message.h"

#define NS_PER_MS 1000000
/*
 * A guest may have calibrated its clock badly (an emulated one on a busy
 * host is tens of percents off), and both ends may wait for a processor.  So
 * this catches what cannot be at all, no small differences.
 */
#define TOLERANCE_MS 250
#define TOLERANCE_PART 4

bool
quiesce_find_fault(const struct message *m, struct err *err)
{
	const struct message_filesystem *fs;
	bool any = false;
	size_t i;

	for (i = 0; i < m->filesystem_count; i++) {
		fs = &m->filesystems[i];
		if (fs->state == MESSAGE_FS_FAILED) {
			err_set(err, ERR_IO, "file system '%s': %s",
			    fs->mount_point, fs->reason);
			return true;
		}
		any |= fs->state != MESSAGE_FS_SKIPPED;
	}
	if (any)
		return false;
	err_set(err, ERR_UNSUPPORTED,
	    "the guest has no file system on these disks that can be frozen");
	return true;
}

/* ---- writers ---- */

static void
blame_writer(const struct message_writer *w, struct err *why)
{
	if (w->state == MESSAGE_WRITER_FAILED)
		err_set(why, ERR_IO, "writer '%s' failed: %s", w->name,
		    w->reason[0] != '\0' ? w->reason : "it does not say why");
	else
		err_set(why, ERR_IO, "writer '%s' is only %s", w->name,
		    message_writer_state_name(w->state));
}

bool
quiesce_writers_stand(
    const struct message *m, uint64_t held_state, struct err *why)
{
	const struct message_writer *w, *failed = NULL;
	bool held = false;
	size_t i;

	for (i = 0; i < m->writer_count; i++) {
		w = &m->writers[i];
		if (w->state == held_state ||
		    /* One that has nothing to prepare. */
		    (w->state == MESSAGE_WRITER_STABLE &&
			held_state == MESSAGE_WRITER_PREPARED)) {
			held = true;
			continue;
		}
		if (w->required) {
			blame_writer(w, why);
			return false;
		}
		if (w->state == MESSAGE_WRITER_FAILED)
			failed = w;
	}
	if (!held && failed != NULL)
		blame_writer(failed, why);
	else if (!held)
		err_set(why, ERR_UNSUPPORTED,
		    "no writer in the guest answers for its applications");
	else if (m->level < MESSAGE_APPLICATION)
		err_set(why, ERR_IO,
		    "the guest does not vouch for its writers%s%s",
		    m->note[0] != '\0' ? ": " : "", m->note);
	else
		return true;
	return false;
}

/* ---- the clock ---- */

static int64_t
tolerance_ms(int64_t span_ms)
{
	return TOLERANCE_MS + span_ms / TOLERANCE_PART;
}

static bool
in_order(const struct message *m)
{
	return m->freeze_begin_ns != 0 && m->thaw_ns <= INT64_MAX &&
	       m->freeze_begin_ns <= m->freeze_end_ns &&
	       m->freeze_end_ns <= m->thaw_ns;
}

/* A clock that is fast takes nothing from a proof, but is not believed. */
void
quiesce_keep_times(const struct quiesce *q, const struct message *m,
    struct manifest_freeze *freeze)
{
	int64_t most_ms = q->thaw_answered_ms - q->freeze_asked_ms;

	if (!in_order(m))
		return;
	freeze->held_ms =
	    m->held_ms < (uint64_t)most_ms ? (int64_t)m->held_ms : most_ms;
	freeze->begin_ns = m->freeze_begin_ns;
	freeze->end_ns = m->freeze_end_ns;
	freeze->thaw_ns = m->thaw_ns;
}

/*
 * Everything was frozen when the freeze was answered, and until the thaw was
 * asked for: a guest that says it held for less did not, or its clock stood
 * still meanwhile.
 */
static bool
held_through(const struct quiesce *q, const struct message *m, struct err *why)
{
	int64_t least_ms = q->thaw_asked_ms - q->freeze_answered_ms;
	int64_t still_ms =
	    (int64_t)((m->thaw_ns - m->freeze_end_ns) / NS_PER_MS);

	if (least_ms > (int64_t)q->lease_ms + tolerance_ms(least_ms))
		err_set(why, ERR_TIMEOUT,
		    "the freeze outlived its lease of %u ms", q->lease_ms);
	else if (still_ms + tolerance_ms(least_ms) < least_ms)
		err_set(why, ERR_IO,
		    "the guest held still for %" PRId64 " ms of the %" PRId64
		    " ms that it was to",
		    still_ms, least_ms);
	else
		return true;
	return false;
}

bool
quiesce_check_proof(
    const struct quiesce *q, const struct message *m, struct err *why)
{
	if (strcmp(m->session, q->session) != 0)
		err_set(why, ERR_CORRUPT, "the guest thawed another session");
	else if (m->lease_expired)
		err_set(why, ERR_TIMEOUT,
		    "the freeze outlived its lease of %u ms", q->lease_ms);
	else if (quiesce_find_fault(m, why))
		return false;
	else if (!m->unbroken)
		err_set(why, ERR_IO, "the freeze was broken%s%s",
		    m->note[0] != '\0' ? ": " : "", m->note);
	else if (!in_order(m) || m->freeze_begin_ns != q->begin_ns ||
		 m->freeze_end_ns != q->end_ns)
		err_set(why, ERR_CORRUPT,
		    "the times that the guest tells of its freeze cannot be: "
		    "from %" PRIu64 " to %" PRIu64 ", then from %" PRIu64
		    " to %" PRIu64 ", until %" PRIu64 " ns",
		    q->begin_ns, q->end_ns, m->freeze_begin_ns,
		    m->freeze_end_ns, m->thaw_ns);
	else
		return held_through(q, m, why);
	return false;
}
