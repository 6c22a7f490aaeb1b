/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host end of the guest conversation: hold still, and prove that it did.
 * Three sources, in this order: our helper over its channel, the QEMU guest
 * agent through libvirt, nothing.  Whatever happens on this side, the
 * guest's own dead-man thaws it when the lease ends.
 *
 * One thread at a time.
 */
#ifndef HOLDSTILL_AGENT_QUIESCE_QUIESCE_H
#define HOLDSTILL_AGENT_QUIESCE_QUIESCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/manifest.h"

struct domain;
struct err;
struct quiesce;

#define QUIESCE_CHANNEL "org.holdstill.guest.0"
#define QUIESCE_LEASE_DEFAULT_MS 10000
#define QUIESCE_LEASE_MAX_MS 60000

struct quiesce_disk {
	const char *target; /* "vda" */
	const char *serial; /* As the guest sees it; "" if it has none. */
	const char *wwn;    /* The same; NULL is "" for these, too. */
	const char *pci;    /* Way on the PCI bus, as in struct domain_disk. */
};

struct quiesce_options {
	const char *session; /* A hexid of this backup. */
	unsigned int lease_ms;
	const struct quiesce_disk *disks; /* Those in the backup. */
	size_t disk_count;
	/* The best level wanted: MANIFEST_CRASH freezes nothing. */
	enum manifest_consistency prefer;
};

/*
 * Finds who can freeze and has it prepare (data synced ahead, file systems
 * mapped).  Never fails for want of a helper: the source is then NONE and
 * quiesce_reason() says why.  -1 only for cancellation or no memory.
 */
int quiesce_begin(struct quiesce **out, struct domain *domain,
    const struct quiesce_options *options, struct err *err);

/* Who will freeze. */
enum manifest_quiesce quiesce_source(const struct quiesce *q);

/* The best level that the guest has the means for, were all to go well: a
 * domain with our channel at least MANIFEST_FILESYSTEM, whoever answers. */
enum manifest_consistency quiesce_offered(const struct quiesce *q);

/* The best level that a freeze can still prove, after what went wrong in the
 * preparation.  The reason then says what did. */
enum manifest_consistency quiesce_reachable(const struct quiesce *q);

/* Why not better; "" if nothing is to be said.  Valid until quiesce_end. */
const char *quiesce_reason(const struct quiesce *q);

/*
 * Freezes.  A failure is remembered as the reason and everything frozen is
 * thawed again; returns -1 only for cancellation (thawed as well).
 */
int quiesce_freeze(struct quiesce *q, struct err *err);

/*
 * Thaws and fills *freeze (file systems, writers, held_ms, proved) and the
 * level that is proved; the caller owns *freeze's contents.  Idempotent in
 * the guest.  Never fails: what could not be proved is not claimed.
 */
void quiesce_thaw(struct quiesce *q, struct manifest_freeze *freeze,
    enum manifest_consistency *level);

/* Did it hold still for a picture that is proved?  Only such a writer is told
 * of the commit; the others are told that there is no point. */
bool quiesce_writer_held(
    const struct manifest_freeze *freeze, const struct manifest_writer *w);
/* Did at least one? */
bool quiesce_any_held(const struct manifest_freeze *freeze);

/*
 * The point is durable; writers may truncate their logs.  freeze is the
 * manifest's: each writer is told what it said then.  False: the guest could
 * not be told, and is owed it (quiesce_deliver).
 */
bool quiesce_committed(struct quiesce *q, const char *point_id,
    const struct manifest_freeze *freeze);

/* The same on a connection of its own, for what an earlier run owes.  1: the
 * guest heard it, and a writer did not, or failed to do its part: *err says
 * which. */
int quiesce_deliver(struct domain *domain, const char *session,
    const char *point_id, const struct manifest_freeze *freeze,
    struct err *err);

/* After a thaw: the guest may still be frozen, for its agent did not answer
 * and has no lease. */
bool quiesce_owes_thaw(const struct quiesce *q);

/*
 * Tries an owed thaw again, for so long; heeds no cancellation.  -1 with the
 * reason: it is still owed.
 */
int quiesce_settle_thaw(struct quiesce *q, int patience_ms, struct err *err);

/* Thaws if need be, tells the guest that there is no point unless
 * committed, closes the channel.  NULL is allowed.  False: a thaw is still
 * owed, and said. */
bool quiesce_end(struct quiesce *q);

/* ---- for `holdstill guest ...` ---- */

struct quiesce_writer {
	char name[64];
	char state[16]; /* "stable", "frozen", "failed", ... */
	bool required;
	char reason[160];       /* Of its last failure; "" if it had none. */
	int64_t age_ms;         /* Since it came into the state. */
	int64_t failure_age_ms; /* Since reason. */
	int64_t prepare_ms;     /* What its last steps took. */
	int64_t freeze_ms;
	int64_t thaw_ms;
};

struct quiesce_status {
	char version[32]; /* The helper's. */
	char state[32];   /* "stable", "frozen", ... */
	char note[160];   /* How its last session failed, or "". */
	int64_t lease_left_ms;
	struct manifest_filesystem *filesystems; /* What it would freeze. */
	size_t filesystem_count;
	struct quiesce_writer *writers;
	size_t writer_count;
};
/* Asks the helper.  ERR_NOT_FOUND: the domain has no channel or nobody
 * answers on it; the hint says how to install the helper. */
int quiesce_status(
    struct quiesce_status *out, struct domain *domain, struct err *err);
void quiesce_status_fini(struct quiesce_status *status);

#endif
