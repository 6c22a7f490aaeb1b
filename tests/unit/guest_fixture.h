/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real helper in a process of its own, with real file systems on loop
 * devices.  It sees a mount table with these file systems only, so that no
 * test ever freezes the machine it runs on.
 */
#ifndef HOLDSTILL_TESTS_GUEST_FIXTURE_H
#define HOLDSTILL_TESTS_GUEST_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/proto/message.h"
#include "guest-helper/conf.h"
#include "guest-helper/guest.h"
#include "guest-helper/mounts.h"

#define FIXTURE_MOUNTS_MAX 6
#define FIXTURE_SESSION "0123456789abcdef0123456789abcdef"
#define FIXTURE_POINT "fedcba9876543210fedcba9876543210"

struct guest_fixture {
	char dir[64];
	char mountinfo[96];
	char port[96];        /* "unix:..." */
	char run_dir[96];     /* In memory if that can be. */
	char expedite[96];    /* Stands for the kernel's file; holds "0". */
	char writers_dir[96]; /* Where a test may put some. */
	struct conf conf;     /* Of the helper; no hooks. */
	/* Where it looks: at no other namespace, unless a test says so. */
	struct mounts_paths paths;
	/* Shows the helper the other mounts, too, as of nothing that can be
	 * frozen: a path leads through them. */
	bool show_others;
	pid_t pid; /* The helper's; -1: it does not run. */
	unsigned int mount_count;
};

/* Why real file systems cannot be had here; NULL: they can.  Enters a mount
 * namespace of its own. */
const char *guest_fixture_obstacle(void);

void guest_fixture_init(struct guest_fixture *f);
void guest_fixture_fini(struct guest_fixture *f);

/* Makes and mounts one: DIR/NAME, its image at DIR/IMAGE. */
void guest_fixture_mount(struct guest_fixture *f, const char *name,
    const char *type, const char *image);

/* Puts what is mounted now into the table that the helper sees. */
void guest_fixture_show_mounts(const struct guest_fixture *f);

/* What the helper is started with. */
struct guest_options guest_fixture_options(const struct guest_fixture *f);

/* Starts the helper; it is ready when this returns. */
void guest_fixture_start(struct guest_fixture *f);

/* Ends the helper with the signal, and reaps it; returns waitpid's status. */
int guest_fixture_stop(struct guest_fixture *f, int signum);

/* A new connection. */
int guest_fixture_connect(const struct guest_fixture *f);

/* The helper's dead-man; fails the test if there is none. */
pid_t guest_fixture_deadman(const struct guest_fixture *f);

/* How many records of freezes there are. */
size_t guest_fixture_records(const struct guest_fixture *f);

/* Kills helper and dead-man without a chance for either to thaw. */
void guest_fixture_kill_all(struct guest_fixture *f);

/* Begins to write to the file system in a process of its own. */
pid_t guest_fixture_write(const struct guest_fixture *f, const char *name);

/* Does the process end within so many ms?  It is reaped then. */
bool guest_fixture_ends(pid_t pid, int within_ms);

/* FIFREEZE or FITHAW by the test itself; returns 0 or errno. */
int guest_fixture_ioctl(
    const struct guest_fixture *f, const char *name, unsigned long request);

#endif
