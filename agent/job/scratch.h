/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of one run's scratch files and socket, and the watch over its
 * space.  QEMU copies old data there before the guest overwrites it; when
 * the space ends, QEMU stops the guest, not the backup.  So the backup is
 * given up before that: guest first.
 */
#ifndef HOLDSTILL_AGENT_JOB_SCRATCH_H
#define HOLDSTILL_AGENT_JOB_SCRATCH_H

#include <stdint.h>

struct domain;
struct err;
struct journal;
struct journal_effect;
struct scratch;

/* Name of a run's folder: this and eight hex digits. */
#define SCRATCH_DIR_PREFIX "run-"

/*
 * Makes BASE_DIR/run-XXXXXXXX, reachable by the domain's QEMU.  Its effect
 * is journalled first; effect is a template with the run, domain and point
 * filled in.  ERR_ARG: base_dir is too long for a socket below it.
 * ERR_NO_SPACE: less than a useful amount is free.
 */
int scratch_new(struct scratch **out, struct domain *domain,
    struct journal *journal, const struct journal_effect *effect,
    const char *base_dir, struct err *err);

/* Removes the folder and strikes its effect.  NULL is allowed. */
void scratch_free(struct scratch *s);

/* The socket's path; it belongs to s. */
const char *scratch_socket(const struct scratch *s);

/* Makes a disk's scratch file ahead of the picture; *out is malloc'd. */
int scratch_add_disk(char **out, struct scratch *s, const char *target,
    uint64_t size_bytes, struct err *err);

/*
 * Looks at the free space and at the guest, at most a few times a second
 * however often it is called.  -1 with ERR_NO_SPACE: the backup must end
 * now; a guest that QEMU has stopped is remembered by the domain's state.
 */
int scratch_check(struct scratch *s, struct err *err);

/* Removes the folder of a dead run, if that is what path names. */
int scratch_remove_leftover(const char *path, struct err *err);

/*
 * Ends the backup job that serves the socket, if there is one; another
 * tool's is left alone.  A guest that QEMU stopped for want of scratch space
 * goes on.  May be repeated.
 */
int scratch_end_job(
    struct domain *domain, const char *socket_path, struct err *err);

#endif
