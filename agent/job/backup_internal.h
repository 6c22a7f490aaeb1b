/* SPDX-License-Identifier: Apache-2.0 */
/* What the chapters of a backup share; see backup.h. */
#ifndef HOLDSTILL_AGENT_JOB_BACKUP_INTERNAL_H
#define HOLDSTILL_AGENT_JOB_BACKUP_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/domain/domain.h"
#include "agent/job/backup.h"
#include "agent/job/scratch.h"
#include "catalog/journal.h"
#include "common/hexid.h"
#include "store/manifest.h"

struct job_lock;
struct quiesce;
struct store_lock;
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
};

struct backup {
	struct job_context *ctx;
	const struct backup_options *options;

	struct job_lock *lock;
	struct domain *domain;
	enum domain_state state; /* As the backup found it. */
	struct domain_disk *domain_disks;
	size_t domain_disk_count;

	struct manifest *manifest; /* The point in the making. */
	struct manifest *base;     /* Whose checkpoint we read from, or NULL. */
	struct backup_disk *disks;
	size_t disk_count;

	struct store_lock *store_lock;
	struct store_session *session;
	struct quiesce *quiesce;
	struct scratch *scratch;

	char run[HEXID_SIZE];
	char checkpoint[BACKUP_CHECKPOINT_SIZE]; /* "": no disk can have one. */
	enum manifest_quiesce offered; /* Who could freeze, when asked. */
	bool committed;
	int64_t started_ms; /* Monotonic. */
	/* In the journal; 0: none. */
	int64_t job_effect, checkpoint_effect, freeze_effect, committed_effect;
	uint64_t all_done, all_total; /* Bytes, for the progress display. */
};

/* Chooses the disks, the base and each disk's source.  Fills manifest's
 * domain part. */
int backup_plan(struct backup *b, struct err *err);

/* Makes every planned disk a full, for the reason; demoted: though changes
 * were to be expected. */
void backup_plan_all_full(struct backup *b, bool demoted, const char *reason);

/* Scratch files, guest prepared, then freeze, job and checkpoint, thaw.
 * Fills manifest's freeze, consistency and time. */
int backup_picture(struct backup *b, struct err *err);

/* Every disk through the store.  Fills manifest's disks. */
int backup_stream(struct backup *b, struct err *err);

/* Ends the job, so that the guest needs no scratch space any more.  The
 * scratch folder stays until the effect is struck. */
int backup_stop_job(struct backup *b, struct err *err);

/* Writes an effect ahead of the deed, into *id. */
int backup_effect(struct backup *b, int64_t *id, enum journal_kind kind,
    const char *subject, struct err *err);
/* Strikes it; a failure is a warning: recovery would find nothing to undo. */
void backup_strike(struct backup *b, int64_t *id);

#endif
