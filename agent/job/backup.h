/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup of one domain, or of several as one instant: plan, prepare,
 * freeze, picture, thaw, stream, commit, tell the guest, promote the
 * checkpoint.  The story is told in backup.c; its chapters are
 * backup_open.c, backup_plan.c, backup_prepare.c, backup_picture.c,
 * backup_stream.c, backup_undo.c and promote.c, and group.c for several.
 */
#ifndef HOLDSTILL_AGENT_JOB_BACKUP_H
#define HOLDSTILL_AGENT_JOB_BACKUP_H

#include <stdbool.h>
#include <stddef.h>

#include "store/manifest.h"

struct err;
struct job_context;

#define BACKUP_SPREAD_DEFAULT_MS 1000

struct backup_options {
	bool full; /* Read everything, whatever is tracked. */
	/* Below require the backup fails and leaves no point. */
	enum manifest_consistency require;
	/* The level aimed at; reaching less is said, and no failure. */
	bool has_prefer;
	enum manifest_consistency prefer;
	unsigned int lease_ms;
	/* Of a group: from its first picture to its last.  Over this it is
	 * not consistent, which is said, and no failure. */
	unsigned int spread_ms;
	const char *const *exclude_disks; /* Targets. */
	size_t exclude_count;
	/* Of each disk that is read by its changes, how much of what is called
	 * unchanged is read to see: in permille, 0 for the default. */
	unsigned int audit_permille;
	bool no_audit;
	const char *job; /* The configured job's name, or "". */
};

/* What came of it, beside the manifest. */
struct backup_result {
	struct manifest *manifest; /* The caller frees it; NULL on failure. */
	/* Done, but below what was preferred, or a disk that should have been
	 * read by its changes was read whole, or the group is not consistent. */
	bool demoted;
	char note[512]; /* Why, in one line; "" if not demoted. */
};

/*
 * Makes a point.  -1: there is none, the guest runs as before, and nothing is
 * left of the job; ERR_BUSY: another run holds the domain.
 */
int job_backup(struct job_context *ctx, const char *domain,
    const struct backup_options *options, struct backup_result *out,
    struct err *err);

/*
 * Makes a point of each of count domains: all are frozen, then all pictured,
 * then all thawed.  results has count elements, in the order of domains.
 * 0: all have their point, and manifest->group says whether they are of one
 * instant.  -1: as above, of all of them; only if the failure came while the
 * points were written, those that are there already stay, in *results.
 * ERR_ARG: a domain is named twice, or there are too many.
 */
int job_backup_group(struct job_context *ctx, const char *const *domains,
    size_t count, const struct backup_options *options,
    struct backup_result *results, struct err *err);

#endif
