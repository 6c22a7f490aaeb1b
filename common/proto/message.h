/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What host and guest say to each other (docs/protocol.md).  One struct holds
 * the fields of all messages; each message uses some.  Zero and empty fields
 * are not sent, and read as zero and empty when they do not come.
 *
 * A message is large (about 400 KiB): keep it on the heap or static.  Beyond
 * its counts the lists hold whatever was there before; the functions below
 * clear an entry when they add it, and so does message_add_*().
 */
#ifndef HOLDSTILL_COMMON_PROTO_MESSAGE_H
#define HOLDSTILL_COMMON_PROTO_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/hexid.h"

#define MESSAGE_VERSION_MIN 1 /* Of the conversation, told in hello. */
#define MESSAGE_VERSION_MAX 1
#define MESSAGE_DISKS_MAX 64
#define MESSAGE_FILESYSTEMS_MAX 256
#define MESSAGE_WRITERS_MAX 32
#define MESSAGE_META_MAX 16        /* For each writer. */
#define MESSAGE_LEASE_MAX_MS 60000 /* Enforced in the guest. */
/* What a host asks for when writers take part, unless told otherwise. */
#define MESSAGE_LEASE_USUAL_MS 10000
#define MESSAGE_PREPARE_USUAL_MS 120000
#define MESSAGE_NAME_SIZE 64
#define MESSAGE_PATH_SIZE 512
#define MESSAGE_REASON_SIZE 160
#define MESSAGE_VALUE_SIZE 256
#define MESSAGE_HOOK_PREFIX "hook:" /* Of the names of writers that are. */

enum message_type {
	MESSAGE_HELLO = 1,
	MESSAGE_PING = 2,
	MESSAGE_STATUS = 3,
	MESSAGE_PREPARE = 4,
	MESSAGE_FREEZE = 5,
	MESSAGE_THAW = 6,
	MESSAGE_COMMITTED = 7,
	MESSAGE_ABORT = 8,
	MESSAGE_ERROR = 127, /* Replies only. */
};

enum message_fs_state {
	MESSAGE_FS_PLANNED = 0, /* Would be frozen. */
	MESSAGE_FS_SKIPPED = 1, /* Needs no freeze, or knows none. */
	MESSAGE_FS_FROZEN = 2,
	MESSAGE_FS_FAILED = 3, /* Should have been frozen and was not. */
	MESSAGE_FS_STATES
};

enum message_level { /* As in the manifest, lowest first. */
	MESSAGE_CRASH = 0,
	MESSAGE_FILESYSTEM = 1,
	MESSAGE_APPLICATION = 2,
};

enum message_writer_state {
	MESSAGE_WRITER_STABLE = 0, /* Nothing is asked of it. */
	MESSAGE_WRITER_PREPARING = 1,
	MESSAGE_WRITER_PREPARED = 2,
	MESSAGE_WRITER_FREEZING = 3,
	MESSAGE_WRITER_FROZEN = 4,
	MESSAGE_WRITER_THAWED = 5, /* It was frozen until it was thawed. */
	MESSAGE_WRITER_COMMITTED = 6,
	MESSAGE_WRITER_FAILED = 7,
	MESSAGE_WRITER_STATES
};

struct message_disk {
	char target[MESSAGE_NAME_SIZE];
	char serial[MESSAGE_NAME_SIZE];
	char wwn[MESSAGE_NAME_SIZE];
	/* Of virtio-blk and NVMe: the way from the root bus, "0000:00:05.0"
	 * or, behind bridges, "0000:00:02.4/00.0". */
	char pci[MESSAGE_NAME_SIZE];
};

struct message_filesystem {
	char mount_point[MESSAGE_PATH_SIZE];
	char type[MESSAGE_NAME_SIZE];
	char disk[MESSAGE_NAME_SIZE]; /* The host's target if known. */
	uint64_t state;               /* enum message_fs_state */
	char reason[MESSAGE_REASON_SIZE];
	uint64_t thawed; /* Its FITHAW succeeded: it was frozen until then. */
};

struct message_meta { /* What a writer wants to be remembered. */
	char key[MESSAGE_NAME_SIZE];
	char value[MESSAGE_VALUE_SIZE];
};

struct message_writer {
	char name[MESSAGE_NAME_SIZE];
	uint64_t state; /* enum message_writer_state */
	uint64_t required;
	char reason[MESSAGE_REASON_SIZE]; /* Of its last failure. */
	uint64_t age_ms;                  /* Since it came into the state. */
	uint64_t failure_age_ms;          /* Since reason; 0: none. */
	uint64_t prepare_ms;              /* What its last steps took. */
	uint64_t freeze_ms;
	uint64_t thaw_ms;
	struct message_meta metas[MESSAGE_META_MAX];
	size_t meta_count;
};

struct message {
	uint64_t version_min;
	uint64_t version_max;
	char instance[HEXID_SIZE]; /* Random, new at each start. */
	char boot_id[MESSAGE_NAME_SIZE];
	char program[32]; /* "0.1.0" */
	char state[32];
	char session[HEXID_SIZE];
	uint64_t lease_ms;
	uint64_t lease_left_ms;
	uint64_t level; /* enum message_level */
	uint64_t sync_ms;
	uint64_t freeze_begin_ns; /* CLOCK_MONOTONIC of the guest. */
	uint64_t freeze_end_ns;
	uint64_t thaw_ns;
	uint64_t held_ms;
	uint64_t unbroken;
	uint64_t lease_expired;
	char point[HEXID_SIZE];
	uint64_t repeated;
	char note[MESSAGE_REASON_SIZE];
	char error_class[32]; /* err_class_name() */
	char error_text[640];
	uint64_t prepare_ms;  /* How long the host waits for prepare. */
	uint64_t freeze_ms;   /* How long the freeze itself may take. */
	uint64_t forecast_ms; /* How long it took lately; 0: not known. */
	struct message_disk disks[MESSAGE_DISKS_MAX];
	size_t disk_count;
	struct message_filesystem filesystems[MESSAGE_FILESYSTEMS_MAX];
	size_t filesystem_count;
	struct message_writer writers[MESSAGE_WRITERS_MAX];
	size_t writer_count;
};

/* Empties it. */
void message_clear(struct message *m);

/* An empty entry at the end of a list; NULL if there is no room. */
struct message_disk *message_add_disk(struct message *m);
struct message_filesystem *message_add_filesystem(struct message *m);
struct message_writer *message_add_writer(struct message *m);
struct message_meta *message_add_meta(struct message_writer *w);

/* Writes the body; ERR_ARG if it does not fit. */
int message_encode(uint8_t *buf, size_t size, size_t *out_used,
    const struct message *m, struct err *err);

/*
 * Reads a body.  Unknown fields are ignored; a malformed, oversized or
 * surplus one is ERR_CORRUPT, and m is then to be cleared.
 */
int message_decode(
    struct message *m, const uint8_t *body, size_t size, struct err *err);

/* The class that error_class names, if it is one that a guest can know of
 * (docs/protocol.md, tag 21); else ERR_IO. */
enum err_class message_error_class(const struct message *m);

/* "planned", "skipped", "frozen", "failed". */
const char *message_fs_state_name(uint64_t state);

/* "stable", "preparing", "prepared", "freezing", "frozen", "thawed",
 * "committed", "failed". */
const char *message_writer_state_name(uint64_t state);

/* The answer to committed: was that writer told, and did it its part?  Hooks
 * are told nothing. */
bool message_writer_heard(const struct message *m, const char *name);

/* "hello", "freeze", ...; "unknown" for others. */
const char *message_type_name(uint8_t type);

#endif
