/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The helper reads what a host sends, so it gives up what it does not need:
 * all capabilities but those for freezing and for looking at mounts, and all
 * system calls but those it makes (libcap-ng, libseccomp).  The dead-man
 * inherits both; the spawner is forked before.
 */
#ifndef HOLDSTILL_GUEST_CONFINE_H
#define HOLDSTILL_GUEST_CONFINE_H

struct err;

/*
 * For the rest of the process's life; its threads must not have been started
 * yet.  What is refused from then on fails with EPERM.  A kernel without
 * seccomp is a logged warning, no failure.
 */
int confine_self(struct err *err);

/* Why there is no filter of system calls (a sanitizer, valgrind); NULL: there
 * is one, if the kernel can. */
const char *confine_obstacle(void);

#endif
