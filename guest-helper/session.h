/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One session with a host: hello, prepare, freeze, thaw, committed or abort.
 * Answers requests on the channel, some of them later, when the dead-man
 * reports.  Whatever breaks the sequence is answered with an error; whatever
 * breaks the session (the host goes, a new hello, the lease ends) thaws.
 *
 * One thread.
 */
#ifndef HOLDSTILL_GUEST_SESSION_H
#define HOLDSTILL_GUEST_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/hexid.h"
#include "common/proto/wire.h"
#include "common/proto/message.h"
#include "guest-helper/channel.h"
#include "guest-helper/deadman.h"
#include "guest-helper/mounts.h"

struct err;

enum session_state {
	SESSION_STABLE, /* No session. */
	SESSION_PREPARING,
	SESSION_PREPARED,
	SESSION_FREEZING,
	SESSION_FROZEN,
	SESSION_THAWED,
	SESSION_COMMITTED,
	SESSION_FAILED, /* The reason is in failure. */
	SESSION_STATES
};

struct session_pending { /* A request whose answer waits. */
	bool waiting;
	uint32_t id;
};

struct session {
	struct channel *channel;          /* The caller's. */
	const struct mounts_paths *paths; /* The caller's. */
	const char *run_dir;              /* The caller's. */
	int run_fd;
	char instance[HEXID_SIZE];
	char boot_id[MESSAGE_NAME_SIZE];

	enum session_state state;
	bool greeted; /* This host said hello. */
	bool held;    /* A freeze was begun and nothing said it ended. */
	bool ending;  /* The dead-man was told to give up. */
	char id[HEXID_SIZE];
	char failure[MESSAGE_REASON_SIZE];
	char last_point[HEXID_SIZE];
	uint32_t lease_ms;
	int64_t lease_end_ms; /* As clock_monotonic_ms, for status only. */
	struct message_disk disks[MESSAGE_DISKS_MAX]; /* As prepared. */
	size_t disk_count;
	struct mounts mounts;
	/* From the dead-man's numbering to that of mounts. */
	size_t planned[MESSAGE_FILESYSTEMS_MAX];
	size_t planned_count;
	struct deadman deadman;
	struct deadman_report report; /* The last one. */
	bool have_proof;              /* report is that of the thaw. */
	bool mounted_late;            /* What was not frozen came up. */
	struct session_pending prepare, freeze, thaw, abort;
	struct message request;
	struct message reply;
};

int session_init(struct session *s, struct channel *channel,
    const struct mounts_paths *paths, const char *run_dir, struct err *err);
void session_fini(struct session *s);

void session_request(struct session *s, const struct wire_frame *frame);

/* The dead-man's descriptor has something. */
void session_report(struct session *s);

/* The host has gone, or the helper ends: thaws and forgets the session. */
void session_hang_up(struct session *s);

/* Does nothing remain to be waited for? */
bool session_idle(const struct session *s);

#endif
