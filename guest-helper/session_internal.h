/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the parts of a session: session.c takes requests, _prepare, _freeze
 * and _commit do them, _end is about thaw and end, _reply says things.
 */
#ifndef HOLDSTILL_GUEST_SESSION_INTERNAL_H
#define HOLDSTILL_GUEST_SESSION_INTERNAL_H

#include "common/err.h"
#include "guest-helper/session.h"

/* What writers may take of the time of a step: the sync, or the freeze of the
 * file systems, needs some, too. */
#define SESSION_WRITERS_SHARE(ms) ((ms) / 3 * 2)

/* ---- requests: 0, or -1 with the error that is the answer ---- */

int session_on_prepare(struct session *s, uint32_t id, struct err *err);
int session_on_freeze(struct session *s, uint32_t id, struct err *err);
int session_on_thaw(struct session *s, uint32_t id, struct err *err);
int session_on_committed(struct session *s, uint32_t id, struct err *err);
int session_on_abort(struct session *s, uint32_t id, struct err *err);

/* The request is of the present session? */
int session_need(const struct session *s, struct err *err);

/* How long it stays prepared. */
uint32_t session_prepared_ms(const struct session *s);

/* ---- what the dead-man and the writers say ---- */

void session_synced(struct session *s);
void session_armed(struct session *s);
void session_frozen(struct session *s);
void session_thawing(struct session *s);
void session_thawed(struct session *s);
/* The dead-man was killed before it could say anything of this. */
void session_lost(struct session *s);
/* It should have begun the thaw, and has not: called again until it does or
 * is gone. */
void session_overdue(struct session *s);

void session_prepare_next(struct session *s);
void session_writers_prepared(struct session *s);
void session_writers_frozen(struct session *s);
void session_writers_thawed(struct session *s);
void session_writers_committed(struct session *s);
void session_begin_commit(struct session *s);

/* The deadline is over. */
void session_prepare_late(struct session *s);
void session_prepared_late(struct session *s);
void session_freeze_late(struct session *s);
void session_thaw_late(struct session *s);

/* ---- the end ---- */

/* Notes why; the state is left to those who know it. */
void session_fail(struct session *s, const char *reason);

/* Tells the dead-man to thaw; what it says then is no proof. */
void session_give_up(struct session *s);

/* No session any more, but for what may still be thawing. */
void session_forget(struct session *s);

/* Thaws the writers if need be, then ends their processes. */
void session_end_writers(struct session *s);

/* Does the dead-man live, or do writers do something? */
bool session_busy(const struct session *s);

/* Answers an abort if nothing is left to be waited for. */
void session_settle(struct session *s);

/* Begins a step of the writers. */
void session_ask_writers(
    struct session *s, const struct writers_request *request);

/* ---- what came late ---- */

/* Opens the mount table, to be closed by session_fini(). */
void session_late_init(struct session *s);

/* Just before the first FIFREEZE, and after the last FITHAW. */
void session_late_begin(struct session *s);
void session_late_end(struct session *s);

/* A file system that was mounted, or became writable, since the plan was
 * made was not frozen with the others: then nothing is proved.  Looked at
 * after the thaw, so that nobody waits for it. */
void session_late_look(struct session *s);

/* The first of seen that should have been held and was not planned; also one
 * that could not have been frozen.  NULL: there is none. */
const struct mounts_filesystem *session_late_find(
    const struct mounts *had, const struct mounts *seen);

/* ---- answers ---- */

const char *session_state_name(enum session_state state);

/* Begins s->reply with what every answer has; returns it. */
struct message *session_reply_begin(struct session *s);
void session_reply_send(struct session *s, uint8_t type, uint32_t id);
void session_reply_error(struct session *s, uint32_t id, const struct err *err);

/* The answers to prepare, freeze and thaw. */
void session_reply_plan(struct session *s);
void session_reply_frozen(struct session *s);
void session_reply_proof(struct session *s, uint32_t id);

/* File systems as planned, or with what the dead-man reported of them. */
void session_put_filesystems(struct message *m, const struct mounts *mounts);
void session_put_results(const struct session *s, struct message *m);

/* Remembers a request; answers a remembered one, if any, with an error. */
void session_pending_set(struct session_pending *p, uint32_t id);
void session_pending_error(struct session *s, struct session_pending *p,
    enum err_class class, const char *text);

#endif
