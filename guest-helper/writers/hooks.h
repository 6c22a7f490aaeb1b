/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the hooks that were asked to freeze, for a successor of a helper
 * that dies with its spawner: empty files in RUN_DIR/hooks.
 */
#ifndef HOLDSTILL_GUEST_HOOKS_H
#define HOLDSTILL_GUEST_HOOKS_H

typedef void hooks_visit_fn(void *arg, const char *name);

/* run_dir: an open folder, or -1: then nothing is kept.  A failure is logged:
 * it keeps no hook from running. */
void hooks_remember(int run_dir, const char *name);
void hooks_forget(int run_dir, const char *name);

/* fn may forget the name. */
void hooks_each(int run_dir, hooks_visit_fn *fn, void *arg);

#endif
