/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill-guest --check: what a freeze would do here, and what is wrong. */
#ifndef HOLDSTILL_GUEST_CHECK_H
#define HOLDSTILL_GUEST_CHECK_H

#include "guest-helper/guest.h"

struct err;

/*
 * Prints it to standard output; runs nothing and freezes nothing.  The
 * options have a conf.  Returns how many things would fail, or -1 if it
 * cannot look.
 */
int check_run(const struct guest_options *options, struct err *err);

#endif
