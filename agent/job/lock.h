/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run at a time of a domain, of a configured job: an advisory lock on a
 * file in the state folder.  The kernel drops it when its process dies, so
 * it is never stale.
 */
#ifndef HOLDSTILL_AGENT_JOB_LOCK_H
#define HOLDSTILL_AGENT_JOB_LOCK_H

struct err;
struct job_lock;

/*
 * Takes STATE_DIR/locks/KIND-NAME without waiting.  ERR_BUSY names the
 * holder's pid; the caller says what "it" is.  Bytes of name that do not fit
 * a file name are escaped.
 */
int job_lock_take(struct job_lock **out, const char *state_dir,
    const char *kind, const char *name, struct err *err);
void job_lock_release(struct job_lock *lock); /* NULL is allowed. */

#endif
