/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where one restored disk goes: a raw or qcow2 file, a block device, an NBD
 * export.  A target is opened, written in any order by several threads at
 * once, zeroed where nothing was written, finished and closed.
 *
 * open, finish and close belong to one thread that lives as long as the
 * target (a server that a target starts ends with that thread); write and
 * zero may be called by several.
 */
#ifndef HOLDSTILL_AGENT_RESTORE_TARGET_H
#define HOLDSTILL_AGENT_RESTORE_TARGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct target_ops;

struct target { /* First member of each target's own struct. */
	const struct target_ops *ops;
};

/* All of it is borrowed and outlives the target. */
struct target_request {
	const char *path; /* Or the URL. */
	uint64_t size_bytes;
	uint64_t data_bytes; /* Of those, what write() will bring. */
	bool overwrite;
	const atomic_bool *stop; /* Once true, long waits end. */
};

/* Ranges lie within the disk; offsets are multiples of 64 KiB. */
struct target_ops {
	/* buf is borrowed for the call.  A failure may come out at a later
	 * call, or at finish. */
	int (*write)(struct target *t, uint64_t offset, const void *buf,
	    size_t size, struct err *err);
	/* Makes a range read as zeros; at most TARGET_ZERO_BYTES a call.
	 * NULL: what is not written reads as zeros anyway. */
	int (*zero)(
	    struct target *t, uint64_t offset, uint64_t bytes, struct err *err);
	/* 0: everything written is durable and has its final name. */
	int (*finish)(struct target *t, struct err *err);
	/* Frees t; without a finish that gave 0, a file is removed. */
	void (*close)(struct target *t);
};

#define TARGET_ZERO_BYTES (UINT64_C(32) << 20)

/*
 * Each opens one kind; on success the caller owns *out and gives it to
 * close().  ERR_EXISTS, ERR_NO_SPACE, ERR_BUSY, ERR_UNSUPPORTED (a tool is
 * not installed) as they say.
 */
int target_file_open(
    struct target **out, const struct target_request *request, struct err *err);
int target_qcow2_open(
    struct target **out, const struct target_request *request, struct err *err);
int target_device_open(
    struct target **out, const struct target_request *request, struct err *err);
int target_nbd_open(
    struct target **out, const struct target_request *request, struct err *err);

/*
 * What the open would refuse, without a change to anything, before the first
 * of several targets is written.  An export is not connected to, as that may
 * be its only connection: its size is looked at when it is opened.
 */
typedef int target_check_fn(
    const struct target_request *request, struct err *err);
target_check_fn target_file_check; /* Also of a qcow2 file. */
target_check_fn target_device_check;
target_check_fn target_nbd_check;

#endif
