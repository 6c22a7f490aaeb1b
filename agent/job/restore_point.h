/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A point back: its disks into a folder or to targets, its definition beside
 * them, and a domain of both if asked.  Needs the repository only, and
 * libvirt only to define.
 */
#ifndef HOLDSTILL_AGENT_JOB_RESTORE_POINT_H
#define HOLDSTILL_AGENT_JOB_RESTORE_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/job/lost_ranges.h"
#include "agent/restore/restore.h"

struct err;
struct job_context;
struct manifest;

struct restore_point_target {
	const char *disk; /* "vda" */
	const char *target;
};

struct restore_point_options {
	const char *point;
	const char *dir; /* All disks into it; NULL: the targets below. */
	const struct restore_point_target *targets;
	size_t target_count;
	enum restore_format format;
	bool overwrite;
	/* Write what there is, with zeros where something cannot be read. */
	bool salvage;
	bool define;
	const char *name; /* Of the defined domain; NULL: as it was. */
	bool same_identity;
	bool start;
};

struct restore_point_result {
	struct manifest *manifest; /* NULL: there was none to read. */
	char **paths; /* Where each disk of the manifest went; NULL: nowhere. */
	struct lost_ranges *lost; /* What each disk lacks there. */
	uint64_t lost_bytes;      /* Of all of them. */
	char *definition_path;    /* Or NULL. */
	char *defined_name;       /* Or NULL. */
	int64_t duration_ms;
};

/*
 * ERR_CORRUPT: something that is to be restored is damaged, and salvage was
 * not asked for.  The caller finis *out in any case: after a failure it says
 * which disks were written before, and what they lack.
 */
int job_restore(struct job_context *ctx,
    const struct restore_point_options *options,
    struct restore_point_result *out, struct err *err);
void restore_point_result_fini(struct restore_point_result *result);

#endif
