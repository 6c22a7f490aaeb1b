/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One session with a host: hello, prepare, freeze, thaw, committed or abort.
 * Answers requests on the channel, some of them later, when the dead-man or
 * the writers have something to say.  Whatever breaks the sequence is
 * answered with an error; whatever breaks the session (the host goes, a new
 * hello, a deadline, the end of the lease) thaws.
 *
 * Nothing here waits.  One thread.
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
#include "guest-helper/expedite.h"
#include "guest-helper/limits.h"
#include "guest-helper/marks.h"
#include "guest-helper/mounts.h"
#include "guest-helper/timing.h"
#include "guest-helper/writers/writers.h"

struct conf;
struct err;
struct spawner;

#define SESSION_PREPARE_DEFAULT_MS 30000
#define SESSION_PREPARE_MAX_MS 600000
/* What was prepared waits for its freeze for so many times what prepare may
 * take: as long as other guests of a group may take, and again. */
#define SESSION_PREPARED_TIMES 2
/* What writers have, each less than the host waits for the answer. */
#define SESSION_THAW_MS 25000
/* How long writers wait for file systems that are thawed as asked. */
#define SESSION_FILESYSTEMS_MS 2000
/* Of a session that is given up; the host waits 5000 for both. */
#define SESSION_ABORT_THAW_MS 3000
#define SESSION_ABORT_MS 1000
/* The dead-man's thaw must have begun so long after the end of the lease. */
#define SESSION_OVERDUE_MS 500
/* If not, others thaw, and so long after that it is killed. */
#define SESSION_LOST_MS 1500
#define SESSION_COMMITTED_MS 55000

enum session_state {
	SESSION_STABLE, /* No session. */
	SESSION_PREPARING,
	SESSION_PREPARED,
	SESSION_FREEZING,
	SESSION_FROZEN,
	SESSION_THAWING,
	SESSION_THAWED,
	SESSION_COMMITTED,
	SESSION_FAILED, /* The reason is in failure. */
	SESSION_STATES
};

struct session_pending { /* A request whose answer waits. */
	bool waiting;
	uint32_t id;
};

struct session_options { /* The caller's, and outlive the session. */
	struct channel *channel;
	const struct conf *conf;
	struct spawner *spawner;
	const struct mounts_paths *paths;
	const char *run_dir;
	const char *expedite_path;
};

struct session {
	struct session_options o;
	struct writers *writers;
	int run_fd;
	int table; /* The mount table, which tells of changes; -1: not. */
	char instance[HEXID_SIZE];
	char boot_id[MESSAGE_NAME_SIZE];
	struct timing timing;
	struct limits limits;

	enum session_state state;
	bool greeted;           /* This host said hello. */
	bool writers_wanted;    /* By this session. */
	bool engaged;           /* Writers' processes may live. */
	enum writers_step step; /* What they are asked for just now. */
	bool held;   /* The lease was armed and not all is thawed yet. */
	bool ending; /* The dead-man was told to thaw. */
	bool writers_thawed; /* They were asked to, and that is over. */
	bool fs_over;        /* Its file systems are all thawed. */
	bool have_proof;     /* Everything is thawed: report is the last. */
	bool rescued;        /* Others thaw in the dead-man's place. */
	bool settled;        /* Nothing was left to thaw, a while ago. */
	bool mounted_late;   /* What was not frozen came up. */
	bool table_changed;  /* While the file systems were frozen. */
	bool timed_out;      /* A deadline or the lease ended the freeze. */
	bool measured;       /* measure is of this freeze. */
	char id[HEXID_SIZE]; /* "": forgotten. */
	/* That of the session before, if it ended for want of a freeze. */
	char stale_id[HEXID_SIZE];
	char failure[MESSAGE_REASON_SIZE];
	char last_point[HEXID_SIZE];
	uint32_t lease_ms;
	uint32_t prepare_ms, freeze_ms;
	/* Of prepare, of the wait for a freeze, of the freeze, or of the
	 * writers' wait for a thaw; 0: none. */
	int64_t deadline_ms;
	/* When the dead-man must have begun its thaw, or ended it; 0: it has,
	 * or need not. */
	int64_t overdue_ms;
	unsigned int rescues;  /* How often others were sent since it began. */
	int64_t hold_begin_ms; /* When the lease was armed. */
	struct timing_entry measure;
	struct message_disk disks[MESSAGE_DISKS_MAX]; /* As prepared. */
	size_t disk_count;
	struct mounts mounts;
	/* From the dead-man's numbering to that of mounts. */
	size_t planned[MESSAGE_FILESYSTEMS_MAX];
	size_t planned_count;
	struct expedite expedite;
	struct marks marks;         /* Of what the dead-man froze. */
	char record_id[HEXID_SIZE]; /* "": there is none. */
	struct deadman deadman;
	struct deadman_report report; /* The last one. */
	struct session_pending prepare, freeze, thaw, commit, abort;
	/* Large; from here on nothing is cleared at the start. */
	struct message request;
	struct message reply;
	struct message metas; /* What the commit under way is told. */
};

int session_init(
    struct session *s, const struct session_options *options, struct err *err);
/* What is held thaws by itself then. */
void session_fini(struct session *s);

/* May another request be taken just now?  Always while something is held:
 * a thaw never waits for the rate. */
bool session_ready(struct session *s);
void session_request(struct session *s, const struct wire_frame *frame);

/* The dead-man's descriptor has something. */
void session_report(struct session *s);

/* When session_tick() is to be called, as clock_monotonic_ms(); 0: never. */
int64_t session_deadline_ms(const struct session *s);
void session_tick(struct session *s);

/* The host has gone, or the helper ends: thaws and forgets the session. */
void session_hang_up(struct session *s);

/* Does nothing remain to be waited for? */
bool session_idle(const struct session *s);

/* The most that all writers together have, whatever the configuration gives
 * each of them, if a host asks for what hosts usually do. */
struct session_times {
	uint32_t lease_ms; /* As granted. */
	uint32_t prepare_ms, freeze_ms, thaw_ms, committed_ms;
};
void session_usual_times(struct session_times *out, const struct conf *conf);

#endif
