/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the sources of quiescing: our helper, the QEMU guest agent. */
#ifndef HOLDSTILL_AGENT_QUIESCE_INTERNAL_H
#define HOLDSTILL_AGENT_QUIESCE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/quiesce/quiesce.h"
#include "common/hexid.h"

struct client;
struct message;

struct quiesce {
	struct domain *domain; /* The caller's. */
	enum manifest_quiesce source;
	enum manifest_consistency prefer, offered, reachable;
	char session[HEXID_SIZE];
	unsigned int lease_ms; /* As granted, once that is known. */
	char reason[512];
	/* Why our helper does not serve, where QEMU's agent does in its
	 * place; a part of every reason then. */
	char unserved[200];
	bool frozen;    /* A freeze was sent and no thaw yet. */
	bool committed; /* No abort is to be sent. */

	/* Our helper. */
	struct client *client; /* NULL once the channel is of no use. */
	struct message *request;
	/* It answers, and will not or cannot freeze: nobody else is to do it
	 * then. */
	bool refused;
	/* What it said last of its file systems and writers. */
	struct manifest_freeze seen;
	uint64_t begin_ns, end_ns; /* As it answered to the freeze. */
	/* clock_monotonic_ms() round these calls. */
	int64_t freeze_asked_ms, freeze_answered_ms;
	int64_t thaw_asked_ms, thaw_answered_ms;

	/* QEMU's agent. */
	bool agent_owes_thaw; /* A freeze was sent, no thaw was answered. */
	int agent_frozen_count;
	int64_t agent_frozen_ms; /* clock_monotonic_ms before the freeze. */
};

/* Sets the reason; a later one replaces it.  With unserved behind it. */
void quiesce_set_reason(struct quiesce *q, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- quiesce_helper.c, and quiesce_committed.c for what follows ---- */

/* Makes q->client, and says hello. */
int quiesce_helper_open(struct quiesce *q, bool heed_cancel, struct err *err);
/* Closes it, if there is one. */
void quiesce_helper_drop(struct quiesce *q);
/* A new request of this session; q's, until the next. */
struct message *quiesce_helper_request(struct quiesce *q);

/* 0: it is ready to freeze.  -1 with *err: it cannot serve, or cancelled. */
int quiesce_helper_begin(
    struct quiesce *q, const struct quiesce_options *options, struct err *err);
int quiesce_helper_freeze(struct quiesce *q, struct err *err);
/* Returns the level that is proved and fills the times of *freeze; sets the
 * reason if it is not the one that was preferred. */
enum manifest_consistency quiesce_helper_thaw(
    struct quiesce *q, struct manifest_freeze *freeze);
/* False: it could not be told. */
bool quiesce_helper_committed(struct quiesce *q, const char *point_id,
    const struct manifest_freeze *freeze);
/* For a q that has a domain and a session only. */
int quiesce_helper_deliver(struct quiesce *q, const char *point_id,
    const struct manifest_freeze *freeze, struct err *err);
void quiesce_helper_end(struct quiesce *q);

int quiesce_qga_begin(struct quiesce *q, struct err *err);
/* Sets as the reason what it cannot prove, however well all goes. */
void quiesce_qga_warn(struct quiesce *q);
int quiesce_qga_freeze(struct quiesce *q, struct err *err);
bool quiesce_qga_thaw(struct quiesce *q, int64_t *out_held_ms);
/* As quiesce_settle_thaw(). */
int quiesce_qga_settle(struct quiesce *q, int patience_ms, struct err *err);
/* A last try of an owed thaw; true if none is owed. */
bool quiesce_qga_end(struct quiesce *q);

/* A message's file systems and writers in the manifest's form; the caller
 * frees with manifest_freeze_fini. */
int quiesce_convert(
    struct manifest_freeze *out, const struct message *m, struct err *err);

/* ---- quiesce_proof.c ---- */

/* What keeps a freeze from being worth anything; false: nothing does. */
bool quiesce_find_fault(const struct message *m, struct err *err);

/* Is every required writer in this state, and any one at all?  *why if not;
 * it names the writer. */
bool quiesce_writers_stand(
    const struct message *m, uint64_t held_state, struct err *why);

/* Puts the instants into the manifest if they can be, and how long it held,
 * which is no longer than the host saw. */
void quiesce_keep_times(const struct quiesce *q, const struct message *m,
    struct manifest_freeze *freeze);

/* The answer to the thaw, and whether it fits what was said before and what
 * the host saw. */
bool quiesce_check_proof(
    const struct quiesce *q, const struct message *m, struct err *why);

#endif
