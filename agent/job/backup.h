/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One backup of one domain: plan, prepare, freeze, picture, thaw, stream,
 * commit, tell the guest, promote the checkpoint.  The story is told in
 * backup.c; its chapters are backup_plan.c, backup_picture.c,
 * backup_stream.c and promote.c.
 */
#ifndef HOLDSTILL_AGENT_JOB_BACKUP_H
#define HOLDSTILL_AGENT_JOB_BACKUP_H

#include <stdbool.h>
#include <stddef.h>

#include "store/manifest.h"

struct err;
struct job_context;

struct backup_options {
	bool full; /* Read everything, whatever is tracked. */
	/* Below require the backup fails and leaves no point. */
	enum manifest_consistency require;
	/* The level aimed at; reaching less is said, and no failure. */
	bool has_prefer;
	enum manifest_consistency prefer;
	unsigned int lease_ms;
	const char *const *exclude_disks; /* Targets. */
	size_t exclude_count;
	const char *job; /* The configured job's name, or "". */
};

/* What came of it, beside the manifest. */
struct backup_result {
	struct manifest *manifest; /* The caller frees it; NULL on failure. */
	/* Done, but below what was preferred, or a disk that should have been
	 * read by its changes was read whole. */
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

#endif
