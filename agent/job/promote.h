/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After the commit of a point: its checkpoint is the one to build on, and
 * those before it have done their work.
 */
#ifndef HOLDSTILL_AGENT_JOB_PROMOTE_H
#define HOLDSTILL_AGENT_JOB_PROMOTE_H

struct domain;

/*
 * Deletes the checkpoints of the same repository as "checkpoint" but not
 * that one, and bitmaps that no checkpoint knows.  "before" (or NULL) is
 * deleted even if libvirt has forgotten it while QEMU has not.  Does nothing
 * when the domain has no such checkpoint: a later one has taken its place
 * then.  Failures are warnings; may be repeated.
 */
void job_promote(
    struct domain *domain, const char *checkpoint, const char *before);

#endif
