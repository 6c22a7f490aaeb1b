/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks out: one disk of a point to a target.  Needs the repository only:
 * no libvirt, no catalog, no guest.
 *
 * Targets, by what they are called:
 *   PATH                      a new file, qcow2 or raw; written as
 *                             PATH.partial and renamed when it is whole
 *   /dev/...                  a block device, with overwrite only
 *   nbd+unix:///NAME?socket=PATH  an NBD export, with overwrite only
 */
#ifndef HOLDSTILL_AGENT_RESTORE_RESTORE_H
#define HOLDSTILL_AGENT_RESTORE_RESTORE_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct manifest_disk;
struct store;

enum restore_format { RESTORE_QCOW2, RESTORE_RAW };

/* Called from one thread, at least every 250 ms; -1 with err ends it. */
typedef int restore_tick_fn(
    void *arg, uint64_t done_bytes, uint64_t total_bytes, struct err *err);

typedef int restore_lost_fn(
    void *arg, uint64_t offset, uint64_t bytes, struct err *err);

struct restore_options {
	const char *target;
	enum restore_format format; /* Of a file. */
	/* Replace an existing file, write over a device or an export. */
	bool overwrite;
	unsigned int threads;  /* 0: as many as processors. */
	restore_tick_fn *tick; /* NULL is allowed. */
	/* What cannot be read is left as zeros and told, from any thread, one
	 * call at a time; NULL: it is a failure. */
	restore_lost_fn *lost;
	void *arg; /* Of both. */
};

/*
 * 0: the target holds exactly the disk, but for what lost was told, durably.  -1: a file target is as it
 * was before (its .partial is removed); a device or export is undefined.
 * ERR_EXISTS: the file exists.  ERR_NO_SPACE, ERR_CORRUPT as they say.
 */
int restore_disk(struct store *s, const struct manifest_disk *disk,
    const struct restore_options *options, struct err *err);

/*
 * Would restore_disk() refuse this target?  Nothing is changed; for when the
 * targets of several disks are given.  The space for a file and the size of
 * an export are only looked at by restore_disk() itself.
 */
int restore_check(const struct manifest_disk *disk,
    const struct restore_options *options, struct err *err);

const char *restore_format_name(enum restore_format format);
/* 0, or -1 if word is no format. */
int restore_format_parse(enum restore_format *out, const char *word);

#endif
