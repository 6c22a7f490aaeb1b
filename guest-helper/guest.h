/* SPDX-License-Identifier: Apache-2.0 */
/* The helper's loop: channel, signals, dead-man, writers. */
#ifndef HOLDSTILL_GUEST_GUEST_H
#define HOLDSTILL_GUEST_GUEST_H

#include "guest-helper/mounts.h"

#define GUEST_PORT "/dev/virtio-ports/org.holdstill.guest.0"
#define GUEST_RUN_DIR "/run/holdstill"

struct conf;
struct err;

struct guest_options {
	const char *port;    /* See channel.h. */
	const char *run_dir; /* For the record of freezes. */
	struct mounts_paths paths;
	const struct conf *conf; /* NULL: the defaults. */
	/* Which file short grace periods are set in; NULL: EXPEDITE_PATH. */
	const char *expedite_path;
};

/*
 * Serves until SIGTERM, SIGINT or SIGHUP, or until the descriptor of an
 * "fd:" port ends; what is frozen then is thawed first.  Blocks those
 * signals in the process.  -1 if it cannot begin.
 */
int guest_run(const struct guest_options *options, struct err *err);

/*
 * Makes sure that this process is the only helper with that run_dir, for as
 * long as it lives, and thaws what a predecessor that was killed had frozen.
 * To be called before anything that may fail; needs no conf.  -1 (ERR_BUSY):
 * there is another one, whose freeze is left alone.
 */
int guest_take_over(const struct guest_options *options, struct err *err);

#endif
