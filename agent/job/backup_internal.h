/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the chapters of a backup share; see backup.h.
 *
 * A backup is made of a set of members, each a domain of which a point is
 * made; a backup of one domain is a set of one.  The set goes through its
 * phases together: no member enters a phase that another has not reached.
 * Phases are run by the calling thread, member by member, but those of
 * group_parallel().
 */
#ifndef HOLDSTILL_AGENT_JOB_BACKUP_INTERNAL_H
#define HOLDSTILL_AGENT_JOB_BACKUP_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/domain/domain.h"
#include "agent/job/backup.h"
#include "agent/job/scratch.h"
#include "agent/source/source.h"
#include "catalog/journal.h"
#include "common/err.h"
#include "common/hexid.h"
#include "store/manifest.h"

struct job_lock;
struct quiesce;
struct rate;
struct store_session;

/* "holdstill-", eight digits of the repository's id, "-", the point's id:
 * checkpoints of other repositories are told apart by name. */
#define BACKUP_CHECKPOINT_SIZE (10 + 8 + 1 + HEXID_SIZE)

struct backup_disk {
	const struct domain_disk *disk;   /* Of backup.domain_disks. */
	const struct manifest_disk *base; /* Of backup.base; NULL: full. */
	char reason[256];                 /* Why full; "" if not. */
	bool demoted; /* A cheaper source was to be expected. */
	char *scratch_path;
	/* What the repository has lost of the base, to be read again. */
	struct store_range *heal;
	size_t heal_count;
};

struct backup { /* One member. */
	struct job_context *ctx;
	const struct backup_options *options;
	const char *name; /* As the caller calls the domain. */

	struct job_lock *lock;
	struct domain *domain;
	enum domain_state state; /* As the backup found it. */
	bool resumed; /* It was paused, and not through all of the hold. */
	struct domain_disk *domain_disks;
	size_t domain_disk_count;

	struct manifest *manifest; /* The point in the making. */
	struct manifest *base;     /* Whose checkpoint we read from, or NULL. */
	struct backup_disk *disks;
	size_t disk_count;

	struct quiesce *quiesce;
	struct scratch *scratch;
	struct domain_picture *picture; /* Ready to be taken. */

	char run[HEXID_SIZE];
	char checkpoint[BACKUP_CHECKPOINT_SIZE]; /* "": no disk can have one. */
	enum manifest_quiesce offered; /* Who could freeze, when asked. */
	bool committed;
	int64_t started_ms; /* Monotonic. */
	/* Monotonic, around the picture; and how it failed, or ERR_NONE. */
	int64_t picture_begin_ms, picture_end_ms;
	struct err picture_err;
	/* In the journal; 0: none. */
	int64_t job_effect, checkpoint_effect, freeze_effect, committed_effect;
};

struct backup_set {
	struct job_context *ctx;
	const struct backup_options *options;
	struct backup *members;
	size_t count;
	char group[HEXID_SIZE]; /* "": a backup of one domain, no group. */
	struct store_session *session;
	struct rate *read_rate; /* Of all members' disks; NULL: no limit. */
	uint64_t all_done, all_total; /* Bytes, for the progress display. */
};

typedef int backup_phase(struct backup *b, struct err *err);

/* Takes every member through a phase, until one fails. */
int backup_each(struct backup_set *set, backup_phase *phase, struct err *err);

/* In a group an error says whose it is; returns -1. */
int backup_blame(
    const struct backup_set *set, const struct backup *b, struct err *err);

/* ---- the phases of a set, in their order ---- */

/* The domains, their locks and nothing left of dead runs; the repository. */
int backup_open(struct backup_set *set, struct err *err);

/* Chooses the disks, the base and each disk's source.  Fills manifest's
 * domain part. */
int backup_plan(struct backup *b, struct err *err);

/* Makes every planned disk a full, for the reason; demoted: though changes
 * were to be expected. */
void backup_plan_all_full(struct backup *b, bool demoted, const char *reason);

/*
 * All that can be done before the freeze: scratch files, the guests, the
 * journal, the request of the picture.  Fails if a guest cannot reach the
 * level that is required.
 */
int backup_prepare(struct backup_set *set, struct err *err);

/*
 * Freezes every member, then takes every picture, then thaws every member,
 * on every path.  Fills each manifest's freeze, consistency and time.  If a
 * bitmap proves unusable only now, prepares and holds once more.  Fails, for
 * it would stay so for hours, if a guest may still be frozen after that.
 */
int backup_hold(struct backup_set *set, struct err *err);

/* Was the guest paused from before the first picture until after the last? */
bool backup_was_paused(const struct backup *b);

/* What was reached, and is it what is required?  Fills each manifest's
 * reason. */
int backup_settle(struct backup *b, struct err *err);

/* Looks whether blocks that the bitmap calls unchanged are; if not, or if the
 * base cannot be read, the disk is a full one from then on. */
int backup_audit_disk(struct backup *b, struct backup_disk *disk,
    const struct source_disk *source, source_tick_fn *tick_fn, void *arg,
    struct err *err);

/* Every disk of every member through the store; a member's job ends with
 * its last disk.  Fills each manifest's disks. */
int backup_stream(struct backup_set *set, struct err *err);

/* ---- undoing ---- */

/* Ends the job, so that the guest needs no scratch space any more.  The
 * scratch folder stays until the effect is struck. */
int backup_stop_job(struct backup *b, struct err *err);

/* The same, and the folder goes. */
int backup_end_job(struct backup *b, struct err *err);

/* Undoes what is left of the hold, the guest first: all of it as long as
 * there is no point.  Failures are warnings; may be repeated. */
void backup_undo(struct backup *b);

/* Frees what backup_open() and the phases made. */
void backup_close(struct backup_set *set);

/* Writes an effect ahead of the deed, into *id. */
int backup_effect(struct backup *b, int64_t *id, enum journal_kind kind,
    const char *subject, struct err *err);
/* Strikes it; a failure is a warning: recovery would find nothing to undo. */
void backup_strike(struct backup *b, int64_t *id);

#endif
