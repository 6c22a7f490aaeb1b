/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All of libvirt (and libxml2, for its XML): connection, domains, disks,
 * checkpoints, the backup job, the guest channel.  Nothing else in the tree
 * includes these libraries.
 *
 * A connection and what hangs on it may be used by several threads.
 */
#ifndef HOLDSTILL_AGENT_DOMAIN_DOMAIN_H
#define HOLDSTILL_AGENT_DOMAIN_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct domain;
struct domain_connection;
struct err;

#define DOMAIN_UUID_SIZE 37
#define DOMAIN_CHECKPOINT_PREFIX "holdstill-"

/* ---- connection ---- */

/* uri NULL: qemu:///system.  ERR_IO when libvirtd cannot be reached, with a
 * hint; it names the URI. */
int domain_connect(
    struct domain_connection **out, const char *uri, struct err *err);
void domain_disconnect(struct domain_connection *c); /* NULL is allowed. */

/* Visits the name of each domain, running or not; non-zero ends it. */
typedef int domain_name_fn(void *arg, const char *name, bool active);
int domain_each(struct domain_connection *c, domain_name_fn *fn, void *arg,
    struct err *err);

/* ---- one domain ---- */

/* By name or UUID.  ERR_NOT_FOUND with a hint.  c outlives the domain. */
int domain_open(struct domain **out, struct domain_connection *c,
    const char *name, struct err *err);
void domain_close(struct domain *d); /* NULL is allowed. */

const char *domain_name(const struct domain *d);
const char *domain_uuid(const struct domain *d);

enum domain_state {
	DOMAIN_RUNNING,
	DOMAIN_PAUSED,    /* By a person or a tool. */
	DOMAIN_PAUSED_IO, /* QEMU stopped it on an I/O error. */
	DOMAIN_OFF,
	DOMAIN_STATE_OTHER, /* Starting, shutting down, crashed. */
};
int domain_state(struct domain *d, enum domain_state *out, struct err *err);

/* Continues a paused domain. */
int domain_resume(struct domain *d, struct err *err);

/* The domain as a person would define it again (malloc; caller frees): as it
 * runs, or as it will start if it is off; without passwords of consoles. */
int domain_definition(char **out, struct domain *d, struct err *err);

/* ---- disks ---- */

struct domain_disk {
	char *target; /* "vda" */
	char *path;   /* File or block device on the host; "" for others. */
	char *format; /* "qcow2", "raw" */
	char *type;   /* libvirt's: "file", "block", "network", "volume" */
	char *serial; /* As set in the XML; "" if none. */
	char *wwn;    /* The same. */
	char *pci; /* Way on the PCI bus if it is a device of its own (virtio,
		       * NVMe): "0000:00:05.0", "0000:00:02.4/00.0"; or "". */
	uint64_t size_bytes; /* As the guest sees it; 0 if it is not known. */
	bool writable;       /* false: read-only. */
	bool is_disk;        /* false: cdrom, floppy. */
	bool shareable;      /* Others write to it too, or transient. */
	bool can_track; /* qcow2 (version 3), writable: can keep bitmaps. */
};
/* Caller frees with domain_disks_free. */
int domain_disks(struct domain_disk **out, size_t *out_count, struct domain *d,
    struct err *err);
/* The same from a text; sizes are 0 and can_track is false. */
int domain_disks_parse(struct domain_disk **out, size_t *out_count,
    const char *xml, struct err *err);
void domain_disks_free(struct domain_disk *disks, size_t count);

/* ---- checkpoints ---- */

/* Visits the name of each checkpoint that bears our prefix. */
typedef int domain_checkpoint_fn(void *arg, const char *name);
int domain_checkpoints(
    struct domain *d, domain_checkpoint_fn *fn, void *arg, struct err *err);

/*
 * Can this disk's changes since the checkpoint be read?  Checks that the
 * checkpoint exists, covers the disk, and that its bitmap in the running
 * QEMU is there and not inconsistent.  0 and *out_reason[0] == '\0': yes;
 * 0 and a reason (one line for the manifest): no; -1: could not be asked.
 */
int domain_checkpoint_usable(struct domain *d, const char *checkpoint,
    const char *target, char *out_reason, size_t reason_size, struct err *err);

/*
 * Deletes a checkpoint of ours with its bitmaps; one whose bitmaps are gone
 * loses its metadata, one whose metadata is gone its bitmaps.  An absent one
 * succeeds.  ERR_BUSY while the domain is off: try again when it runs.
 */
int domain_checkpoint_delete(
    struct domain *d, const char *name, struct err *err);

/*
 * Removes bitmaps of ours from the running domain's disks that no checkpoint
 * knows (its metadata was deleted behind our back).  Best effort.
 */
void domain_checkpoint_sweep(struct domain *d);

/* ---- the backup job ---- */

struct domain_backup_disk {
	const char *target;
	/* Pull only changes since this checkpoint; NULL: everything. */
	const char *since;
	const char *scratch_path; /* Made by domain_scratch_create. */
};
struct domain_backup {
	const char *socket_path; /* UNIX socket that QEMU will listen on. */
	/* New, for all disks that can have one; NULL: none. */
	const char *checkpoint;
	const struct domain_backup_disk *disks;
	size_t disk_count;
};

/* A scratch file QEMU may write to (owner, label), made ahead of the freeze
 * so that the picture is quick. */
int domain_scratch_create(
    struct domain *d, const char *path, uint64_t size_bytes, struct err *err);

/* Makes a folder that QEMU can create sockets and open files in. */
int domain_make_shared_dir(struct domain *d, const char *path, struct err *err);

/*
 * The picture: starts the pull-mode job and makes the checkpoint, all disks
 * at one instant.  Disks that are not named are left out.
 *
 * Everything that can be asked and written beforehand is, by prepare, so
 * that the guest holds still for one call only.  ERR_BUSY when another job
 * holds the domain, or a disk is no longer as large as its scratch file.
 * *backup is not needed any more when it returns.
 */
struct domain_picture;
int domain_picture_prepare(struct domain_picture **out, struct domain *d,
    const struct domain_backup *backup, struct err *err);
/* ERR_CORRUPT when a bitmap proves unusable only now. */
int domain_picture_take(struct domain_picture *p, struct err *err);
void domain_picture_free(struct domain_picture *p); /* NULL is allowed. */

/* Which of our jobs runs: *out is true if a pull backup is running now. */
int domain_backup_running(struct domain *d, bool *out, struct err *err);

/* Does the backup that runs serve this socket?  Tells our own job from one
 * that somebody else has begun since.  false when none runs. */
int domain_backup_serves(
    struct domain *d, const char *socket_path, bool *out, struct err *err);

/* Ends the pull backup that runs, whose ever it is, and waits until it is
 * gone; one that is gone already succeeds. */
int domain_backup_end(struct domain *d, struct err *err);

/* The name of a disk's dirty bitmap context on the export. */
#define DOMAIN_BITMAP_CONTEXT "qemu:dirty-bitmap:backup-%s"

/* ---- guest ---- */

/*
 * Has a program in the guest opened its end of the channel?  As libvirt knows
 * it: 9.0 loses the news of what happens while a backup runs.  ERR_NOT_FOUND:
 * the domain has no such channel.
 */
int domain_channel_connected(
    struct domain *d, const char *name, bool *out, struct err *err);

/*
 * Opens the guest's virtio-serial channel.  *out_fd is one end of a stream
 * socket (caller closes it); a thread of this module moves the bytes.  End
 * of file: the guest or libvirt closed.  ERR_NOT_FOUND: no such channel.
 * ERR_BUSY: another process holds it.
 */
int domain_channel_open(
    int *out_fd, struct domain *d, const char *name, struct err *err);

/* QEMU guest agent.  Counts of file systems.  May block as long as the agent
 * does, at most timeout_ms. */
int domain_agent_available(struct domain *d, bool *out, struct err *err);
int domain_agent_freeze(
    struct domain *d, unsigned int timeout_ms, int *out_count, struct err *err);
int domain_agent_thaw(
    struct domain *d, unsigned int timeout_ms, int *out_count, struct err *err);
/* Is the guest one whose agent cannot prove a freeze (Windows VSS thaws by
 * itself)?  false when it cannot be told. */
bool domain_agent_is_windows(struct domain *d);

/* ---- definitions (restore) ---- */

struct definition_disk {
	const char *target;
	const char *path;   /* New file. */
	const char *format; /* New format. */
};
struct definition_options {
	const char *name;   /* NULL: as it was. */
	bool same_identity; /* Keep UUID, MAC addresses, names. */
	const struct definition_disk *disks;
	size_t disk_count;
};
/*
 * Rewrites a stored definition: new disk sources, disks that are not
 * restored removed, host paths of sockets and channels dropped, and unless
 * same_identity a new UUID, MAC addresses and generation id.  *out is
 * malloc'd.  Stored XML is hostile: entities and network are off.
 */
int definition_rewrite(char **out, const char *xml,
    const struct definition_options *options, struct err *err);

/* Defines a domain from XML.  ERR_EXISTS when the name or UUID is taken. */
int domain_define(
    struct domain_connection *c, const char *xml, struct err *err);

/* Starts a domain that is off. */
int domain_start(
    struct domain_connection *c, const char *name, struct err *err);

#endif
