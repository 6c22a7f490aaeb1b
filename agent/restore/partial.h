/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file in the making: PATH.partial, locked against a second run, that
 * becomes PATH when it is whole and durable, or vanishes.  One thread.
 */
#ifndef HOLDSTILL_AGENT_RESTORE_PARTIAL_H
#define HOLDSTILL_AGENT_RESTORE_PARTIAL_H

struct err;
struct partial;
struct target_request;

/*
 * Makes PATH.partial, empty; one that a dead run left is used again.
 * ERR_EXISTS: PATH exists and overwrite is off.  ERR_BUSY: another run makes
 * it, or PATH is held by a running guest.  ERR_NO_SPACE: data_bytes do not
 * fit.  The caller owns *out.
 */
int partial_open(struct partial **out, const struct target_request *request,
    struct err *err);
/* The same judgement of PATH, but nothing is made. */
int partial_check(const struct target_request *request, struct err *err);
/* Removes the file unless it was committed; NULL is allowed. */
void partial_close(struct partial *p);

/* Open for reading and writing; stays the partial's. */
int partial_fd(const struct partial *p);
/* Absolute path of the .partial file. */
const char *partial_path(const struct partial *p);

/* Syncs, renames, syncs the folder. */
int partial_commit(struct partial *p, struct err *err);

#endif
