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
	bool unread; /* Damaged, and set aside: nothing is known of it. */
	uint8_t tag[SESSION_TAG_BYTES];
	struct idset points; /* In the order they were registered in. */
};

void session_object_fini(struct session_object *o);

/*
 * Registers a session of the newest epoch, which is read into *epoch, the
 * caller's to fini.  ERR_CORRUPT: that epoch is sealed, which it is only once
 * there is another.
 */
int sessions_register(struct session_name *out, struct epoch *epoch,
    struct store *s, const struct session_object *o, struct err *err);

/* 0: others may register in the newest epoch.  ERR_CORRUPT: it is sealed, or
 * its last session cannot be read. */
int sessions_open(struct store *s, uint64_t newest, struct err *err);

/* Puts the seal of an epoch if it is not there. */
int sessions_seal(struct store *s, uint64_t epoch, struct err *err);

/* ERR_NOT_FOUND: there is none of that name (yet).  One that was set aside is
 * a session without points. */
int sessions_get(struct session_object *out, struct store *s,
    const struct session_name *name, struct err *err);

/*
 * Visits each session of an epoch: by get of the next number until there is
 * none, and besides what a listing shows behind a gap.  Non-zero from fn ends
 * it with that.
 */
typedef int session_fn(void *arg, const struct session_name *name,
    const struct session_object *o, struct err *err);
int sessions_each(struct store *s, uint64_t epoch, session_fn *fn, void *arg,
    struct err *err);

/* Puts sessions without points where a number is missing before one that a
 * listing shows. */
int sessions_fill(struct store *s, uint64_t epoch, struct err *err);

/*
 * Visits those of `epoch` and later that a listing shows beats of, though they
 * cannot be read: whose they are, nobody knows.  Non-zero from fn ends it.
 */
typedef int session_name_fn(
    void *arg, const struct session_name *name, struct err *err);
int sessions_unknown(struct store *s, uint64_t epoch, session_name_fn *fn,
    void *arg, struct err *err);

/*
 * For whoever is about to commit: nobody has removed the session's object, or
 * set it aside as damaged, so that prunes have waited for it.  ERR_NOT_FOUND:
 * somebody has.  What is out of reach for now counts as there.
 */
int sessions_still_named(
    struct store *s, const struct session_name *name, struct err *err);

/* Puts beat number `beat`, from 0 on. */
int sessions_beat(struct store *s, const struct session_name *name,
    uint64_t beat, struct err *err);
/* How many there are, of which the first `from` are known to be. */
int sessions_beats(uint64_t *out, struct store *s,
    const struct session_name *name, uint64_t from, struct err *err);
/* Removes the beats of a session that is decided; best effort. */
void sessions_drop_beats(
    struct store *s, const struct session_name *name, uint64_t count);
/* The same of those that a listing shows, however many. */
void sessions_drop_listed_beats(
    struct store *s, const struct session_name *name);
/* The same of all sessions of epochs below decided. */
void sessions_tidy(struct store *s, uint64_t decided);

#endif
