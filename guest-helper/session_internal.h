/* SPDX-License-Identifier: Apache-2.0 */
/* Between session.c (what is done) and session_reply.c (what is said). */
#ifndef HOLDSTILL_GUEST_SESSION_INTERNAL_H
#define HOLDSTILL_GUEST_SESSION_INTERNAL_H

#include "common/err.h"
#include "guest-helper/session.h"

const char *session_state_name(enum session_state state);

/* Begins s->reply with what every answer has; returns it. */
struct message *session_reply_begin(struct session *s);
void session_reply_send(struct session *s, uint8_t type, uint32_t id);
void session_reply_error(struct session *s, uint32_t id, const struct err *err);

/* The answer to a thaw, from the last report. */
void session_reply_proof(struct session *s, uint8_t type, uint32_t id);

/* File systems as planned, or with what the dead-man reported of them. */
void session_put_filesystems(struct message *m, const struct mounts *mounts);
void session_put_results(const struct session *s, struct message *m);

/* Remembers a request; answers a remembered one, if any, with an error. */
void session_pending_set(struct session_pending *p, uint32_t id);
void session_pending_error(struct session *s, struct session_pending *p,
    enum err_class class, const char *text);

#endif
