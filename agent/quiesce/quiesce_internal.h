/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the sources of quiescing: our helper, the QEMU guest agent. */
#ifndef HOLDSTILL_AGENT_QUIESCE_INTERNAL_H
#define HOLDSTILL_AGENT_QUIESCE_INTERNAL_H

#include "agent/quiesce/quiesce.h"
#include "common/hexid.h"

struct client;
struct message;

struct quiesce {
	struct domain *domain; /* The caller's. */
	enum manifest_quiesce source;
	enum manifest_consistency reachable;
	char session[HEXID_SIZE];
	unsigned int lease_ms;
	char reason[512];
	bool frozen;    /* A freeze was sent and no thaw yet. */
	bool committed; /* No abort is to be sent. */

	/* Our helper. */
	struct client *client; /* NULL once the channel is of no use. */
	struct message *request;
	/* What it said last of its file systems, for the manifest. */
	struct manifest_filesystem *filesystems;
	size_t filesystem_count;

	/* QEMU's agent. */
	bool agent_owes_thaw; /* A freeze was sent, no thaw was answered. */
	int agent_frozen_count;
	int64_t agent_frozen_ms; /* clock_monotonic_ms before the freeze. */
};

/* Sets the reason; a later one replaces it. */
void quiesce_set_reason(struct quiesce *q, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* 0: it is ready to freeze.  -1 with *err: it cannot serve, or cancelled. */
int quiesce_helper_begin(
    struct quiesce *q, const struct quiesce_options *options, struct err *err);
int quiesce_helper_freeze(struct quiesce *q, struct err *err);
/* Returns true if the freeze is proved; sets the reason if not. */
bool quiesce_helper_thaw(struct quiesce *q, int64_t *out_held_ms);
/* False: it could not be told. */
bool quiesce_helper_committed(struct quiesce *q, const char *point_id,
    const struct manifest_freeze *freeze);
/* For a q that has a domain and a session only. */
int quiesce_helper_deliver(struct quiesce *q, const char *point_id,
    const struct manifest_freeze *freeze, struct err *err);
void quiesce_helper_end(struct quiesce *q);

int quiesce_qga_begin(struct quiesce *q, struct err *err);
int quiesce_qga_freeze(struct quiesce *q, struct err *err);
bool quiesce_qga_thaw(struct quiesce *q, int64_t *out_held_ms);
/* A last try of an owed thaw; true if none is owed. */
bool quiesce_qga_end(struct quiesce *q);

/* A guest writes what it likes, also what would move a terminal's cursor:
 * all but printable ASCII becomes '?'. */
void quiesce_clean(char *text);

/* A message's file systems in the manifest's form; the caller frees with
 * quiesce_filesystems_free. */
int quiesce_filesystems_from(struct manifest_filesystem **out,
    size_t *out_count, const struct message *m, struct err *err);
void quiesce_filesystems_free(struct manifest_filesystem *list, size_t count);

#endif
