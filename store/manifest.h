/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest of one point: which domain, when, how consistent, and the
 * root of each disk's map.  The manifest is the point: before it is durable
 * there is none, afterwards there always is.  Stored as JSON in an envelope
 * (docs/format.md); `show --json` prints the same names.
 *
 * A struct manifest owns all it points to.  Not thread-safe by itself.
 */
#ifndef HOLDSTILL_STORE_MANIFEST_H
#define HOLDSTILL_STORE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/hexid.h"

struct err;
struct json_t; /* jansson's; see common/json/json.h */

#define MANIFEST_HASH_BYTES 32
#define MANIFEST_DISKS_MAX 64
#define MANIFEST_FILESYSTEMS_MAX 256
#define MANIFEST_WRITERS_MAX 64
#define MANIFEST_META_MAX 32
#define MANIFEST_GROUP_MAX 64

enum manifest_consistency {
	MANIFEST_CRASH,       /* All disks at one instant, nothing frozen. */
	MANIFEST_FILESYSTEM,  /* File systems frozen, proved. */
	MANIFEST_APPLICATION, /* Every required writer froze, proved. */
};

enum manifest_kind { MANIFEST_FULL, MANIFEST_INCREMENTAL };

enum manifest_quiesce { /* Who froze. */
	MANIFEST_QUIESCE_NONE,
	MANIFEST_QUIESCE_HOLDSTILL,
	MANIFEST_QUIESCE_QEMU_GA,
};

enum manifest_source { /* How a disk's changes were known. */
	MANIFEST_SOURCE_FULL,
	MANIFEST_SOURCE_BITMAP,
	MANIFEST_SOURCE_RBD_DIFF,
	MANIFEST_SOURCE_COMPARE,
};

struct manifest_filesystem {
	char *mount_point;
	char *type;
	char *disk;   /* The disk's target ("vda"), or "" if not known. */
	char *state;  /* "frozen", "skipped", "failed". */
	char *reason; /* "" when frozen. */
};

struct manifest_meta {
	char *key;
	char *value;
};

struct manifest_writer {
	char *name;
	char *state;  /* stable preparing frozen thawed committed failed */
	char *reason; /* "" when well. */
	bool required;
	struct manifest_meta *meta;
	size_t meta_count;
};

struct manifest_freeze {
	enum manifest_quiesce source;
	bool proved;     /* Unbroken from before the picture until after. */
	int64_t held_ms; /* First freeze to last thaw, measured in the guest. */
	/* On the guest's CLOCK_MONOTONIC: before the first file system's
	 * freeze, after the last's, before the first thaw; 0: not known.  All
	 * were still from the second to the third. */
	uint64_t begin_ns, end_ns, thaw_ns;
	struct manifest_filesystem *filesystems;
	size_t filesystem_count;
	struct manifest_writer *writers;
	size_t writer_count;
};

struct manifest_member {
	char id[HEXID_SIZE]; /* Of the member's point. */
	char *domain;
};

struct manifest_group {      /* Domains that were pictured together. */
	char id[HEXID_SIZE]; /* "": the point is of no group. */
	bool consistent;     /* All held still at one instant, proved. */
	char *reason;        /* Why not; "" if consistent. */
	int64_t spread_ms;   /* From the first picture to the last. */
	struct manifest_member *members; /* This point's among them. */
	size_t member_count;
};

struct manifest_disk {
	char *target; /* "vda" */
	char *format; /* The source's format: "qcow2", "raw". */
	char *path;   /* The source's path on its host, for people. */
	uint64_t size_bytes;
	enum manifest_source source;
	char *reason;           /* Why not the cheaper source; "" if it was. */
	uint64_t changed_bytes; /* What the source calls changed. */
	uint64_t read_bytes;
	uint64_t new_bytes;    /* Of those, not yet in the repository. */
	uint64_t stored_bytes; /* new_bytes after compression. */
	uint8_t root[MANIFEST_HASH_BYTES]; /* The map's root piece. */
};

struct manifest {
	char id[HEXID_SIZE];
	uint64_t epoch; /* Of the session that made it (docs/prune.md). */
	char parent[HEXID_SIZE]; /* "" for the first of a domain. */
	char *domain;
	char *uuid;
	char *host;      /* Where it was made; for people only. */
	int64_t time_ms; /* The picture's instant, wall clock. */
	int64_t duration_ms;
	enum manifest_kind kind; /* FULL if every disk's source is. */
	enum manifest_consistency consistency;
	char *consistency_reason; /* "" if the best was reached. */
	struct manifest_freeze freeze;
	struct manifest_group group;
	struct manifest_disk *disks;
	size_t disk_count;
	char *checkpoint;     /* libvirt's name, or "". */
	char *definition_xml; /* The domain as libvirt described it. */
};

/* An empty manifest with no id; NULL without memory. */
struct manifest *manifest_new(void);
void manifest_free(struct manifest *m); /* NULL is allowed. */
void manifest_freeze_fini(struct manifest_freeze *freeze);
void manifest_group_fini(struct manifest_group *group);

/* The disk with that target, or NULL. */
const struct manifest_disk *manifest_find_disk(
    const struct manifest *m, const char *target);

/*
 * The manifest as JSON: definition and roots only if whole is true (the
 * stored form; `list` leaves them out).  NULL without memory.  The caller
 * owns the reference.
 */
struct json_t *manifest_to_json(const struct manifest *m, bool whole);

/* Reads the stored form; anything missing, mistyped or too large is
 * ERR_CORRUPT.  The caller owns *out. */
int manifest_from_json(
    struct manifest **out, const struct json_t *json, struct err *err);

/* The words of the command line and of the JSON: "crash", "bitmap", ... */
const char *manifest_consistency_name(enum manifest_consistency c);
const char *manifest_kind_name(enum manifest_kind kind);
const char *manifest_quiesce_name(enum manifest_quiesce quiesce);
const char *manifest_source_name(enum manifest_source source);
/* 0, or -1 if word is none of them. */
int manifest_consistency_parse(
    enum manifest_consistency *out, const char *word);

#endif
