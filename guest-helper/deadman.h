/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dead-man: a process of its own, forked for one session, that owns
 * freeze and thaw.  It thaws when it is told to, when the lease ends, when
 * the helper that forked it dies (end of file on their socket), and on
 * SIGTERM; then it ends.  Its memory is locked, its descriptors are opened
 * beforehand, and from the start on it neither allocates nor logs nor opens.
 *
 * The lease is that of the whole freeze: it is armed before the first writer
 * is asked to freeze.  If it ends, or the helper dies, the dead-man says
 * "thaw" to the writers itself.
 *
 * One thread for each file system makes the calls that may block, so that a
 * file system that hangs in its freeze keeps no other one from being thawed,
 * and never the timer from running.
 *
 * The helper's end; one thread.
 */
#ifndef HOLDSTILL_GUEST_DEADMAN_H
#define HOLDSTILL_GUEST_DEADMAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/proto/message.h"
#include "guest-helper/expedite.h"
#include "guest-helper/marks.h"

#define DEADMAN_INPUTS_MAX MESSAGE_WRITERS_MAX

struct err;

enum deadman_kind {
	/* Reports, in this order: */
	DEADMAN_SYNCED = 1, /* All are synced: ready to be armed. */
	DEADMAN_ARMED,      /* The lease runs. */
	DEADMAN_FROZEN,     /* Every freeze has come back. */
	DEADMAN_THAWING,    /* The thaw has begun. */
	DEADMAN_THAWED,     /* Everything is thawed; the process ends. */
	/* Commands: */
	DEADMAN_ARM,
	DEADMAN_FREEZE,
	DEADMAN_THAW,  /* Asked for by the host: makes a proof. */
	DEADMAN_ABORT, /* Thaws without a proof. */
};

struct deadman_result {
	bool tried;  /* Its FIFREEZE has come back. */
	bool frozen; /* It succeeded. */
	bool thawed; /* Its FITHAW succeeded: nobody thawed it before. */
	int freeze_errno;
	int thaw_errno;
};

struct deadman_report {
	enum deadman_kind kind;
	bool asked; /* The host's thaw ended the freeze. */
	bool lease_expired;
	bool told_writers; /* It said "thaw" to the writers. */
	bool complete;     /* Every freeze had come back by then. */
	uint64_t sync_ms;
	uint64_t begin_ns; /* Just before the first FIFREEZE; 0: none was. */
	uint64_t end_ns;   /* After the last. */
	uint64_t thaw_ns;  /* Before the first FITHAW: held until then. */
	uint64_t done_ns;  /* After the last. */
	size_t count;
	struct deadman_result results[MESSAGE_FILESYSTEMS_MAX];
};

struct deadman {
	int fd; /* To poll for reports; -1: there is no process. */
	pid_t pid;
};

/* What it is given of each file system, in the order of freezing. */
struct deadman_target {
	int fd;
	unsigned int rank; /* Those of one rank are frozen at once. */
};

struct deadman_setup {
	/* If all is thawed it removes the record of that id from this
	 * folder; -1: there is none. */
	int record_dir;
	const char *record_id;
	/* Open; of what becomes of the targets. */
	struct marks marks;
	const struct deadman_target *targets;
	size_t count; /* MESSAGE_FILESYSTEMS_MAX at most. */
	/* The writers' inputs, not blocking. */
	const int *inputs;
	size_t input_count; /* DEADMAN_INPUTS_MAX at most. */
	/* What expedite_open() gave; fd -1: nothing to expedite. */
	struct expedite expedite;
};

/* Forks it; it begins by syncing the targets.  The caller keeps its own
 * descriptors. */
int deadman_start(
    struct deadman *out, const struct deadman_setup *setup, struct err *err);

/* Starts the lease, which DEADMAN_ARMED reports.  lease_ms is at most
 * MESSAGE_LEASE_MAX_MS; the process caps it, too. */
int deadman_arm(struct deadman *d, uint32_t lease_ms, struct err *err);

/* Freezes; not done unless it is armed. */
int deadman_freeze(struct deadman *d, struct err *err);

/* asked: the host wants the proof. */
int deadman_thaw(struct deadman *d, bool asked, struct err *err);

/* 1: *out is a report; 0: none yet; -1: the process is gone. */
int deadman_read(struct deadman *d, struct deadman_report *out);

/* Forgets the process.  ended: deadman_read() said that it is gone; else it
 * is left alone, thaws, and ends. */
void deadman_close(struct deadman *d, bool ended);

/* ---- for deadman_start only ---- */

/* The process itself; never returns. */
_Noreturn void deadman_process_run(int fd, const struct deadman_setup *setup);

struct deadman_command {
	enum deadman_kind kind;
	uint32_t lease_ms;
};

#endif
