/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sessions of an epoch (docs/prune.md): each says which points it may
 * write.  The seal is the last: after it nobody joins.  Beats tell a prune
 * that a session is alive; they decide nothing but when garbage goes.
 */
#ifndef HOLDSTILL_STORE_SESSIONS_H
#define HOLDSTILL_STORE_SESSIONS_H

#include "store/epochs.h"

#define SESSION_POINTS_MAX 4096u
/* The packs that a session puts end with its tag. */
#define SESSION_TAG_BYTES 6u

struct session_name { /* sessions/EPOCH/NUMBER */
	uint64_t epoch, number;
};

struct session_object {
	bool seal;
	uint8_t tag[SESSION_TAG_BYTES];
	struct idset points; /* In the order they were registered in. */
};

void session_object_fini(struct session_object *o);

/*
 * Registers a session of the newest epoch, which is read into *epoch, the
 * caller's to fini.
 */
int sessions_register(struct session_name *out, struct epoch *epoch,
    struct store *s, const struct session_object *o, struct err *err);

/* Puts the seal of an epoch if it is not there. */
int sessions_seal(struct store *s, uint64_t epoch, struct err *err);

/* ERR_NOT_FOUND: there is none of that name (yet). */
int sessions_get(struct session_object *out, struct store *s,
    const struct session_name *name, struct err *err);

/* Puts beat number `beat`, from 0 on. */
int sessions_beat(struct store *s, const struct session_name *name,
    uint64_t beat, struct err *err);
/* How many there are, of which the first `from` are known to be. */
int sessions_beats(uint64_t *out, struct store *s,
    const struct session_name *name, uint64_t from, struct err *err);
/* Removes the beats of a session that is decided; best effort. */
void sessions_drop_beats(
    struct store *s, const struct session_name *name, uint64_t count);
/* The same of all sessions of epochs below decided. */
void sessions_tidy(struct store *s, uint64_t decided);

#endif
